/* Pages of a column chunk, decompressed. See parquet_impl.h. */
#include <stdlib.h>

#include <lz4.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

#include "base/check.h"
#include "table/parquet_impl.h"
#include "table/thrift.h"

#define HEADER_BYTES_MAX ((size_t)4 << 20)

/* --- codecs -------------------------------------------------------------------------------------------------------*/

static bool inflate_all(uint8_t *out, size_t raw, clo_bytes in)
{
    z_stream z = {0};
    z.next_in = (Bytef *)(uintptr_t)in.ptr;
    z.avail_in = (uInt)in.len;
    z.next_out = out;
    z.avail_out = (uInt)raw;
    if (inflateInit2(&z, 15 + 32) != Z_OK) return false; /* gzip or zlib, as its header says */
    int rc = inflate(&z, Z_FINISH);
    bool ok = rc == Z_STREAM_END && z.total_out == raw;
    inflateEnd(&z);
    return ok;
}

static bool snappy(uint8_t *out, size_t raw, clo_bytes in)
{
    size_t n = 0;
    if (snappy_uncompressed_length((const char *)in.ptr, in.len, &n) != SNAPPY_OK || n != raw) return false;
    return snappy_uncompress((const char *)in.ptr, in.len, (char *)out, &n) == SNAPPY_OK && n == raw;
}

/* Older writers of "LZ4" put two big-endian lengths before each block, as Hadoop does. */
static bool lz4_hadoop(uint8_t *out, size_t raw, clo_bytes in)
{
    size_t at = 0, done = 0;
    while (in.len - at >= 8) {
        const uint8_t *p = in.ptr + at;
        uint32_t n_raw = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
        uint32_t n = (uint32_t)p[4] << 24 | (uint32_t)p[5] << 16 | (uint32_t)p[6] << 8 | p[7];
        at += 8;
        if (n > in.len - at || n_raw > raw - done) return false;
        if (LZ4_decompress_safe((const char *)in.ptr + at, (char *)out + done, (int)n, (int)n_raw) != (int)n_raw) return false;
        at += n;
        done += n_raw;
    }
    return at == in.len && done == raw;
}

static bool lz4_raw(uint8_t *out, size_t raw, clo_bytes in)
{
    return LZ4_decompress_safe((const char *)in.ptr, (char *)out, (int)in.len, (int)raw) == (int)raw;
}

bool pq_decompress(uint8_t *out, size_t raw, int32_t codec, clo_bytes in, clo_err *err)
{
    static const char *const names[] = {"uncompressed", "Snappy", "gzip", "LZO", "Brotli", "LZ4", "Zstandard", "LZ4_RAW"};
    bool ok = false;
    if (codec < 0 || codec > 7) return clo_fail(err, CLO_ERR_FORMAT, "codec %d, expected 0 to 7", codec);
    if (raw > PQ_PAGE_BYTES_MAX || in.len > PQ_PAGE_BYTES_MAX) return clo_fail(err, CLO_ERR_LIMIT, "a page of %zu bytes", raw);
    if (raw == 0 && in.len == 0) return true;
    switch (codec) {
    case 0:
        ok = in.len == raw;
        if (ok) memcpy(out, in.ptr, raw);
        break;
    case 1: ok = snappy(out, raw, in); break;
    case 2: ok = inflate_all(out, raw, in); break;
    case 5: ok = lz4_hadoop(out, raw, in) || lz4_raw(out, raw, in); break;
    case 6: ok = ZSTD_decompress(out, raw, in.ptr, in.len) == raw; break;
    case 7: ok = lz4_raw(out, raw, in); break;
    default: return clo_fail(err, CLO_ERR_UNSUPPORTED, "pages compressed with %s", names[codec]);
    }
    return ok || clo_fail(err, CLO_ERR_FORMAT, "a page of %zu bytes does not become %zu by %s", in.len, raw, names[codec]);
}

/* --- headers ------------------------------------------------------------------------------------------------------*/

typedef struct {
    int64_t type, raw, stored;
    int64_t n_values, n_rows, encoding, def_encoding, rep_encoding, def_len, rep_len;
    bool compressed;
} header;

static void read_inner(header *h, clo_thrift *t, bool v2)
{
    clo_thrift_field f = {0};
    while (clo_thrift_next(t, &f)) {
        if (f.type == CLO_THRIFT_FALSE && f.id == 7 && v2) h->compressed = false;
        if (f.type != CLO_THRIFT_I32) {
            clo_thrift_skip(t, f.type, 0);
            continue;
        }
        int64_t v = clo_thrift_int(t);
        if (f.id == 1) h->n_values = v;
        else if (f.id == (v2 ? 4 : 2)) h->encoding = v;
        else if (v2 && f.id == 3) h->n_rows = v;
        else if (v2 && f.id == 5) h->def_len = v;
        else if (v2 && f.id == 6) h->rep_len = v;
        else if (!v2 && f.id == 3) h->def_encoding = v;
        else if (!v2 && f.id == 4) h->rep_encoding = v;
    }
}

