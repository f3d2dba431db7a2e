/* YAML to values: what scalars mean, what aliases may and may not, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "hub/yaml.h"

static void texts_become_these_values(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *json;
    } rows[] = {
        {"license: mit\nlanguage:\n- en\n- no\n", "{\"license\":\"mit\",\"language\":[\"en\",\"no\"]}"},
        {"a: no\nb: on\nc: yes\nd: 2024-01-01\ne: 1_000\nf: 12:30\n",
         "{\"a\":\"no\",\"b\":\"on\",\"c\":\"yes\",\"d\":\"2024-01-01\",\"e\":\"1_000\",\"f\":\"12:30\"}"},
        {"[true, True, TRUE, tRue, false, null, ~, '', 'null', \"1\"]",
         "[true,true,true,\"tRue\",false,null,null,\"\",\"null\",\"1\"]"},
        {"[0, -1, +7, 0x1F, 0o17, 017, 9223372036854775807, 9223372036854775808, -9223372036854775808]",
         "[0,-1,7,31,15,17,9223372036854775807,9.2233720368547758e18,-9223372036854775808]"},
        {"[1.5, .5, 1., -1e3, 1e400, .inf, .nan, 1.2.3, ., 0x, 0o8, 1e, +]",
         "[1.5,0.5,1.0,-1000.0,\"1e400\",\".inf\",\".nan\",\"1.2.3\",\".\",\"0x\",\"0o8\",\"1e\",\"+\"]"},
        {"1: a\ntrue: b\n? null\n: c\n", "{\"1\":\"a\",\"true\":\"b\",\"null\":\"c\"}"},
        {"a: |\n  two\n  lines\nb: >\n  one\n  line\n", "{\"a\":\"two\\nlines\\n\",\"b\":\"one line\\n\"}"},
        {"a: !!str 1\nb: ! 2\nc: !!int '3'\nd: !!map {}\ne: !!seq []\n", "{\"a\":\"1\",\"b\":\"2\",\"c\":3,\"d\":{},\"e\":[]}"},
        {"a: &x [1, 2]\nb: *x\nc: *x\n", "{\"a\":[1,2],\"b\":[1,2],\"c\":[1,2]}"},
        {"a: &x 1\nb: &x 2\nc: *x\n", "{\"a\":1,\"b\":2,\"c\":2}"},
        {"base: &b {x: 1, y: 2}\nz:\n  <<: *b\n  y: 3\n", "{\"base\":{\"x\":1,\"y\":2},\"z\":{\"x\":1,\"y\":3}}"},
        {"<<: [{a: 1}, {a: 2, b: 3}]\n", "{\"a\":1,\"b\":3}"},
        {"'<<': 1\n", "{\"<<\":1}"},
        {"# nothing but this\n", "null"},
        {"", "null"},
        {"\xef\xbb\xbf" "a: \xc3\xa9\n", "{\"a\":\"\xc3\xa9\"}"},
        {"a: \"x\\0y\"\n", "{\"a\":\"x\\u0000y\"}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_t *got = NULL, *want = NULL;
        clo_err err = {0};
        bool ok = clo_yaml_parse(&got, clo_str_from(rows[i].yaml), &err);
        if (!ok) fail_msg("%s: %s", rows[i].yaml, err.text);
        assert_true(clo_json_parse(&want, clo_str_from(rows[i].json), 1000, &err));
        json_t *value = got ? json_incref(got) : json_null();
        if (!json_equal(value, want)) fail_msg("%s: %s", rows[i].yaml, json_dumps(value, JSON_ENCODE_ANY));
        json_decref(value);
        json_decref(got);
        json_decref(want);
    }
}

static void what_is_refused_says_where(void **state)
{
    (void)state;
    static const struct {
        const char *why, *yaml;
        clo_code want;
        uint64_t at;
    } rows[] = {
        {"a key twice", "a: 1\na: 2\n", CLO_ERR_FORMAT, 5},
        {"a key twice, of another type", "1: a\n'1': b\n", CLO_ERR_FORMAT, 5},
        {"a merge twice", "<<: {a: 1}\n<<: {b: 1}\n", CLO_ERR_FORMAT, 11},
        {"a merge of a scalar", "<<: 1\n", CLO_ERR_FORMAT, 6},
        {"a key that is a list", "? [a]\n: 1\n", CLO_ERR_FORMAT, 2},
        {"an anchor at a key", "&k a: 1\n", CLO_ERR_FORMAT, 0},
        {"an alias to nothing", "a: *x\n", CLO_ERR_FORMAT, 3},
        {"an alias within its anchor", "a: &x [*x]\n", CLO_ERR_FORMAT, 7},
        {"a tag of a language", "a: !!python/object:os.system x\n", CLO_ERR_FORMAT, 3},
        {"a tag of its own", "a: !x {}\n", CLO_ERR_FORMAT, 3},
        {"a set", "a: !!set {}\n", CLO_ERR_FORMAT, 3},
        {"two documents", "a: 1\n---\nb: 2\n", CLO_ERR_FORMAT, 5},
        {"an open bracket", "a: [1, 2\n", CLO_ERR_FORMAT, 9},
        {"a tab", "a:\n\t- 1\n", CLO_ERR_FORMAT, 3},
        {"bytes that are not UTF-8", "a: \xff\n", CLO_ERR_FORMAT, 3},
        {"a control character", "a: \x01\n", CLO_ERR_FORMAT, 3},
        {"a surrogate by its escape", "a: \"\\ud800\"\n", CLO_ERR_FORMAT, 6},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_t *got = NULL;
        clo_err err = {0};
        if (clo_yaml_parse(&got, clo_str_from(rows[i].yaml), &err)) fail_msg("%s: passes", rows[i].why);
        if (err.code != rows[i].want || err.at != rows[i].at) fail_msg("%s: at %d: %s", rows[i].why, (int)err.at, err.text);
        assert_null(got);
    }
}

static clo_code parse_code(const clo_buf *b)
{
    json_t *got = NULL;
    clo_err err = {0};
    bool ok = clo_yaml_parse(&got, clo_buf_str(b), &err);
    json_decref(got);
    return ok ? CLO_OK : err.code;
}

static void bombs_end_at_a_limit(void **state)
{
    (void)state;
    clo_buf laughs = {0}, fat = {0}, deep = {0}, flat = {0}, many = {0}, wide = {0}, merges = {0};
    clo_buf_addf(&laughs, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 30; i++)
        clo_buf_addf(&laughs, "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i, i - 1, i - 1, i - 1, i - 1,
                     i - 1, i - 1, i - 1, i - 1, i - 1);
    clo_buf_addf(&fat, "a: &a ");
    for (int i = 0; i < 100000; i++) clo_buf_add_char(&fat, 'x');
    for (int i = 0; i < 1000; i++) clo_buf_addf(&fat, "\nb%d: *a", i);
    for (int i = 0; i < 100000; i++) clo_buf_add_char(&deep, '[');
    for (int i = 0; i < 31; i++) clo_buf_add_char(&flat, '[');
    for (int i = 0; i < 31; i++) clo_buf_add_char(&flat, ']');
    for (int i = 0; i < 2000; i++) clo_buf_addf(&many, "- &a%d x\n", i);
    for (int i = 0; i < 250000; i++) clo_buf_addf(&wide, "- 1\n");
    clo_buf_addf(&merges, "a: &a {");
    for (int i = 0; i < 5000; i++) clo_buf_addf(&merges, "k%d: 1, ", i);
    clo_buf_addf(&merges, "}\n");
    for (int i = 0; i < 500; i++) clo_buf_addf(&merges, "b%d: {<<: *a}\n", i);
    assert_int_equal(parse_code(&laughs), CLO_ERR_LIMIT);
    assert_int_equal(parse_code(&fat), CLO_ERR_LIMIT);
    assert_int_equal(parse_code(&deep), CLO_ERR_LIMIT);
    assert_int_equal(parse_code(&flat), CLO_OK);
    assert_int_equal(parse_code(&many), CLO_ERR_LIMIT);
    assert_int_equal(parse_code(&wide), CLO_ERR_LIMIT);
    assert_int_equal(parse_code(&merges), CLO_ERR_LIMIT);
    for (size_t i = 0; i < CLO_YAML_BYTES_MAX; i++) clo_buf_add_char(&flat, ' ');
    assert_int_equal(parse_code(&flat), CLO_ERR_LIMIT);
    clo_buf_free(&laughs), clo_buf_free(&fat), clo_buf_free(&deep), clo_buf_free(&flat), clo_buf_free(&many), clo_buf_free(&wide);
    clo_buf_free(&merges);
}

static void a_good_text_cut_off_or_bent_anywhere_does_no_harm(void **state)
{
    (void)state;
    static const char good[] = "license: mit\nbase: &b {x: [1, 2.5, 'a'], y: \"\\u00e9\"}\nz:\n  <<: *b\n  t: |\n    text\n- bad";
    for (size_t n = 0; n < sizeof good; n++)
        for (int flip = 0; flip < 8; flip++) {
            char *copy = malloc(n ? n : 1);
            memcpy(copy, good, n);
            if (n) copy[n / 2] = (char)(copy[n / 2] ^ 1 << flip);
            json_t *got = NULL;
            if (clo_yaml_parse(&got, (clo_str){copy, n}, NULL)) json_decref(got);
            free(copy);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_become_these_values),
        cmocka_unit_test(what_is_refused_says_where),
        cmocka_unit_test(bombs_end_at_a_limit),
        cmocka_unit_test(a_good_text_cut_off_or_bent_anywhere_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
