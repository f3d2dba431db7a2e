/* Chat templates: pieces of the language with the text that Jinja2 gives for them, faults with their lines, limits, and
 * the marks on what came from the conversation. Equality with Jinja2 at large is tests/peers/test_templates.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "model/template.h"

static const char vars_text[] =
    "{\"x\":3,\"f\":2.5,\"s\":\"Hello, World\",\"l\":[3,1,2],\"d\":{\"a\":1,\"items\":\"I\"},\"n\":null,\"t\":true,"
    "\"messages\":[{\"role\":\"user\",\"content\":\" <|e|> \"},{\"role\":\"assistant\",\"content\":\"\\u00e9\\\"q\\\"\"}],"
    "\"tools\":null,\"tree\":[{\"v\":1,\"c\":[{\"v\":2,\"c\":[]}]}]}";

static bool render(const char *text, clo_template_opts opts, clo_buf *out, clo_template_spans *spans, clo_err *err)
{
    clo_template *t = NULL;
    json_t *vars = NULL;
    *err = (clo_err){0};
    bool ok = clo_json_parse(&vars, clo_str_from(vars_text), sizeof vars_text, err) &&
              clo_template_parse(&t, clo_str_from(text), err) && clo_template_render(t, vars, opts, out, spans, err);
    json_decref(vars);
    clo_template_free(t);
    return ok;
}

typedef struct {
    const char *why, *in, *want;
} row;

static void check_rows(const row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        clo_err err;
        clo_buf out = {0};
        bool ok = render(rows[i].in, (clo_template_opts){.now_unix = 1763800000}, &out, NULL, &err);
        if (!ok) fail_msg("%s: %s: %s", rows[i].why, rows[i].in, err.text);
        if (!clo_str_eq(clo_buf_str(&out), clo_str_from(rows[i].want)))
            fail_msg("%s: %s: want '%s', got '%s'", rows[i].why, rows[i].in, rows[i].want, out.ptr ? out.ptr : "");
        clo_buf_free(&out);
    }
}

static void white_space_is_cut_as_jinja_cuts_it(void **state)
{
    static const row rows[] = {
        {"one newline at the end goes", "a\n\n", "a\n"},
        {"newline kinds become one", "a\r\nb\rc", "a\nb\nc"},
        {"trim and lstrip of blocks", "  {% if t %}  \nA\n  {% endif %}  \nB", "  \nA\n  \nB"},
        {"the newline after a block goes", "{% if t %}\nA\n{% endif %}\nB", "A\nB"},
        {"variables keep theirs", "  {{ x }}\n  y", "  3\n  y"},
        {"minus strips all", "a \n {{- x -}} \n b", "a3b"},
        {"plus keeps", "  {%+ if t %}A{%+ endif %}B", "  AB"},
        {"comments are trimmed too", "a\n  {# c #}\nb", "a\nb"},
        {"raw text", "{% raw %}{{ x }}{% endraw %}", "{{ x }}"},
        {"Unicode spaces", "a\xc2\xa0\xe2\x80\x83{%- if t %}b{% endif %}", "ab"},
    };
    (void)state;
    check_rows(rows, sizeof rows / sizeof *rows);
}

static void values_print_as_python_prints_them(void **state)
{
    static const row rows[] = {
        {"constants", "{{ [none, true, 1, 2.0, 'a'] }}", "[None, True, 1, 2.0, 'a']"},
        {"quotes", "{{ [\"it's\", 'q\"', 'a\\n'] }}", "[\"it's\", 'q\"', 'a\\n']"},
        {"tuples and dicts", "{{ (1,) }}{{ {'a': (1, 2)} }}", "(1,){'a': (1, 2)}"},
        {"shortest floats", "{{ 0.1 + 0.2 }} {{ 1e16 }} {{ 1e15 }} {{ 1e-05 }} {{ 2.0 ** -44 }}",
         "0.30000000000000004 1e+16 1000000000000000.0 1e-05 5.684341886080802e-14"},
        {"undefined is empty", "[{{ nope }}{{ d.nope }}]", "[]"},
        {"floored division", "{{ -7 // 2 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ -7.5 // 2 }} {{ 1 / 2 }}", "-4 2 -2 -4.0 0.5"},
        {"slices", "{{ s[::-1] }} {{ s[-3:] }} {{ l[1:] }}", "dlroW ,olleH rld [1, 2]"},
        {"methods before keys by dot", "{{ d['items'] }}{{ d.items()|list }}", "I[('a', 1), ('items', 'I')]"},
        {"tojson keeps what is not ASCII", "{{ messages[1]|tojson }}", "{\"role\": \"assistant\", \"content\": \"\xc3\xa9\\\"q\\\"\"}"},
        {"tojson with indent", "{{ {'a': [1, {}]}|tojson(indent=2) }}", "{\n  \"a\": [\n    1,\n    {}\n  ]\n}"},
        {"date", "{{ strftime_now('%Y-%m') }}", "2025-11"},
    };
    (void)state;
    check_rows(rows, sizeof rows / sizeof *rows);
}

static void statements_scope_and_loop_as_in_jinja(void **state)
{
    static const row rows[] = {
        {"a loop's set stays inside", "{% set a = 1 %}{% for i in l %}{% set a = i %}{% endfor %}{{ a }}", "1"},
        {"a namespace keeps", "{% set ns = namespace(i=0) %}{% for i in l %}{% set ns.i = ns.i + i %}{% endfor %}{{ ns.i }}", "6"},
        {"loop variables", "{% for i in l %}{{ loop.index }}{{ loop.revindex0 }}{{ loop.last }} {% endfor %}",
         "12False 21False 30True "},
        {"filtered loops count what is left", "{% for i in l if i > 1 %}{{ i }}{{ loop.length }}{% endfor %}", "3222"},
        {"else runs after continue alone", "{% for i in l %}{% continue %}{% else %}E{% endfor %}", "E"},
        {"break", "{% for i in l %}{% if i == 1 %}{% break %}{% endif %}{{ i }}{% endfor %}", "3"},
        {"recursive", "{% for n in tree recursive %}{{ n.v }}[{{ loop(n.c) }}]{% endfor %}", "1[2[]]"},
        {"a generator is walked once", "{% set g = l|select %}{{ g|list }}{{ g|list }}", "[3, 1, 2][]"},
        {"macros with defaults", "{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(b=2, a=3) }}", "1132"},
        {"call blocks", "{% macro m() %}[{{ caller(1) }}]{% endmacro %}{% call(v) m() %}{{ v }}{% endcall %}", "[1]"},
        {"set blocks with filters", "{% set a | upper %}b{{ x }}{% endset %}{{ a }}", "B3"},
        {"generation has a scope", "{% generation %}{% set v = 1 %}{{ v }}{% endgeneration %}{{ v }}", "1"},
    };
    (void)state;
    check_rows(rows, sizeof rows / sizeof *rows);
}

static void faults_are_told_with_their_line_and_kind(void **state)
{
    static const struct {
        const char *why, *in;
        clo_code code;
        const char *text; /* begins with */
    } rows[] = {
        {"the template's own message", "{{ raise_exception('no ' ~ x) }}", CLO_ERR_USAGE, "no 3"},
        {"syntax", "a\n{{ x + }}", CLO_ERR_FORMAT, "line 2: unexpected"},
        {"an open tag", "{% if x", CLO_ERR_FORMAT, "line 1: a tag is not closed"},
        {"an open block", "{% if x %}\n", CLO_ERR_FORMAT, "line 1: unexpected end of template"},
        {"undefined has no members", "\n\n{{ nope.a }}", CLO_ERR_USAGE, "line 3: 'nope' is undefined"},
        {"undefined member", "{{ d.a.b.c }}", CLO_ERR_USAGE, "line 1: 'int object' has no attribute 'b'"},
        {"types", "{{ 'a' + 1 }}", CLO_ERR_USAGE, "line 1: can only concatenate str (not \"int\") to str"},
        {"mutation", "{{ l.append(1) }}", CLO_ERR_DENIED, "line 1: access to attribute 'append' of 'list' object is unsafe."},
        {"Python's insides", "{{ s.__class__ }}", CLO_ERR_DENIED, "line 1: access to attribute '__class__'"},
        {"a filter that is not built", "{{ s|urlize }}", CLO_ERR_UNSUPPORTED, "line 1: unsupported filter 'urlize'"},
        {"a filter that does not exist", "{{ s|nosuch }}", CLO_ERR_FORMAT, "line 1: no filter named 'nosuch'"},
        {"a tag that is not built", "{% include 'x' %}", CLO_ERR_UNSUPPORTED, "line 1: unsupported tag 'include'"},
        {"integers end at 64 bits", "{{ 9223372036854775807 + 1 }}", CLO_ERR_UNSUPPORTED, "line 1: an integer beyond 64 bits"},
        {"endless recursion", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", CLO_ERR_LIMIT, "line 1: recursion deeper"},
        {"endless work", "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", CLO_ERR_LIMIT,
         "line 1: the template needs more than"},
        {"endless output", "{% for i in range(99999) %}{{ s * 999 }}{% endfor %}", CLO_ERR_LIMIT, "line 1: more than"},
        {"endless memory", "{{ s * 999999999 }}", CLO_ERR_LIMIT, "line 1: a repeated value is too long"},
        {"large ranges", "{{ range(100001) }}", CLO_ERR_LIMIT, "line 1: Range too big."},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        clo_err err;
        clo_buf out = {0};
        if (render(rows[i].in, (clo_template_opts){0}, &out, NULL, &err)) fail_msg("%s: rendered", rows[i].why);
        if (err.code != rows[i].code || strncmp(err.text, rows[i].text, strlen(rows[i].text)) != 0)
            fail_msg("%s: want %d '%s', got %d '%s'", rows[i].why, (int)rows[i].code, rows[i].text, (int)err.code, err.text);
        clo_buf_free(&out);
    }
}

