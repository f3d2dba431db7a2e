/* GGUF: a small file is written by our writer and read back; every cut and every flipped byte is survived; what cannot
 * be trusted is refused with its reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/file.h"
#include "model/checkpoint.h"
#include "model/gguf.h"

/* --- bytes by hand ------------------------------------------------------------------------------------------------- */

static void le(clo_buf *b, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        clo_buf_add_char(b, (char)(v >> 8 * i));
}

static void str(clo_buf *b, const char *s)
{
    le(b, strlen(s), 8);
    clo_buf_add(b, clo_str_from(s));
}

static void head(clo_buf *b, uint32_t version, uint64_t n_tensors, uint64_t n_kv)
{
    clo_buf_add(b, CLO_STR("GGUF"));
    le(b, version, 4);
    le(b, n_tensors, 8);
    le(b, n_kv, 8);
}

static void kv_u32(clo_buf *b, const char *key, uint32_t v)
{
    str(b, key);
    le(b, CLO_GGUF_U32, 4);
    le(b, v, 4);
}

static void info(clo_buf *b, const char *name, uint32_t n_dims, uint64_t d0, uint64_t d1, uint32_t type, uint64_t off)
{
    str(b, name);
    le(b, n_dims, 4);
    for (uint32_t i = 0; i < n_dims; i++)
        le(b, i == 0 ? d0 : i == 1 ? d1 : 1, 8);
    le(b, type, 4);
    le(b, off, 8);
}

static void pad(clo_buf *b, size_t to, size_t n_data)
{
    while (b->len % to)
        clo_buf_add_char(b, 0);
    for (size_t i = 0; i < n_data; i++)
        clo_buf_add_char(b, (char)i);
}

/* A good file: every kind of value, a matrix [2, 32] of Q4_0 and a vector of three floats. */
static size_t good_end; /* bytes up to the end of the last tensor, without padding */
static clo_buf good(void)
{
    clo_buf b = {0};
    head(&b, 3, 2, 5);
    str(&b, "general.architecture");
    le(&b, CLO_GGUF_STR, 4);
    str(&b, "test");
    kv_u32(&b, "test.count", 7);
    str(&b, "test.scale");
    le(&b, CLO_GGUF_F32, 4);
    le(&b, 0x3fc00000, 4); /* 1.5 */
    str(&b, "test.on");
    le(&b, CLO_GGUF_BOOL, 4);
    le(&b, 1, 1);
    str(&b, "test.words");
    le(&b, CLO_GGUF_ARRAY, 4);
    le(&b, CLO_GGUF_STR, 4);
    le(&b, 3, 8);
    str(&b, "one");
    str(&b, "");
    str(&b, "three");
    info(&b, "m", 2, 32, 2, 2, 0); /* 36 bytes, padded to 64 */
    info(&b, "v", 1, 3, 0, 0, 64);
    pad(&b, 32, 64 + 12);
    good_end = b.len;
    return b;
}

static bool parse(clo_gguf *g, clo_buf *b, size_t len, clo_arena *a, clo_err *err)
{
    uint8_t *exact = malloc(len ? len : 1); /* so that a sanitizer sees a byte too many */
    memcpy(exact, b->ptr, len);
    bool ok = clo_gguf_parse(g, (clo_bytes){exact, len}, a, err);
    free(exact);
    return ok;
}

/* --- tests --------------------------------------------------------------------------------------------------------- */

static void values_and_tensors_read_as_written(void **state)
{
    (void)state;
    clo_buf b = good();
    clo_arena a = {0};
    clo_gguf g;
    clo_err err = {0};
    clo_str words[3];
    assert_true(clo_gguf_parse(&g, clo_bytes_of(clo_buf_str(&b)), &a, &err));
    assert_int_equal(clo_gguf_int(&g, "test.count", -1), 7);
    assert_int_equal(clo_gguf_int(&g, "test.absent", -1), -1);
    assert_int_equal(clo_gguf_int(&g, "general.architecture", -1), -1);
    assert_true(clo_gguf_num(&g, "test.scale", 0) == 1.5);
    assert_true(clo_gguf_bool(&g, "test.on", false));
    assert_true(clo_str_eq(clo_gguf_str(&g, "general.architecture", CLO_STR("")), CLO_STR("test")));
    const clo_gguf_kv *kv = clo_gguf_find(&g, "test.words");
    assert_non_null(kv);
    assert_int_equal(kv->n, 3);
    clo_gguf_array_strs(kv, words);
    assert_true(clo_str_eq(words[0], CLO_STR("one")) && words[1].len == 0 && clo_str_eq(words[2], CLO_STR("three")));
    assert_int_equal(g.n_tensors, 2);
    assert_int_equal(g.tensors[0].dtype, CLO_DTYPE_Q4_0);
    assert_int_equal(g.tensors[0].dims[0], 2); /* slowest first, the other way than in the file */
    assert_int_equal(g.tensors[0].dims[1], 32);
    assert_int_equal(g.tensors[0].bytes, 36);
    assert_int_equal(g.tensors[1].bytes, 12);
    assert_int_equal(g.tensors[1].data[0], 64);
    clo_arena_free(&a);
    clo_buf_free(&b);
}

