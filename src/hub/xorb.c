/* See xorb.h. */
#include "hub/xorb.h"

#include <lz4frame.h>
#include <stdlib.h>

#include "base/cursor.h"

#define STORED_MAX ((size_t)2 * CLO_CHUNK_RAW_MAX)

static uint32_t load_le24(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;
}

/* --- one chunk ----------------------------------------------------------------------------------------------------*/

struct clo_chunk_decoder {
    LZ4F_dctx *lz4; /* owned */
    uint8_t grouped[CLO_CHUNK_RAW_MAX];
};

bool clo_chunk_decoder_open(clo_chunk_decoder **out, clo_err *err)
{
    clo_chunk_decoder *d = (clo_chunk_decoder *)malloc(sizeof *d);
    *out = NULL;
    if (!d || LZ4F_isError(LZ4F_createDecompressionContext(&d->lz4, LZ4F_VERSION))) {
        free(d);
        return clo_fail(err, CLO_ERR_MEMORY, "decoder of chunks");
    }
    *out = d;
    return true;
}

void clo_chunk_decoder_close(clo_chunk_decoder *d)
{
    if (!d) return;
    LZ4F_freeDecompressionContext(d->lz4);
    free(d);
}

/* One frame that fills `in` and gives n bytes. */
static bool decode_frame(clo_chunk_decoder *d, uint8_t *out, size_t n, clo_bytes in, clo_err *err)
{
    size_t n_out = 0, n_in = 0, more = 1;
    LZ4F_resetDecompressionContext(d->lz4);
    while (more && n_in < in.len) {
        size_t k_out = n - n_out, k_in = in.len - n_in;
        more = LZ4F_decompress(d->lz4, out + n_out, &k_out, in.ptr + n_in, &k_in, NULL);
        if (LZ4F_isError(more)) return clo_fail_at(err, n_in, "LZ4 frame: %s", LZ4F_getErrorName(more));
        n_out += k_out;
        n_in += k_in;
        if (k_out == 0 && k_in == 0) break; /* it has more to give than n */
    }
    if (more) return clo_fail_at(err, n_in, "LZ4 frame: not at its end after %zu of %zu raw bytes", n_out, n);
    if (n_in < in.len) return clo_fail_at(err, n_in, "LZ4 frame: %zu bytes after its end", in.len - n_in);
    return n_out == n || clo_fail_at(err, n_in, "LZ4 frame: %zu raw bytes, %zu declared", n_out, n);
}

/* Group k holds the bytes at k, k + 4, k + 8...; the first n % 4 groups have one more. */
static void ungroup(uint8_t *out, const uint8_t *in, size_t n)
{
    size_t q = n / 4, rest = n % 4;
    const uint8_t *g[4];
    for (size_t k = 0; k < 4; k++)
        g[k] = in + k * q + (k < rest ? k : rest);
    for (size_t i = 0; i < q; i++) {
        out[4 * i] = g[0][i];
        out[4 * i + 1] = g[1][i];
        out[4 * i + 2] = g[2][i];
        out[4 * i + 3] = g[3][i];
    }
    for (size_t k = 0; k < rest; k++)
        out[4 * q + k] = g[k][q];
}

bool clo_chunk_decode(clo_chunk_decoder *d, uint8_t *raw, size_t raw_len, uint8_t scheme, clo_bytes stored,
                      clo_err *err)
{
    if (raw_len > CLO_CHUNK_RAW_MAX) return clo_fail(err, CLO_ERR_LIMIT, "chunk of %zu bytes", raw_len);
    switch (scheme) {
    case CLO_CHUNK_PLAIN:
        if (stored.len != raw_len)
            return clo_fail_at(err, 0, "plain chunk: %zu bytes stored, %zu declared", stored.len, raw_len);
        memcpy(raw, stored.ptr, raw_len);
        return true;
    case CLO_CHUNK_LZ4:
        return decode_frame(d, raw, raw_len, stored, err);
    case CLO_CHUNK_BG4_LZ4:
        if (!decode_frame(d, d->grouped, raw_len, stored, err)) return false;
        ungroup(raw, d->grouped, raw_len);
        return true;
    default:
        return clo_fail_at(err, 0, "chunk: scheme %u, 0 to 2 are known", scheme);
    }
}

