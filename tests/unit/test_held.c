/* Names of models in repositories, and which GGUF file is meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "serve/held_name.h"

static void names_are_cut_into_their_parts(void **state)
{
    (void)state;
    static const struct {
        const char *text, *id, *file, *rev; /* id NULL: no name */
    } rows[] = {
        {"lab/tiny", "lab/tiny", "", ""},
        {"lab/tiny:latest", "lab/tiny", "", ""},
        {"lab/tiny:Q8_0", "lab/tiny", "Q8_0", ""},
        {"lab/tiny@v1.0", "lab/tiny", "", "v1.0"},
        {"lab/tiny@refs/pr/1:Q8_0", "lab/tiny", "Q8_0", "refs/pr/1"},
        {"lab/tiny:sub/a.gguf@dev/next", "lab/tiny", "sub/a.gguf", "dev/next"},
        {"tiny", NULL, NULL, NULL},
        {"a/b/c", NULL, NULL, NULL},
        {"lab/", NULL, NULL, NULL},
        {"lab/..", NULL, NULL, NULL},
        {"../tiny", NULL, NULL, NULL},
        {"lab/tiny:", NULL, NULL, NULL},
        {"lab/tiny@", NULL, NULL, NULL},
        {"lab/tiny@a@b", NULL, NULL, NULL},
        {"lab/tiny:a:b", NULL, NULL, NULL},
        {"lab/tiny@:a", NULL, NULL, NULL},
        {"@v1", NULL, NULL, NULL},
        {"", NULL, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        clo_held_name n;
        char spelled[CLO_HELD_NAME_MAX];
        bool ok = clo_held_parse(&n, clo_str_from(rows[i].text));
        if (ok != (rows[i].id != NULL)) fail_msg("'%s' %s a name", rows[i].text, ok ? "is" : "is not");
        if (!ok) continue;
        assert_string_equal(n.id, rows[i].id);
        assert_string_equal(n.file, rows[i].file);
        assert_string_equal(n.rev, rows[i].rev);
        clo_held_name again;
        assert_true(clo_held_spell(spelled, &n, n.id) && clo_held_parse(&again, clo_str_from(spelled)));
        assert_true(strcmp(n.id, again.id) == 0 && strcmp(n.file, again.file) == 0 && strcmp(n.rev, again.rev) == 0);
    }
}

static void names_that_are_too_long_are_none(void **state)
{
    (void)state;
    char text[2 * CLO_HELD_NAME_MAX];
    clo_held_name n;
    memset(text, 'a', sizeof text);
    memcpy(text, "lab/tiny:", 9);
    assert_true(clo_held_parse(&n, (clo_str){text, CLO_HELD_NAME_MAX - 1}));
    assert_false(clo_held_parse(&n, (clo_str){text, CLO_HELD_NAME_MAX}));
    text[8] = '@';
    assert_true(clo_held_parse(&n, (clo_str){text, 9 + CLO_REF_NAME_MAX - 1}));
    assert_false(clo_held_parse(&n, (clo_str){text, 9 + CLO_REF_NAME_MAX}));
    assert_false(clo_held_parse(&n, (clo_str){"lab/ti\0ny", 9}));
    assert_false(clo_held_parse(&n, (clo_str){"lab/tiny:\0", 10}));
}

static void what_is_a_model_of_its_own(void **state)
{
    (void)state;
    assert_true(clo_held_is_gguf("a.gguf", ""));
    assert_true(clo_held_is_gguf("sub/a-00001-of-00002.gguf", ""));
    assert_false(clo_held_is_gguf("sub/a-00002-of-00002.gguf", ""));
    assert_false(clo_held_is_gguf("sub/a-00002-of-00002.gguf", "sub/a-00002-of-00002.gguf"));
    assert_false(clo_held_is_gguf("mmproj-a.gguf", ""));
    assert_true(clo_held_is_gguf("mmproj-a.gguf", "mmproj-a.gguf"));
    assert_false(clo_held_is_gguf("a.imatrix.gguf", ""));
    assert_false(clo_held_is_gguf("a.gguf.txt", ""));
    assert_false(clo_held_is_gguf("sub/.gguf", ""));
}

