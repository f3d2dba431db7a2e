/* See grammar_source.h. */
#include "infer/grammar_source.h"

#include <stdlib.h>
#include <string.h>

static const char *const kind_names[] = {"none", "json", "schema", "tools"};
#define N_KINDS (sizeof kind_names / sizeof *kind_names)

void clo_grammar_source_free(clo_grammar_source *s)
{
    clo_buf_free(&s->text);
    *s = (clo_grammar_source){0};
}

const char *clo_grammar_source_kind_name(clo_grammar_source_kind kind)
{
    return kind_names[kind];
}

clo_sha256 clo_grammar_source_digest(const clo_grammar_source *s)
{
    clo_str text = clo_buf_str(&s->text);
    return clo_sha256_of(text.ptr, text.len);
}

/* --- writing ------------------------------------------------------------------------------------------------------*/

static bool keep_text(clo_grammar_source *out, clo_grammar_source_kind kind, clo_str text, clo_err *err)
{
    *out = (clo_grammar_source){.kind = kind, .text.max = CLO_GRAMMAR_SOURCE_BYTES_MAX};
    clo_buf_add(&out->text, text);
    if (clo_buf_ok(&out->text, err)) return true;
    clo_grammar_source_free(out);
    clo_err_context(err, "what the answer is held to");
    return false;
}

/* In the one spelling. */
static bool spell(clo_grammar_source *out, clo_grammar_source_kind kind, const json_t *v, clo_err *err)
{
    char *text = v ? json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    if (!text) return clo_fail(err, CLO_ERR_MEMORY, "what the answer is held to");
    bool ok = keep_text(out, kind, clo_str_from(text), err);
    free(text);
    return ok;
}

bool clo_grammar_source_of_json(clo_grammar_source *out, clo_err *err)
{
    return keep_text(out, CLO_GRAMMAR_SOURCE_JSON, CLO_STR("{}"), err);
}

bool clo_grammar_source_of_schema(clo_grammar_source *out, const json_t *schema, clo_err *err)
{
    return spell(out, CLO_GRAMMAR_SOURCE_SCHEMA, schema, err);
}

bool clo_grammar_source_of_tools(clo_grammar_source *out, const clo_tool_choice *c, clo_err *err)
{
    json_t *v = json_pack("{s:s, s:s?, s:b, s:b, s:s%, s:O}", "syntax", clo_tool_syntax_name(c->syntax), "only",
                          c->only, "must", c->must, "parallel", c->parallel, "after", c->after.ptr ? c->after.ptr : "",
                          c->after.len, "tools", c->tools);
    bool ok = spell(out, CLO_GRAMMAR_SOURCE_TOOLS, v, err);
    json_decref(v);
    return ok;
}

bool clo_grammar_source_copy(clo_grammar_source *out, const clo_grammar_source *from, clo_err *err)
{
    *out = (clo_grammar_source){0};
    return from->kind == CLO_GRAMMAR_SOURCE_NONE || keep_text(out, from->kind, clo_buf_str(&from->text), err);
}

/* --- reading ------------------------------------------------------------------------------------------------------*/

bool clo_grammar_source_read(clo_grammar_source *out, clo_str kind, clo_str text, clo_err *err)
{
    clo_grammar_source s = {0};
    json_t *v = NULL;
    size_t k = CLO_GRAMMAR_SOURCE_JSON;
    *out = s;
    while (k < N_KINDS && !clo_str_eq(kind, clo_str_from(kind_names[k])))
        k++;
    if (k == N_KINDS) return clo_fail(err, CLO_ERR_FORMAT, "a grammar of no kind that is known");
    if (!clo_json_parse(&v, text, CLO_GRAMMAR_SOURCE_BYTES_MAX, err)) return false;
    bool ok = spell(&s, (clo_grammar_source_kind)k, v, err);
    json_decref(v);
    if (ok && (!clo_str_eq(clo_buf_str(&s.text), text) || (k == CLO_GRAMMAR_SOURCE_JSON && text.len != 2)))
        ok = clo_fail(err, CLO_ERR_FORMAT, "the text of a grammar in another spelling than its own");
    if (ok)
        *out = s;
    else
        clo_grammar_source_free(&s);
    return ok;
}

/* --- compiling ----------------------------------------------------------------------------------------------------*/

static bool read_syntax(clo_tool_syntax *out, const char *name)
{
    for (*out = CLO_TOOL_SYNTAX_HERMES; *out <= CLO_TOOL_SYNTAX_APERTUS; (*out)++)
        if (strcmp(clo_tool_syntax_name(*out), name) == 0) return true;
    return false;
}

static bool compile_tools(clo_grammar **out, const json_t *v, clo_err *err)
{
    clo_tool_choice c = {0};
    const char *syntax = NULL;
    json_t *only = NULL, *tools = NULL, *after = NULL;
    int must = 0, parallel = 0;
    if (json_unpack((json_t *)(uintptr_t)v, "{s:s, s:o, s:b, s:b, s:o, s:o!}", "syntax", &syntax, "only", &only, "must",
                    &must, "parallel", &parallel, "after", &after, "tools", &tools) != 0 ||
        !read_syntax(&c.syntax, syntax) || !(json_is_null(only) || json_is_string(only)) || !json_is_string(after) ||
        !json_is_array(tools))
        return clo_fail(err, CLO_ERR_FORMAT, "not the choice of tools");
    c.tools = tools;
    c.only = json_string_value(only);
    c.must = must != 0;
    c.parallel = parallel != 0;
    c.after = (clo_str){json_string_value(after), json_string_length(after)};
    if (!clo_tool_grammar(out, &c, NULL, err)) return false;
    return *out || clo_fail(err, CLO_ERR_FORMAT, "tools that ask nothing of the answer");
}

bool clo_grammar_source_compile(clo_grammar **out, const clo_grammar_source *s, clo_err *err)
{
    json_t *v = NULL;
    *out = NULL;
    if (s->kind == CLO_GRAMMAR_SOURCE_NONE) return clo_fail(err, CLO_ERR_FORMAT, "no grammar");
    if (s->kind == CLO_GRAMMAR_SOURCE_JSON) return clo_grammar_json_object(out, err);
    if (!clo_json_parse(&v, clo_buf_str(&s->text), CLO_GRAMMAR_SOURCE_BYTES_MAX, err)) return false;
    bool ok = s->kind == CLO_GRAMMAR_SOURCE_TOOLS ? compile_tools(out, v, err)
                                                  : clo_grammar_compile(out, v, (clo_grammar_opts){0}, NULL, err);
    json_decref(v);
    return ok;
}
