/* Grammars: what they accept, what they refuse, and that masks are what a plain recogniser says of every token. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "infer/automaton.h"
#include "infer/grammar_impl.h"
#include "infer/matcher.h"
#include "unit/byte_tok.h"

static clo_grammar *compile(const char *schema)
{
    clo_grammar *g = NULL;
    clo_err err = {0};
    json_t *s = NULL;
    if (!clo_json_parse(&s, clo_str_from(schema), 1u << 20, &err)) fail_msg("%s: %s", schema, err.text);
    if (!clo_grammar_compile(&g, s, (clo_grammar_opts){.strict = true}, NULL, &err)) fail_msg("%s: %s", schema, err.text);
    json_decref(s);
    return g;
}

/* --- a plain recogniser: goes back where it went wrong, remembers nothing ------------------------------------------*/

typedef struct frame {
    uint32_t state, count;
    const struct frame *below;
} frame;

typedef struct {
    const clo_grammar *g;
    const uint16_t *need;
    clo_str text;
    bool whole; /* the text must end where it ends; else it must be a beginning */
} plain;

static bool runs(const plain *p, frame top, size_t at, unsigned n_idle)
{
    const gr_state *s = &p->g->states[top.state];
    if (n_idle > 200) return false;
    if (at == p->text.len && !p->whole) {
        for (const frame *f = &top; f; f = f->below)
            if (p->need[f->state] == GR_NEED_NEVER) return false;
        return true;
    }
    if (s->final && !top.below) {
        if (at == p->text.len) return true;
    } else if (s->final && runs(p, *top.below, at, n_idle + 1)) {
        return true;
    }
    for (uint32_t i = 0; i < s->n; i++) {
        const gr_edge *e = &p->g->edges[s->first + i];
        frame next = {e->to, 0, top.below}, loop = {top.state, top.count + 1, top.below};
        switch (e->kind) {
        case GR_BYTES:
            if (at < p->text.len && (uint8_t)p->text.ptr[at] >= e->lo && (uint8_t)p->text.ptr[at] <= e->hi &&
                runs(p, next, at + 1, 0))
                return true;
            break;
        case GR_EPS:
            if (runs(p, next, at, n_idle + 1)) return true;
            break;
        case GR_CALL:
            if (runs(p, (frame){p->g->machines[e->machine].start, 0, &next}, at, n_idle + 1)) return true;
            break;
        case GR_REPEAT:
            if (top.count >= e->min && runs(p, next, at, n_idle + 1)) return true;
            if (top.count < e->max && runs(p, (frame){p->g->machines[e->machine].start, 0, &loop}, at, n_idle + 1))
                return true;
            break;
        }
    }
    return false;
}

static bool plain_says(const clo_grammar *g, clo_str text, bool whole)
{
    uint8_t all[32];
    memset(all, 0xff, sizeof all);
    uint16_t *need = calloc(g->n_states, sizeof *need);
    if (!gr_needs(need, g, all, 0, NULL)) fail();
    const plain p = {g, need, text, whole};
    bool ok = runs(&p, (frame){g->machines[0].start, 0, NULL}, 0, 0);
    free(need);
    return ok;
}

static bool automaton_says(const clo_grammar *g, clo_str text)
{
    clo_automaton a;
    clo_err err = {0};
    uint8_t all[32];
    memset(all, 0xff, sizeof all);
    if (!clo_automaton_open(&a, g, all, 0, &err)) fail_msg("%s", err.text);
    int32_t at = clo_automaton_start(&a);
    for (size_t i = 0; i < text.len && at >= 0; i++)
        at = clo_automaton_step(&a, at, (uint8_t)text.ptr[i]);
    bool ok = at >= 0 && a.places[at].complete;
    clo_automaton_close(&a);
    return ok;
}

/* --- texts --------------------------------------------------------------------------------------------------------*/

#define MORE "\x01" /* between texts of a row */