static void every_prefix_of_a_good_file_is_refused(void **state)
{
    (void)state;
    clo_buf b = good();
    for (size_t n = 0; n < good_end; n++) {
        clo_arena a = {0};
        clo_err err = {0};
        clo_gguf g;
        if (parse(&g, &b, n, &a, &err)) fail_msg("a prefix of %zu bytes of %zu was read", n, good_end);
        assert_int_not_equal(err.code, CLO_OK);
        assert_true(err.text[0] != 0);
        clo_arena_free(&a);
    }
    clo_buf_free(&b);
}

static void a_beginning_asks_for_more_or_tells_all(void **state)
{
    (void)state;
    clo_buf b = good();
    size_t n_short = 0, n_whole = 0;
    for (size_t len = 0; len < b.len; len++) {
        clo_arena a = {0};
        clo_gguf g;
        bool is_short = false;
        clo_err err = {0};
        uint8_t *exact = malloc(len ? len : 1);
        memcpy(exact, b.ptr, len);
        if (clo_gguf_parse_head(&g, &is_short, (clo_bytes){exact, len}, b.len, &a, &err)) {
            n_whole++;
            assert_int_equal(g.n_tensors, 2);
            assert_null(g.tensors[1].data);
        } else {
            n_short++;
            assert_true(is_short);
            assert_int_equal(n_whole, 0);
        }
        free(exact);
        clo_arena_free(&a);
    }
    assert_true(n_short > 50 && n_whole > 64);
    clo_buf_free(&b);
}

static void a_flipped_byte_does_no_harm(void **state)
{
    (void)state;
    clo_buf b = good();
    for (size_t i = 0; i < b.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            clo_arena a = clo_arena_make(1u << 20);
            clo_gguf g;
            b.ptr[i] ^= (char)(1 << bit);
            (void)!parse(&g, &b, b.len, &a, NULL);
            b.ptr[i] ^= (char)(1 << bit);
            clo_arena_free(&a);
        }
    }
    clo_buf_free(&b);
}

static void an_arena_that_is_full_is_an_error(void **state)
{
    (void)state;
    clo_buf b = good();
    for (size_t limit = 16; limit < 2048; limit += 64) {
        clo_arena a = clo_arena_make(limit);
        clo_err err = {0};
        clo_gguf g;
        if (!parse(&g, &b, b.len, &a, &err)) assert_int_equal(err.code, CLO_ERR_MEMORY);
        clo_arena_free(&a);
    }
    clo_buf_free(&b);
}

/* clang-format off */
typedef enum { BAD_MAGIC, BAD_V1, BAD_V4, BAD_BIG_ENDIAN, BAD_COUNT, BAD_KEY_TWICE, BAD_KEY_EMPTY, BAD_TYPE, BAD_NESTED,
               BAD_BOOL, BAD_ARRAY_LEN, BAD_ALIGN, BAD_ALIGN_TYPE, BAD_NAME_TWICE, BAD_RANK, BAD_DIM, BAD_OVERFLOW,
               BAD_BLOCK, BAD_DTYPE, BAD_IQ, BAD_OVERLAP, BAD_GAP, BAD_UNALIGNED, BAD_TRAILING, BAD_STR_LEN } bad_kind;
/* clang-format on */

