/* safetensors: single files and shards. Each row is a header; the data is zeros of the length given. */
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
#include "model/safetensors.h"

static clo_buf file_of(const char *header, size_t n_data)
{
    clo_buf b = {0};
    for (size_t i = 0; i < 8; i++)
        clo_buf_add_char(&b, (char)(strlen(header) >> 8 * i));
    clo_buf_add(&b, clo_str_from(header));
    for (size_t i = 0; i < n_data; i++)
        clo_buf_add_char(&b, (char)i);
    return b;
}

static bool parse(clo_safetensors *st, const char *bytes, size_t len, clo_arena *a, clo_err *err)
{
    uint8_t *exact = malloc(len ? len : 1); /* so that a sanitizer sees a byte too many */
    memcpy(exact, bytes, len);
    bool ok = clo_safetensors_parse(st, (clo_bytes){exact, len}, a, err);
    free(exact);
    return ok;
}

#define GOOD                                                                                                           \
    "{\"__metadata__\":{\"format\":\"pt\"},"                                                                           \
    "\"b\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[8,20]},"                                              \
    "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"                                                  \
    "\"none\":{\"dtype\":\"I64\",\"shape\":[0,7],\"data_offsets\":[20,20]},"                                           \
    "\"scalar\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[20,21]}}   "
#define GOOD_DATA 21

static void tensors_come_in_the_order_of_their_data(void **state)
{
    (void)state;
    clo_buf b = file_of(GOOD, GOOD_DATA);
    clo_arena a = {0};
    clo_safetensors st;
    clo_err err = {0};
    assert_true(clo_safetensors_parse(&st, clo_bytes_of(clo_buf_str(&b)), &a, &err));
    assert_int_equal(st.n_tensors, 4);
    assert_true(clo_str_eq(st.tensors[0].name, CLO_STR("a")));
    assert_true(clo_str_eq(st.tensors[1].name, CLO_STR("b")));
    assert_int_equal(st.tensors[1].dtype, CLO_DTYPE_BF16);
    assert_int_equal(st.tensors[1].n_dims, 2);
    assert_int_equal(st.tensors[1].dims[1], 3);
    assert_int_equal(st.tensors[1].data[0], 8);
    assert_int_equal(st.tensors[2].bytes, 0);
    assert_int_equal(st.tensors[3].n_dims, 0);
    assert_int_equal(st.tensors[3].bytes, 1);
    clo_arena_free(&a);
    clo_buf_free(&b);
}

static void every_prefix_of_a_good_file_is_refused(void **state)
{
    (void)state;
    clo_buf b = file_of(GOOD, GOOD_DATA);
    for (size_t n = 0; n < b.len; n++) {
        clo_arena a = {0};
        clo_err err = {0};
        clo_safetensors st;
        if (parse(&st, b.ptr, n, &a, &err)) fail_msg("a prefix of %zu bytes of %zu was read", n, b.len);
        assert_true(err.code != CLO_OK && err.text[0] != 0);
        clo_arena_free(&a);
    }
    clo_buf_free(&b);
}

static void a_beginning_asks_for_more_or_tells_all(void **state)
{
    (void)state;
    clo_buf b = file_of(GOOD, GOOD_DATA);
    for (size_t len = 0; len < b.len; len++) {
        clo_arena a = {0};
        clo_safetensors st;
        bool is_short = false;
        uint8_t *exact = malloc(len ? len : 1);
        memcpy(exact, b.ptr, len);
        bool ok = clo_safetensors_parse_head(&st, &is_short, (clo_bytes){exact, len}, b.len, &a, NULL);
        assert_int_equal(ok, len >= b.len - GOOD_DATA);
        assert_int_equal(is_short, !ok);
        if (ok) {
            assert_int_equal(st.n_tensors, 4);
            assert_null(st.tensors[1].data);
            assert_int_equal(st.n_metadata, 1);
            assert_true(clo_str_eq(st.metadata[0].key, CLO_STR("format")) && clo_str_eq(st.metadata[0].value, CLO_STR("pt")));
        }
        free(exact);
        clo_arena_free(&a);
    }
    clo_buf_free(&b);
}