static const struct {
    const char *why, *schema, *yes, *no;
} texts[] = {
    {"words", "{\"type\":[\"boolean\",\"null\"]}", "true" MORE "false" MORE "null", "True" MORE "nul" MORE "0" MORE ""},
    {"integers have no leading zeros", "{\"type\":\"integer\"}", "0" MORE "7" MORE "-1" MORE "120" MORE "999999999999999",
     "-0" MORE "01" MORE "+1" MORE "1.0" MORE "1000000000000000" MORE "-"},
    {"integers between bounds", "{\"type\":\"integer\",\"minimum\":-12,\"maximum\":105}",
     "-12" MORE "-9" MORE "-1" MORE "0" MORE "99" MORE "100" MORE "105",
     "-13" MORE "106" MORE "110" MORE "1000" MORE "-20" MORE "-100"},
    {"bounds that are left out, or lie between integers",
     "{\"type\":\"integer\",\"exclusiveMinimum\":3,\"maximum\":7.5}", "4" MORE "7", "3" MORE "8"},
    {"the ends of 64 bits", "{\"type\":\"integer\",\"minimum\":9223372036854775800}",
     "9223372036854775800" MORE "9223372036854775807", "9223372036854775799" MORE "9223372036854775808" MORE "92233720368547758000"},
    {"numbers", "{\"type\":\"number\"}", "0" MORE "-0" MORE "1.5" MORE "-12.250" MORE "1e5" MORE "2.5E-7" MORE "3e+99",
     "." MORE "1." MORE ".5" MORE "01" MORE "1e" MORE "1e100" MORE "--1"},
    {"numbers between bounds", "{\"type\":\"number\",\"minimum\":0,\"exclusiveMaximum\":2}",
     "0" MORE "0.0" MORE "1" MORE "1.99" MORE "0.5", "2" MORE "2.0" MORE "-0.5" MORE "1e0" MORE "-1"},
    {"numbers below zero", "{\"type\":\"number\",\"exclusiveMinimum\":-2,\"maximum\":-1}", "-1" MORE "-1.0" MORE "-1.5",
     "-2" MORE "-2.0" MORE "-0.5" MORE "0" MORE "-3"},
    {"strings", "{\"type\":\"string\"}",
     "\"\"" MORE "\"a b\"" MORE "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"" MORE "\"\\n\\/\\\\\\\"\"" MORE
     "\"\\u00e9\\uD83D\\ude00\"" MORE "\"\x7f\"",
     "\"" MORE "\"a" MORE "\"\n\"" MORE "\"\\x\"" MORE "\"\\ud83d\"" MORE "\"\\ude00\"" MORE "\"\\u0000\"" MORE "\"\xff\"" MORE
     "\"\xc3\"" MORE "\"\xed\xa0\x80\"" MORE "\"\xc0\xaf\"" MORE "\"\xf4\x90\x80\x80\"" MORE "\"\t\""},
    {"lengths count code points", "{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}",
     "\"ab\"" MORE "\"\xf0\x9f\x98\x80\xc3\xa9z\"" MORE "\"\\u00e9\\n\"" MORE "\"\\ud83d\\ude00x\"",
     "\"a\"" MORE "\"\"" MORE "\"abcd\"" MORE "\"\\ud83d\\ude00\""},
    {"an object's properties in order, some left out",
     "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"null\"},\"b\":{\"type\":\"null\"},\"c\":{\"type\":\"null\"}},"
     "\"required\":[\"b\"],\"additionalProperties\":false}",
     "{\"b\": null}" MORE "{\"a\": null, \"b\": null}" MORE "{\"b\": null, \"c\": null}" MORE
     "{\"a\": null, \"b\": null, \"c\": null}",
     "{}" MORE "{\"a\": null}" MORE "{\"b\":null}" MORE "{\"c\": null, \"b\": null}" MORE "{ \"b\": null}" MORE
     "{\"b\": null,}" MORE "{\"b\": null, }" MORE "{\"b\": null, \"b\": null}" MORE "{\"b\": null, \"d\": 1}"},
    {"nothing required", "{\"properties\":{\"a\":{\"type\":\"null\"},\"b\":{\"type\":\"null\"}}}",
     "{}" MORE "{\"a\": null}" MORE "{\"b\": null}" MORE "{\"a\": null, \"b\": null}", "{\"b\": null, \"a\": null}" MORE "[]"},
    {"other properties are not named ones",
     "{\"type\":\"object\",\"properties\":{\"ab\":{\"type\":\"null\"},\"a\xc3\xa9\":{\"type\":\"null\"}},"
     "\"additionalProperties\":{\"type\":\"integer\"}}",
     "{}" MORE "{\"ab\": null}" MORE "{\"a\": 1}" MORE "{\"abc\": 1}" MORE "{\"ab\": null, \"\": 1, \"x\": 2}" MORE
     "{\"a\xc3\xaa\": 5}",
     "{\"ab\": 1}" MORE "{\"x\": 1, \"ab\": null}" MORE "{\"a\xc3\xa9\": 1}" MORE "{\"\\u0061b\": 1}" MORE "{\"x\": null}"},
    {"a required property that is not named", "{\"required\":[\"k\"],\"additionalProperties\":{\"type\":\"null\"}}",
     "{\"k\": null}" MORE "{\"k\": null, \"j\": null}", "{}" MORE "{\"j\": null}" MORE "{\"k\": 1}"},
    {"keys are escaped", "{\"properties\":{\"a\\\"\\n\":{\"type\":\"null\"}},\"required\":[\"a\\\"\\n\"]}",
     "{\"a\\\"\\n\": null}", "{\"a\"\n\": null}"},
    {"arrays", "{\"type\":\"array\",\"items\":{\"type\":\"null\"},\"minItems\":1,\"maxItems\":3}",
     "[null]" MORE "[null, null]" MORE "[null, null, null]",
     "[]" MORE "[null,null]" MORE "[null, null, null, null]" MORE "[null, ]" MORE "[ null]"},
    {"first items of their own kind",
     "{\"type\":\"array\",\"prefixItems\":[{\"type\":\"null\"},{\"type\":\"boolean\"}],\"items\":{\"const\":1},\"minItems\":1}",
     "[null]" MORE "[null, true]" MORE "[null, false, 1]" MORE "[null, false, 1, 1]", "[]" MORE "[null, 1]" MORE "[true]"},
    {"first items alone", "{\"prefixItems\":[{\"type\":\"null\"}],\"minItems\":1}", "[null]", "[null, 1]" MORE "[]"},
    {"no items at all", "{\"type\":\"array\",\"maxItems\":0}", "[]", "[1]" MORE "[ ]"},
    {"values", "{\"enum\":[\"a\",\"ab\",1,12,1.5,null,{\"k\":[1,\"x\"]},\"\xc3\xa9\"]}",
     "\"a\"" MORE "\"ab\"" MORE "1" MORE "12" MORE "1.5" MORE "null" MORE "{\"k\": [1, \"x\"]}" MORE "\"\xc3\xa9\"",
     "\"abc\"" MORE "\"\"" MORE "2" MORE "1.50" MORE "{\"k\":[1,\"x\"]}"},
    {"values of a type", "{\"type\":\"integer\",\"enum\":[\"1\",1,2.5]}", "1", "\"1\"" MORE "2.5"},
    {"one value", "{\"const\":0.1}", "0.1", "0.10" MORE "0.10000000000000001"},
    {"choices", "{\"anyOf\":[{\"type\":\"integer\",\"maximum\":9,\"minimum\":0},{\"const\":\"x\"}]}", "3" MORE "\"x\"", "10" MORE "\"y\""},
    {"choices of texts",
     "{\"anyOf\":[{\"type\":\"string\",\"maxLength\":2},{\"type\":\"string\",\"minLength\":4,\"maxLength\":5},{\"pattern\":\"^x*$\"}]}",
     "\"\"" MORE "\"ab\"" MORE "\"abcd\"" MORE "\"abcde\"" MORE "\"xxx\"" MORE "\"xxxxxx\"", "\"abc\"" MORE "\"abcdef\""},
    {"choices with the same beginning",
     "{\"oneOf\":[{\"type\":\"object\",\"properties\":{\"k\":{\"const\":1},\"x\":{\"const\":2}},\"required\":[\"k\",\"x\"]},"
     "{\"type\":\"object\",\"properties\":{\"k\":{\"const\":1},\"y\":{\"const\":3}},\"required\":[\"k\",\"y\"]}]}",
     "{\"k\": 1, \"x\": 2}" MORE "{\"k\": 1, \"y\": 3}", "{\"k\": 1}" MORE "{\"k\": 1, \"x\": 3}"},
    {"what stands beside a choice holds too",
     "{\"type\":\"object\",\"properties\":{\"a\":{\"const\":1},\"b\":{\"const\":2}},\"anyOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}]}",
     "{\"a\": 1}" MORE "{\"b\": 2}" MORE "{\"a\": 1, \"b\": 2}", "{}"},
    {"all of several objects",
     "{\"allOf\":[{\"properties\":{\"a\":{\"type\":\"integer\",\"minimum\":3}},\"required\":[\"a\"]},"
     "{\"properties\":{\"a\":{\"maximum\":4,\"type\":\"number\"},\"b\":{\"type\":\"null\"}},\"required\":[\"b\"]}]}",
     "{\"a\": 3, \"b\": null}" MORE "{\"a\": 4, \"b\": null}", "{\"a\": 3}" MORE "{\"a\": 5, \"b\": null}" MORE "{\"a\": 3.5, \"b\": null}"},
    {"all of them, one closed", "{\"allOf\":[{\"properties\":{\"a\":true},\"additionalProperties\":false},{\"properties\":{\"b\":true}}]}",
     "{}" MORE "{\"a\": 1}", "{\"b\": 1}"},
    {"references, and what stands beside them",
     "{\"$defs\":{\"n\":{\"type\":\"integer\",\"minimum\":0},\"a/b~c\":{\"const\":\"t\"}},\"anyOf\":[{\"$ref\":\"#/$defs/n\",\"maximum\":5},"
     "{\"$ref\":\"#/$defs/a~1b~0c\"}]}",
     "0" MORE "5" MORE "\"t\"", "6" MORE "-1"},
    {"a tree", "{\"$ref\":\"#/$defs/t\",\"$defs\":{\"t\":{\"type\":\"object\",\"properties\":{\"v\":{\"type\":\"null\"},"
               "\"l\":{\"$ref\":\"#/$defs/t\"},\"r\":{\"$ref\":\"#/$defs/t\"}}}}}",
     "{}" MORE "{\"l\": {\"v\": null, \"r\": {}}, \"r\": {\"l\": {}}}", "{\"l\": null}" MORE "{\"l\": {}" MORE "{\"l\": {}}}"},
    {"a list that is itself", "{\"type\":\"array\",\"items\":{\"$ref\":\"#\"}}", "[]" MORE "[[], [[]]]", "[1]" MORE "[[]" MORE "[]]"},
    {"anything", "true", "{}" MORE "{\"a\": [1, {\"b\": \"c\"}]}" MORE "null" MORE "[]" MORE "\"x\"" MORE "-1.5e3",
     "{\"a\":1}" MORE "[1,2]" MORE "{a: 1}" MORE "nul"},
    {"dates", "{\"type\":\"string\",\"format\":\"date\"}",
     "\"2026-11-27\"" MORE "\"2024-02-29\"" MORE "\"2000-02-29\"" MORE "\"0001-01-31\"",
     "\"2026-02-29\"" MORE "\"1900-02-29\"" MORE "\"2026-13-01\"" MORE "\"2026-04-31\"" MORE "\"0000-01-01\"" MORE "\"2026-1-1\"" MORE
     "\"2026-00-10\"" MORE "\"2026-01-00\""},
    {"times", "{\"type\":\"string\",\"format\":\"time\"}", "\"23:59:59Z\"" MORE "\"00:00:00.123+14:30\"",
     "\"24:00:00Z\"" MORE "\"12:00\"" MORE "\"12:00:00\"" MORE "\"12:60:00Z\""},
    {"moments", "{\"type\":\"string\",\"format\":\"date-time\"}", "\"2026-11-27T12:29:36Z\"" MORE "\"2026-11-27T12:29:36.5-05:00\"",
     "\"2026-11-27 12:29:36Z\"" MORE "\"2026-11-27\""},
    {"uuids", "{\"type\":\"string\",\"format\":\"uuid\"}", "\"123e4567-e89b-12d3-A456-426614174000\"",
     "\"123e4567e89b12d3a456426614174000\"" MORE "\"g23e4567-e89b-12d3-a456-426614174000\""},
    {"an anchored pattern", "{\"type\":\"string\",\"pattern\":\"^[A-Z]{2,3}-\\\\d+$\"}", "\"AB-1\"" MORE "\"ABC-007\"",
     "\"A-1\"" MORE "\"ABCD-1\"" MORE "\"AB-\"" MORE "\"xAB-1\"" MORE "\"AB-1x\""},
    {"a pattern that is found within", "{\"pattern\":\"b+c\"}", "\"bc\"" MORE "\"xbbcy\"" MORE "\"\xc3\xa9" "bc\\n\"",
     "\"b\"" MORE "\"xc\""},
    {"alternatives, groups, classes", "{\"pattern\":\"^(?:foo|ba[rz]|[^a-z\\\\d]){1,2}?$\"}",
     "\"foo\"" MORE "\"barbaz\"" MORE "\"A\"" MORE "\"\\\\A\"" MORE "\"\\\"\"", "\"\"" MORE "\"fo\"" MORE "\"x\"" MORE "\"foofoofoo\"" MORE "\"5\""},
    {"an anchor for each alternative", "{\"pattern\":\"^a|b$\"}", "\"a\"" MORE "\"ax\"" MORE "\"b\"" MORE "\"xb\"", "\"x\"" MORE "\"bx\""},
    {"a dot is no line end", "{\"pattern\":\"^.$\"}", "\"a\"" MORE "\"\xf0\x9f\x98\x80\"" MORE "\"\\t\"", "\"\\n\"" MORE "\"ab\"" MORE "\"\""},
    {"escapes in patterns", "{\"pattern\":\"^\\\\x41\\\\u00e9\\\\.\\\\/[\\\\]\\\\-]\\\\s{2}$\"}", "\"A\xc3\xa9./] \\t\"" MORE "\"A\xc3\xa9./-  \"",
     "\"A\xc3\xa9x/] \\t\"" MORE "\"A\xc3\xa9./]\xc2\xa0 \""},
    {"a pattern and a length", "{\"pattern\":\"^a*b*$\",\"minLength\":2,\"maxLength\":3}", "\"ab\"" MORE "\"aaa\"" MORE "\"bb\"",
     "\"a\"" MORE "\"aaaa\"" MORE "\"ba\"" MORE "\"\""},
    {"a pattern and a least length", "{\"pattern\":\"^(ab)*$\",\"minLength\":3}", "\"abab\"" MORE "\"ababab\"", "\"ab\"" MORE "\"\"" MORE "\"aba\""},
};

