/* Attention: the scalar law against doubles, every table against the scalar one, and the same bits for any chunking. */
#include <math.h>

#include "kernel_check.h"

enum { POSITIONS = 512 };

/* A cache of one kv head with keys and values of POSITIONS positions; later entries of a block hold NaN. */
typedef struct {
    uint8_t *memory;
    const uint8_t *blocks[POSITIONS / 64];
    float *key, *value; /* as stored, [POSITIONS][head_dim] */
    float *q, *want, *found;
    clo_attn a;
    size_t ld, n_pos;
} cache;

static size_t kv_bytes(clo_dtype t)
{
    return t == CLO_DTYPE_F32 ? 4 : 2;
}

/* Positions [0, n_pos) are stored through table k. */
static cache cache_new(const clo_kernels *k, clo_dtype t, size_t head_dim, size_t n_group, size_t n_pos, int kind)
{
    cache c = {.n_pos = n_pos, .ld = n_group * head_dim + 16};
    size_t part = 64 * head_dim * kv_bytes(t), block = 2 * part + 64;
    c.memory = check_alloc(block * (POSITIONS / 64));
    memset(c.memory, 0xff, block * (POSITIONS / 64)); /* NaN in both types */
    for (size_t b = 0; b < POSITIONS / 64; b++) c.blocks[b] = c.memory + b * block;
    c.a = (clo_attn){.k_off = 64, .v_off = 64 + part, .kv_dtype = t, .head_dim = head_dim,
                     .n_group = n_group, .scale = 0.125f};
    c.key = check_alloc(n_pos * head_dim * 4);
    c.value = check_alloc(n_pos * head_dim * 4);
    c.q = check_alloc(n_pos * c.ld * 4);
    c.want = check_alloc(n_pos * c.ld * 4);
    c.found = check_alloc(n_pos * c.ld * 4);
    check_fill(c.key, n_pos * head_dim, kind);
    check_fill(c.value, n_pos * head_dim, kind);
    check_fill(c.q, n_pos * c.ld, kind);
    for (size_t p = 0; p < n_pos; p++) {
        uint8_t *at = c.memory + p / 64 * block;
        k->kv_store(at + c.a.k_off, at + c.a.v_off, t, c.key + p * head_dim, c.value + p * head_dim, head_dim, p % 64);
    }
    return c;
}

static void cache_free(cache *c)
{
    free(c->memory);
    free(c->key);
    free(c->value);
    free(c->q);
    free(c->want);
    free(c->found);
}

/* All positions in pieces of `chunk` tokens. */
static void cache_attend(const cache *c, const clo_kernels *k, float *o, size_t chunk)
{
    uint8_t *scratch = check_alloc(clo_attend_scratch_bytes(c->a.head_dim));
    clo_attn a = c->a;
    a.blocks = c->blocks;
    memset(o, 0x55, c->n_pos * c->ld * 4);
    for (size_t p = 0; p < c->n_pos; p += chunk) {
        size_t n = c->n_pos - p < chunk ? c->n_pos - p : chunk;
        k->attend(o + p * c->ld, c->ld, c->q + p * c->ld, c->ld, &a, p, n, scratch);
    }
    free(scratch);
}

static void the_scalar_law_is_softmax_attention(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        clo_dtype t;
        size_t window;
        float softcap;
        size_t n_seen;
    } rows[] = {{"plain", CLO_DTYPE_F32, 0, 0, 0},
                {"window", CLO_DTYPE_F32, 70, 0, 0},
                {"softcap", CLO_DTYPE_F32, 0, 5, 0},
                {"all keys", CLO_DTYPE_F32, 0, 0, 149}};
    for (size_t i = 0; i < 4; i++) {
        cache c = cache_new(clo_kernels_at(0), rows[i].t, 32, 2, 150, 0);
        c.a.window = rows[i].window;
        c.a.softcap = rows[i].softcap;
        c.a.n_seen = rows[i].n_seen;
        cache_attend(&c, clo_kernels_at(0), c.found, 150);
        for (size_t p = 0; p < 150; p += 7) {
            for (size_t h = 0; h < 2; h++) {
                const float *q = c.q + p * c.ld + h * 32;
                double w[150], sum = 0, top = -1e300;
                size_t first = rows[i].window && p >= rows[i].window ? p - rows[i].window + 1 : 0;
                size_t last = rows[i].n_seen ? rows[i].n_seen - 1 : p;
                for (size_t j = first; j <= last; j++) {
                    double s = 0;
                    for (size_t d = 0; d < 32; d++) s += (double)q[d] * (double)c.key[j * 32 + d];
                    s *= (double)c.a.scale;
                    w[j] = rows[i].softcap != 0 ? (double)rows[i].softcap * tanh(s / (double)rows[i].softcap) : s;
                    top = fmax(top, w[j]);
                }
                for (size_t j = first; j <= last; j++) sum += w[j] = exp(w[j] - top);
                for (size_t d = 0; d < 32; d++) {
                    double o = 0;
                    for (size_t j = first; j <= last; j++) o += w[j] * (double)c.value[j * 32 + d];
                    double found = (double)c.found[p * c.ld + h * 32 + d];
                    if (!(fabs(o / sum - found) < 1e-5))
                        fail_msg("%s: position %zu head %zu: %g, expected %g", rows[i].why, p, h, found, o / sum);
                }
            }
        }
        cache_free(&c);
    }
}

