/* What people wrote for others to read: titles, descriptions, notes, comments.
 *
 *   if (!clo_text_check("title", title, 1, 200, true, &err)) ...   // CLO_ERR_USAGE: "title: one line of UTF-8 is expected" */
#ifndef CLO_HUB_TEXT_H
#define CLO_HUB_TEXT_H

#include <stdbool.h>

#include "base/err.h"
#include "base/slice.h"

/* Nothing but spaces, line ends and control characters. */
bool clo_text_is_blank(clo_str s);
/* UTF-8 of min to max characters; min 1: not blank. In a line no control character, else no NUL. CLO_ERR_USAGE begins with `what`. */
CLO_CHECK bool clo_text_check(const char *what, clo_str s, size_t min, size_t max, bool one_line, clo_err *err);
/* Copies with a NUL; false, and nothing is copied, when there is no room. */
bool clo_text_copy(char *out, size_t cap, clo_str s);

#endif
