/* The ground floor: text, memory, files, numbers of 16 bits, random draws. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cursor.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/half.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/utf8.h"
#include "temp_folder.h"

static void utf8_accepts_what_rfc3629_allows_and_nothing_else(void **state)
{
    (void)state;
    static const struct {
        const char *why, *in;
        uint32_t want;
        size_t n;
    } rows[] = {
        {"ASCII", "a", 'a', 1},
        {"two bytes", "\xC3\xA9", 0xE9, 2},
        {"three bytes", "\xE2\x82\xAC", 0x20AC, 3},
        {"four bytes", "\xF0\x9F\x98\x80", 0x1F600, 4},
        {"the last code point", "\xF4\x8F\xBF\xBF", 0x10FFFF, 4},
        {"beyond the last code point", "\xF4\x90\x80\x80", CLO_UTF8_BAD, 1},
        {"overlong two bytes", "\xC0\x80", CLO_UTF8_BAD, 1},
        {"overlong three bytes", "\xE0\x80\x80", CLO_UTF8_BAD, 1},
        {"a surrogate", "\xED\xA0\x80", CLO_UTF8_BAD, 1},
        {"a lone continuation", "\x80", CLO_UTF8_BAD, 1},
        {"a sequence cut after two of three bytes", "\xE2\x82", CLO_UTF8_BAD, 2},
        {"a sequence cut after three of four bytes", "\xF0\x9F\x98", CLO_UTF8_BAD, 3},
        {"a lead byte and text", "\xE2" "a", CLO_UTF8_BAD, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t n;
        uint32_t cp = clo_utf8_decode(clo_str_from(rows[i].in), 0, &n);
        if (cp != rows[i].want || n != rows[i].n)
            fail_msg("%s: U+%X in %zu bytes, expected U+%X in %zu", rows[i].why, cp, n, rows[i].want, rows[i].n);
    }
}

static void every_code_point_survives_encoding(void **state)
{
    (void)state;
    for (uint32_t cp = 0; cp <= 0x10FFFF; cp++) {
        if (cp >= 0xD800 && cp <= 0xDFFF) continue;
        char c[4];
        size_t len = clo_utf8_encode(c, cp), n;
        assert_int_equal(clo_utf8_decode((clo_str){c, len}, 0, &n), cp);
        assert_int_equal(n, len);
        for (size_t cut = 1; cut < len; cut++) assert_int_equal(clo_utf8_incomplete_tail((clo_str){c, cut}), cut);
        assert_int_equal(clo_utf8_incomplete_tail((clo_str){c, len}), 0);
    }
}

static void a_half_keeps_its_value_through_a_float(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++) {
        float f = clo_f16_to_f32((uint16_t)h);
        if (f != f)
            assert_true((clo_f32_to_f16(f) & 0x7fff) > 0x7c00);
        else
            assert_int_equal(clo_f32_to_f16(f), h);
    }
}

static void floats_round_to_the_nearest_half_ties_to_even(void **state)
{
    (void)state;
    /* Between each two neighbours a < b: just below the middle gives a, the middle the even one, just above gives b. */
    for (uint32_t h = 0; h < 0x7bff; h++) {
        double a = (double)clo_f16_to_f32((uint16_t)h), b = (double)clo_f16_to_f32((uint16_t)(h + 1));
        float middle = (float)((a + b) / 2);
        assert_int_equal(clo_f32_to_f16(middle), h & 1 ? h + 1 : h);
        assert_int_equal(clo_f32_to_f16(nextafterf(middle, 0)), h);
        assert_int_equal(clo_f32_to_f16(nextafterf(middle, INFINITY)), h + 1);
    }
    assert_int_equal(clo_f32_to_f16(65519.996f), 0x7bff);
    assert_int_equal(clo_f32_to_f16(65520.0f), 0x7c00);
}

static void bfloat16_is_the_upper_half_rounded(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        uint32_t in;
        uint16_t want;
    } rows[] = {
        {"exact", 0x3f800000, 0x3f80},
        {"below the tie", 0x3f807fff, 0x3f80},
        {"a tie to even, down", 0x3f808000, 0x3f80},
        {"a tie to even, up", 0x3f818000, 0x3f82},
        {"above the tie", 0x3f808001, 0x3f81},
        {"overflow to infinity", 0x7f7fffff, 0x7f80},
        {"NaN stays NaN", 0x7f800001, 0x7fc0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint16_t got = clo_f32_to_bf16(clo_bits_f32(rows[i].in));
        if (got != rows[i].want) fail_msg("%s: %04x, expected %04x", rows[i].why, got, rows[i].want);
    }
}

