/* The vectors of docs/profile-n1.md section 9, on every table. Inputs are small fractions made by a rule, so that a
 * stranger can write them down: u(i, m) = ((i * m + 11) mod 101 - 50) / 16. */
#include "kernel_check.h"
#include "tensor/pack_float.h"

enum { N = 20, COLS = 45, HEAD = 16, POSITIONS = 70 };

static float u(size_t i, size_t m)
{
    return ((float)((i * m + 11) % 101) - 50.0f) / 16.0f;
}

typedef void (*row)(const clo_kernels *k, float *y); /* y [N] */

static void fill(float *x, size_t m)
{
    for (size_t i = 0; i < N; i++) x[i] = u(i, m);
}

static void rmsnorm(const clo_kernels *k, float *y)
{
    float x[N], w[N];
    fill(x, 37);
    fill(w, 7);
    k->rmsnorm(y, x, w, N, 0x1p-17f);
}

static void layernorm(const clo_kernels *k, float *y)
{
    float x[N], w[N], b[N];
    fill(x, 37);
    fill(w, 7);
    fill(b, 13);
    k->layernorm(y, x, w, b, N, 0x1p-17f);
}

static void silu_mul(const clo_kernels *k, float *y)
{
    float g[N], x[N];
    fill(g, 37);
    fill(x, 7);
    k->silu_mul(y, g, x, N);
}

static void gelu_mul(const clo_kernels *k, float *y)
{
    float g[N], x[N];
    fill(g, 37);
    fill(x, 7);
    k->gelu_mul(y, g, x, N);
}

static void gelu(const clo_kernels *k, float *y)
{
    float x[N];
    fill(x, 37);
    k->gelu(y, x, N);
}

static void softcap(const clo_kernels *k, float *y)
{
    fill(y, 37);
    k->softcap(y, 3.0f, N);
}

static void rope(const clo_kernels *k, float *y)
{
    float c[N], s[N];
    fill(y, 37);
    fill(c, 7);
    fill(s, 13);
    k->rope(y, c, s, N);
}

/* Row r of W has u(r * COLS + c, 29), activations u(c, 37): output r for F32, then F16, then BF16 weights. */
static void matmul(const clo_kernels *k, float *y)
{
    static const clo_dtype types[] = {CLO_DTYPE_F32, CLO_DTYPE_F16, CLO_DTYPE_BF16};
    float x[COLS], out[16];
    void *acts = check_alloc(clo_acts_bytes(CLO_ACTS_F32, 1, COLS)), *panel = check_alloc(COLS * 64);
    for (size_t c = 0; c < COLS; c++) x[c] = u(c, 37) / 3.0f;
    k->acts_pack(CLO_ACTS_F32, acts, x, COLS, 1, COLS, 0, 1);
    for (size_t t = 0; t < 3; t++) {
        uint8_t w[16][COLS * 4];
        const uint8_t *rows[16];
        for (size_t r = 0; r < 16; r++) {
            rows[r] = w[r];
            for (size_t c = 0; c < COLS; c++) {
                float f = u(r * COLS + c, 29) / 3.0f;
                uint16_t h = t == 1 ? clo_f32_to_f16(f) : clo_f32_to_bf16(f);
                if (t == 0) memcpy(w[r] + c * 4, &f, 4);
                else memcpy(w[r] + c * 2, &h, 2);
            }
        }
        clo_pack_float_panel(panel, types[t], rows, COLS);
        clo_matrix m = {types[t], 16, COLS, panel};
        k->matmul(out, 16, &m, acts, 1, 0, 1, NULL);
        memcpy(y + t * 6, out, 6 * sizeof *y);
    }
    free(acts);
    free(panel);
}

/* One head of 16: key d of position j is u(16 j + d, 29), value u(16 j + d, 31), query u(d, 37) at position 69; F16
 * cache; scale 1/4. */
static void attend(const clo_kernels *k, float *y)
{
    static uint16_t block[2][2 * 64 * HEAD] __attribute__((aligned(64)));
    const uint8_t *blocks[2] = {(const uint8_t *)block[0], (const uint8_t *)block[1]};
    float key[HEAD], value[HEAD], q[HEAD];
    uint8_t *scratch = check_alloc(clo_attend_scratch_bytes(HEAD));
    for (size_t j = 0; j < POSITIONS; j++) {
        for (size_t d = 0; d < HEAD; d++) {
            key[d] = u(HEAD * j + d, 29) / 3.0f;
            value[d] = u(HEAD * j + d, 31) / 3.0f;
        }
        k->kv_store(block[j / 64], block[j / 64] + 64 * HEAD, CLO_DTYPE_F16, key, value, HEAD, j % 64);
    }
    for (size_t d = 0; d < HEAD; d++) q[d] = u(d, 37);
    clo_attn a = {.blocks = blocks, .v_off = 64 * HEAD * 2, .kv_dtype = CLO_DTYPE_F16, .head_dim = HEAD, .n_group = 1,
                  .scale = 0.25f};
    k->attend(y, HEAD, q, HEAD, &a, POSITIONS - 1, 1, scratch);
    free(scratch);
}

