/* Xorbs and shards as a client writes them, for tests. */
#ifndef CLO_TESTS_XET_MAKE_H
#define CLO_TESTS_XET_MAKE_H

#include <lz4frame.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "hub/shard.h"

static inline void make_u32(clo_buf *b, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        clo_buf_add_char(b, (char)(uint8_t)(v >> 8 * i));
}

static inline void make_bytes(clo_buf *b, const void *p, size_t n)
{
    clo_buf_add(b, (clo_str){(const char *)p, n});
}

static inline void make_zeros(clo_buf *b, size_t n)
{
    while (n--)
        clo_buf_add_char(b, 0);
}

/* Bytes that do not compress, the same for the same seed. */
static inline void make_noise(uint8_t *out, size_t n, uint64_t seed)
{
    uint64_t x = seed * 2 + 1;
    for (size_t i = 0; i < n; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        out[i] = (uint8_t)(x >> 56);
    }
}

/* A chunk's header and its bytes under a scheme. */
static inline void make_chunk(clo_buf *b, const uint8_t *raw, size_t n, uint8_t scheme)
{
    uint8_t *grouped = (uint8_t *)malloc(n + 1);
    size_t cap = LZ4F_compressFrameBound(n, NULL), len = n, at = 0;
    char *packed = (char *)malloc(cap);
    if (!grouped || !packed) abort();
    for (size_t k = 0; k < 4; k++)
        for (size_t i = k; i < n; i += 4)
            grouped[at++] = raw[i];
    if (scheme) len = LZ4F_compressFrame(packed, cap, scheme == CLO_CHUNK_BG4_LZ4 ? grouped : raw, n, NULL);
    make_u32(b, (uint32_t)len << 8);
    make_u32(b, (uint32_t)n << 8 | scheme);
    make_bytes(b, scheme ? packed : (const char *)raw, len);
    free(grouped);
    free(packed);
}

/* Part of a shard: begun, files with their terms, ended. A file's records stand in the order that the format asks for. */
typedef struct {
    clo_xet_hash xorb;
    uint32_t raw_bytes, start, end;
    clo_xet_hash range_hash;
} make_term;

static inline void make_shard_begin(clo_buf *b)
{
    static const uint8_t tag[18] = {0x00, 0x55, 0x69, 0x67, 0x45, 0x6A, 0x7B, 0x81, 0x57,
                                    0x83, 0xA5, 0xBD, 0xD9, 0x5C, 0xCD, 0xD1, 0x4A, 0xA9};
    clo_buf_add(b, CLO_STR("HFRepoMetaData"));
    make_bytes(b, tag, sizeof tag);
    make_u32(b, 2);
    make_zeros(b, 12);
}

static inline void make_shard_file(clo_buf *b, const clo_xet_hash *hash, const make_term *terms, uint32_t n,
                                   const clo_sha256 *sha256)
{
    make_bytes(b, hash->b, 32);
    make_u32(b, 0x80000000u | (sha256 ? 0x40000000u : 0));
    make_u32(b, n);
    make_zeros(b, 8);
    for (uint32_t i = 0; i < n; i++) {
        make_bytes(b, terms[i].xorb.b, 32);
        make_u32(b, 0);
        make_u32(b, terms[i].raw_bytes);
        make_u32(b, terms[i].start);
        make_u32(b, terms[i].end);
    }
    for (uint32_t i = 0; i < n; i++) {
        make_bytes(b, terms[i].range_hash.b, 32);
        make_zeros(b, 16);
    }
    if (!sha256) return;
    clo_xet_hash turned = clo_xet_from_sha256(sha256);
    make_bytes(b, turned.b, 32);
    make_zeros(b, 16);
}

static inline void make_shard_end(clo_buf *b)
{
    for (int section = 0; section < 2; section++) { /* of files, and of xorbs: none are named */
        for (int i = 0; i < 32; i++)
            clo_buf_add_char(b, (char)0xff);
        make_zeros(b, 16);
    }
}

/* The term of chunks [start, end) of a parsed xorb. */
static inline make_term make_term_of(const clo_xorb *x, uint32_t start, uint32_t end)
{
    make_term t = {.xorb = x->hash, .start = start, .end = end};
    uint8_t *hashes = (uint8_t *)malloc(32 * (size_t)(end - start) + 1);
    if (!hashes) abort();
    for (uint32_t i = start; i < end; i++) {
        t.raw_bytes += x->chunks[i].raw_len;
        memcpy(hashes + 32 * (size_t)(i - start), x->chunks[i].hash.b, 32);
    }
    t.range_hash = clo_xet_range_hash(hashes, end - start);
    free(hashes);
    return t;
}

static inline clo_bytes make_view(const clo_buf *b)
{
    return clo_bytes_of(clo_buf_str(b));
}

#endif
