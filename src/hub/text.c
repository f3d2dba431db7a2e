/* See text.h. */
#include "hub/text.h"

#include <string.h>

#include "base/utf8.h"

bool clo_text_is_blank(clo_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] > ' ') return false;
    return true;
}

bool clo_text_check(const char *what, clo_str s, size_t min, size_t max, bool one_line, clo_err *err)
{
    size_t n_chars = 0, n;
    for (size_t i = 0; i < s.len; i += n, n_chars++) {
        uint32_t cp = clo_utf8_decode(s, i, &n);
        if (cp == CLO_UTF8_BAD || cp == 0 || (one_line && (cp < ' ' || cp == 0x7f)))
            return clo_fail(err, CLO_ERR_USAGE, "%s: %s is expected", what, one_line ? "one line of UTF-8" : "UTF-8");
    }
    return (n_chars >= min && n_chars <= max && (min == 0 || !clo_text_is_blank(s))) ||
           clo_fail(err, CLO_ERR_USAGE, "%s: %zu to %zu characters are expected, found %zu", what, min, max, n_chars);
}

bool clo_text_copy(char *out, size_t cap, clo_str s)
{
    if (s.len >= cap) return false;
    memcpy(out, s.ptr, s.len);
    out[s.len] = '\0';
    return true;
}