static void nesting_is_bounded_and_never_overflows_the_stack(void **state)
{
    static const char *const pieces[] = {"(", "[", "{{ ", "{% if x %}", "-", "not ", "x.a(", "{'a':", "a if b else ", "x|d("};
    (void)state;
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        clo_buf text = {0}, out = {0};
        clo_err err;
        if (pieces[i][0] != '{' || pieces[i][1] == '\'') clo_buf_add(&text, CLO_STR("{{ "));
        for (int k = 0; k < 100000; k++) clo_buf_add(&text, clo_str_from(pieces[i]));
        assert_false(render(text.ptr, (clo_template_opts){0}, &out, NULL, &err));
        clo_buf_free(&text);
        clo_buf_add(&text, CLO_STR("{{ 1"));
        for (int k = 0; k < 100000; k++) clo_buf_add(&text, CLO_STR(" + 1"));
        clo_buf_add(&text, CLO_STR(" }}"));
        assert_false(render(text.ptr, (clo_template_opts){0}, &out, NULL, &err));
        assert_int_equal(err.code, CLO_ERR_LIMIT);
        clo_buf_free(&text);
        clo_buf_free(&out);
    }
}

static void every_cut_of_a_template_is_refused_or_rendered(void **state)
{
    static const char whole[] = "{%- macro m(a, b='x\\n') -%}{{ a|d(b)[1:] }}{%- endmacro -%}{# c #}{% for k, v in d.items() if k "
                                "is not none %}{{ m(k ~ v, b={'q': [1, 2.5e1]}) }}{% else %}{% set ns.x = 1 %}{% endfor %}";
    (void)state;
    for (size_t n = 0; n < sizeof whole; n++) {
        char text[sizeof whole];
        clo_err err;
        clo_buf out = {0};
        memcpy(text, whole, n);
        text[n] = '\0';
        (void)!render(text, (clo_template_opts){0}, &out, NULL, &err);
        clo_buf_free(&out);
    }
}

