/* Signed texts: what is believed, what is not, and the key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "serve/hub_sign.h"
#include "temp_folder.h"

#define NOW ((int64_t)1800000000)

static bool believed(const clo_sign_key *k, const char *purpose, const char *text, int64_t now_s)
{
    clo_str fields;
    bool ok = clo_signed(&fields, k, purpose, clo_str_from(text), now_s);
    assert_int_equal(ok, fields.ptr != NULL);
    return ok;
}

static void a_signed_text_comes_back(void **state)
{
    (void)state;
    clo_sign_key k = {{1, 2, 3}}, other = {{1, 2, 4}};
    char text[CLO_SIGNED_MAX];
    clo_str fields;
    assert_true(clo_sign(text, &k, "one", "w-7-abc", NOW + 60));
    assert_true(clo_signed(&fields, &k, "one", clo_str_from(text), NOW));
    assert_true(clo_str_eq(fields, CLO_STR("w-7-abc")));
    assert_true(believed(&k, "one", text, NOW + 59));
    assert_false(believed(&k, "one", text, NOW + 60));
    assert_false(believed(&k, "two", text, NOW));
    assert_false(believed(&k, "on", text, NOW));
    assert_false(believed(&other, "one", text, NOW));
}

/* Python: hmac.new(bytes(range(32)), b"lfs-put\0a-1.1800000000", "sha256").hexdigest() */
static void the_code_is_that_of_rfc_2104(void **state)
{
    (void)state;
    clo_sign_key k;
    char text[CLO_SIGNED_MAX];
    for (size_t i = 0; i < sizeof k.b; i++) k.b[i] = (uint8_t)i;
    assert_true(clo_sign(text, &k, "lfs-put", "a-1", NOW));
    assert_string_equal(text, "a-1.1800000000.62541b9bd25e8264b1d55e5d3f13091eeff3d4018c3168b42eb467dfa0dea652");
}

static void every_changed_byte_and_every_cut_is_refused(void **state)
{
    (void)state;
    clo_sign_key k = {{9}};
    char text[CLO_SIGNED_MAX], bad[CLO_SIGNED_MAX];
    clo_str fields;
    assert_true(clo_sign(text, &k, "p", "a-1", NOW + 1));
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++)
        for (int bit = 0; bit < 8; bit++) {
            memcpy(bad, text, n + 1);
            bad[i] = (char)(bad[i] ^ (1 << bit));
            assert_false(clo_signed(&fields, &k, "p", (clo_str){bad, n}, NOW));
        }
    for (size_t i = 0; i < n; i++) {
        assert_false(clo_signed(&fields, &k, "p", (clo_str){text, i}, NOW));
        assert_false(clo_signed(&fields, &k, "p", clo_str_from_off(clo_str_from(text), i + 1), NOW));
    }
    memset(bad, 'a', sizeof bad);
    assert_false(clo_signed(&fields, &k, "p", (clo_str){bad, sizeof bad}, NOW));
}

static void fields_have_a_limit(void **state)
{
    (void)state;
    clo_sign_key k = {{9}};
    char text[CLO_SIGNED_MAX], fields[CLO_SIGNED_FIELDS_MAX + 1];
    memset(fields, 'a', sizeof fields);
    fields[CLO_SIGNED_FIELDS_MAX] = '\0';
    assert_false(clo_sign(text, &k, "p", fields, NOW));
    fields[CLO_SIGNED_FIELDS_MAX - 1] = '\0';
    assert_true(clo_sign(text, &k, "p", fields, NOW + 1));
    assert_true(believed(&k, "p", text, NOW));
}

static void the_key_is_made_once(void **state)
{
    (void)state;
    char dir[64], path[4096];
    clo_sign_key a, b, none = {{0}};
    clo_err err = {0};
    struct stat st;
    temp_folder_make(dir);
    assert_true(clo_sign_key_open(&a, dir, &err));
    assert_true(clo_sign_key_open(&b, dir, &err));
    assert_memory_equal(a.b, b.b, sizeof a.b);
    assert_memory_not_equal(a.b, none.b, sizeof a.b);
    assert_true(clo_path_join(path, &err, "%s/hub.key", dir));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(truncate(path, 31), 0);
    assert_false(clo_sign_key_open(&a, dir, &err));
    assert_int_equal(err.code, CLO_ERR_DAMAGED);
    assert_int_equal(unlink(path), 0);
    assert_true(clo_sign_key_open(&a, dir, &err));
    assert_memory_not_equal(a.b, b.b, sizeof a.b);
    temp_folder_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signed_text_comes_back),
        cmocka_unit_test(the_code_is_that_of_rfc_2104),
        cmocka_unit_test(every_changed_byte_and_every_cut_is_refused),
        cmocka_unit_test(fields_have_a_limit),
        cmocka_unit_test(the_key_is_made_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