static void philox_gives_the_known_answers(void **state)
{
    (void)state;
    /* Known-answer vectors of the Random123 distribution, philox4x32, 10 rounds. */
    static const uint32_t rows[][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {~0u, ~0u, ~0u, ~0u, ~0u, ~0u, 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09, 0x94fdcceb, 0x5001e420,
         0x24126ea1},
    };
    for (size_t i = 0; i < 3; i++) {
        uint32_t out[4];
        clo_philox4x32(out, rows[i], rows[i] + 4);
        assert_memory_equal(out, rows[i] + 6, sizeof out);
    }
    for (uint64_t i = 0; i < 1000; i++) {
        double u = clo_random_unit(7, CLO_RANDOM_SAMPLE, i, 0);
        assert_true(u >= 0 && u < 1);
    }
}

static void sha256_gives_the_known_answers(void **state)
{
    (void)state;
    char hex[65];
    clo_sha256 d = clo_sha256_of("abc", 3), back;
    clo_sha256_hex(hex, &d);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_true(clo_sha256_parse(&back, hex, 64));
    assert_true(clo_sha256_eq(&d, &back));
    assert_false(clo_sha256_parse(&back, hex, 63));
    hex[5] = 'G';
    assert_false(clo_sha256_parse(&back, hex, 64));
}

static void an_arena_gives_zeroed_memory_up_to_its_limit(void **state)
{
    (void)state;
    clo_arena a = clo_arena_make(100000);
    size_t n = 0;
    for (uint8_t *p; (p = clo_arena_alloc(&a, 1000)); n++) {
        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < 1000; i++) assert_int_equal(p[i], 0);
        memset(p, 0xAA, 1000);
    }
    assert_in_range(n, 90, 100);
    clo_err err = {0};
    assert_false(clo_arena_full(&a, &err));
    assert_int_equal(err.code, CLO_ERR_MEMORY);
    assert_null(clo_arena_alloc(&a, SIZE_MAX));
    assert_null(clo_arena_alloc_n(&a, SIZE_MAX / 2, 4));
    clo_arena_free(&a);
    assert_non_null(clo_arena_alloc(&a, 0));
    clo_arena_free(&a);
}

static void a_buffer_keeps_its_first_failure(void **state)
{
    (void)state;
    clo_buf b = {.max = 10};
    clo_buf_addf(&b, "%d-%s", 12, "ab");
    clo_buf_add_utf8(&b, 0x20AC);
    assert_true(clo_str_eq(clo_buf_str(&b), CLO_STR("12-ab\xE2\x82\xAC")));
    clo_buf_add(&b, CLO_STR("xyz"));
    clo_buf_add(&b, CLO_STR("x"));
    clo_err err = {0};
    assert_false(clo_buf_ok(&b, &err));
    assert_int_equal(err.code, CLO_ERR_LIMIT);
    assert_int_equal(b.len, 8);
    clo_buf_free(&b);
}

static void a_cursor_remembers_the_first_field_that_did_not_fit(void **state)
{
    (void)state;
    static const uint8_t in[] = {1, 2, 0, 3, 0, 0, 0, 9};
    clo_cursor c = clo_cursor_on((clo_bytes){in, sizeof in});
    assert_int_equal(clo_read_u8(&c, "a"), 1);
    assert_int_equal(clo_read_u16(&c, "b"), 2);
    assert_int_equal(clo_read_u32(&c, "c"), 3);
    assert_true(clo_cursor_ok(&c, NULL));
    assert_int_equal(clo_read_u64(&c, "d"), 0);
    assert_int_equal(clo_read_u8(&c, "e"), 0);
    clo_err err = {0};
    assert_false(clo_cursor_ok(&c, &err));
    assert_int_equal(err.at, 7);
    assert_string_equal(err.text, "d: 8 bytes needed, 1 left (at byte 7)");
}

static void errors_read_outermost_first(void **state)
{
    (void)state;
    clo_err err = {0};
    assert_false(clo_fail(&err, CLO_ERR_FORMAT, "4096 bytes declared, %d left", 2048));
    clo_err_context(&err, "tensor '%s'", "x");
    clo_err_context(&err, "open '%s'", "m");
    assert_string_equal(err.text, "open 'm': tensor 'x': 4096 bytes declared, 2048 left");
    char path[8];
    memcpy(path, "/no/one", 8);
    assert_false(clo_map_open(&(clo_map){0}, path, &err));
    assert_int_equal(err.code, CLO_ERR_NOT_FOUND);
    assert_false(clo_fail(NULL, CLO_ERR_IO, "nobody listens"));
}

