/* A grammar of tool calls: the marks and keys of the syntax around each tool's own schema. */
#include <string.h>

#include "infer/grammar_impl.h"
#include "infer/tool_syntax.h"

typedef struct {
    const clo_tool_choice *choice;
    const tool_syntax *syn;
    gr_builder *b;
    gr_schemas schemas;
    uint32_t call; /* machine of one call, without the marks of the syntax */
} writer;

static bool is_name(const char *s)
{
    size_t n = s ? strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") : 0;
    return n > 0 && n <= CLO_TOOL_NAME_MAX && !s[n];
}

static bool fault(writer *w, size_t i, clo_code code, const char *what)
{
    char where[64];
    (void)snprintf(where, sizeof where, "%zu.function.name", i);
    if (w->schemas.notes) (void)snprintf(w->schemas.notes->path, sizeof w->schemas.notes->path, "%s", where);
    return clo_fail(w->schemas.err, code, "%s: %s", where, what);
}

/* What the arguments of a tool must be: its schema where it counts, else any object. */
static bool arguments(writer *w, size_t i, const json_t *function, uint32_t *machine)
{
    char where[64];
    const json_t *parameters = json_object_get(function, "parameters");
    bool strict = json_is_true(json_object_get(function, "strict"));
    if (!w->choice->must && !strict) {
        *machine = gr_any_object(w->b);
        return true;
    }
    *machine = gr_machine_new(w->b);
    if (!parameters || json_is_null(parameters)) {
        gr_text(w->b, gr_start(w->b, *machine), CLO_STR("{}"), gr_final(w->b, *machine));
        return true;
    }
    (void)snprintf(where, sizeof where, "%zu.function.parameters", i);
    clo_str path = clo_arena_copy_str(&w->b->arena, clo_str_from(where));
    if (!path.ptr) return clo_arena_full(&w->b->arena, w->schemas.err);
    w->schemas.opts.strict = strict;
    return gr_schema_machine(machine, &w->schemas, parameters, path.ptr);
}

/* {"name": "f", "arguments": {...}}, or {"f": {...}}. */
static bool write_call(writer *w, size_t i)
{
    gr_builder *b = w->b;
    const json_t *function = json_object_get(json_array_get(w->choice->tools, i), "function");
    const char *name = json_string_value(json_object_get(function, "name"));
    clo_buf head = {.max = 1024};
    uint32_t machine, value = gr_state_new(b), after = gr_state_new(b);
    if (!is_name(name)) return fault(w, i, CLO_ERR_FORMAT, "a tool's name is 1 to 64 of A-Z a-z 0-9 _ -");
    if (w->choice->only && strcmp(w->choice->only, name) != 0) return true;
    if (!arguments(w, i, function, &machine)) return false;
    if (w->syn->args)
        clo_buf_addf(&head, "{\"name\": \"%s\", \"%s\": ", name, w->syn->args);
    else
        clo_buf_addf(&head, "{\"%s\": ", name);
    gr_text(b, gr_start(b, w->call), clo_buf_str(&head), value);
    gr_call(b, value, machine, after);
    gr_text(b, after, CLO_STR("}"), gr_final(b, w->call));
    bool ok = clo_buf_ok(&head, w->schemas.err);
    clo_buf_free(&head);
    return ok;
}

static bool write_every_call(writer *w)
{
    size_t n = json_array_size(w->choice->tools);
    if (n == 0 || n > CLO_TOOLS_MAX)
        return clo_fail(w->schemas.err, CLO_ERR_FORMAT, "%zu tools, expected 1 to %d", n, CLO_TOOLS_MAX);
    w->call = gr_machine_new(w->b);
    for (size_t i = 0; i < n; i++)
        if (!write_call(w, i)) return false;
    return true;
}

static uint32_t after_mark(writer *w, uint32_t from, const char *mark)
{
    if (w->syn->special) return gr_after_special(w->b, from, clo_str_from(mark));
    return gr_after(w->b, from, clo_str_from(mark));
}