/* Calls fn for every text between MOREs. */
static void each_text(const char *list, void (*fn)(const char *why, const clo_grammar *g, clo_str text, bool yes),
                      const char *why, const clo_grammar *g, bool yes)
{
    clo_str all = clo_str_from(list);
    for (size_t at = 0; at <= all.len;) {
        size_t end = clo_str_find(all, at, MORE[0]);
        fn(why, g, (clo_str){all.ptr + at, end - at}, yes);
        at = end + 1;
    }
}

static void check_text(const char *why, const clo_grammar *g, clo_str text, bool yes)
{
    if (automaton_says(g, text) != yes) fail_msg("%s: '%.*s' is %s", why, (int)text.len, text.ptr, yes ? "refused" : "accepted");
    if (plain_says(g, text, true) != yes) fail_msg("%s: '%.*s' by the plain recogniser", why, (int)text.len, text.ptr);
}

static void grammars_accept_what_fits(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        clo_grammar *g = compile(texts[i].schema);
        each_text(texts[i].yes, check_text, texts[i].why, g, true);
        each_text(texts[i].no, check_text, texts[i].why, g, false);
        clo_grammar_close(g);
    }
}

static void any_object_is_accepted(void **state)
{
    (void)state;
    clo_grammar *g = NULL;
    clo_err err = {0};
    if (!clo_grammar_json_object(&g, &err)) fail_msg("%s", err.text);
    each_text("{}" MORE "{\"a\": {\"b\": [1, \"\\\"\"]}, \"c\": null}", check_text, "an object", g, true);
    each_text("[]" MORE "1" MORE "" MORE "{\"a\": 1,}" MORE "{\n}", check_text, "no object", g, false);
    clo_grammar_close(g);
}

