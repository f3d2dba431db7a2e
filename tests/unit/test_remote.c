/* What a hub elsewhere says: lists of refs, packs in any cut, reports, the batch API; and addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "hub/remote.h"
#include "hub/remote_upload.h"

#define A "1111111111111111111111111111111111111111"

static clo_bytes B(const char *s)
{
    return clo_bytes_of(clo_str_from(s));
}

static void refs_are_read(void **state)
{
    clo_remote_refs r;
    clo_err err = {0};
    (void)state;
    assert_true(clo_remote_refs_parse(&r, B("003d" A " refs/heads/main\n003a" A " refs/tags/v1\n0000"), &err));
    assert_int_equal(r.n, 2);
    assert_non_null(clo_remote_refs_find(&r, "refs/tags/v1"));
    clo_remote_refs_free(&r);
    static const struct {
        const char *why, *in;
        clo_code want;
    } rows[] = {
        {"ends early", "003d" A " refs/heads/main\n", CLO_ERR_IO},
        {"no id", "0014xyz refs/heads/m\n0000", CLO_ERR_FORMAT},
        {"no length", "zzzz", CLO_ERR_FORMAT},
        {"its own error", "000cERR gone0000", CLO_ERR_USAGE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        err = (clo_err){0};
        if (clo_remote_refs_parse(&r, B(rows[i].in), &err) || err.code != rows[i].want) fail_msg("%s: %d %s", rows[i].why, err.code, err.text);
    }
}

static void protocol_2_is_needed(void **state)
{
    (void)state;
    assert_true(clo_remote_v2_check(B("000eversion 2\n000cls-refs\n000afetch\n0000"), NULL));
    assert_false(clo_remote_v2_check(B("000eversion 1\n000cls-refs\n000afetch\n0000"), NULL));
    assert_false(clo_remote_v2_check(B("000eversion 2\n000cls-refs\n000afetch\n0019object-format=sha256\n0000"), NULL));
}

/* Newlines at the end of a line of a pack are the pack's. */
static void a_pack_comes_in_any_cut(void **state)
{
    static const char reply[] = "000dpackfile\n000e\2progress\n0009\1PAC\n000c\1K rest\n0000";
    (void)state;
    for (size_t cut = 1; cut < sizeof reply; cut++) {
        clo_spool s = {0};
        clo_bytes got;
        clo_fetch_reader r = {.pack = &s, .max = 100};
        assert_true(clo_spool_open(&s, "/tmp", NULL));
        for (size_t at = 0; at < sizeof reply - 1; at += cut) {
            size_t n = sizeof reply - 1 - at < cut ? sizeof reply - 1 - at : cut;
            assert_true(clo_fetch_reader_add(&r, (clo_bytes){(const uint8_t *)reply + at, n}, NULL));
        }
        assert_true(clo_fetch_reader_end(&r, NULL));
        assert_true(clo_spool_map(&s, &got, NULL));
        assert_int_equal(got.len, 11);
        assert_memory_equal(got.ptr, "PAC\nK rest\n", 11);
        clo_fetch_reader_free(&r);
        clo_spool_close(&s);
    }
}

static void reports_are_read(void **state)
{
    clo_remote_update u[2] = {{.name = "refs/heads/main"}, {.name = "refs/heads/dev"}};
    clo_remote_can plain = {.report = true}, band = {.report = true, .band = true};
    clo_err err = {0};
    (void)state;
    assert_true(clo_remote_report_parse(u, 2, &plain, B("000eunpack ok\n0017ok refs/heads/main\n001eng refs/heads/dev not now\n0000"), &err));
    assert_true(u[0].ok && !u[1].ok);
    assert_string_equal(u[1].why, "not now");
    static const char said[] = "0010\2lfs missing" "0017\1" "000eunpack no\n0000" "0000";
    assert_false(clo_remote_report_parse(u, 2, &band, B(said), &err));
    assert_int_equal(err.code, CLO_ERR_DENIED);
    assert_string_equal(err.text, "the far git took nothing: no; lfs missing");
    assert_false(clo_remote_report_parse(u, 2, &plain, B("0017ok refs/heads/main\n0000"), &err));
    assert_int_equal(err.code, CLO_ERR_IO);
}

static void parts_make_up_the_file(void **state)
{
    static const struct {
        const char *header;
        uint64_t size;
        bool ok;
    } rows[] = {
        {"{\"chunk_size\": \"4\", \"1\": \"a\", \"2\": \"b\", \"3\": \"c\"}", 10, true},
        {"{\"chunk_size\": 4, \"1\": \"a\", \"2\": \"b\", \"3\": \"c\"}", 12, true},
        {"{\"chunk_size\": \"4\", \"1\": \"a\", \"2\": \"b\"}", 10, false},
        {"{\"chunk_size\": \"4\", \"1\": \"a\", \"2\": \"b\", \"3\": \"c\"}", 8, false},
        {"{\"chunk_size\": \"0\", \"1\": \"a\"}", 10, false},
        {"{\"chunk_size\": \"1x\", \"1\": \"a\"}", 1, false},
        {"{\"1\": \"a\"}", 10, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *h = json_loads(rows[i].header, 0, NULL);
        size_t n;
        uint64_t bytes;
        if (clo_remote_parts(&n, &bytes, h, rows[i].size, NULL) != rows[i].ok) fail_msg("%s", rows[i].header);
        json_decref(h);
    }
}

static void addresses(void **state)
{
    clo_remote r;
    (void)state;
    assert_true(clo_net_same_origin("https://hub.test/a", "https://HUB.test:443/b"));
    assert_false(clo_net_same_origin("https://hub.test", "http://hub.test"));
    assert_false(clo_net_same_origin("https://hub.test", "https://hub.test.evil.test"));
    assert_false(clo_net_same_origin("https://hub.test", "https://hub.test@evil.test"));
    assert_false(clo_net_same_origin("https://hub.test", "https://hub.test:444"));
    assert_false(clo_net_same_origin("", ""));
    assert_true(clo_net_range_from(CLO_STR("bytes 5-9/10"), 5));
    assert_false(clo_net_range_from(CLO_STR("bytes 55-9/10"), 5));
    static const char *const bad[] = {"", "hub.test", "ftp://x", "file:///etc/passwd", "https://a:b@x", "https://x?y", "https://x y"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(clo_remote_init(&r, &(clo_remote_opts){.endpoint = bad[i], .id = "a/b"}, NULL));
    assert_true(clo_remote_init(&r, &(clo_remote_opts){.endpoint = "https://x/", .id = "a/b"}, NULL));
    assert_string_equal(r.endpoint, "https://x");
    assert_false(clo_remote_init(&r, &(clo_remote_opts){.endpoint = "https://x", .id = "a/../b"}, NULL));
    assert_false(clo_remote_init(&r, &(clo_remote_opts){.endpoint = "https://x", .id = "a/b", .token = "a\r\nb"}, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(refs_are_read), cmocka_unit_test(protocol_2_is_needed),
                                       cmocka_unit_test(a_pack_comes_in_any_cut), cmocka_unit_test(reports_are_read),
                                       cmocka_unit_test(parts_make_up_the_file), cmocka_unit_test(addresses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