static void read_header(header *h, clo_thrift *t)
{
    clo_thrift_field f = {0};
    *h = (header){.type = -1, .raw = -1, .stored = -1, .n_values = -1, .n_rows = -1, .encoding = -1, .def_encoding = 3, .rep_encoding = 3, .compressed = true};
    while (clo_thrift_next(t, &f)) {
        if (f.type == CLO_THRIFT_STRUCT && (f.id == 5 || f.id == 7 || f.id == 8)) read_inner(h, t, f.id == 8);
        else if (f.type == CLO_THRIFT_I32 && f.id <= 3) {
            int64_t v = clo_thrift_int(t);
            if (f.id == 1) h->type = v;
            else if (f.id == 2) h->raw = v;
            else if (f.id == 3) h->stored = v;
        } else clo_thrift_skip(t, f.type, 0);
    }
}

/* Reads the header at p->at; *n: its bytes. Statistics can make it long. */
static bool next_header(header *h, size_t *n, pq_pages *p, clo_err *err)
{
    for (size_t want = PQ_AHEAD_BYTES;; want *= 8) {
        size_t n_max = p->end - p->at < want ? (size_t)(p->end - p->at) : want;
        uint64_t skip = p->at - p->ahead_off;
        if (p->at < p->ahead_off || skip >= p->ahead_n || (want > PQ_AHEAD_BYTES && p->ahead_n - skip < n_max)) {
            uint8_t *q = (uint8_t *)realloc(p->ahead, n_max ? n_max : 1);
            if (!q) return clo_fail(err, CLO_ERR_MEMORY, "page header");
            p->ahead = q;
            if (!p->s->read(p->s->ctx, p->at, p->ahead, n_max, err)) return false;
            p->ahead_off = p->at;
            p->ahead_n = n_max;
            skip = 0;
        }
        clo_thrift t = {.at = p->ahead + skip, .end = p->ahead + p->ahead_n};
        read_header(h, &t);
        *n = (size_t)(t.at - (p->ahead + skip));
        if (!t.bad) return true;
        if (p->ahead_n - skip == p->end - p->at || want > HEADER_BYTES_MAX) return clo_fail_at(err, p->at, "a page's header is no Thrift, or ends early");
    }
}

void pq_pages_open(pq_pages *out, const clo_table_source *s, const pq_chunk *c, pq_cost *cost)
{
    *out = (pq_pages){.s = s, .chunk = c, .cost = cost, .at = c->off, .end = c->off + c->bytes};
}

static bool charge(pq_pages *p, uint64_t raw, clo_err *err)
{
    if (raw > p->cost->bytes)
        return clo_fail(err, CLO_ERR_LIMIT, "more than %llu bytes of pages would be read for these rows", (unsigned long long)PQ_READ_BYTES_MAX);
    p->cost->bytes -= raw;
    return true;
}

/* Reads `stored` bytes at off and makes them `raw` in *to. */
static bool read_body(uint8_t **to, uint64_t off, uint64_t stored, uint64_t raw, bool compressed, pq_pages *p, clo_err *err)
{
    if (!charge(p, raw, err)) return false;
    uint8_t *body = (uint8_t *)realloc(*to, raw ? (size_t)raw : 1);
    if (!body) return clo_fail(err, CLO_ERR_MEMORY, "a page of %llu bytes", (unsigned long long)raw);
    *to = body;
    if (!compressed || p->chunk->codec == 0) {
        if (stored != raw) return clo_fail_at(err, off, "an uncompressed page of %llu bytes that should be %llu", (unsigned long long)stored, (unsigned long long)raw);
        return p->s->read(p->s->ctx, off, body, (size_t)raw, err);
    }
    uint8_t *in = (uint8_t *)realloc(p->stored, stored ? (size_t)stored : 1);
    if (!in) return clo_fail(err, CLO_ERR_MEMORY, "a page of %llu bytes", (unsigned long long)stored);
    p->stored = in;
    return p->s->read(p->s->ctx, off, in, (size_t)stored, err) && pq_decompress(body, (size_t)raw, p->chunk->codec, (clo_bytes){in, (size_t)stored}, err);
}

