#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

#define BUF_MAX_DEFAULT ((size_t)1 << 30)

void clo_buf_free(clo_buf *b)
{
    free(b->ptr);
    *b = (clo_buf){.max = b->max};
}

char *clo_buf_reserve(clo_buf *b, size_t n)
{
    size_t max = b->max ? b->max : BUF_MAX_DEFAULT;
    if (b->failed || b->len >= max || n > max - b->len) {
        b->failed = b->failed || n > 0;
        return NULL;
    }
    if (n >= b->cap - b->len) {
        size_t cap = b->cap ? b->cap : 128;
        while (cap <= b->len + n) cap *= 2;
        char *p = realloc(b->ptr, cap);
        if (!p) {
            b->failed = true;
            return NULL;
        }
        b->ptr = p;
        b->cap = cap;
    }
    b->ptr[b->len] = 0;
    return b->ptr + b->len;
}

void clo_buf_add(clo_buf *b, clo_str s)
{
    char *p = clo_buf_reserve(b, s.len);
    if (!p) return;
    if (s.len) memcpy(p, s.ptr, s.len);
    b->len += s.len;
    b->ptr[b->len] = 0;
}

void clo_buf_add_char(clo_buf *b, char c)
{
    clo_buf_add(b, (clo_str){&c, 1});
}

void clo_buf_addf(clo_buf *b, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    char *p = n >= 0 ? clo_buf_reserve(b, (size_t)n) : NULL;
    if (p) {
        vsnprintf(p, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
    va_end(args);
}

void clo_buf_add_html(clo_buf *b, const char *text)
{
    for (const char *p = text; *p; p++) {
        switch (*p) {
        case '&': clo_buf_add(b, CLO_STR("&amp;")); break;
        case '<': clo_buf_add(b, CLO_STR("&lt;")); break;
        case '>': clo_buf_add(b, CLO_STR("&gt;")); break;
        case '"': clo_buf_add(b, CLO_STR("&quot;")); break;
        case '\'': clo_buf_add(b, CLO_STR("&#39;")); break;
        default: clo_buf_add_char(b, *p);
        }
    }
}

void clo_buf_add_utf8(clo_buf *b, uint32_t cp)
{
    char c[4];
    clo_buf_add(b, (clo_str){c, clo_utf8_encode(c, cp)});
}

bool clo_buf_ok(const clo_buf *b, clo_err *err)
{
    if (!b->failed) return true;
    return clo_fail(err, CLO_ERR_LIMIT, "output does not fit: limit %zu bytes", b->max ? b->max : BUF_MAX_DEFAULT);
}