/* Behind the first mark: one call or more, to the end of the text. */
static void write_calls(writer *w, uint32_t from, uint32_t to)
{
    gr_builder *b = w->b;
    uint32_t begin = gr_state_new(b), after = gr_state_new(b);
    bool more = w->choice->parallel && w->syn->parallel, lines = !w->syn->list && *w->syn->open;
    gr_text(b, from, w->syn->list ? CLO_STR("[") : lines ? CLO_STR("\n") : CLO_STR(""), begin);
    gr_call(b, begin, w->call, after);
    if (w->syn->list) {
        if (more) gr_text(b, after, CLO_STR(", "), begin);
        after = gr_after(b, after, CLO_STR("]"));
    }
    if (lines) after = gr_after(b, after, CLO_STR("\n"));
    if (*w->syn->close) after = after_mark(w, after, w->syn->close);
    if (more && lines) gr_eps(b, after_mark(w, gr_after(b, after, CLO_STR("\n")), w->syn->open), from);
    gr_eps(b, after, to);
}

/* Any text, and calls from the first mark on. */
static void write_free(writer *w, uint32_t from, uint32_t to)
{
    gr_builder *b = w->b;
    const char *open = w->syn->open;
    uint32_t text = gr_state_new(b), calls = gr_state_new(b);
    if (!*open) { /* a text that begins with a brace is a call */
        gr_eps(b, from, to);
        gr_bytes(b, from, 0, '{' - 1, text);
        gr_bytes(b, from, '{' + 1, 255, text);
        gr_eps(b, from, calls);
    } else if (w->syn->special) {
        gr_eps(b, from, text);
        gr_eps(b, after_mark(w, text, open), calls);
    } else {
        gr_eps(b, gr_after_free(b, from, clo_str_from(open), to), calls);
    }
    gr_bytes(b, text, 0, 255, text);
    gr_eps(b, text, to);
    write_calls(w, calls, to);
}

static bool write_all(writer *w)
{
    gr_builder *b = w->b;
    uint32_t from = gr_start(b, 0), to = gr_final(b, 0);
    if (!write_every_call(w)) return false;
    if (w->choice->after.len > 0) {
        uint32_t line = gr_after_free(b, from, w->choice->after, GR_NONE);
        from = gr_state_new(b);
        gr_eps(b, line, from);
        line = gr_after(b, line, CLO_STR("\n"));
        gr_eps(b, line, from);
        gr_text(b, line, CLO_STR("\n"), from);
    }
    if (!w->choice->must)
        write_free(w, from, to);
    else
        write_calls(w, after_mark(w, from, w->syn->open), to);
    return true;
}

static bool any_strict(const json_t *tools)
{
    size_t i;
    json_t *tool;
    json_array_foreach (tools, i, tool)
        if (json_is_true(json_object_get(json_object_get(tool, "function"), "strict"))) return true;
    return false;
}

static bool is_there(const json_t *tools, const char *name)
{
    size_t i;
    json_t *tool;
    json_array_foreach (tools, i, tool) {
        const char *other = json_string_value(json_object_get(json_object_get(tool, "function"), "name"));
        if (other && strcmp(other, name) == 0) return true;
    }
    return false;
}

bool clo_tool_grammar(clo_grammar **out, const clo_tool_choice *c, clo_grammar_notes *notes, clo_err *err)
{
    gr_builder b;
    clo_err why = {0};
    *out = NULL;
    if (c->syntax == CLO_TOOL_SYNTAX_NONE)
        return clo_fail(err, CLO_ERR_UNSUPPORTED, "the model's chat template shows no syntax of tool calls that is known");
    if (c->only && !is_there(c->tools, c->only))
        return clo_fail(err, CLO_ERR_NOT_FOUND, "no tool is named '%.64s'", c->only);
    if (!c->must && !any_strict(c->tools)) return true;
    gr_begin(&b);
    writer w = {.choice = c, .syn = clo_tool_syntax_row(c->syntax), .b = &b};
    w.schemas = (gr_schemas){.b = &b, .notes = notes, .err = &why};
    bool ok = write_all(&w);
    gr_schemas_free(&w.schemas);
    if (ok)
        ok = gr_finish(out, &b, &why);
    else
        gr_abandon(&b);
    if (!ok && err) *err = why;
    return ok;
}
