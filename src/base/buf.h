/* A growing byte buffer, born with its maximum. Appending never fails loudly in the middle: the first failure (limit or
 * memory) sticks, later appends do nothing, and clo_buf_ok tells at the end. The zeroed struct with `max` set is valid.
 */
#ifndef CLO_BASE_BUF_H
#define CLO_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/slice.h"

typedef struct {
    char *ptr;   /* owned; NUL-terminated beyond len once anything was appended */
    size_t len;  /* bytes */
    size_t cap;  /* bytes */
    size_t max;  /* bytes; 0 means 1 GiB */
    bool failed; /* an append did not fit */
} clo_buf;

void clo_buf_free(clo_buf *b);
void clo_buf_add(clo_buf *b, clo_str s);
void clo_buf_add_char(clo_buf *b, char c);
void clo_buf_addf(clo_buf *b, const char *fmt, ...) CLO_PRINTF(2, 3);
/* Appends plain text as HTML: its five special characters escaped. */
void clo_buf_add_html(clo_buf *b, const char *text);
/* Appends code point cp (<= 0x10FFFF) as UTF-8. */
void clo_buf_add_utf8(clo_buf *b, uint32_t cp);
/* Room for n more bytes at ptr+len, or NULL. The caller then adds to len. */
char *clo_buf_reserve(clo_buf *b, size_t n);
static inline clo_str clo_buf_str(const clo_buf *b)
{
    return (clo_str){b->ptr ? b->ptr : "", b->len};
}
/* True when every append fitted, else sets err. */
CLO_CHECK bool clo_buf_ok(const clo_buf *b, clo_err *err);

#endif