/* --- faults -------------------------------------------------------------------------------------------------------*/

static void faults_name_their_path(void **state)
{
    (void)state;
    static const struct {
        const char *why, *schema;
        clo_code code;
        const char *path;
    } rows[] = {
        {"an unknown keyword", "{\"properties\":{\"x\":{\"type\":\"integer\",\"multipleOf\":3}}}", CLO_ERR_UNSUPPORTED, "properties.x.multipleOf"},
        {"one within a choice", "{\"anyOf\":[true,{\"not\":{}}]}", CLO_ERR_UNSUPPORTED, "anyOf.1.not"},
        {"one behind a reference", "{\"$defs\":{\"d\":{\"contains\":1}},\"items\":{\"$ref\":\"#/$defs/d\"}}", CLO_ERR_UNSUPPORTED, "$defs.d.contains"},
        {"one within allOf", "{\"allOf\":[{},{\"if\":{}}]}", CLO_ERR_UNSUPPORTED, "allOf.1.if"},
        {"an unknown format", "{\"type\":\"string\",\"format\":\"email\"}", CLO_ERR_UNSUPPORTED, "format"},
        {"a look-ahead", "{\"properties\":{\"p\":{\"pattern\":\"^(?=a)\"}}}", CLO_ERR_UNSUPPORTED, "properties.p.pattern"},
        {"a pattern that is none", "{\"pattern\":\"(\"}", CLO_ERR_FORMAT, "pattern"},
        {"nothing to repeat", "{\"pattern\":\"*a\"}", CLO_ERR_FORMAT, "pattern"},
        {"a bound that is no integer", "{\"type\":\"number\",\"minimum\":0.5}", CLO_ERR_UNSUPPORTED, "minimum"},
        {"a keyword beside an enum", "{\"enum\":[\"a\"],\"minLength\":3}", CLO_ERR_UNSUPPORTED, "minLength"},
        {"no schema", "{\"items\":{\"anyOf\":[1]}}", CLO_ERR_FORMAT, "items.anyOf"},
        {"no type", "{\"type\":\"text\"}", CLO_ERR_FORMAT, "type"},
        {"a count below zero", "{\"minLength\":-1}", CLO_ERR_FORMAT, "minLength"},
        {"a reference to elsewhere", "{\"$ref\":\"http://x/y\"}", CLO_ERR_UNSUPPORTED, "$ref"},
        {"a reference to nothing", "{\"properties\":{\"x\":{\"$ref\":\"#/$defs/no\"}}}", CLO_ERR_FORMAT, "properties.x.$ref"},
        {"required and forbidden", "{\"required\":[\"a\"],\"additionalProperties\":false}", CLO_ERR_FORMAT, ""},
        {"nothing but itself", "{\"$ref\":\"#\"}", CLO_ERR_FORMAT, ""},
        {"a choice that is itself", "{\"anyOf\":[{\"type\":\"null\"},{\"$ref\":\"#\"}]}", CLO_ERR_FORMAT, ""},
        {"no end", "{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#\"}},\"required\":[\"a\"]}", CLO_ERR_FORMAT, ""},
        {"nothing fits", "{\"type\":\"integer\",\"minimum\":5,\"maximum\":4}", CLO_ERR_FORMAT, ""},
        {"false", "false", CLO_ERR_FORMAT, ""},
        {"too much", "{\"type\":\"string\",\"pattern\":\"^(a|b|c)*$\",\"maxLength\":1000000}", CLO_ERR_LIMIT, ""},
        {"merging without end", "{\"allOf\":[{\"$ref\":\"#\"}],\"type\":\"object\"}", CLO_ERR_LIMIT, "$ref"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        clo_grammar *g = NULL;
        clo_err err = {0};
        clo_grammar_notes notes = {0};
        json_t *s = json_loads(rows[i].schema, JSON_DECODE_ANY, NULL);
        if (clo_grammar_compile(&g, s, (clo_grammar_opts){.strict = true}, &notes, &err)) fail_msg("%s: accepted", rows[i].why);
        if (err.code != rows[i].code) fail_msg("%s: code %d: %s", rows[i].why, err.code, err.text);
        if (strcmp(rows[i].path, "$ref") != 0 && strcmp(notes.path, rows[i].path) != 0)
            fail_msg("%s: path '%s': %s", rows[i].why, notes.path, err.text);
        clo_grammar_notes_free(&notes);
        json_decref(s);
    }
}

static void ignored_keywords_are_noted(void **state)
{
    (void)state;
    clo_grammar *g = NULL;
    clo_err err = {0};
    clo_grammar_notes notes = {0};
    json_t *s = json_loads("{\"properties\":{\"x\":{\"type\":\"string\",\"format\":\"email\",\"maxLength\":1},\"y\":{\"pattern\":\"\\\\bx\"}},"
                           "\"minProperties\":1}", 0, NULL);
    if (!clo_grammar_compile(&g, s, (clo_grammar_opts){0}, &notes, &err)) fail_msg("%s", err.text);
    assert_string_equal(notes.ignored.ptr, "minProperties, properties.y.pattern, properties.x.format");
    each_text("{\"x\": \"a\", \"y\": \"b\"}", check_text, "the rest holds", g, true);
    each_text("{\"x\": \"ab\"}", check_text, "the rest holds", g, false);
    clo_grammar_close(g);
    clo_grammar_notes_free(&notes);
    json_decref(s);
}

/* --- masks --------------------------------------------------------------------------------------------------------*/

static const clo_str tokens[] = {
    CLO_STR("\": "),   CLO_STR("\", \""), CLO_STR("{\""),   CLO_STR("{}"),     CLO_STR("}}"),      CLO_STR(", "),   CLO_STR("null"),
    CLO_STR("true}"),  CLO_STR("ab"),     CLO_STR("abc"),   CLO_STR("the "),   CLO_STR("12"),      CLO_STR("-1"),   CLO_STR("1.5"),
    CLO_STR("\xc3\xa9"), CLO_STR("\xe2\x82"), CLO_STR("\xf0\x9f\x98\x80"), CLO_STR("\\u00"),
    CLO_STR("\\\""),   CLO_STR("a\xc3"), CLO_STR("\x82\xac\""), CLO_STR("[["),  CLO_STR("]]"),   CLO_STR("], ["),
    CLO_STR("\n\n"),   CLO_STR("  "),     CLO_STR("e+"),    CLO_STR("2024-"),  CLO_STR("02-29"),   CLO_STR("x\xe2\x82\xacy"),
    CLO_STR("\"a\": "), CLO_STR("{\"a\": 1"), CLO_STR("\"}"), CLO_STR("aaaaaaaa"), CLO_STR("\xc3\xa9\xc3\xa9"),
};
enum { N_TOKENS = sizeof tokens / sizeof *tokens, END = 256 + N_TOKENS, CALL = END + 1, N_VOCAB = CALL + 1 };

static bool allowed(const uint32_t *bits, int32_t id)
{
    return bits[id / 32] >> (id % 32) & 1;
}

static void check_mask(const clo_grammar *g, const clo_tok *tok, const uint32_t *bits, const clo_buf *text, const char *why)
{
    clo_buf next = {0};
    for (int32_t id = 0; id < N_VOCAB; id++) {
        next.len = 0;
        clo_buf_add(&next, clo_buf_str(text));
        clo_buf_add(&next, clo_tok_piece(tok, id, false));
        bool want = id == END ? plain_says(g, clo_buf_str(text), true)
                              : id != CALL && plain_says(g, clo_buf_str(&next), false);
        if (allowed(bits, id) != want)
            fail_msg("%s: behind '%.*s' token %d is %s", why, (int)text->len, text->ptr, id,
                     want ? "refused" : "allowed");
    }
    clo_buf_free(&next);
}

/* Walks at random through a schema; the first masks are compared when told. True when the text came to its end. */
static bool walk_at_random(const clo_tok *tok, const clo_vocab_trie *trie, clo_grammar *g, uint64_t seed, bool compare,
                           const char *why)
{
    const int32_t stops[] = {END};
    int32_t ids[400];
    clo_matcher *m = NULL;
    clo_err err = {0};
    clo_buf text = {0};
    bool ended = false;
    if (!clo_matcher_open(&m, g, trie, stops, 1, &err)) fail_msg("%s: %s", why, err.text);
    clo_buf_add(&text, CLO_STR(""));
    for (size_t n = 0; n < 400; n++) {
        const uint32_t *bits = clo_matcher_mask(m, ids, n);
        int32_t open[N_VOCAB];
        size_t n_open = 0;
        bool complete;
        if (!bits) fail_msg("%s: no mask behind '%.*s'", why, (int)text.len, text.ptr);
        if (compare && n < 12) check_mask(g, tok, bits, &text, why);
        for (int32_t id = 0; id < N_VOCAB; id++)
            if (allowed(bits, id)) open[n_open++] = id;
        if (n_open == 0) fail_msg("%s: nothing may follow '%.*s'", why, (int)text.len, text.ptr);
        double u = clo_random_unit(seed, CLO_RANDOM_TEST, 0, n);
        /* Texts end at last: an end or a closing mark is taken when there is one and the walk has been long. */
        ids[n] = open[(size_t)(u * (double)n_open)];
        static const int32_t last[] = {']', '}', '"', END};
        for (size_t i = 0; n > 60 && i < 4; i++)
            if (allowed(bits, last[i])) ids[n] = last[i];
        if (ids[n] != END) clo_buf_add(&text, clo_tok_piece(tok, ids[n], false));
        assert_true(clo_matcher_fits(m, ids, n + 1, &complete));
        if (compare && n < 12) assert_int_equal(complete, plain_says(g, clo_buf_str(&text), true));
        if ((ended = ids[n] == END)) break;
    }
    if (ended && !automaton_says(g, clo_buf_str(&text))) fail_msg("%s: '%.*s' is not whole", why, (int)text.len, text.ptr);
    clo_matcher_close(m);
    clo_buf_free(&text);
    return ended;
}

static void masks_are_what_a_plain_recogniser_says(void **state)
{
    (void)state;
    clo_tok *tok = byte_tok_open(tokens, N_TOKENS, NULL);
    clo_vocab_trie *trie = NULL;
    clo_err err = {0};
    size_t n_walks = 0, n_ended = 0;
    assert_int_equal(clo_tok_n_vocab(tok), N_VOCAB);
    if (!clo_vocab_trie_open(&trie, tok, N_VOCAB, &err)) fail_msg("%s", err.text);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        clo_grammar *g = compile(texts[i].schema);
        for (uint64_t seed = 0; seed < 3; seed++, n_walks++)
            n_ended += walk_at_random(tok, trie, g, seed + 100 * i, seed == 0, texts[i].why);
        clo_grammar_close(g);
    }
    assert_in_range(n_ended, n_walks * 9 / 10, n_walks);
    clo_vocab_trie_close(trie);
    clo_tok_close(tok);
}

