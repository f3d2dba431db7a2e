/* Bytes as a xorb: what is taken keeps its chunks through the form in which they are stored, and each decodes again. */
#include <stdint.h>
#include <stdlib.h>

#include "hub/xorb.h"

/* Raw bytes that the chunks declare: decoding and hashing many of them teaches nothing that few do not. Past this one input of 64 is tried. */
#define RAW_CHEAP 16384

static bool is_dear(const uint8_t *data, size_t size)
{
    size_t raw = 0, at = 0;
    clo_xorb_chunk c;
    while (at < size && clo_chunk_header(&c, (clo_bytes){data + at, size - at}, NULL)) {
        raw += c.raw_len;
        at += c.stored_len;
    }
    return raw > RAW_CHEAP && size % 64 != 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t raw[CLO_CHUNK_RAW_MAX];
    clo_xorb x = {0}, y = {0};
    clo_chunk_decoder *d = NULL;
    if (is_dear(data, size)) return 0;
    if (!clo_xorb_parse(&x, (clo_bytes){data, size}, NULL)) return 0;
    size_t n = (size_t)x.n_chunks * CLO_XORB_ROW;
    uint8_t *rows = malloc(n);
    if (!rows) abort();
    clo_xorb_pack_chunks(rows, &x);
    if (!clo_xorb_unpack_chunks(&y, &x.hash, (clo_bytes){rows, n}, NULL) || y.stored_bytes != x.stored_bytes) abort();
    if (!clo_chunk_decoder_open(&d, NULL)) abort();
    for (uint32_t i = 0; i < y.n_chunks; i++) {
        const clo_xorb_chunk *c = &y.chunks[i];
        clo_bytes stored = {data + c->off + CLO_CHUNK_HEADER, c->stored_len - CLO_CHUNK_HEADER};
        if (!clo_chunk_decode(d, raw, c->raw_len, c->scheme, stored, NULL)) abort();
        clo_xet_hash h = clo_xet_chunk_hash(raw, c->raw_len);
        if (!clo_xet_hash_eq(&h, &c->hash)) abort();
    }
    clo_chunk_decoder_close(d);
    free(rows);
    clo_xorb_free(&x);
    clo_xorb_free(&y);
    return 0;
}
