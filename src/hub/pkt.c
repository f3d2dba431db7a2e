/* See pkt.h. */
#include "hub/pkt.h"

#include <stdarg.h>
#include <stdio.h>

#define LINE_MAX_TEXT 4000
#define BAND_MAX 65515 /* bytes of data in a line of a side band */

static int nibble(uint8_t c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

clo_pkt_result clo_pkt_read(clo_pkt *out, clo_bytes *in, clo_err *err)
{
    size_t n = 0;
    if (in->len < 4) return CLO_PKT_MORE;
    for (size_t i = 0; i < 4; i++) {
        int v = nibble(in->ptr[i]);
        if (v < 0) {
            clo_fail(err, CLO_ERR_FORMAT, "pkt-line: a length that is no hex number");
            return CLO_PKT_BAD;
        }
        n = n << 4 | (size_t)v;
    }
    *out = (clo_pkt){.kind = n == 0 ? CLO_PKT_FLUSH : n == 1 ? CLO_PKT_DELIM : n == 2 ? CLO_PKT_END : CLO_PKT_DATA};
    if (n == 3 || n > CLO_PKT_MAX) {
        clo_fail(err, CLO_ERR_FORMAT, "pkt-line: a length of %zu", n);
        return CLO_PKT_BAD;
    }
    size_t used = n < 4 ? 4 : n;
    if (used > in->len) return CLO_PKT_MORE;
    if (n >= 4) out->text = out->raw = (clo_str){(const char *)in->ptr + 4, n - 4};
    if (out->text.len && out->text.ptr[out->text.len - 1] == '\n') out->text.len--;
    *in = (clo_bytes){in->ptr + used, in->len - used};
    return CLO_PKT_DONE;
}

static void send(clo_pkt_out *o, const void *p, size_t n)
{
    if (!o->failed && !o->fn(o->ctx, (clo_bytes){p, n}, &o->err)) o->failed = true;
}

void clo_pkt_line(clo_pkt_out *o, const char *fmt, ...)
{
    char text[4 + LINE_MAX_TEXT];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text + 4, sizeof text - 4, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof text - 4) {
        if (!o->failed) o->failed = !clo_fail(&o->err, CLO_ERR_LIMIT, "a line of the answer is too long");
        return;
    }
    char head[5];
    snprintf(head, sizeof head, "%04x", (unsigned)n + 4);
    memcpy(text, head, 4);
    send(o, text, (size_t)n + 4);
}

void clo_pkt_flush(clo_pkt_out *o)
{
    send(o, "0000", 4);
}

void clo_pkt_delim(clo_pkt_out *o)
{
    send(o, "0001", 4);
}

void clo_pkt_band(clo_pkt_out *o, int band, clo_bytes bytes)
{
    if (band == 0) {
        send(o, bytes.ptr, bytes.len);
        return;
    }
    while (bytes.len) {
        size_t n = bytes.len < BAND_MAX ? bytes.len : BAND_MAX;
        char head[6];
        snprintf(head, sizeof head, "%04x", (unsigned)n + 5);
        head[4] = (char)band;
        send(o, head, 5);
        send(o, bytes.ptr, n);
        bytes = (clo_bytes){bytes.ptr + n, bytes.len - n};
    }
}

bool clo_pkt_ok(const clo_pkt_out *o, clo_err *err)
{
    if (o->failed && err) *err = o->err;
    return !o->failed;
}

bool clo_pkt_has_word(clo_str list, const char *word)
{
    clo_str w = clo_str_from(word);
    for (size_t at = 0; at < list.len;) {
        size_t end = clo_str_find(list, at, ' ');
        if (clo_str_eq((clo_str){list.ptr + at, end - at}, w)) return true;
        at = end + 1;
    }
    return false;
}
