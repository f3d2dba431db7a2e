/* Tables whose bytes are not what they say: refused with a text, whatever they are. What good files say is compared with
 * pyarrow in tests/hub/test_preview.py. The files are the fuzzer's seeds; bad-* are what it found. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bytes_source.h"

#define FOLDER "tests/fuzz/corpus/parquet"

static bool read_rows(clo_table_page *p, clo_table_format f, const uint8_t *bytes, size_t n, uint64_t offset, clo_err *err)
{
    uint8_t *exact = malloc(n ? n : 1); /* so that a sanitizer sees a byte too many */
    memcpy(exact, bytes, n);
    clo_bytes in = {exact, n};
    clo_table_source s = bytes_source(&in);
    bool ok = clo_table_read(p, f, &s, offset, 100, err);
    free(exact);
    return ok;
}

/* Calls fn with each seed that is good, or bad. */
static size_t each_seed(bool good, void (*fn)(uint8_t *bytes, size_t n))
{
    size_t count = 0;
    char path[512];
    DIR *d = opendir(FOLDER);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.' || (strncmp(e->d_name, "bad-", 4) != 0) != good) continue;
        snprintf(path, sizeof path, FOLDER "/%s", e->d_name);
        FILE *f = fopen(path, "rb");
        static uint8_t bytes[1 << 20];
        size_t n = fread(bytes, 1, sizeof bytes, f);
        fclose(f);
        fn(bytes, n);
        count++;
    }
    closedir(d);
    return count;
}

static void cut(uint8_t *bytes, size_t n)
{
    clo_table_page p = {0};
    clo_err err = {0};
    if (!read_rows(&p, CLO_TABLE_PARQUET, bytes, n, 0, &err)) fail_msg("%s", err.text);
    assert_true(p.total >= 0 && json_array_size(p.rows) == (size_t)p.total);
    clo_table_page_free(&p);
    for (size_t len = 0; len < n; len++) {
        err = (clo_err){0};
        assert_false(read_rows(&p, CLO_TABLE_PARQUET, bytes, len, 0, &err));
        assert_true(err.code != CLO_OK && err.text[0]);
    }
}

static void every_prefix_of_a_good_file_is_refused(void **state)
{
    (void)state;
    assert_true(each_seed(true, cut) >= 10);
}

static void refuse(uint8_t *bytes, size_t n)
{
    clo_table_page p = {0};
    clo_err err = {0};
    assert_false(read_rows(&p, CLO_TABLE_PARQUET, bytes, n, 0, &err));
    assert_true(err.code != CLO_OK && err.text[0]);
}

static void what_the_fuzzer_found_is_refused(void **state)
{
    (void)state;
    assert_true(each_seed(false, refuse) >= 1);
}

static void flip(uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i += 3) {
        clo_table_page p = {0};
        clo_err err = {0};
        bytes[i] ^= (uint8_t)(1 + i % 255);
        if (read_rows(&p, CLO_TABLE_PARQUET, bytes, n, 3, &err)) clo_table_page_free(&p);
        else assert_true(err.text[0]);
        bytes[i] ^= (uint8_t)(1 + i % 255);
    }
}

static void a_flipped_byte_does_no_harm(void **state)
{
    (void)state;
    each_seed(true, flip);
}

static void texts_that_are_no_tables_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *why, *text;
        clo_table_format f;
        bool ok;
    } rows[] = {
        {"quotes that do not end", "a,b\n\"x", CLO_TABLE_CSV, false},
        {"nothing", "", CLO_TABLE_CSV, true},
        {"a header alone", "a;b", CLO_TABLE_CSV, true},
        {"an array that does not end", "[1, 2", CLO_TABLE_JSON, false},
        {"no comma", "[1 2]", CLO_TABLE_JSON, false},
        {"something after the array", "[1] 2", CLO_TABLE_JSON, false},
        {"a bracket too many", "{}}", CLO_TABLE_JSONL, false},
        {"no JSON", "{\"a\": nothing}", CLO_TABLE_JSONL, false},
        {"objects and numbers", "{\"a\": 1}\n2\n", CLO_TABLE_JSONL, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        clo_table_page p = {0};
        clo_err err = {0};
        bool ok = read_rows(&p, rows[i].f, (const uint8_t *)rows[i].text, strlen(rows[i].text), 0, &err);
        if (ok != rows[i].ok) fail_msg("%s: %s", rows[i].why, err.text);
        if (!ok) assert_true(err.text[0]);
        clo_table_page_free(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_prefix_of_a_good_file_is_refused),
        cmocka_unit_test(what_the_fuzzer_found_is_refused),
        cmocka_unit_test(a_flipped_byte_does_no_harm),
        cmocka_unit_test(texts_that_are_no_tables_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