/* --- a body -------------------------------------------------------------------------------------------------------*/

static bool at_footer(clo_bytes left)
{
    return left.len >= 7 && memcmp(left.ptr, "XETBLOB", 7) == 0;
}

bool clo_chunk_header(clo_xorb_chunk *c, clo_bytes in, clo_err *err)
{
    const uint8_t *p = in.ptr;
    if (in.len < CLO_CHUNK_HEADER) return clo_fail_at(err, 0, "chunk header: 8 bytes needed, %zu left", in.len);
    uint32_t stored = load_le24(p + 1);
    *c = (clo_xorb_chunk){.raw_len = load_le24(p + 5), .stored_len = stored + CLO_CHUNK_HEADER, .scheme = p[4]};
    if (p[0] != 0) return clo_fail_at(err, 0, "chunk header: version %u, 0 is known", p[0]);
    if (c->scheme > CLO_CHUNK_BG4_LZ4) return clo_fail_at(err, 4, "chunk: scheme %u, 0 to 2 are known", c->scheme);
    if (c->raw_len == 0 || stored == 0) return clo_fail_at(err, 1, "chunk: empty");
    if (c->raw_len > CLO_CHUNK_RAW_MAX || stored > STORED_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "chunk of %u raw bytes, %u stored", c->raw_len, stored);
    return true;
}

/* The chunk at x->stored_bytes, hashed. */
static bool parse_chunk(clo_xorb_chunk *c, const clo_xorb *x, clo_bytes body, clo_chunk_decoder *d, uint8_t *raw,
                        clo_err *err)
{
    clo_bytes left = {body.ptr + x->stored_bytes, body.len - x->stored_bytes};
    if (!clo_chunk_header(c, left, err)) return false;
    if (c->stored_len > left.len) return clo_fail_at(err, 0, "%u bytes declared, %zu left", c->stored_len, left.len);
    clo_bytes stored = {left.ptr + CLO_CHUNK_HEADER, c->stored_len - CLO_CHUNK_HEADER};
    bool as_it_is = c->scheme == CLO_CHUNK_PLAIN && stored.len == c->raw_len;
    if (!as_it_is && !clo_chunk_decode(d, raw, c->raw_len, c->scheme, stored, err)) {
        if (err && err->code == CLO_ERR_FORMAT) err->at += CLO_CHUNK_HEADER;
        return false;
    }
    c->off = x->stored_bytes;
    c->hash = clo_xet_chunk_hash(as_it_is ? stored.ptr : raw, c->raw_len);
    return true;
}

/* Room for one more chunk. */
static bool grow(clo_xorb *x, size_t *cap, clo_err *err)
{
    if (x->n_chunks == CLO_XORB_CHUNKS_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "more than %d chunks", CLO_XORB_CHUNKS_MAX);
    if (x->n_chunks < *cap) return true;
    size_t more = *cap ? 2 * *cap : 64;
    clo_xorb_chunk *p = (clo_xorb_chunk *)realloc(x->chunks, more * sizeof *p);
    if (!p) return clo_fail(err, CLO_ERR_MEMORY, "list of %zu chunks", more);
    x->chunks = p;
    *cap = more;
    return true;
}

static bool parse_chunks(clo_xorb *x, clo_bytes body, clo_chunk_decoder *d, uint8_t *raw, clo_err *err)
{
    clo_xet_tree tree;
    size_t cap = 0;
    clo_xet_tree_begin(&tree);
    while (x->stored_bytes < body.len) {
        if (at_footer((clo_bytes){body.ptr + x->stored_bytes, body.len - x->stored_bytes})) break;
        clo_xorb_chunk c;
        if (!grow(x, &cap, err)) return false;
        if (!parse_chunk(&c, x, body, d, raw, err)) {
            if (err && err->code == CLO_ERR_FORMAT) err->at += x->stored_bytes;
            clo_err_context(err, "chunk %u", x->n_chunks);
            return false;
        }
        clo_xet_tree_add(&tree, &c.hash, c.raw_len);
        x->chunks[x->n_chunks++] = c;
        x->stored_bytes += c.stored_len;
    }
    x->raw_bytes = tree.bytes;
    x->hash = clo_xet_tree_end(&tree);
    return x->n_chunks > 0 || clo_fail_at(err, 0, "a xorb without chunks");
}

