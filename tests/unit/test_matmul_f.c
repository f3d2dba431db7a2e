/* Products with float weights: the scalar table against a plain chain, every other table against the scalar one. */
#include "base/check.h"
#include "kernel_check.h"
#include "tensor/pack_float.h"

enum { TOKENS_MAX = 31 };

static const clo_dtype types[] = {CLO_DTYPE_F32, CLO_DTYPE_F16, CLO_DTYPE_BF16};

typedef struct {
    clo_dtype type;
    size_t n_rows, n_cols, n_tok;
    uint8_t *stored, *packed; /* plain rows; panels */
    float *x, *want, *found;
    void *acts;
    size_t ldx, ldy;
} product;

static size_t bytes_of(clo_dtype t)
{
    return t == CLO_DTYPE_F32 ? 4 : 2;
}

static float stored_at(const product *p, size_t r, size_t k)
{
    uint16_t h;
    float f;
    const uint8_t *at = p->stored + (r * p->n_cols + k) * bytes_of(p->type);
    if (p->type == CLO_DTYPE_F32) {
        memcpy(&f, at, 4);
        return f;
    }
    memcpy(&h, at, 2);
    return p->type == CLO_DTYPE_F16 ? clo_f16_to_f32(h) : clo_bf16_to_f32(h);
}

static product product_new(clo_dtype t, size_t n_rows, size_t n_cols, size_t n_tok, int kind)
{
    product p = {.type = t, .n_rows = n_rows, .n_cols = n_cols, .n_tok = n_tok};
    size_t n_panels = clo_ceil_div(n_rows, 16), bytes = clo_pack_float_bytes(t, n_rows, n_cols);
    size_t panel_bytes = clo_pack_float_panel_bytes(t, n_cols);
    p.ldx = n_cols + 3;
    p.ldy = n_panels * 16 + 5;
    p.stored = check_alloc(n_rows * n_cols * 4);
    p.packed = check_alloc(bytes);
    p.x = check_alloc(n_tok * p.ldx * 4);
    p.want = check_alloc(n_tok * p.ldy * 4);
    p.found = check_alloc(n_tok * p.ldy * 4);
    p.acts = check_alloc(clo_acts_bytes(CLO_ACTS_F32, n_tok, n_cols));
    check_fill(p.x, n_tok * p.ldx, kind);
    for (size_t i = 0; i < n_rows * n_cols; i++) {
        float f = check_number(kind);
        uint16_t h = t == CLO_DTYPE_F16 ? clo_f32_to_f16(f) : clo_f32_to_bf16(f);
        if (t == CLO_DTYPE_F32) memcpy(p.stored + i * 4, &f, 4);
        else memcpy(p.stored + i * 2, &h, 2);
    }
    assert_int_equal(bytes, n_panels * panel_bytes);
    for (size_t i = 0; i < n_panels; i++) {
        const uint8_t *rows[16];
        for (size_t r = 0; r < 16; r++)
            rows[r] = i * 16 + r < n_rows ? p.stored + (i * 16 + r) * n_cols * bytes_of(t) : NULL;
        clo_pack_float_panel(p.packed + i * panel_bytes, t, rows, n_cols);
    }
    return p;
}

static void product_free(product *p)
{
    free(p->stored);
    free(p->packed);
    free(p->x);
    free(p->want);
    free(p->found);
    free(p->acts);
}

static void product_run(const product *p, const clo_kernels *k, float *y)
{
    clo_matrix w = {p->type, p->n_rows, p->n_cols, p->packed};
    size_t n_panels = clo_ceil_div(p->n_rows, 16), cut = n_panels / 2, half = p->n_tok / 2;
    memset(y, 0x55, p->n_tok * p->ldy * 4);
    k->acts_pack(CLO_ACTS_F32, p->acts, p->x, p->ldx, p->n_tok, p->n_cols, half, p->n_tok);
    k->acts_pack(CLO_ACTS_F32, p->acts, p->x, p->ldx, p->n_tok, p->n_cols, 0, half);
    k->matmul(y, p->ldy, &w, p->acts, p->n_tok, cut, n_panels, NULL);
    k->matmul(y, p->ldy, &w, p->acts, p->n_tok, 0, cut, NULL);
}