/* One matcher is asked again and again for beginnings of two outputs; the masks are those of a new one. */
static void guesses_may_be_taken_back(void **state)
{
    (void)state;
    static const char schema[] = "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"maxLength\":9},\"b\":{\"type\":\"integer\"}}}";
    static const char *const outputs[] = {"{\"a\": \"x\xc3\xa9yz\", \"b\": 12}", "{\"b\": -77}"};
    clo_tok *tok = byte_tok_open(tokens, N_TOKENS, NULL);
    clo_vocab_trie *trie = NULL;
    clo_grammar *g = compile(schema);
    clo_matcher *m = NULL;
    assert_true(clo_vocab_trie_open(&trie, tok, N_VOCAB, NULL));
    assert_true(clo_matcher_open(&m, g, trie, (const int32_t[]){END}, 1, NULL));
    for (uint64_t i = 0; i < 300; i++) {
        int32_t ids[64];
        clo_matcher *fresh = NULL;
        const char *out = outputs[clo_random_unit(1, CLO_RANDOM_TEST, 1, i) < 0.5];
        size_t n = (size_t)(clo_random_unit(1, CLO_RANDOM_TEST, 2, i) * (double)(strlen(out) + 1));
        for (size_t k = 0; k < n; k++)
            ids[k] = (uint8_t)out[k];
        assert_true(clo_matcher_open(&fresh, g, trie, (const int32_t[]){END}, 1, NULL));
        const uint32_t *want = clo_matcher_mask(fresh, ids, n), *got = clo_matcher_mask(m, ids, n);
        assert_non_null(want);
        assert_non_null(got);
        assert_memory_equal(got, want, trie->n_words * sizeof *want);
        ids[n] = 255; /* no UTF-8 */
        assert_null(clo_matcher_mask(m, ids, n + 1));
        clo_matcher_close(fresh);
    }
    clo_matcher_close(m);
    clo_grammar_close(g);
    clo_vocab_trie_close(trie);
    clo_tok_close(tok);
}