static void the_file_that_is_meant(void **state)
{
    (void)state;
    static const char *const two[] = {"m-Q4_0.gguf", "m-Q8_0.gguf"};
    static const char *const usual[] = {"m-Q4_0.gguf", "m-Q4_K_M.gguf", "m.Q4_K_S.gguf"};
    static const char *const folders[] = {"BF16/m-BF16-00001-of-00002.gguf", "Q8_0/m.gguf", "m-UD-Q4_K_XL.gguf", "q/m-iq4_xs.gguf"};
    static const char *const twice[] = {"a-Q8_0.gguf", "b-Q8_0.gguf"};
    static const struct {
        const char *const *paths;
        size_t n;
        const char *want;
        clo_code code;
        const char *found, *told;
    } rows[] = {
        {two, 1, "", CLO_OK, "m-Q4_0.gguf", NULL},
        {two, 2, "", CLO_ERR_USAGE, NULL, "m-Q4_0.gguf, m-Q8_0.gguf"},
        {two, 2, "Q8_0", CLO_OK, "m-Q8_0.gguf", NULL},
        {two, 2, "q8_0", CLO_OK, "m-Q8_0.gguf", NULL},
        {two, 2, "m-Q8_0", CLO_OK, "m-Q8_0.gguf", NULL},
        {two, 2, "m-Q8_0.gguf", CLO_OK, "m-Q8_0.gguf", NULL},
        {two, 2, "8_0", CLO_ERR_NOT_FOUND, NULL, "m-Q4_0.gguf, m-Q8_0.gguf"},
        {two, 2, "0", CLO_ERR_USAGE, NULL, "fits several"},
        {two, 0, "Q8_0", CLO_ERR_NOT_FOUND, NULL, "no GGUF file"},
        {usual, 3, "", CLO_OK, "m-Q4_K_M.gguf", NULL},
        {usual, 3, "Q4_K_S", CLO_OK, "m.Q4_K_S.gguf", NULL},
        {usual, 3, "Q4_K", CLO_ERR_NOT_FOUND, NULL, "holds no 'Q4_K'"},
        {folders, 4, "BF16", CLO_OK, "BF16/m-BF16-00001-of-00002.gguf", NULL},
        {folders, 4, "Q8_0", CLO_OK, "Q8_0/m.gguf", NULL},
        {folders, 4, "Q4_K_XL", CLO_OK, "m-UD-Q4_K_XL.gguf", NULL},
        {folders, 4, "IQ4_XS", CLO_OK, "q/m-iq4_xs.gguf", NULL},
        {twice, 2, "Q8_0", CLO_ERR_USAGE, NULL, "fits several"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        clo_err err = {0};
        size_t at = SIZE_MAX;
        bool ok = clo_held_choose(&at, rows[i].paths, rows[i].n, "lab/tiny", rows[i].want, &err);
        if (err.code != rows[i].code || ok != (rows[i].code == CLO_OK)) fail_msg("row %zu, '%s': %s", i, rows[i].want, err.text);
        if (ok) assert_string_equal(rows[i].paths[at], rows[i].found);
        else if (!strstr(err.text, rows[i].told)) fail_msg("row %zu: '%s' is not in '%s'", i, rows[i].told, err.text);
    }
}

static void a_list_that_is_long_is_cut(void **state)
{
    (void)state;
    static const char *paths[100];
    char names[100][200];
    clo_err err = {0};
    size_t at;
    for (size_t i = 0; i < 100; i++) {
        memset(names[i], 'x', sizeof names[i]);
        memcpy(names[i] + 150, ".gguf", 6);
        paths[i] = names[i];
    }
    assert_false(clo_held_choose(&at, paths, 100, "lab/tiny", "", &err));
    assert_non_null(strstr(err.text, "..."));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_cut_into_their_parts), cmocka_unit_test(names_that_are_too_long_are_none),
        cmocka_unit_test(what_is_a_model_of_its_own),     cmocka_unit_test(the_file_that_is_meant),
        cmocka_unit_test(a_list_that_is_long_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