static void make_bad(clo_buf *b, bad_kind k)
{
    /* clang-format off */
    switch (k) {
    case BAD_MAGIC: clo_buf_add(b, CLO_STR("GGML\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")); return;
    case BAD_V1: head(b, 1, 0, 0); return;
    case BAD_V4: head(b, 4, 0, 0); return;
    case BAD_BIG_ENDIAN: head(b, 3u << 24, 0, 0); return;
    case BAD_COUNT: head(b, 3, 1u << 30, 0); return;
    case BAD_KEY_TWICE: head(b, 3, 0, 2); kv_u32(b, "k", 1); kv_u32(b, "k", 2); return;
    case BAD_KEY_EMPTY: head(b, 3, 0, 1); kv_u32(b, "", 1); return;
    case BAD_TYPE: head(b, 3, 0, 1); str(b, "k"); le(b, 13, 4); le(b, 0, 8); return;
    case BAD_NESTED: head(b, 3, 0, 1); str(b, "k"); le(b, 9, 4); le(b, 9, 4); le(b, 0, 8); return;
    case BAD_BOOL: head(b, 3, 0, 1); str(b, "k"); le(b, CLO_GGUF_BOOL, 4); le(b, 2, 1); return;
    case BAD_ARRAY_LEN: head(b, 3, 0, 1); str(b, "k"); le(b, 9, 4); le(b, CLO_GGUF_U8, 4); le(b, UINT64_MAX, 8); return;
    case BAD_ALIGN: head(b, 3, 0, 1); kv_u32(b, "general.alignment", 24); return;
    case BAD_ALIGN_TYPE: head(b, 3, 0, 1); str(b, "general.alignment"); le(b, CLO_GGUF_U8, 4); le(b, 32, 1); return;
    case BAD_NAME_TWICE: head(b, 3, 2, 0); info(b, "t", 1, 8, 0, 0, 0); info(b, "t", 1, 8, 0, 0, 32); break;
    case BAD_RANK: head(b, 3, 1, 0); info(b, "t", 5, 1, 1, 0, 0); break;
    case BAD_DIM: head(b, 3, 1, 0); info(b, "t", 2, 4, 0, 0, 0); break;
    case BAD_OVERFLOW: head(b, 3, 1, 0); info(b, "t", 2, 1ull << 40, 1ull << 40, 0, 0); break;
    case BAD_BLOCK: head(b, 3, 1, 0); info(b, "t", 1, 33, 0, 2, 0); break;
    case BAD_DTYPE: head(b, 3, 1, 0); info(b, "t", 1, 8, 0, 4, 0); break;
    case BAD_IQ: head(b, 3, 1, 0); info(b, "t", 1, 256, 0, 16, 0); break;
    case BAD_OVERLAP: head(b, 3, 2, 0); info(b, "s", 1, 16, 0, 0, 0); info(b, "t", 1, 8, 0, 0, 32); break;
    case BAD_GAP: head(b, 3, 2, 0); info(b, "s", 1, 8, 0, 0, 0); info(b, "t", 1, 8, 0, 0, 64); break;
    case BAD_UNALIGNED: head(b, 3, 1, 0); info(b, "t", 1, 8, 0, 0, 4); break;
    case BAD_TRAILING: head(b, 3, 1, 0); info(b, "t", 1, 8, 0, 0, 0); break;
    case BAD_STR_LEN: head(b, 3, 0, 1); str(b, "k"); le(b, CLO_GGUF_STR, 4); le(b, UINT64_MAX - 4, 8); return;
    }
    /* clang-format on */
    pad(b, 32, 128);
}