/* Without '9' alone, no walk may come to where only '9' helps; without '{', no object can be written. */
static void missing_bytes_are_no_dead_ends(void **state)
{
    (void)state;
    static const clo_str more[] = {CLO_STR("09"), CLO_STR("19"), CLO_STR("1"), CLO_STR("{}")};
    clo_tok *tok = byte_tok_open(more + 0, 2, "9{\xa9");
    clo_vocab_trie *trie = NULL;
    clo_matcher *m = NULL;
    clo_err err = {0};
    clo_grammar *g = compile("{\"enum\":[19,299,25,\"\xc3\xa9\"]}");
    const int32_t end = 258;
    assert_true(clo_vocab_trie_open(&trie, tok, 260, NULL));
    assert_true(clo_matcher_open(&m, g, trie, &end, 1, NULL));
    const uint32_t *bits = clo_matcher_mask(m, NULL, 0);
    assert_non_null(bits);
    assert_true(allowed(bits, 257));  /* 19 as one token */
    assert_false(allowed(bits, '1')); /* no 9 may follow */
    assert_true(allowed(bits, '2'));
    assert_false(allowed(bits, '"')); /* \xa9 is missing */
    bits = clo_matcher_mask(m, (const int32_t[]){'2'}, 1);
    assert_non_null(bits);
    assert_true(allowed(bits, '5'));
    assert_int_equal(__builtin_popcount(bits['5' / 32]), 1);
    clo_matcher_close(m);
    clo_grammar_close(g);
    g = compile("{\"type\":\"object\"}");
    assert_false(clo_matcher_open(&m, g, trie, &end, 1, &err));
    assert_int_equal(err.code, CLO_ERR_UNSUPPORTED);
    assert_null(m);
    clo_grammar_close(g);
    clo_vocab_trie_close(trie);
    clo_tok_close(tok);
}