static bool take_dictionary(const header *h, uint64_t body_off, pq_pages *p, clo_err *err)
{
    if (p->has_dict) return clo_fail_at(err, body_off, "a column with two dictionaries");
    if (h->encoding != 0 && h->encoding != 2) return clo_fail_at(err, body_off, "a dictionary in encoding %lld, expected 0 or 2", (long long)h->encoding);
    if (!read_body(&p->dict_body, body_off, (uint64_t)h->stored, (uint64_t)h->raw, true, p, err)) return false;
    p->dict = (clo_bytes){p->dict_body, (size_t)h->raw};
    p->n_dict = (uint64_t)h->n_values;
    p->has_dict = true;
    return true;
}

static bool fill(pq_page *out, const header *h, uint64_t body_off, clo_err *err)
{
    *out = (pq_page){.n_values = (uint64_t)h->n_values, .is_v2 = h->type == 3, .has_rows = h->type == 3, .encoding = (int32_t)h->encoding,
                     .def_encoding = (int32_t)h->def_encoding, .rep_encoding = (int32_t)h->rep_encoding, .body_off = body_off,
                     .stored = (uint64_t)h->stored, .raw = (uint64_t)h->raw, .compressed = h->compressed};
    if (!out->is_v2) return true;
    if (h->n_rows < 0 || h->def_len < 0 || h->rep_len < 0 || h->def_len > h->stored - h->rep_len || h->def_len > h->raw - h->rep_len)
        return clo_fail_at(err, body_off, "levels of %lld and %lld bytes in a page of %lld", (long long)h->rep_len, (long long)h->def_len, (long long)h->stored);
    out->n_rows = (uint64_t)h->n_rows;
    out->def_len = (uint32_t)h->def_len;
    out->rep_len = (uint32_t)h->rep_len;
    return true;
}

bool pq_pages_next(pq_page *out, bool *found, pq_pages *p, clo_err *err)
{
    for (*found = false; p->at < p->end;) {
        header h;
        size_t n;
        if (p->cost->pages == 0) return clo_fail(err, CLO_ERR_LIMIT, "more than %d pages lie before these rows", PQ_PAGES_MAX);
        p->cost->pages--;
        if (!next_header(&h, &n, p, err)) return false;
        uint64_t body = p->at + n;
        if (h.stored < 0 || h.raw < 0 || (uint64_t)h.stored > p->end - body)
            return clo_fail_at(err, p->at, "a page of %lld bytes, %llu are left in its column", (long long)h.stored, (unsigned long long)(p->end - body));
        if ((uint64_t)h.stored > PQ_PAGE_BYTES_MAX || (uint64_t)h.raw > PQ_PAGE_BYTES_MAX)
            return clo_fail(err, CLO_ERR_LIMIT, "a page of %lld bytes, at most %llu", (long long)h.raw, (unsigned long long)PQ_PAGE_BYTES_MAX);
        if (h.type != 1 && h.n_values < 0) return clo_fail_at(err, p->at, "a page that does not say how many values it has");
        p->at = body + (uint64_t)h.stored;
        if (h.type == 2 && !take_dictionary(&h, body, p, err)) return false;
        if (h.type != 0 && h.type != 3) continue;
        *found = true;
        return fill(out, &h, body, err);
    }
    return true;
}

bool pq_pages_body(pq_page *page, pq_pages *p, clo_err *err)
{
    uint64_t levels = (uint64_t)page->rep_len + page->def_len; /* 0 in v1, where they are in the compressed part */
    if (!page->is_v2) {
        if (!read_body(&p->body, page->body_off, page->stored, page->raw, true, p, err)) return false;
        page->values = (clo_bytes){p->body, (size_t)page->raw};
        return true;
    }
    if (!read_body(&p->body, page->body_off + levels, page->stored - levels, page->raw - levels, page->compressed, p, err)) return false;
    uint8_t *body = (uint8_t *)realloc(p->body, page->raw ? (size_t)page->raw : 1);
    if (!body) return clo_fail(err, CLO_ERR_MEMORY, "a page");
    p->body = body;
    if (!p->s->read(p->s->ctx, page->body_off, body + (page->raw - levels), (size_t)levels, err)) return false;
    page->values = (clo_bytes){body, (size_t)(page->raw - levels)};
    page->reps = (clo_bytes){body + (page->raw - levels), page->rep_len};
    page->defs = (clo_bytes){body + (page->raw - levels) + page->rep_len, page->def_len};
    return true;
}

void pq_pages_close(pq_pages *p)
{
    free(p->body);
    free(p->stored);
    free(p->dict_body);
    free(p->ahead);
    *p = (pq_pages){0};
}
