/* See blake3.h. `compress` is the paper's function for one block; the vectors below do the same for many at once. */
#include "base/blake3.h"

#include <stdbool.h>
#include <string.h>

#include "base/cursor.h"

/* How many inputs go side by side, and what the compiler must be told for it: AVX2 has registers of 8 words, NEON of 4. */
#if defined(__x86_64__) && !defined(CLO_SCALAR_ONLY)
#define LANES 8
#define WIDE __attribute__((target("avx2")))
#elif defined(__aarch64__) && !defined(CLO_SCALAR_ONLY)
#define LANES 4
#define WIDE /* every such processor has NEON */
#else
#define LANES 8 /* the tree's levels; nothing goes side by side */
#endif

enum {
    BLOCK = 64,
    CHUNK = 1024,
    CV = 32, /* bytes of a chaining value */
    CHUNK_START = 1,
    CHUNK_END = 2,
    PARENT = 4,
    ROOT = 8,
    KEYED = 16,
};

static const uint32_t IV[8] = {0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
                               0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19};

/* Row r: the words of the message in the order in which round r takes them (table 2 of the paper, applied r times). */
static const uint8_t ORDER[7][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8},
    {3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1}, {10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6},
    {12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4}, {9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7},
    {11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13},
};

typedef struct {
    uint32_t key[8]; /* the IV, or the caller's key */
    uint32_t flags;  /* KEYED or 0 */
} mode;

/* --- one block ----------------------------------------------------------------------------------------------------*/