/* Nesting ends before it is too deep, with everything closed. */
static void depth_is_bounded(void **state)
{
    (void)state;
    clo_tok *tok = byte_tok_open(tokens, N_TOKENS, NULL);
    clo_vocab_trie *trie = NULL;
    clo_matcher *m = NULL;
    clo_grammar *g = compile("true");
    int32_t ids[2000];
    size_t n = 0, n_deep = 0;
    assert_true(clo_vocab_trie_open(&trie, tok, N_VOCAB, NULL));
    assert_true(clo_matcher_open(&m, g, trie, (const int32_t[]){END}, 1, NULL));
    for (; n < 2000; n++) {
        const uint32_t *bits = clo_matcher_mask(m, ids, n);
        static const char wish[] = "[{]}\"a:n0 ";
        assert_non_null(bits);
        ids[n] = -1;
        if (n > 0 && ids[n - 1] == '{' && allowed(bits, '"')) ids[n] = '"';
        for (size_t i = 0; i < sizeof wish - 1 && ids[n] < 0; i++)
            if (allowed(bits, wish[i])) ids[n] = wish[i];
        if (ids[n] < 0 && allowed(bits, END)) break;
        assert_true(ids[n] >= 0);
        n_deep += ids[n] == '[';
    }
    assert_in_range(n_deep, 50, CLO_GRAMMAR_NEST_MAX + 1);
    assert_in_range(n, 2 * n_deep, 1999);
    clo_matcher_close(m);
    clo_grammar_close(g);
    clo_vocab_trie_close(trie);
    clo_tok_close(tok);
}