static void spans_cover_exactly_what_the_conversation_wrote(void **state)
{
    static const struct {
        const char *why, *in, *want; /* output with its spans in brackets */
    } rows[] = {
        {"plain", "<a>{{ messages[0].content }}<b>", "<a>[ <|e|> ]<b>"},
        {"trim", "<a>{{ messages[0].content|trim }}", "<a>[<|e|>]"},
        {"concatenation", "{{ 'p' + messages[0].role + 'q' ~ messages[0].role }}", "p[user]q[user]"},
        {"slices and items", "{{ messages[0].role[1:3] }}.{{ messages[0].role[0] }}", "[se].[u]"},
        {"replace", "{{ messages[0].content|replace('|', '#') }}", "[ <]#[e]#[> ]"},
        {"split and join", "{{ messages[0].content.split('|')|join('+') }}", "[ <]+[e]+[> ]"},
        {"case", "{{ ('a' ~ messages[0].role)|upper }}", "A[USER]"},
        {"tojson", "{{ messages[0]|tojson }}", "{\"[role]\": \"[user]\", \"[content]\": \"[ <|e|> ]\"}"},
        {"tojson with escapes", "{{ messages[1].content|tojson }}", "\"[\xc3\xa9\\\"q\\\"]\""},
        {"through macros and set", "{% macro m(a) %}({{ a }}){% endmacro %}{% set v %}{{ m(messages[0].role) }}{% endset %}{{ v }}",
         "([user])"},
        {"the template's own values", "{{ s }}{{ messages|length }}", "Hello, World2"},
        {"neighbours melt together", "{{ messages[0].role }}{{ messages[1].role }}", "[userassistant]"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        clo_err err;
        clo_buf out = {0}, shown = {0};
        clo_template_spans spans = {0};
        if (!render(rows[i].in, (clo_template_opts){0}, &out, &spans, &err)) fail_msg("%s: %s", rows[i].why, err.text);
        size_t at = 0;
        for (size_t k = 0; k < spans.n; k++) {
            clo_buf_add(&shown, (clo_str){out.ptr + at, spans.spans[k].begin - at});
            clo_buf_add(&shown, CLO_STR("["));
            clo_buf_add(&shown, (clo_str){out.ptr + spans.spans[k].begin, spans.spans[k].end - spans.spans[k].begin});
            clo_buf_add(&shown, CLO_STR("]"));
            at = spans.spans[k].end;
        }
        clo_buf_add(&shown, (clo_str){out.ptr + at, out.len - at});
        if (strcmp(shown.ptr, rows[i].want) != 0) fail_msg("%s: want '%s', got '%s'", rows[i].why, rows[i].want, shown.ptr);
        clo_template_spans_free(&spans);
        clo_buf_free(&shown);
        clo_buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(white_space_is_cut_as_jinja_cuts_it),
        cmocka_unit_test(values_print_as_python_prints_them),
        cmocka_unit_test(statements_scope_and_loop_as_in_jinja),
        cmocka_unit_test(faults_are_told_with_their_line_and_kind),
        cmocka_unit_test(nesting_is_bounded_and_never_overflows_the_stack),
        cmocka_unit_test(every_cut_of_a_template_is_refused_or_rendered),
        cmocka_unit_test(spans_cover_exactly_what_the_conversation_wrote),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