static void the_scalar_product_is_one_ascending_chain_per_output(void **state)
{
    (void)state;
    for (size_t t = 0; t < 3; t++) {
        product p = product_new(types[t], 37, 45, 9, 1);
        product_run(&p, clo_kernels_at(0), p.found);
        memset(p.want, 0x55, p.n_tok * p.ldy * 4);
        for (size_t i = 0; i < p.n_tok; i++) {
            for (size_t r = 0; r < 48; r++) {
                float sum = 0;
                for (size_t k = 0; k < p.n_cols && r < p.n_rows; k++)
                    sum = __builtin_fmaf(stored_at(&p, r, k), p.x[i * p.ldx + k], sum);
                p.want[i * p.ldy + r] = sum;
            }
        }
        assert_true(check_same(p.found, p.want, p.n_tok * p.ldy));
        product_free(&p);
    }
}

static void every_table_gives_the_scalar_bits(void **state)
{
    (void)state;
    static const struct {
        size_t n_rows, n_cols;
    } shapes[] = {{16, 1}, {16, 2}, {1, 33}, {100, 64}, {160, 65}, {33, 515}, {48, 1100}, {112, 96}};
    for (size_t t = 0; t < 3; t++) {
        for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
            for (size_t n_tok = 1; n_tok <= TOKENS_MAX; n_tok += n_tok < 14 ? 1 : 4) {
                product p = product_new(types[t], shapes[s].n_rows, shapes[s].n_cols, n_tok, (int)(n_tok % 4));
                product_run(&p, clo_kernels_at(0), p.want);
                for (size_t i = 1; clo_kernels_at(i); i++) {
                    product_run(&p, clo_kernels_at(i), p.found);
                    if (check_same(p.found, p.want, p.n_tok * p.ldy)) continue;
                    fail_msg("%s: type %d, %zu x %zu, %zu tokens", clo_kernels_at(i)->name, (int)types[t], p.n_rows,
                             p.n_cols, n_tok);
                }
                product_free(&p);
            }
        }
    }
}

static void a_packed_row_reads_back_as_stored(void **state)
{
    (void)state;
    for (size_t t = 0; t < 3; t++) {
        product p = product_new(types[t], 35, 77, 1, 3);
        clo_matrix w = {p.type, p.n_rows, p.n_cols, p.packed};
        float row[77], want[77];
        for (size_t r = 0; r < p.n_rows; r++) {
            clo_packed_float_row(row, &w, r);
            for (size_t k = 0; k < 77; k++) want[k] = stored_at(&p, r, k);
            assert_true(check_same(row, want, 77));
        }
        product_free(&p);
    }
}

static void sizes_that_do_not_fit_are_zero(void **state)
{
    (void)state;
    assert_int_equal(clo_pack_float_bytes(CLO_DTYPE_F32, 17, 3), 2 * 3 * 64);
    assert_int_equal(clo_pack_float_bytes(CLO_DTYPE_BF16, 16, 3), 2 * 64);
    assert_int_equal(clo_pack_float_bytes(CLO_DTYPE_F16, SIZE_MAX, 64), 0);
    assert_int_equal(clo_pack_float_bytes(CLO_DTYPE_F32, 16, SIZE_MAX), 0);
    assert_int_equal(clo_pack_float_bytes(CLO_DTYPE_I8, 16, 16), 0);
    assert_int_equal(clo_acts_bytes(CLO_ACTS_F32, SIZE_MAX / 4, 16), 0);
    assert_int_equal(clo_acts_bytes(CLO_ACTS_F32, 3, 5), 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_scalar_product_is_one_ascending_chain_per_output),
        cmocka_unit_test(every_table_gives_the_scalar_bits),
        cmocka_unit_test(a_packed_row_reads_back_as_stored),
        cmocka_unit_test(sizes_that_do_not_fit_are_zero),
    };
    return cmocka_run_group_tests_name("matmul_f", tests, NULL, NULL);
}