/* A pattern whose places double with each character read, and a string as long as they last: memory stays bounded and the
 * masks are those of a matcher that saw nothing before. */
static void what_is_remembered_is_bounded(void **state)
{
    (void)state;
    clo_tok *tok = byte_tok_open(tokens, N_TOKENS, NULL);
    clo_vocab_trie *trie = NULL;
    clo_matcher *m = NULL, *fresh = NULL;
    clo_grammar *g = compile("{\"pattern\":\"^(a|b)*a(a|b){17}$\"}");
    int32_t ids[3000] = {'"'};
    assert_true(clo_vocab_trie_open(&trie, tok, N_VOCAB, NULL));
    assert_true(clo_matcher_open(&m, g, trie, (const int32_t[]){END}, 1, NULL));
    for (size_t n = 1; n < 3000; n++) {
        const uint32_t *bits = clo_matcher_mask(m, ids, n);
        assert_non_null(bits);
        assert_true(allowed(bits, 'a') && allowed(bits, 'b') && !allowed(bits, 'c'));
        if (n % 500 == 0) {
            assert_true(clo_matcher_open(&fresh, g, trie, (const int32_t[]){END}, 1, NULL));
            assert_memory_equal(bits, clo_matcher_mask(fresh, ids, n), trie->n_words * sizeof *bits);
            clo_matcher_close(fresh);
        }
        ids[n] = clo_random_unit(5, CLO_RANDOM_TEST, 3, n) < 0.5 ? 'a' : 'b';
    }
    clo_matcher_close(m);
    clo_grammar_close(g);
    clo_vocab_trie_close(trie);
    clo_tok_close(tok);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grammars_accept_what_fits),
        cmocka_unit_test(any_object_is_accepted),
        cmocka_unit_test(faults_name_their_path),
        cmocka_unit_test(ignored_keywords_are_noted),
        cmocka_unit_test(masks_are_what_a_plain_recogniser_says),
        cmocka_unit_test(guesses_may_be_taken_back),
        cmocka_unit_test(missing_bytes_are_no_dead_ends),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(what_is_remembered_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
