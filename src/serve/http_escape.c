/* What a request's texts say: percent signs, forms, lists of tags. See http.h. */
#include <string.h>

#include "serve/http_impl.h"

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* A NUL is kept as a byte. NULL when memory is out. */
static clo_str unescape(clo_request *r, clo_str raw, bool plus_is_space)
{
    char *out = (char *)clo_arena_alloc(&r->arena, raw.len + 1);
    size_t n = 0;
    if (!out) return (clo_str){0};
    for (size_t i = 0; i < raw.len; i++) {
        int hi = raw.ptr[i] == '%' && i + 2 < raw.len ? hex_value(raw.ptr[i + 1]) : -1;
        int lo = hi >= 0 ? hex_value(raw.ptr[i + 2]) : -1;
        if (lo >= 0) i += 2;
        out[n++] = lo >= 0 ? (char)(hi * 16 + lo) : plus_is_space && raw.ptr[i] == '+' ? ' ' : raw.ptr[i];
    }
    return (clo_str){out, n};
}

clo_str clo_request_unescape(clo_request *r, clo_str raw)
{
    return unescape(r, raw, false);
}

bool clo_request_param(clo_str *out, clo_request *r, clo_str form, const char *name, size_t i)
{
    clo_str want = clo_str_from(name);
    *out = (clo_str){0};
    for (size_t at = 0; at < form.len;) {
        clo_str rest = clo_str_from_off(form, at);
        size_t len = clo_str_find(rest, 0, '&');
        clo_str pair = {rest.ptr, len};
        size_t eq = clo_str_find(pair, 0, '=');
        clo_str key = unescape(r, (clo_str){pair.ptr, eq}, true);
        at += len + 1;
        if (!clo_str_eq(key, want) || i-- > 0) continue;
        *out = unescape(r, clo_str_from_off(pair, eq < pair.len ? eq + 1 : pair.len), true);
        return out->ptr != NULL;
    }
    return false;
}

bool clo_request_has_etag(const clo_request *r, const char *tag)
{
    clo_str given = clo_request_header(r, "If-None-Match");
    size_t n = strlen(tag);
    if (clo_str_eq(given, CLO_STR("*"))) return true;
    for (size_t i = 0; given.len >= n && i <= given.len - n; i++)
        if (memcmp(given.ptr + i, tag, n) == 0) return true;
    return false;
}
