/* See structured.h. */
#include "serve/structured.h"

#include <stdio.h>
#include <string.h>

#include "serve/messages.h"

/* --- schemas ------------------------------------------------------------------------------------------------------*/

/* A fault of a schema, with its place in the request: PREFIX.properties.x */
static bool tell_fault(clo_api_error *e, const char *prefix, const clo_grammar_notes *notes, const clo_err *err)
{
    char where[sizeof e->param];
    snprintf(where, sizeof where, "%s%s%.120s", prefix, notes->path[0] ? "." : "", notes->path);
    if (err->code == CLO_ERR_MEMORY) return clo_api_fail_err(e, err);
    bool known = err->code == CLO_ERR_UNSUPPORTED;
    return clo_api_fail(e, known ? CLO_API_UNSUPPORTED : CLO_API_INVALID, where, "'%s': %s", where, err->text);
}

static void tell_ignored(clo_generation *g, const clo_grammar_notes *notes)
{
    clo_str s = clo_buf_str(&notes->ignored);
    char text[512];
    if (s.len == 0) return;
    size_t n = s.len < sizeof text - 1 ? s.len : sizeof text - 1;
    for (size_t i = 0; i < n; i++) text[i] = s.ptr[i] >= 0x20 && s.ptr[i] < 0x7f ? s.ptr[i] : '?';
    text[n] = '\0';
    clo_reply_header(g->r, "X-Schema-Ignored", text);
}

/* schema NULL: any object. */
static bool compile(clo_generation *g, const json_t *schema, bool strict, const char *prefix, clo_api_error *e)
{
    clo_grammar_notes notes = {0};
    clo_err err = {0};
    bool ok = schema ? clo_grammar_compile(&g->grammar, schema, (clo_grammar_opts){.strict = strict}, &notes, &err)
                     : clo_grammar_json_object(&g->grammar, &err);
    if (ok) tell_ignored(g, &notes);
    else tell_fault(e, prefix, &notes, &err);
    clo_grammar_notes_free(&notes);
    if (!ok || !g->params.receipt) return ok;
    return (schema ? clo_grammar_source_of_schema(&g->source, schema, &err) : clo_grammar_source_of_json(&g->source, &err)) ||
           clo_api_fail_err(e, &err);
}

static bool is_name(clo_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-'))
            return false;
    }
    return s.len >= 1 && s.len <= 64;
}

static bool read_named_schema(clo_generation *g, const json_t *named, clo_api_error *e)
{
    const json_t *schema = json_object_get(named, "schema");
    bool strict = false;
    if (!is_name(clo_json_str(named, "name", CLO_STR(""))))
        return clo_api_fail(e, CLO_API_INVALID, "response_format.json_schema.name",
                            "'response_format.json_schema.name': 1 to 64 letters, digits, _ and - are expected");
    if (!clo_body_bool(&strict, named, "strict", e)) return false;
    if (!json_is_object(schema) && !json_is_boolean(schema) && schema && !json_is_null(schema))
        return clo_api_fail(e, CLO_API_INVALID, "response_format.json_schema.schema",
                            "'response_format.json_schema.schema': a JSON schema is expected");
    return compile(g, json_is_null(schema) ? NULL : schema, strict, "response_format.json_schema.schema", e);
}

bool clo_structured_response_format(clo_generation *g, const json_t *format, clo_api_error *e)
{
    const clo_str type = clo_json_str(format, "type", CLO_STR("text"));
    const json_t *named = json_object_get(format, "json_schema"), *schema = json_object_get(format, "schema");
    if (clo_str_eq(type, CLO_STR("text"))) return true;
    bool object = clo_str_eq(type, CLO_STR("json_object")), by_schema = clo_str_eq(type, CLO_STR("json_schema"));
    if (!object && !by_schema)
        return clo_api_fail(e, CLO_API_INVALID, "response_format",
                            "'response_format': type text, json_object or json_schema is expected");
    if (by_schema && json_is_object(named)) return read_named_schema(g, named, e);
    if (by_schema && !json_is_object(schema))
        return clo_api_fail(e, CLO_API_INVALID, "response_format.json_schema", "'response_format.json_schema' is missing");
    return compile(g, json_is_object(schema) ? schema : NULL, false, "response_format.schema", e);
}

bool clo_structured_format(clo_generation *g, const json_t *format, clo_api_error *e)
{
    if (!format || json_is_null(format) || (json_is_string(format) && json_string_length(format) == 0)) return true;
    if (json_is_string(format) && strcmp(json_string_value(format), "json") == 0) return compile(g, NULL, false, "format", e);
    if (json_is_object(format)) return compile(g, format, false, "format", e);
    return clo_api_fail(e, CLO_API_INVALID, "format", "format: \"json\" or a JSON schema is expected");
}

/* --- tools --------------------------------------------------------------------------------------------------------*/

/* none, auto, required, or one function by its name (*only); false: it is none of these. */
static bool read_choice(const json_t *choice, bool *none, bool *must, const char **only)
{
    const char *word = json_string_value(choice);
    *none = *must = false;
    *only = NULL;
    if (!choice || json_is_null(choice)) return true;
    if (word) {
        *none = strcmp(word, "none") == 0;
        *must = strcmp(word, "required") == 0;
        return *none || *must || strcmp(word, "auto") == 0;
    }
    *only = json_string_value(json_object_get(json_object_get(choice, "function"), "name"));
    *must = *only != NULL;
    return *must;
}

bool clo_structured_tools(clo_generation *g, json_t *tools, const json_t *choice, bool parallel, clo_api_error *e)
{
    bool none, must;
    const char *only;
    clo_grammar_notes notes = {0};
    clo_err err = {0};
    if (!clo_tools_check(tools, e)) return false;
    if (!read_choice(choice, &none, &must, &only))
        return clo_api_fail(e, CLO_API_INVALID, "tool_choice",
                            "'tool_choice': none, auto, required or {\"type\":\"function\",\"function\":{\"name\":...}} is expected");
    if (json_array_size(tools) == 0 && must)
        return clo_api_fail(e, CLO_API_INVALID, "tool_choice", "'tool_choice' asks for a call, but there are no 'tools'");
    if (json_array_size(tools) == 0 || none) return true;
    if (g->model->tool_syntax == CLO_TOOL_SYNTAX_NONE)
        return clo_api_fail(e, CLO_API_UNSUPPORTED, "tools", "\"%.*s\" does not support tools",
                            (int)(g->model_name.len > 200 ? 200 : g->model_name.len), g->model_name.ptr);
    g->tools = tools;
    g->one_call = !parallel;
    if (g->grammar) return true; /* response_format goes first */
    const clo_tool_choice c = {.syntax = g->model->tool_syntax, .tools = tools, .only = only, .must = must, .parallel = parallel};
    bool ok = clo_tool_grammar(&g->grammar, &c, &notes, &err);
    if (ok) tell_ignored(g, &notes);
    else if (err.code == CLO_ERR_NOT_FOUND)
        clo_api_fail(e, CLO_API_INVALID, "tool_choice", "'tool_choice': there is no tool '%.64s'", only);
    else tell_fault(e, "tools", &notes, &err);
    clo_grammar_notes_free(&notes);
    if (!ok || !g->grammar || !g->params.receipt) return ok;
    return clo_grammar_source_of_tools(&g->source, &c, &err) || clo_api_fail_err(e, &err);
}