static const struct {
    const char *name;
    row run;
    size_t n;
    uint32_t want[N];
} vectors[] = {
    {"rmsnorm",
     rmsnorm,
     20,
     {0x404c50a8, 0x3e098da7, 0xbfeb1395, 0x3f8c3d6b, 0xbe3d22c6, 0xbec16f33, 0xbdf50451, 0x3ec16f33, 0xbfd2175a, 0xbee81f0a,
      0x3fe93225, 0xc037c33d, 0x3dc16f33, 0xc07a1f13, 0x4012b00f, 0xbf4ede09, 0xc03489eb, 0x3f3489eb, 0xbf1df8ae, 0x3f21bb8d}},
    {"layernorm",
     layernorm,
     20,
     {0x3f34d9b8, 0xbfc3f62e, 0xc02b93d5, 0x3f895dc5, 0x3f1d28d0, 0x3f9efc97, 0x40149561, 0xc02b0278, 0xc077b24e, 0xbfee2c31,
      0x3f9e3dc6, 0xc028bc95, 0x3f9358ed, 0xc00a1f4d, 0x409baa76, 0xc06e8c80, 0xc09d6a92, 0xbf123238, 0xbf89424a, 0x3f7f821f}},
    {"silu_mul",
     silu_mul,
     20,
     {0x3ef4728a, 0x3df00553, 0xc044aecc, 0x3e9282d4, 0xbe5b1b0f, 0xbf29cd75, 0xbd5523e5, 0x3f07e27c, 0xbe270bae, 0xbe9ccd7d,
      0x4038dfae, 0xbf027025, 0x3db99f88, 0xc0d4f175, 0x3f33a6e8, 0xbf80176f, 0xc0a0084f, 0x3eb4ba88, 0xbf67a6da, 0x3d996cfb}},
    {"gelu_mul",
     gelu_mul,
     20,
     {0x3d2fcf44, 0x3de688cb, 0xc057a2ca, 0x3d9219b2, 0xbe7361f6, 0xbf339655, 0xbcd6abe0, 0x3f1c8417, 0xbbba8496, 0xbe77e94c,
      0x40504b6d, 0xbd844eb1, 0x3dbcf868, 0xc0e6bed1, 0x3e63f4b7, 0xbf91271b, 0xc0a7cbdb, 0x3e55701d, 0xbf850e87, 0x3b83e580}},
    {"gelu",
     gelu,
     20,
     {0xbc93a7cc, 0xbd6688ba, 0x4009fd96, 0xbd81c044, 0x3eb103b0, 0x40338ebd, 0xbe0ee605, 0x3f7a79a6, 0xbbbe503e, 0xbe253f50,
      0x3fd706d9, 0xbce15246, 0x3d066101, 0x4016aa91, 0xbdad5396, 0x3f04b975, 0x403fbda6, 0xbe227687, 0x3f98182f, 0xbc1e7dc2}},
    {"softcap",
     softcap,
     20,
     {0xc000d360, 0xbdffda1a, 0x3fef0fac, 0xbfcf5cee, 0x3efda7db, 0x400cf115, 0xbf90877b, 0x3f899bf7, 0xc00ec21c, 0xbf0e55fe,
      0x3fc9a1d9, 0xbff3e5ae, 0x3d7ff686, 0x3ffd30f5, 0xbfbdca9c, 0x3f2cfb7c, 0x401239e0, 0xbf76ebfb, 0x3f9e0afc, 0xc0092374}},
    {"rope",
     rope,
     20,
     {0x41235000, 0xc05a0000, 0xc0578000, 0x40028000, 0x3f7a0000, 0xbfe90000, 0xc0f12000, 0xc0170000, 0xbdd00000, 0xc096a000,
      0x3fd68000, 0x40968000, 0xbff00000, 0xc02b0000, 0x3fc30000, 0x408cc000, 0xc0154000, 0xc0824000, 0x40fba000, 0xc04e4000}},
    {"matmul",
     matmul,
     18,
     {0xbf851c6f, 0xbf980e37, 0xc00d9c71, 0xbd18e3bd, 0xbd5c7195, 0x3e45554f, 0xbf854368, 0xbf981506, 0xc00daaba, 0xbd16ffc0,
      0xbd5d5c94, 0x3e45b43c, 0xbf83e4a8, 0xbf97d7be, 0xc00d2a2a, 0xbd2802c0, 0xbd551a94, 0x3e425dfc}},
    {"attend",
     attend,
     16,
     {0x3c5d1975, 0xbd2b2c54, 0x3d3987d2, 0xbce3a4a1, 0xbd39c6a8, 0xbc23e1b5, 0x3d6eae79, 0xbcff0f19, 0xbcdd6df9, 0x3da96f71,
      0xbbfeb5d4, 0xbd41f071, 0x3d9991d6, 0xbbf0be12, 0xbd804a5a, 0x3cddc577}},
};

static void every_table_gives_the_bits_of_the_document(void **state)
{
    (void)state;
    for (size_t i = 0; clo_kernels_at(i); i++) {
        for (size_t v = 0; v < sizeof vectors / sizeof vectors[0]; v++) {
            float y[N] = {0};
            vectors[v].run(clo_kernels_at(i), y);
            for (size_t j = 0; j < vectors[v].n; j++) {
                if (clo_f32_bits(y[j]) != vectors[v].want[j])
                    fail_msg("%s, %s[%zu]: %08x, expected %08x", clo_kernels_at(i)->name, vectors[v].name, j,
                             clo_f32_bits(y[j]), vectors[v].want[j]);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_table_gives_the_bits_of_the_document),
    };
    return cmocka_run_group_tests_name("profile", tests, NULL, NULL);
}