static void a_flipped_byte_does_no_harm(void **state)
{
    (void)state;
    clo_buf b = file_of(GOOD, GOOD_DATA);
    for (size_t i = 0; i < b.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            clo_arena a = clo_arena_make(1u << 20);
            clo_safetensors st;
            b.ptr[i] ^= (char)(1 << bit);
            (void)!parse(&st, b.ptr, b.len, &a, NULL);
            b.ptr[i] ^= (char)(1 << bit);
            clo_arena_free(&a);
        }
    }
    clo_buf_free(&b);
}

#define T(dtype, shape, begin, end)                                                                                    \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"

static void what_cannot_be_trusted_is_refused(void **state)
{
    static const struct {
        const char *why, *header;
        size_t n_data;
        clo_code want;
        const char *says;
    } rows[] = {
        {"no object", " {}", 0, CLO_ERR_FORMAT, "does not begin"},
        {"a list", "[]", 0, CLO_ERR_FORMAT, "does not begin"},
        {"text after the object", "{} x", 0, CLO_ERR_FORMAT, "JSON"},
        {"invalid UTF-8", "{\"\xff\":1}", 0, CLO_ERR_FORMAT, "JSON"},
        {"a name twice", "{\"a\":" T("U8", "[1]", 0, 1) ",\"a\":" T("U8", "[1]", 1, 2) "}", 2, CLO_ERR_FORMAT,
         "uplicate"},
        {"a tensor that is no object", "{\"a\":3}", 0, CLO_ERR_FORMAT, "not an object"},
        {"a member too many", "{\"a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1],\"x\":1}}", 1,
         CLO_ERR_FORMAT, "4 members"},
        {"a dtype nobody knows", "{\"a\":" T("F31", "[1]", 0, 4) "}", 4, CLO_ERR_FORMAT, "unknown dtype 'F31'"},
        {"a dtype in lower case", "{\"a\":" T("f32", "[1]", 0, 4) "}", 4, CLO_ERR_FORMAT, "unknown dtype"},
        {"a block type", "{\"a\":" T("Q4_0", "[32]", 0, 18) "}", 18, CLO_ERR_FORMAT, "unknown dtype"},
        {"a dtype that is not built", "{\"a\":" T("F4", "[2]", 0, 1) "}", 1, CLO_ERR_UNSUPPORTED, "F4"},
        {"a negative dimension", "{\"a\":" T("U8", "[-1]", 0, 1) "}", 1, CLO_ERR_FORMAT, "dimension"},
        {"a fractional dimension", "{\"a\":" T("U8", "[1.0]", 0, 1) "}", 1, CLO_ERR_FORMAT, "dimension"},
        {"a dimension beyond 64 bits", "{\"a\":" T("U8", "[99999999999999999999]", 0, 1) "}", 1, CLO_ERR_FORMAT,
         "JSON"},
        {"nine dimensions", "{\"a\":" T("U8", "[1,1,1,1,1,1,1,1,1]", 0, 1) "}", 1, CLO_ERR_LIMIT, "rank 9"},
        {"a size that wraps around", "{\"a\":" T("F32", "[4294967296,4294967296]", 0, 0) "}", 0, CLO_ERR_LIMIT,
         "overflows"},
        {"offsets that do not fit the shape", "{\"a\":" T("F32", "[2]", 0, 4) "}", 4, CLO_ERR_FORMAT, "need 8 bytes"},
        {"an end before the begin", "{\"a\":" T("U8", "[1]", 1, 0) "}", 1, CLO_ERR_FORMAT, "data_offsets 1 to 0"},
        {"three offsets", "{\"a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1,2]}}", 2, CLO_ERR_FORMAT,
         "no pair"},
        {"a hole", "{\"a\":" T("U8", "[1]", 0, 1) ",\"b\":" T("U8", "[1]", 2, 3) "}", 3, CLO_ERR_FORMAT,
         "begins at 2, expected 1"},
        {"an overlap", "{\"a\":" T("U8", "[2]", 0, 2) ",\"b\":" T("U8", "[2]", 1, 3) "}", 3, CLO_ERR_FORMAT,
         "begins at 1, expected 2"},
        {"a first tensor not at 0", "{\"a\":" T("U8", "[1]", 1, 2) "}", 2, CLO_ERR_FORMAT, "begins at 1, expected 0"},
        {"a tensor beyond the end", "{\"a\":" T("U8", "[9]", 0, 9) "}", 8, CLO_ERR_FORMAT, "ends at 9 of 8 bytes"},
        {"bytes after the last tensor", "{\"a\":" T("U8", "[1]", 0, 1) "}", 3, CLO_ERR_FORMAT, "2 bytes after"},
        {"metadata that is no text", "{\"__metadata__\":{\"a\":1}}", 0, CLO_ERR_FORMAT, "no string"},
        {"metadata that is no object", "{\"__metadata__\":[]}", 0, CLO_ERR_FORMAT, "no object"},
        {"an empty name", "{\"\":" T("U8", "[1]", 0, 1) "}", 1, CLO_ERR_LIMIT, "name of 0 bytes"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        clo_buf b = file_of(rows[i].header, rows[i].n_data);
        clo_arena a = {0};
        clo_err err = {0};
        clo_safetensors st;
        if (parse(&st, b.ptr, b.len, &a, &err)) fail_msg("%s: was read", rows[i].why);
        if (err.code != rows[i].want || !strstr(err.text, rows[i].says)) {
            fail_msg("%s: expected code %d and '%s', found code %d and '%s'", rows[i].why, rows[i].want, rows[i].says,
                     err.code, err.text);
        }
        clo_arena_free(&a);
        clo_buf_free(&b);
    }
}

static void a_header_longer_than_the_file_or_the_limit_is_refused(void **state)
{
    static const struct {
        const char *why;
        uint64_t n;
        clo_code want;
    } rows[] = {
        {"one byte too long", 3, CLO_ERR_FORMAT},
        {"the limit", 100000000, CLO_ERR_FORMAT},
        {"over the limit", 100000001, CLO_ERR_LIMIT},
        {"a length that wraps around", UINT64_MAX, CLO_ERR_LIMIT},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char bytes[10] = {0};
        clo_arena a = {0};
        clo_err err = {0};
        clo_safetensors st;
        for (int k = 0; k < 8; k++)
            bytes[k] = (char)(rows[i].n >> 8 * k);
        memcpy(bytes + 8, "{}", 2);
        assert_false(parse(&st, bytes, sizeof bytes, &a, &err));
        if (err.code != rows[i].want) fail_msg("%s: code %d, '%s'", rows[i].why, err.code, err.text);
        clo_arena_free(&a);
    }
}

/* --- shards -------------------------------------------------------------------------------------------------------- */

static char folder[] = "/tmp/clo_test_st_XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static const char *in_folder(const char *name)
{
    static char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int remove_folder(void **state)
{
    static const char *const names[] = {"one.safetensors", "two.safetensors", "model.safetensors.index.json",
                                        "model.safetensors"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        (void)unlink(in_folder(names[i]));
    return rmdir(folder);
}

static void put_file(const char *name, clo_buf b)
{
    clo_err err = {0};
    assert_true(clo_file_write_atomic(in_folder(name), clo_bytes_of(clo_buf_str(&b)), &err));
    clo_buf_free(&b);
}

static void put_index(const char *text)
{
    clo_buf b = {0};
    clo_buf_add(&b, clo_str_from(text));
    put_file("model.safetensors.index.json", b);
}

static void shards_open_as_one_checkpoint_when_the_index_is_true(void **state)
{
    static const struct {
        const char *why, *index;
        const char *says; /* NULL: good */
    } rows[] = {
        {"a true index", "{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"two.safetensors\"}}", NULL},
        {"a tensor in the other shard", "{\"weight_map\":{\"a\":\"two.safetensors\",\"b\":\"one.safetensors\"}}",
         "lies in"},
        {"a tensor that is nowhere",
         "{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"two.safetensors\",\"c\":\"two.safetensors\"}}",
         "3 tensors in weight_map, 2"},
        {"a shard that the index leaves out", "{\"weight_map\":{\"a\":\"one.safetensors\"}}", NULL},
        {"a shard that is not there", "{\"weight_map\":{\"a\":\"gone.safetensors\"}}", "gone.safetensors"},
        {"a way out of the folder", "{\"weight_map\":{\"a\":\"../one.safetensors\"}}", "no plain"},
        {"an absolute path", "{\"weight_map\":{\"a\":\"/etc/one.safetensors\"}}", "no plain"},
        {"a hidden file", "{\"weight_map\":{\"a\":\".safetensors\"}}", "no plain"},
        {"a shard that is no text", "{\"weight_map\":{\"a\":1}}", "no plain"},
        {"no map", "{}", "no weight_map"},
        {"an empty map", "{\"weight_map\":{}}", "0 files"},
    };
    (void)state;
    put_file("one.safetensors", file_of("{\"a\":" T("U8", "[1]", 0, 1) "}", 1));
    put_file("two.safetensors", file_of("{\"b\":" T("U8", "[2]", 0, 2) "}", 2));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        clo_checkpoint ck = {0};
        clo_err err = {0};
        put_index(rows[i].index);
        bool ok = clo_checkpoint_open(&ck, folder, &err);
        if (ok != !rows[i].says) fail_msg("%s: %s", rows[i].why, ok ? "was read" : err.text);
        if (!ok && !strstr(err.text, rows[i].says))
            fail_msg("%s: expected '%s', found '%s'", rows[i].why, rows[i].says, err.text);
        if (ok) assert_non_null(clo_checkpoint_find(&ck, CLO_STR("a")));
        clo_checkpoint_close(&ck);
    }
}

static void a_name_in_two_shards_is_refused(void **state)
{
    clo_checkpoint ck = {0};
    clo_err err = {0};
    (void)state;
    put_file("two.safetensors", file_of("{\"a\":" T("U8", "[2]", 0, 2) "}", 2));
    put_index("{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"two.safetensors\"}}");
    assert_false(clo_checkpoint_open(&ck, folder, &err));
    assert_non_null(strstr(err.text, "occurs in two files"));
}

static void a_single_file_goes_before_the_index(void **state)
{
    clo_checkpoint ck = {0};
    clo_err err = {0};
    (void)state;
    put_file("model.safetensors", file_of(GOOD, GOOD_DATA));
    assert_true(clo_checkpoint_open(&ck, folder, &err));
    assert_int_equal(ck.n_tensors, 4);
    assert_int_equal(ck.n_files, 1);
    assert_string_equal(ck.folder, folder);
    clo_checkpoint_close(&ck);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_come_in_the_order_of_their_data),
        cmocka_unit_test(every_prefix_of_a_good_file_is_refused),
        cmocka_unit_test(a_beginning_asks_for_more_or_tells_all),
        cmocka_unit_test(a_flipped_byte_does_no_harm),
        cmocka_unit_test(what_cannot_be_trusted_is_refused),
        cmocka_unit_test(a_header_longer_than_the_file_or_the_limit_is_refused),
        cmocka_unit_test(shards_open_as_one_checkpoint_when_the_index_is_true),
        cmocka_unit_test(a_name_in_two_shards_is_refused),
        cmocka_unit_test(a_single_file_goes_before_the_index),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