static void what_cannot_be_trusted_is_refused(void **state)
{
    static const struct {
        bad_kind kind;
        const char *why;
        clo_code want;
        const char *says;
    } rows[] = {
        {BAD_MAGIC, "another magic", CLO_ERR_FORMAT, "not a GGUF file"},
        {BAD_V1, "version 1", CLO_ERR_UNSUPPORTED, "version 1"},
        {BAD_V4, "version 4", CLO_ERR_UNSUPPORTED, "version 4"},
        {BAD_BIG_ENDIAN, "the other byte order", CLO_ERR_UNSUPPORTED, "big-endian"},
        {BAD_COUNT, "a billion tensors", CLO_ERR_LIMIT, "at most"},
        {BAD_KEY_TWICE, "a key twice", CLO_ERR_FORMAT, "key 'k' occurs twice"},
        {BAD_KEY_EMPTY, "an empty key", CLO_ERR_FORMAT, "empty"},
        {BAD_TYPE, "a value type that is none", CLO_ERR_FORMAT, "value type 13"},
        {BAD_NESTED, "an array of arrays", CLO_ERR_FORMAT, "array of arrays"},
        {BAD_BOOL, "a bool of 2", CLO_ERR_FORMAT, "bool is 2"},
        {BAD_ARRAY_LEN, "an array longer than anything", CLO_ERR_LIMIT, "array of"},
        {BAD_ALIGN, "an alignment of 24", CLO_ERR_FORMAT, "general.alignment"},
        {BAD_ALIGN_TYPE, "an alignment of another type", CLO_ERR_FORMAT, "general.alignment"},
        {BAD_NAME_TWICE, "a tensor twice", CLO_ERR_FORMAT, "tensor 't' occurs twice"},
        {BAD_RANK, "five dimensions", CLO_ERR_FORMAT, "5 dimensions"},
        {BAD_DIM, "a dimension of 0", CLO_ERR_FORMAT, "dimension 1 is 0"},
        {BAD_OVERFLOW, "a size that wraps around", CLO_ERR_LIMIT, "overflows"},
        {BAD_BLOCK, "rows that are no whole block", CLO_ERR_FORMAT, "blocks of 32"},
        {BAD_DTYPE, "a removed type", CLO_ERR_FORMAT, "unknown type 4"},
        {BAD_IQ, "a type that is not built", CLO_ERR_UNSUPPORTED, "IQ2_XXS"},
        {BAD_OVERLAP, "two tensors in one place", CLO_ERR_FORMAT, "offset 32, expected 64"},
        {BAD_GAP, "a gap between tensors", CLO_ERR_FORMAT, "offset 64, expected 32"},
        {BAD_UNALIGNED, "an offset off the alignment", CLO_ERR_FORMAT, "offset 4, expected 0"},
        {BAD_TRAILING, "bytes after the last tensor", CLO_ERR_FORMAT, "96 bytes after the last tensor"},
        {BAD_STR_LEN, "a string longer than anything", CLO_ERR_FORMAT, "string"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        clo_buf b = {0};
        clo_arena a = {0};
        clo_err err = {0};
        clo_gguf g;
        make_bad(&b, rows[i].kind);
        if (parse(&g, &b, b.len, &a, &err)) fail_msg("%s: was read", rows[i].why);
        if (err.code != rows[i].want || !strstr(err.text, rows[i].says)) {
            fail_msg("%s: expected code %d and '%s', found code %d and '%s'", rows[i].why, rows[i].want, rows[i].says,
                     err.code, err.text);
        }
        clo_arena_free(&a);
        clo_buf_free(&b);
    }
}

/* --- writing ------------------------------------------------------------------------------------------------------- */

static char folder[] = "/tmp/clo_test_gguf_XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char path[4096];
    static const char *const names[] = {"w.gguf", "s-00001-of-00002.gguf", "s-00002-of-00002.gguf",
                                        "t-00001-of-00002.gguf"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    return rmdir(folder);
}

static bool put_tensor_data(void *ctx, size_t i, clo_writer *out, clo_err *err)
{
    const clo_gguf *g = ctx;
    return clo_writer_put(out, g->tensors[i].data, g->tensors[i].bytes, err);
}

static void what_is_written_reads_the_same(void **state)
{
    char path[4096];
    clo_buf b = good();
    clo_arena a = {0};
    clo_gguf g;
    clo_err err = {0};
    clo_gguf_writer *w = NULL;
    clo_checkpoint ck = {0};
    (void)state;
    assert_true(clo_gguf_parse(&g, clo_bytes_of(clo_buf_str(&b)), &a, &err));
    assert_true(clo_gguf_writer_new(&w, &err));
    for (size_t i = 0; i < g.n_kv; i++)
        clo_gguf_put_kv(w, &g.kv[i]);
    clo_gguf_put_u32(w, "test.count", 8); /* replaces */
    clo_gguf_put_str(w, "test.new", CLO_STR("x"));
    for (size_t i = 0; i < g.n_tensors; i++)
        clo_gguf_put_tensor(w, &g.tensors[i]);
    (void)snprintf(path, sizeof path, "%s/w.gguf", folder);
    assert_true(clo_gguf_write(w, path, put_tensor_data, &g, &err));
    clo_gguf_writer_free(w);

    assert_true(clo_checkpoint_open(&ck, path, &err));
    assert_int_equal(ck.gguf->n_kv, 6);
    assert_int_equal(clo_gguf_int(ck.gguf, "test.count", 0), 8);
    assert_true(clo_str_eq(clo_gguf_str(ck.gguf, "test.new", CLO_STR("")), CLO_STR("x")));
    for (size_t i = 0; i < g.n_kv; i++) {
        const clo_gguf_kv *kv = &ck.gguf->kv[i];
        assert_true(clo_str_eq(kv->key, g.kv[i].key));
        if (i != 1)
            assert_true(kv->raw.len == g.kv[i].raw.len && memcmp(kv->raw.ptr, g.kv[i].raw.ptr, kv->raw.len) == 0);
    }
    for (size_t i = 0; i < g.n_tensors; i++) {
        const clo_tensor *t = clo_checkpoint_find(&ck, g.tensors[i].name);
        assert_non_null(t);
        assert_true(t->bytes == g.tensors[i].bytes && memcmp(t->data, g.tensors[i].data, t->bytes) == 0);
    }
    clo_checkpoint_close(&ck);
    clo_arena_free(&a);
    clo_buf_free(&b);
}

static bool put_too_little(void *ctx, size_t i, clo_writer *out, clo_err *err)
{
    (void)ctx;
    (void)i;
    return clo_writer_put(out, "x", 1, err);
}

static void a_tensor_of_another_size_than_declared_is_not_written(void **state)
{
    char path[4096];
    clo_gguf_writer *w = NULL;
    clo_err err = {0};
    const clo_tensor t = {.name = CLO_STR("t"), .dtype = CLO_DTYPE_F32, .n_dims = 1, .dims = {2}, .bytes = 8};
    (void)state;
    assert_true(clo_gguf_writer_new(&w, &err));
    clo_gguf_put_tensor(w, &t);
    (void)snprintf(path, sizeof path, "%s/bad.gguf", folder);
    assert_false(clo_gguf_write(w, path, put_too_little, NULL, &err));
    assert_non_null(strstr(err.text, "1 bytes were given, 8 declared"));
    assert_false(clo_path_exists(path));
    clo_gguf_writer_free(w);
}

/* Part `no` of two, with one tensor. */
static void write_part(const char *name, uint32_t no, uint32_t total)
{
    char path[4096];
    clo_buf b = {0};
    clo_err err = {0};
    head(&b, 3, 1, 3);
    kv_u32(&b, "split.no", no);
    kv_u32(&b, "split.count", 2);
    kv_u32(&b, "split.tensors.count", total);
    info(&b, no == 0 ? "first" : "second", 1, 8, 0, 0, 0);
    pad(&b, 32, 32);
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_true(clo_file_write_atomic(path, clo_bytes_of(clo_buf_str(&b)), &err));
    clo_buf_free(&b);
}

static void a_split_file_opens_whole_or_not_at_all(void **state)
{
    char path[4096];
    clo_checkpoint ck = {0};
    clo_err err = {0};
    (void)state;
    write_part("s-00001-of-00002.gguf", 0, 2);
    (void)snprintf(path, sizeof path, "%s/s-00001-of-00002.gguf", folder);
    assert_false(clo_checkpoint_open(&ck, path, &err)); /* the second part is not there */
    assert_int_equal(err.code, CLO_ERR_NOT_FOUND);

    write_part("s-00002-of-00002.gguf", 1, 2);
    assert_true(clo_checkpoint_open(&ck, path, &err));
    assert_int_equal(ck.n_tensors, 2);
    assert_int_equal(ck.n_files, 2);
    assert_int_equal(clo_checkpoint_find(&ck, CLO_STR("second"))->i_file, 1);
    clo_checkpoint_close(&ck);

    write_part("s-00002-of-00002.gguf", 0, 2); /* says that it is the first */
    assert_false(clo_checkpoint_open(&ck, path, &err));
    assert_non_null(strstr(err.text, "split.no is 0, expected 1"));
    write_part("s-00002-of-00002.gguf", 1, 2);
    write_part("s-00001-of-00002.gguf", 0, 3);
    assert_false(clo_checkpoint_open(&ck, path, &err));
    assert_non_null(strstr(err.text, "split.tensors.count is 3"));
    (void)snprintf(path, sizeof path, "%s/s-00002-of-00002.gguf", folder);
    assert_false(clo_checkpoint_open(&ck, path, &err));
    assert_non_null(strstr(err.text, "open the first part"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_and_tensors_read_as_written),
        cmocka_unit_test(every_prefix_of_a_good_file_is_refused),
        cmocka_unit_test(a_beginning_asks_for_more_or_tells_all),
        cmocka_unit_test(a_flipped_byte_does_no_harm),
        cmocka_unit_test(an_arena_that_is_full_is_an_error),
        cmocka_unit_test(what_cannot_be_trusted_is_refused),
        cmocka_unit_test(what_is_written_reads_the_same),
        cmocka_unit_test(a_tensor_of_another_size_than_declared_is_not_written),
        cmocka_unit_test(a_split_file_opens_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
