/* See json_out.h. */
#include "serve/json_out.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/utf8.h"

/* Length of the part of s from `at` that needs no escape: printable ASCII and whole characters. */
static size_t plain_run(clo_str s, size_t at)
{
    size_t i = at;
    while (i < s.len) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c < 0x80) {
            if (c < 0x20 || c == '"' || c == '\\' || c == 0x7f) break;
            i++;
            continue;
        }
        size_t n;
        if (clo_utf8_decode(s, i, &n) == CLO_UTF8_BAD) break;
        i += n;
    }
    return i - at;
}

void clo_json_add_str(clo_buf *out, clo_str text)
{
    clo_buf_add_char(out, '"');
    for (size_t i = 0; i < text.len;) {
        size_t n = plain_run(text, i);
        if (n > 0) clo_buf_add(out, (clo_str){text.ptr + i, n});
        i += n;
        if (i == text.len) break;
        unsigned char c = (unsigned char)text.ptr[i];
        n = 1;
        if (c == '"' || c == '\\') clo_buf_add(out, (clo_str){(const char[]){'\\', (char)c}, 2});
        else if (c == '\n') clo_buf_add(out, CLO_STR("\\n"));
        else if (c == '\t') clo_buf_add(out, CLO_STR("\\t"));
        else if (c == '\r') clo_buf_add(out, CLO_STR("\\r"));
        else if (c < 0x80) clo_buf_addf(out, "\\u%04x", c);
        else {
            (void)clo_utf8_decode(text, i, &n);
            clo_buf_add(out, CLO_STR("\xEF\xBF\xBD"));
        }
        i += n;
    }
    clo_buf_add_char(out, '"');
}

void clo_json_add_pair(clo_buf *out, const char *key, clo_str text)
{
    clo_buf_addf(out, "\"%s\":", key);
    clo_json_add_str(out, text);
}

void clo_json_add_num(clo_buf *out, double v)
{
    char text[32];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v) break;
    }
    clo_buf_add(out, clo_str_from(text));
    /* A number stays one with a fraction in languages that tell the two apart. */
    if (!strpbrk(text, ".en")) clo_buf_add(out, CLO_STR(".0"));
}

void clo_json_add_logprob(clo_buf *out, double v)
{
    if (!(v > -9999.0)) clo_buf_add(out, CLO_STR("-9999.0"));
    else clo_json_add_num(out, v);
}

void clo_json_add_int(clo_buf *out, int64_t v)
{
    char text[20];
    size_t at = sizeof text;
    uint64_t left = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    do text[--at] = (char)('0' + left % 10);
    while ((left /= 10) > 0);
    if (v < 0) text[--at] = '-';
    clo_buf_add(out, (clo_str){text + at, sizeof text - at});
}

static int add_piece(const char *bytes, size_t n, void *ctx)
{
    clo_buf *out = (clo_buf *)ctx;
    clo_buf_add(out, (clo_str){bytes, n});
    return out->failed ? -1 : 0;
}

void clo_json_add_tree(clo_buf *out, json_t *stolen)
{
    if (!stolen || json_dump_callback(stolen, add_piece, out, JSON_COMPACT | JSON_ENCODE_ANY) != 0) out->failed = true;
    json_decref(stolen);
}

void clo_reply_json(clo_request *r, unsigned status, json_t *stolen)
{
    clo_buf b = {0};
    clo_json_add_tree(&b, stolen);
    clo_buf_add_char(&b, '\n');
    clo_reply_buf(r, status, CLO_TYPE_JSON, &b);
}

const char *clo_json_time(char out[CLO_TIME_BYTES], int64_t unix_us)
{
    struct tm tm = {0};
    time_t s = (time_t)(unix_us / 1000000);
    gmtime_r(&s, &tm);
    size_t n = strftime(out, CLO_TIME_BYTES, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, CLO_TIME_BYTES - n, ".%06lld+00:00", (long long)(unix_us % 1000000));
    return out;
}

int64_t clo_unix_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}