static void a_written_file_is_whole_or_absent(void **state)
{
    (void)state;
    char dir[] = "/tmp/cloche-test-XXXXXX", path[4096];
    assert_non_null(mkdtemp(dir));
    assert_true(clo_path_join(path, NULL, "%s/a/b/c", dir));
    assert_true(clo_mkdir_p(path, NULL));
    assert_true(clo_path_join(path, NULL, "%s/a/b/c/file", dir));
    clo_writer w;
    assert_true(clo_writer_open(&w, path, NULL));
    assert_true(clo_writer_put(&w, "hello", 5, NULL));
    assert_false(clo_path_exists(path));
    clo_writer_abandon(&w);
    assert_false(clo_path_exists(w.tmp[0] ? w.tmp : path));
    assert_true(clo_writer_open(&w, path, NULL));
    assert_true(clo_writer_put(&w, "hello", 5, NULL));
    assert_true(clo_writer_align(&w, 8, NULL));
    assert_true(clo_writer_patch(&w, 0, "J", 1, NULL));
    assert_true(clo_writer_commit(&w, NULL));
    clo_writer_abandon(&w);
    clo_map m;
    assert_true(clo_map_open(&m, path, NULL));
    assert_int_equal(m.bytes.len, 8);
    assert_memory_equal(m.bytes.ptr, "Jello\0\0\0", 8);
    clo_map_close(&m);
    char rm[4200];
    snprintf(rm, sizeof rm, "rm -r %s", dir);
    assert_int_equal(system(rm), 0);
}

static void a_writer_that_is_killed_leaves_nothing(void **state)
{
    (void)state;
    char dir[] = "/tmp/cloche-test-XXXXXX", path[4096];
    assert_non_null(mkdtemp(dir));
    assert_true(clo_path_join(path, NULL, "%s/file", dir));
    pid_t child = fork();
    if (child == 0) {
        clo_writer w;
        if (!clo_writer_open(&w, path, NULL) || !clo_writer_put(&w, "hello", 5, NULL)) _exit(2);
        _exit(w.unnamed ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
    if (WEXITSTATUS(status) == 1) skip(); /* this file system has no files without a name */
    assert_int_equal(rmdir(dir), 0);
}

#define WRITES 200

/* Writes the same text to the path that it is given, again and again. */
static void *write_often(void *path)
{
    for (int i = 0; i < WRITES; i++) {
        clo_err err = {0};
        if (!clo_file_write_atomic((const char *)path, clo_bytes_of(CLO_STR("the same text")), &err))
            return strdup(err.text);
    }
    return NULL;
}

static void threads_that_write_one_file_do_not_disturb_each_other(void **state)
{
    (void)state;
    char folder[64], path[128];
    pthread_t threads[4];
    void *fault[4] = {NULL};
    temp_folder_make(folder);
    snprintf(path, sizeof path, "%s/file", folder);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_often, path), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], &fault[i]);
    for (int i = 0; i < 4; i++)
        if (fault[i]) fail_msg("%s", (char *)fault[i]);
    temp_folder_remove(folder);
    assert_int_equal(access(folder, F_OK), -1);
}

static void memory_is_counted_and_given(void **state)
{
    (void)state;
    assert_true(clo_memory_available() > 0);
    size_t n = ((size_t)5 << 20) + 3;
    uint8_t *p = clo_huge_alloc(n);
    assert_non_null(p);
    assert_int_equal((uintptr_t)p % ((size_t)2 << 20), 0);
    for (size_t i = 0; i < n; i += 4096) assert_int_equal(p[i], 0);
    p[n - 1] = 1;
    clo_huge_free(p, n);
    clo_huge_free(NULL, n);
    assert_null(clo_huge_alloc(SIZE_MAX));
}

static void json_refuses_duplicates_and_says_where(void **state)
{
    (void)state;
    static const struct {
        const char *why, *in;
        clo_code want;
    } rows[] = {
        {"a duplicate key", "{\"a\":1,\"a\":2}", CLO_ERR_FORMAT},
        {"text after the value", "{} x", CLO_ERR_FORMAT},
        {"an empty text", "", CLO_ERR_FORMAT},
        {"too many bytes", "                                 1", CLO_ERR_LIMIT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_t *v = NULL;
        clo_err err = {0};
        if (clo_json_parse(&v, clo_str_from(rows[i].in), 24, &err) || err.code != rows[i].want || v)
            fail_msg("%s: code %d, expected %d", rows[i].why, (int)err.code, (int)rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_accepts_what_rfc3629_allows_and_nothing_else),
        cmocka_unit_test(every_code_point_survives_encoding),
        cmocka_unit_test(a_half_keeps_its_value_through_a_float),
        cmocka_unit_test(floats_round_to_the_nearest_half_ties_to_even),
        cmocka_unit_test(bfloat16_is_the_upper_half_rounded),
        cmocka_unit_test(philox_gives_the_known_answers),
        cmocka_unit_test(sha256_gives_the_known_answers),
        cmocka_unit_test(an_arena_gives_zeroed_memory_up_to_its_limit),
        cmocka_unit_test(a_buffer_keeps_its_first_failure),
        cmocka_unit_test(a_cursor_remembers_the_first_field_that_did_not_fit),
        cmocka_unit_test(errors_read_outermost_first),
        cmocka_unit_test(a_written_file_is_whole_or_absent),
        cmocka_unit_test(a_writer_that_is_killed_leaves_nothing),
        cmocka_unit_test(threads_that_write_one_file_do_not_disturb_each_other),
        cmocka_unit_test(memory_is_counted_and_given),
        cmocka_unit_test(json_refuses_duplicates_and_says_where),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
