/* See hub_send.h. */
#include "serve/hub_send.h"

#include <stdio.h>
#include <unistd.h>

#include "hub/reader.h"

static bool digits(uint64_t *out, clo_str s)
{
    *out = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9' || *out > (UINT64_MAX - 9) / 10) return false;
        *out = *out * 10 + (uint64_t)(s.ptr[i] - '0');
    }
    return s.len > 0;
}

bool clo_byte_range_parse(clo_byte_range *out, clo_str header, uint64_t size)
{
    uint64_t first = 0, last = 0;
    *out = (clo_byte_range){.n = size};
    if (!clo_str_starts_with(header, CLO_STR("bytes="))) return true;
    clo_str spec = clo_str_from_off(header, 6);
    size_t dash = clo_str_find(spec, 0, '-');
    if (dash == spec.len || clo_str_find(spec, 0, ',') < spec.len) return true;
    clo_str a = {spec.ptr, dash}, b = clo_str_from_off(spec, dash + 1);
    if (a.len == 0) {
        if (!digits(&last, b)) return true;
        if (last == 0 || size == 0) return false;
        first = last < size ? size - last : 0;
        last = size - 1;
    } else {
        if (!digits(&first, a) || (b.len > 0 && (!digits(&last, b) || last < first))) return true;
        if (first >= size) return false;
        if (b.len == 0 || last >= size) last = size - 1;
    }
    *out = (clo_byte_range){.off = first, .n = last - first + 1, .part = true};
    return true;
}

void clo_hub_range_headers(clo_hub_call *c, const clo_byte_range *s, uint64_t size)
{
    char text[80];
    clo_reply_header(c->r, "Accept-Ranges", "bytes");
    if (!s->part) return;
    snprintf(text, sizeof text, "bytes %llu-%llu/%llu", (unsigned long long)s->off, (unsigned long long)(s->off + s->n - 1),
             (unsigned long long)size);
    clo_reply_header(c->r, "Content-Range", text);
}

bool clo_hub_range(clo_byte_range *out, clo_hub_call *c, uint64_t size)
{
    char text[80];
    if (!clo_byte_range_parse(out, clo_request_header(c->r, "Range"), size)) {
        snprintf(text, sizeof text, "bytes */%llu", (unsigned long long)size);
        clo_reply_header(c->r, "Content-Range", text);
        return clo_hub_fail(c, 416, NULL, "the range begins after the end of the file, which has %llu bytes", (unsigned long long)size);
    }
    clo_hub_range_headers(c, out, size);
    return true;
}

static ssize_t read_some(void *ctx, char *to, size_t max)
{
    size_t got = 0;
    clo_err err = {0};
    return clo_reader_read((clo_reader *)ctx, to, max, &got, &err) ? (ssize_t)got : -1;
}

static void end_reader(void *ctx)
{
    clo_reader_close((clo_reader *)ctx);
}

void clo_hub_send_large(clo_hub_call *c, const clo_sha256 *sha256, const clo_byte_range *s, const char *type)
{
    clo_reader *reader = NULL;
    clo_err err = {0};
    char hex[65];
    int fd;
    uint64_t off;
    unsigned status = s->part ? 206 : 200;
    bool may = false;
    clo_sha256_hex(hex, sha256);
    if (!clo_files_may_link(&may, &c->files, c->repo.id, sha256, &err)) {
        clo_hub_fail_err(c, &err);
        return;
    }
    if (!may) {
        clo_hub_fail(c, 404, "EntryNotFound", "the bytes with SHA-256 %s are not here", hex);
        return;
    }
    if (s->n == 0) {
        clo_reply(c->r, status, type, CLO_STR(""));
        return;
    }
    if (!clo_reader_open(&reader, &c->files, sha256, s->off, s->n, &err)) {
        clo_hub_fail_err(c, &err);
        return;
    }
    if (!clo_reader_plain(reader, &fd, &off)) {
        clo_reply_reader(c->r, status, type, s->n, read_some, end_reader, reader);
        return;
    }
    int own = dup(fd);
    clo_reader_close(reader);
    if (own < 0) clo_hub_fail(c, 503, NULL, "server busy, please try again.  too many open files");
    else clo_reply_file(c->r, status, type, own, off, s->n);
}
