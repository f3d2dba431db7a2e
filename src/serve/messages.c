/* See messages.h. */
#include "serve/messages.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "serve/params.h"

#define ARGUMENTS_BYTES_MAX ((size_t)16 << 20)

static const struct {
    const char *name, *as;
} roles[] = {{"system", "system"}, {"developer", "system"}, {"user", "user"}, {"assistant", "assistant"},
             {"tool", "tool"},     {"function", "tool"}};

/* Where in the request a fault is: messages[3].content. */
typedef struct {
    char text[96];
} place;

static place at(size_t i, const char *member)
{
    place p;
    snprintf(p.text, sizeof p.text, "messages[%zu]%s%s", i, member[0] ? "." : "", member);
    return p;
}

static bool fail_at(clo_api_error *e, size_t i, const char *member, const char *what)
{
    place p = at(i, member);
    return clo_api_fail(e, CLO_API_INVALID, p.text, "'%s': %s", p.text, what);
}

static const json_t *member(const json_t *m, const char *key)
{
    const json_t *v = json_object_get(m, key);
    return json_is_null(v) ? NULL : v;
}

/* --- parts of a message -------------------------------------------------------------------------------------------*/

static const char *read_role(const json_t *m, size_t i, clo_api_error *e)
{
    const json_t *v = member(m, "role");
    if (!json_is_string(v)) {
        fail_at(e, i, "role", "text is expected");
        return NULL;
    }
    for (size_t k = 0; k < sizeof roles / sizeof *roles; k++)
        if (strcasecmp(json_string_value(v), roles[k].name) == 0) return roles[k].as;
    fail_at(e, i, "role", "system, developer, user, assistant, tool or function is expected");
    return NULL;
}

static bool add_part(clo_buf *text, const json_t *part, size_t i, size_t k, clo_api_error *e)
{
    clo_str type = clo_json_str(part, "type", CLO_STR(""));
    const char *key = clo_str_eq(type, CLO_STR("refusal")) ? "refusal" : "text";
    if (!json_is_object(part) || type.len == 0) return fail_at(e, i, "content", "a part is an object with a 'type'");
    if (!clo_str_eq(type, CLO_STR("text")) && !clo_str_eq(type, CLO_STR("refusal"))) {
        place p = at(i, "content");
        return clo_api_fail(e, CLO_API_UNSUPPORTED, p.text, "'%s': a part of type '%.40s' is not supported by this model",
                            p.text, type.ptr);
    }
    const json_t *v = json_object_get(part, key);
    if (!json_is_string(v)) return fail_at(e, i, "content", "a part of type text has a 'text'");
    if (k > 0) clo_buf_add_char(text, '\n');
    clo_buf_add(text, (clo_str){json_string_value(v), json_string_length(v)});
    return true;
}

/* A new string; NULL with e set. */
static json_t *read_content(const json_t *m, bool may_lack, size_t i, clo_api_error *e)
{
    const json_t *v = member(m, "content"), *part;
    size_t k;
    if (json_is_string(v)) return json_copy((json_t *)(uintptr_t)v);
    if (!v && may_lack) return json_string("");
    if (!json_is_array(v)) {
        fail_at(e, i, "content", v ? "text or an array of parts is expected" : "is missing");
        return NULL;
    }
    clo_buf text = {.max = ARGUMENTS_BYTES_MAX};
    bool ok = true;
    json_array_foreach (v, k, part) {
        if (!ok) break;
        ok = add_part(&text, part, i, k, e);
    }
    json_t *out = ok ? json_stringn(clo_buf_str(&text).ptr, text.len) : NULL;
    if (ok && !out) clo_api_fail(e, CLO_API_BUSY, NULL, "no memory");
    clo_buf_free(&text);
    return out;
}

/* Arguments as an object where the text is one: templates write them as JSON themselves. */
static json_t *read_arguments(const json_t *v)
{
    json_t *out = NULL;
    if (!v) return json_object();
    if (!json_is_string(v)) return json_deep_copy(v);
    if (clo_json_parse(&out, (clo_str){json_string_value(v), json_string_length(v)}, ARGUMENTS_BYTES_MAX, NULL)) {
        if (json_is_object(out)) return out;
        json_decref(out);
    }
    return json_copy((json_t *)(uintptr_t)v);
}

static bool add_call(json_t *calls, const json_t *call, const json_t *function, size_t i, clo_api_error *e)
{
    clo_str name = clo_json_str(function, "name", CLO_STR("")), id = clo_json_str(call, "id", CLO_STR(""));
    char made[32];
    if (name.len == 0) return fail_at(e, i, "tool_calls", "a call has a function with a name");
    if (id.len == 0) {
        snprintf(made, sizeof made, "call_%zu_%zu", i, json_array_size(calls));
        id = clo_str_from(made);
    }
    json_t *out = json_pack("{s:s%, s:s, s:{s:s%, s:o}}", "id", id.ptr, id.len, "type", "function", "function", "name",
                            name.ptr, name.len, "arguments", read_arguments(member(function, "arguments")));
    return (out && json_array_append_new(calls, out) == 0) || clo_api_fail(e, CLO_API_BUSY, NULL, "no memory");
}

/* tool_calls, or the older function_call; none leaves *out NULL. */
static bool read_calls(json_t **out, const json_t *m, size_t i, clo_api_error *e)
{
    const json_t *list = member(m, "tool_calls"), *old = member(m, "function_call"), *call;
    size_t k;
    *out = NULL;
    if (list && !json_is_array(list)) return fail_at(e, i, "tool_calls", "an array is expected");
    if (json_array_size(list) == 0 && !json_is_object(old)) return true;
    *out = json_array();
    bool ok = *out != NULL;
    json_array_foreach (list, k, call)
        if (ok) ok = add_call(*out, call, json_object_get(call, "function"), i, e);
    if (ok && json_array_size(*out) == 0) ok = add_call(*out, NULL, old, i, e);
    if (ok) return true;
    json_decref(*out);
    *out = NULL;
    return false;
}