bool clo_xorb_parse(clo_xorb *out, clo_bytes body, clo_err *err)
{
    clo_chunk_decoder *d = NULL;
    clo_xorb x = {0};
    *out = x;
    if (body.len > CLO_XORB_BYTES_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "xorb of %zu bytes, limit %zu", body.len, CLO_XORB_BYTES_MAX);
    if (!clo_chunk_decoder_open(&d, err)) return false;
    uint8_t *raw = (uint8_t *)malloc(CLO_CHUNK_RAW_MAX);
    bool ok = raw || clo_fail(err, CLO_ERR_MEMORY, "chunk");
    ok = ok && parse_chunks(&x, body, d, raw, err);
    free(raw);
    clo_chunk_decoder_close(d);
    if (ok)
        *out = x;
    else
        clo_xorb_free(&x);
    return ok;
}

void clo_xorb_free(clo_xorb *x)
{
    free(x->chunks);
    *x = (clo_xorb){0};
}

/* --- as stored ----------------------------------------------------------------------------------------------------*/

static void store_le32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

void clo_xorb_pack_chunks(uint8_t *out, const clo_xorb *x)
{
    for (uint32_t i = 0; i < x->n_chunks; i++, out += CLO_XORB_ROW) {
        const clo_xorb_chunk *c = &x->chunks[i];
        memcpy(out, c->hash.b, 32);
        store_le32(out + 32, c->raw_len | (uint32_t)c->scheme << 24);
        store_le32(out + 36, c->stored_len);
    }
}

bool clo_xorb_unpack_chunks(clo_xorb *out, const clo_xet_hash *hash, clo_bytes rows, clo_err *err)
{
    size_t n = rows.len / CLO_XORB_ROW;
    *out = (clo_xorb){0};
    if (n == 0 || n > CLO_XORB_CHUNKS_MAX || rows.len % CLO_XORB_ROW != 0)
        return clo_fail(err, CLO_ERR_DAMAGED, "list of a xorb's chunks: %zu bytes", rows.len);
    clo_xorb x = {
        .hash = *hash, .n_chunks = (uint32_t)n, .chunks = (clo_xorb_chunk *)calloc(n, sizeof(clo_xorb_chunk))};
    bool ok = x.chunks || clo_fail(err, CLO_ERR_MEMORY, "list of %zu chunks", n);
    for (size_t i = 0; ok && i < n; i++) {
        const uint8_t *p = rows.ptr + i * CLO_XORB_ROW;
        clo_xorb_chunk *c = &x.chunks[i];
        uint32_t word = clo_load_le32(p + 32);
        memcpy(c->hash.b, p, 32);
        *c = (clo_xorb_chunk){c->hash, word & 0xffffff, x.stored_bytes, clo_load_le32(p + 36), (uint8_t)(word >> 24)};
        ok = c->raw_len > 0 && c->raw_len <= CLO_CHUNK_RAW_MAX && c->scheme <= CLO_CHUNK_BG4_LZ4 &&
             c->stored_len > CLO_CHUNK_HEADER && c->stored_len <= CLO_XORB_BYTES_MAX - x.stored_bytes;
        if (!ok) clo_fail(err, CLO_ERR_DAMAGED, "list of a xorb's chunks: chunk %zu", i);
        x.stored_bytes += c->stored_len;
        x.raw_bytes += c->raw_len;
    }
    if (ok)
        *out = x;
    else
        clo_xorb_free(&x);
    return ok;
}