static void every_table_and_chunking_gives_the_scalar_bits(void **state)
{
    (void)state;
    static const struct {
        clo_dtype t;
        size_t head_dim, n_group, n_pos, window;
        float softcap;
        int kind;
        size_t n_seen;
    } rows[] = {
        {CLO_DTYPE_F16, 64, 1, 200, 0, 0, 0, 0},  {CLO_DTYPE_F32, 64, 3, 150, 0, 0, 0, 0},
        {CLO_DTYPE_F16, 128, 7, 130, 0, 0, 0, 0}, {CLO_DTYPE_F32, 80, 2, 140, 0, 20, 0, 0},
        {CLO_DTYPE_F16, 32, 4, 300, 100, 0, 0, 0}, {CLO_DTYPE_F32, 16, 5, 200, 3, 0, 0, 0},
        {CLO_DTYPE_F16, 48, 2, 180, 64, 50, 0, 0}, {CLO_DTYPE_F32, 256, 1, 70, 1, 0, 0, 0},
        {CLO_DTYPE_F16, 64, 2, 130, 0, 0, 1, 0},  {CLO_DTYPE_F32, 32, 2, 130, 0, 0, 2, 0},
        {CLO_DTYPE_F16, 32, 2, 130, 0, 0, 3, 0},  {CLO_DTYPE_F16, 64, 1, POSITIONS, 0, 0, 0, 0},
        {CLO_DTYPE_F32, 32, 1, 150, 0, 0, 0, 150}, {CLO_DTYPE_F16, 64, 2, 70, 0, 0, 0, 70},
        {CLO_DTYPE_F32, 16, 3, 40, 0, 0, 1, 33},
    };
    static const size_t chunks[] = {1, 7, 64, 512};
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        cache c = cache_new(clo_kernels_at(0), rows[r].t, rows[r].head_dim, rows[r].n_group, rows[r].n_pos,
                            rows[r].kind);
        c.a.window = rows[r].window;
        c.a.softcap = rows[r].softcap;
        c.a.n_seen = rows[r].n_seen;
        cache_attend(&c, clo_kernels_at(0), c.want, 512);
        for (size_t i = 0; clo_kernels_at(i); i++) {
            for (size_t n = i == 0 ? 1 : 0; n < (i == 0 ? 2 : 4); n++) {
                cache_attend(&c, clo_kernels_at(i), c.found, chunks[n]);
                if (check_same(c.found, c.want, c.n_pos * c.ld)) continue;
                fail_msg("%s: row %zu in pieces of %zu", clo_kernels_at(i)->name, r, chunks[n]);
            }
        }
        cache_free(&c);
    }
}

static void every_table_stores_the_same_cache(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        for (clo_dtype t = CLO_DTYPE_F32; t <= CLO_DTYPE_F16; t++) {
            for (size_t i = 1; clo_kernels_at(i); i++) {
                uint64_t seed = check_state;
                cache a = cache_new(clo_kernels_at(0), t, 48, 1, 100, kind);
                check_state = seed;
                cache b = cache_new(clo_kernels_at(i), t, 48, 1, 100, kind);
                assert_memory_equal(a.memory, b.memory, (2 * 64 * 48 * kv_bytes(t) + 64) * (POSITIONS / 64));
                cache_free(&a);
                cache_free(&b);
            }
        }
    }
}

static void half_floats_are_clamped_when_stored(void **state)
{
    (void)state;
    static const struct {
        float in;
        uint16_t want;
    } rows[] = {{65504, 0x7bff},  {65519, 0x7bff}, {65520, 0x7bff}, {1e30f, 0x7bff}, {-1e30f, 0xfbff},
                {1 + 0x1p-11f, 0x3c00}, {1 + 0x3p-11f, 0x3c02}, {0x1p-24f, 1},  {0x1p-25f, 0}, {-0.0f, 0x8000}};
    for (size_t i = 0; clo_kernels_at(i); i++) {
        for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
            float key[16], value[16];
            uint16_t k[16 * 64] = {0}, v[64 * 16] = {0};
            for (size_t d = 0; d < 16; d++) key[d] = value[d] = rows[r].in;
            clo_kernels_at(i)->kv_store(k, v, CLO_DTYPE_F16, key, value, 16, 5);
            assert_int_equal(k[3 * 64 + 5], rows[r].want);
            assert_int_equal(v[5 * 16 + 3], rows[r].want);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_scalar_law_is_softmax_attention),
        cmocka_unit_test(every_table_and_chunking_gives_the_scalar_bits),
        cmocka_unit_test(every_table_stores_the_same_cache),
        cmocka_unit_test(half_floats_are_clamped_when_stored),
    };
    return cmocka_run_group_tests_name("attend", tests, NULL, NULL);
}