/* The name of the function that the call with this id was for, in what came before. */
static const char *called_name(const json_t *messages, const char *id)
{
    for (size_t i = json_array_size(messages); i-- > 0;) {
        const json_t *calls = json_object_get(json_array_get(messages, i), "tool_calls"), *call;
        size_t k;
        json_array_foreach (calls, k, call)
            if (strcmp(json_string_value(json_object_get(call, "id")), id) == 0)
                return json_string_value(json_object_get(json_object_get(call, "function"), "name"));
    }
    return NULL;
}

static bool read_tool_answer(json_t *to, const json_t *m, const json_t *before, size_t i, clo_api_error *e)
{
    clo_str id = clo_json_str(m, "tool_call_id", CLO_STR("")), name = clo_json_str(m, "name", CLO_STR(""));
    if (name.len == 0) name = clo_json_str(m, "tool_name", CLO_STR(""));
    if (id.len == 0 && name.len == 0) return fail_at(e, i, "tool_call_id", "is missing");
    if (name.len == 0 && called_name(before, id.ptr)) name = clo_str_from(called_name(before, id.ptr));
    if (id.len > 0) json_object_set_new(to, "tool_call_id", json_stringn(id.ptr, id.len));
    if (name.len > 0) json_object_set_new(to, "name", json_stringn(name.ptr, name.len));
    return true;
}

static bool read_message(json_t *messages, const json_t *m, size_t i, clo_api_error *e)
{
    static const char *const kept[] = {"name", "reasoning_content", "reasoning", "thinking"};
    json_t *calls = NULL;
    if (!json_is_object(m)) return fail_at(e, i, "", "an object is expected");
    const char *role = read_role(m, i, e);
    if (!role) return false;
    bool assistant = strcmp(role, "assistant") == 0;
    if (assistant && !read_calls(&calls, m, i, e)) return false;
    json_t *content = read_content(m, calls != NULL, i, e);
    json_t *to = content ? json_pack("{s:s, s:o}", "role", role, "content", content) : NULL;
    if (!to) {
        json_decref(calls);
        return false;
    }
    if (calls) json_object_set_new(to, "tool_calls", calls);
    for (size_t k = 0; k < sizeof kept / sizeof *kept; k++) {
        json_t *v = json_object_get(m, kept[k]);
        if (json_is_string(v)) json_object_set(to, kept[k], v);
    }
    bool ok = strcmp(role, "tool") != 0 || read_tool_answer(to, m, messages, i, e);
    if (ok && json_array_append(messages, to) != 0) ok = clo_api_fail(e, CLO_API_BUSY, NULL, "no memory");
    json_decref(to);
    return ok;
}

bool clo_messages_read(json_t **out, const json_t *messages, clo_api_error *e)
{
    const json_t *m;
    size_t i, n = json_array_size(messages);
    if (!messages) return clo_api_fail(e, CLO_API_INVALID, "messages", "messages is required");
    if (n == 0 || n > CLO_MESSAGES_MAX)
        return clo_api_fail(e, CLO_API_INVALID, "messages", "'messages' has %zu messages; 1 to %d are expected", n,
                            CLO_MESSAGES_MAX);
    json_t *list = json_array();
    bool ok = list || clo_api_fail(e, CLO_API_BUSY, NULL, "no memory");
    json_array_foreach (messages, i, m)
        if (ok) ok = read_message(list, m, i, e);
    if (ok) *out = list;
    else json_decref(list);
    return ok;
}

bool clo_messages_go_on(const json_t *messages)
{
    const json_t *last = json_array_get(messages, json_array_size(messages) - 1);
    return clo_str_eq(clo_json_str(last, "role", CLO_STR("")), CLO_STR("assistant")) &&
           !json_object_get(last, "tool_calls") && clo_json_str(last, "content", CLO_STR("")).len > 0;
}

/* --- tools --------------------------------------------------------------------------------------------------------*/

static bool name_ok(clo_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-'))
            return false;
    }
    return s.len >= 1 && s.len <= 64;
}

bool clo_tools_check(const json_t *tools, clo_api_error *e)
{
    const json_t *t;
    size_t i;
    if (json_array_size(tools) > CLO_TOOLS_MAX)
        return clo_api_fail(e, CLO_API_INVALID, "tools", "'tools' has %zu tools; at most %d are allowed",
                            json_array_size(tools), CLO_TOOLS_MAX);
    json_array_foreach (tools, i, t) {
        char where[64];
        const json_t *f = json_object_get(t, "function"), *p = json_object_get(f, "parameters");
        snprintf(where, sizeof where, "tools[%zu]", i);
        if (!json_is_object(f) || !clo_str_eq(clo_json_str(t, "type", CLO_STR("function")), CLO_STR("function")))
            return clo_api_fail(e, CLO_API_INVALID, where, "'%s': {\"type\":\"function\",\"function\":{...}} is expected", where);
        if (!name_ok(clo_json_str(f, "name", CLO_STR(""))))
            return clo_api_fail(e, CLO_API_INVALID, where, "'%s': a name of 1 to 64 letters, digits, _ and - is expected", where);
        if (p && !json_is_object(p) && !json_is_null(p))
            return clo_api_fail(e, CLO_API_INVALID, where, "'%s': 'parameters' is a JSON schema", where);
    }
    return true;
}