static inline uint32_t rotr(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

static inline void mix(uint32_t v[16], int a, int b, int c, int d, uint32_t x, uint32_t y)
{
    v[a] += v[b] + x;
    v[d] = rotr(v[d] ^ v[a], 16);
    v[c] += v[d];
    v[b] = rotr(v[b] ^ v[c], 12);
    v[a] += v[b] + y;
    v[d] = rotr(v[d] ^ v[a], 8);
    v[c] += v[d];
    v[b] = rotr(v[b] ^ v[c], 7);
}

/* cv <- the first half of compress(cv, block, counter, len, flags). */
static void compress(uint32_t cv[8], const uint8_t block[BLOCK], uint64_t counter, uint32_t len, uint32_t flags)
{
    uint32_t m[16], v[16];
    for (int i = 0; i < 16; i++)
        m[i] = clo_load_le32(block + 4 * i);
    memcpy(v, cv, 32);
    memcpy(v + 8, IV, 16);
    v[12] = (uint32_t)counter;
    v[13] = (uint32_t)(counter >> 32);
    v[14] = len;
    v[15] = flags;
#pragma GCC unroll 7
    for (int r = 0; r < 7; r++) {
        const uint8_t *o = ORDER[r];
        mix(v, 0, 4, 8, 12, m[o[0]], m[o[1]]);
        mix(v, 1, 5, 9, 13, m[o[2]], m[o[3]]);
        mix(v, 2, 6, 10, 14, m[o[4]], m[o[5]]);
        mix(v, 3, 7, 11, 15, m[o[6]], m[o[7]]);
        mix(v, 0, 5, 10, 15, m[o[8]], m[o[9]]);
        mix(v, 1, 6, 11, 12, m[o[10]], m[o[11]]);
        mix(v, 2, 7, 8, 13, m[o[12]], m[o[13]]);
        mix(v, 3, 4, 9, 14, m[o[14]], m[o[15]]);
    }
    for (int i = 0; i < 8; i++)
        cv[i] = v[i] ^ v[i + 8];
}

static void store_cv(uint8_t out[CV], const uint32_t cv[8])
{
    for (int i = 0; i < 8; i++)
        for (int b = 0; b < 4; b++)
            out[4 * i + b] = (uint8_t)(cv[i] >> 8 * b);
}

/* A chunk of n <= CHUNK bytes; `last` is added to the flags of its last block (ROOT, or 0). */
static void hash_chunk(uint8_t out[CV], const mode *m, const uint8_t *p, size_t n, uint64_t counter, uint32_t last)
{
    uint32_t cv[8], start = CHUNK_START;
    uint8_t tail[BLOCK] = {0};
    memcpy(cv, m->key, sizeof cv);
    for (; n > BLOCK; p += BLOCK, n -= BLOCK) {
        compress(cv, p, counter, BLOCK, m->flags | start);
        start = 0;
    }
    if (n) memcpy(tail, p, n);
    compress(cv, tail, counter, (uint32_t)n, m->flags | start | CHUNK_END | last);
    store_cv(out, cv);
}

static void hash_parent(uint8_t out[CV], const mode *m, const uint8_t children[2 * CV], uint32_t last)
{
    uint32_t cv[8];
    memcpy(cv, m->key, sizeof cv);
    compress(cv, children, 0, BLOCK, m->flags | PARENT | last);
    store_cv(out, cv);
}

/* --- many at once -------------------------------------------------------------------------------------------------*/

typedef void hash_wide_fn(uint8_t *out, const mode *md, const uint8_t *p, size_t stride, size_t n_blocks,
                          uint64_t counter, uint64_t count, uint32_t first, uint32_t last);

#ifdef WIDE

/* Registers of LANES words in the compilers' own notation. Helpers take them by address: a function that is not compiled for
 * AVX2 has no way to be given one by value. */
typedef uint32_t vec __attribute__((vector_size(4 * LANES)));
#define INLINE static inline __attribute__((always_inline))
#define PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#define ROTR(x, n) ((x) >> (n) | (x) << (32 - (n)))

#if LANES == 8
typedef uint8_t vec_bytes __attribute__((vector_size(32)));
#define BYTES(x, ...) ((vec)PICK((vec_bytes)(x), (vec_bytes)(x), __VA_ARGS__))
#define ROTR16(x) \
    BYTES(x, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13, 18, 19, 16, 17, 22, 23, 20, 21, 26, 27, 24, 25, 30, \
          31, 28, 29)
#define ROTR8(x) \
    BYTES(x, 1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12, 17, 18, 19, 16, 21, 22, 23, 20, 25, 26, 27, 24, 29, \
          30, 31, 28)

/* Word j of w[i] becomes word i of w[j], in three steps of doubling width. */
INLINE void transpose(vec w[8])
{
    vec t[8], u[8];
    for (int i = 0; i < 8; i += 2) {
        t[i] = PICK(w[i], w[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        t[i + 1] = PICK(w[i], w[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
    for (int i = 0; i < 8; i += 4)
        for (int j = 0; j < 2; j++) {
            u[i + 2 * j] = PICK(t[i + j], t[i + j + 2], 0, 1, 8, 9, 4, 5, 12, 13);
            u[i + 2 * j + 1] = PICK(t[i + j], t[i + j + 2], 2, 3, 10, 11, 6, 7, 14, 15);
        }
    for (int i = 0; i < 4; i++) {
        w[i] = PICK(u[i], u[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        w[i + 4] = PICK(u[i], u[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
}
#else
#define ROTR16(x) ROTR(x, 16)
#define ROTR8(x) ROTR(x, 8)

INLINE void transpose(vec w[4])
{
    vec a = PICK(w[0], w[1], 0, 4, 1, 5), b = PICK(w[0], w[1], 2, 6, 3, 7);
    vec c = PICK(w[2], w[3], 0, 4, 1, 5), d = PICK(w[2], w[3], 2, 6, 3, 7);
    w[0] = PICK(a, c, 0, 1, 4, 5);
    w[1] = PICK(a, c, 2, 3, 6, 7);
    w[2] = PICK(b, d, 0, 1, 4, 5);
    w[3] = PICK(b, d, 2, 3, 6, 7);
}
#endif

INLINE void mix_wide(vec *a, vec *b, vec *c, vec *d, const vec *x, const vec *y)
{
    *a += *b + *x;
    *d ^= *a;
    *d = ROTR16(*d);
    *c += *d;
    *b ^= *c;
    *b = ROTR(*b, 12);
    *a += *b + *y;
    *d ^= *a;
    *d = ROTR8(*d);
    *c += *d;
    *b ^= *c;
    *b = ROTR(*b, 7);
}

INLINE void rounds_wide(vec v[16], const vec m[16])
{
#pragma GCC unroll 7
    for (int r = 0; r < 7; r++) {
        const uint8_t *o = ORDER[r];
        mix_wide(&v[0], &v[4], &v[8], &v[12], &m[o[0]], &m[o[1]]);
        mix_wide(&v[1], &v[5], &v[9], &v[13], &m[o[2]], &m[o[3]]);
        mix_wide(&v[2], &v[6], &v[10], &v[14], &m[o[4]], &m[o[5]]);
        mix_wide(&v[3], &v[7], &v[11], &v[15], &m[o[6]], &m[o[7]]);
        mix_wide(&v[0], &v[5], &v[10], &v[15], &m[o[8]], &m[o[9]]);
        mix_wide(&v[1], &v[6], &v[11], &v[12], &m[o[10]], &m[o[11]]);
        mix_wide(&v[2], &v[7], &v[8], &v[13], &m[o[12]], &m[o[13]]);
        mix_wide(&v[3], &v[4], &v[9], &v[14], &m[o[14]], &m[o[15]]);
    }
}

/* LANES inputs of n_blocks whole blocks, `stride` bytes apart; lane l has counter + l * count. */
INLINE void hash_wide(uint8_t *out, const mode *md, const uint8_t *p, size_t stride, size_t n_blocks, uint64_t counter,
                      uint64_t count, uint32_t first, uint32_t last)
{
    vec h[8], lo, hi, zero = {0};
    for (int i = 0; i < 8; i++) h[i] = zero + md->key[i];
    for (int l = 0; l < LANES; l++) {
        lo[l] = (uint32_t)(counter + (uint64_t)l * count);
        hi[l] = (uint32_t)((counter + (uint64_t)l * count) >> 32);
    }
    for (size_t b = 0; b < n_blocks; b++) {
        vec m[16], v[16];
        for (size_t g = 0; g < 16; g += LANES) {
            for (size_t l = 0; l < LANES; l++) memcpy(&m[g + l], p + l * stride + b * BLOCK + 4 * g, sizeof m[0]);
            transpose(m + g);
        }
        for (int i = 0; i < 8; i++) v[i] = h[i];
        for (int i = 0; i < 4; i++) v[8 + i] = zero + IV[i];
        v[12] = lo;
        v[13] = hi;
        v[14] = zero + (uint32_t)BLOCK;
        v[15] = zero + (md->flags | (b == 0 ? first : 0) | (b + 1 == n_blocks ? last : 0));
        rounds_wide(v, m);
        for (int i = 0; i < 8; i++) h[i] = v[i] ^ v[i + 8];
    }
    for (size_t g = 0; g < 8; g += LANES) {
        transpose(h + g);
        for (size_t l = 0; l < LANES; l++) memcpy(out + l * CV + 4 * g, &h[g + l], sizeof h[0]);
    }
}

WIDE static void hash_wide_here(uint8_t *out, const mode *md, const uint8_t *p, size_t stride, size_t n_blocks,
                                uint64_t counter, uint64_t count, uint32_t first, uint32_t last)
{
    hash_wide(out, md, p, stride, n_blocks, counter, count, first, last);
}

/* NULL: one after another. */
static hash_wide_fn *pick(void)
{
#ifdef __x86_64__
    if (!__builtin_cpu_supports("avx2")) return NULL;
#endif
    return hash_wide_here;
}

#else
static hash_wide_fn *pick(void)
{
    return NULL;
}
#endif

/* --- the tree -----------------------------------------------------------------------------------------------------*/

typedef struct {
    mode m;
    hash_wide_fn *wide; /* or NULL */
} hasher;

/* The chaining values of up to LANES chunks; their number. */
static size_t hash_leaves(uint8_t *out, const hasher *h, const uint8_t *p, size_t n, uint64_t counter)
{
    size_t n_cvs = 0;
    if (n == (size_t)LANES * CHUNK && h->wide) {
        h->wide(out, &h->m, p, CHUNK, CHUNK / BLOCK, counter, 1, CHUNK_START, CHUNK_END);
        return LANES;
    }
    for (; n; n_cvs++) {
        size_t k = n < CHUNK ? n : CHUNK;
        hash_chunk(out + n_cvs * CV, &h->m, p, k, counter + n_cvs, 0);
        p += k;
        n -= k;
    }
    return n_cvs;
}

/* Pairs of neighbours become parents; one that is left over stays. out may be cvs. */
static size_t join_pairs(uint8_t *out, const hasher *h, const uint8_t *cvs, size_t n_cvs)
{
    size_t n = 0;
    if (n_cvs == 2 * LANES && h->wide) {
        h->wide(out, &h->m, cvs, (size_t)2 * CV, 1, 0, 0, PARENT, 0);
        return LANES;
    }
    for (; 2 * n + 1 < n_cvs; n++)
        hash_parent(out + n * CV, &h->m, cvs + 2 * n * CV, 0);
    if (n_cvs % 2) {
        memmove(out + n * CV, cvs + (n_cvs - 1) * CV, CV);
        n++;
    }
    return n;
}

/* A subtree of more than one chunk, up to its level of at most LANES nodes. The left part is the largest power of two of
 * chunks that leaves something for the right; at more than LANES chunks it gives exactly LANES nodes. */
static size_t hash_subtree(uint8_t out[LANES * CV], const hasher *h, const uint8_t *p, size_t n, uint64_t counter)
{
    uint8_t cvs[2 * LANES * CV];
    if (n <= (size_t)LANES * CHUNK) return hash_leaves(out, h, p, n, counter);
    size_t left = CHUNK;
    while (left < n - left)
        left *= 2;
    size_t n_cvs = hash_subtree(cvs, h, p, left, counter);
    n_cvs += hash_subtree(cvs + n_cvs * CV, h, p + left, n - left, counter + left / CHUNK);
    return join_pairs(out, h, cvs, n_cvs);
}

static void hash_all(uint8_t out[32], const uint8_t *key, const uint8_t *p, size_t n, hash_wide_fn *wide)
{
    hasher h = {.wide = wide};
    uint8_t cvs[LANES * CV];
    for (int i = 0; i < 8; i++)
        h.m.key[i] = key ? clo_load_le32(key + 4 * i) : IV[i];
    h.m.flags = key ? KEYED : 0;
    if (n <= CHUNK) {
        hash_chunk(out, &h.m, p, n, 0, ROOT);
        return;
    }
    size_t n_cvs = hash_subtree(cvs, &h, p, n, 0);
    while (n_cvs > 2)
        n_cvs = join_pairs(cvs, &h, cvs, n_cvs);
    hash_parent(out, &h.m, cvs, ROOT);
}

void clo_blake3(uint8_t out[32], const void *p, size_t n)
{
    hash_all(out, NULL, p, n, pick());
}

void clo_blake3_keyed(uint8_t out[32], const uint8_t key[32], const void *p, size_t n)
{
    hash_all(out, key, p, n, pick());
}

void clo_blake3_plain(uint8_t out[32], const uint8_t *key, const void *p, size_t n)
{
    hash_all(out, key, p, n, NULL);
}
