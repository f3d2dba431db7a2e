/* The public face of templates: parse once, render any number of times from any thread. */
#include "model/template_impl.h"

bool clo_template_parse(clo_template **out, clo_str text, clo_err *err)
{
    clo_template *t = calloc(1, sizeof *t);
    clo_err local;
    tpl_parser p = {.t = t, .err = err ? err : &local};
    if (!t) return clo_fail(err, CLO_ERR_MEMORY, "no memory for a template");
    t->arena = clo_arena_make(TPL_MEMORY_BYTES_MAX);
    if (!tpl_lex(&p.toks, &t->arena, text, p.err) || !tpl_parse_root(&p, &t->root)) {
        clo_template_free(t);
        return false;
    }
    *out = t;
    return true;
}

void clo_template_free(clo_template *t)
{
    if (!t) return;
    clo_arena_free(&t->arena);
    free(t);
}

void clo_template_spans_free(clo_template_spans *s)
{
    free(s->spans);
    *s = (clo_template_spans){0};
}

static bool is_conversation(const char *key)
{
    return strcmp(key, "messages") == 0 || strcmp(key, "tools") == 0 || strcmp(key, "documents") == 0;
}

/* Values of the names that the template mentions: the caller's first, then the built-in functions. */
static bool set_globals(tpl_run *r, json_t *vars)
{
    static const struct {
        const char *name;
        tpl_func func;
    } funcs[] = {{"namespace", TPL_FUNC_NAMESPACE},  {"range", TPL_FUNC_RANGE}, {"dict", TPL_FUNC_DICT},
                 {"raise_exception", TPL_FUNC_RAISE}, {"strftime_now", TPL_FUNC_STRFTIME},
                 {"cycler", TPL_FUNC_NONE},          {"joiner", TPL_FUNC_NONE}, {"lipsum", TPL_FUNC_NONE},
                 {"self", TPL_FUNC_NONE}};
    for (uint32_t i = 0; i < r->t->n_syms; i++) {
        clo_str name = r->t->syms[i];
        for (size_t k = 0; k < sizeof funcs / sizeof *funcs; k++)
            if (clo_str_eq(name, clo_str_from(funcs[k].name))) r->globals[i] = (tv){.kind = TV_FUNC, .func = funcs[k].func};
        char key[256];
        if (name.len >= sizeof key) continue;
        memcpy(key, name.ptr, name.len);
        key[name.len] = '\0';
        json_t *j = json_object_get(vars, key);
        if (j && !tpl_from_json(r, j, is_conversation(key), 0, &r->globals[i])) return false;
    }
    return true;
}

static bool copy_spans(const tpl_sb *b, clo_template_spans *spans, clo_err *err)
{
    clo_template_spans s = {0};
    if (!spans) return true;
    if (b->n_marks) {
        s.spans = calloc(b->n_marks, sizeof *s.spans);
        if (!s.spans) return clo_fail(err, CLO_ERR_MEMORY, "no memory for %zu spans", b->n_marks);
    }
    for (size_t i = 0; i < b->n_marks; i++) {
        s.spans[i].begin = b->marks[i].begin;
        s.spans[i].end = b->marks[i].end;
    }
    s.n = s.cap = b->n_marks;
    clo_template_spans_free(spans);
    *spans = s;
    return true;
}

/* A copy with thinking first, as Python's {"thinking": r, **message, "reasoning_content": r} orders it. */
static json_t *with_reasoning(json_t *message, json_t *reasoning)
{
    json_t *copy = json_object();
    bool ok = copy && json_object_set(copy, "thinking", reasoning) == 0 && json_object_update(copy, message) == 0 &&
              json_object_set(copy, "reasoning_content", reasoning) == 0;
    if (ok) return copy;
    json_decref(copy);
    return NULL;
}

bool clo_template_alias_reasoning(json_t *messages, clo_err *err)
{
    static const char *const fields[] = {"reasoning_content", "thinking", "reasoning"};
    for (size_t i = 0; i < json_array_size(messages); i++) {
        json_t *message = json_array_get(messages, i), *reasoning = NULL;
        for (size_t k = 0; k < 3 && (!reasoning || json_is_null(reasoning)); k++)
            reasoning = json_object_get(message, fields[k]);
        if (!reasoning || json_is_null(reasoning)) continue;
        json_t *copy = with_reasoning(message, reasoning);
        if (!copy || json_array_set_new(messages, i, copy) != 0)
            return clo_fail(err, CLO_ERR_MEMORY, "no memory for message %zu", i);
    }
    return true;
}

bool clo_template_render(const clo_template *t, json_t *vars, clo_template_opts opts, clo_buf *out,
                         clo_template_spans *spans, clo_err *err)
{
    clo_err local;
    tpl_sb text = {0};
    tpl_run r = {.t = t, .opts = opts, .err = err ? err : &local, .out = &text};
    if (!r.opts.output_bytes_max) r.opts.output_bytes_max = 16u << 20;
    if (!r.opts.steps_max) r.opts.steps_max = 20000000;
    if (!json_is_object(vars)) return clo_fail(err, CLO_ERR_USAGE, "template variables are not an object");
    r.arena = clo_arena_make(TPL_MEMORY_BYTES_MAX);
    r.globals = TPL_NEW(&r, tv, (size_t)t->n_syms + 1);
    bool ok = r.globals && set_globals(&r, vars) && tpl_run_root(&r) && copy_spans(&text, spans, r.err);
    if (ok) {
        clo_buf_add(out, (clo_str){text.ptr, text.len});
        ok = clo_buf_ok(out, r.err);
    }
    clo_arena_free(&r.arena);
    return ok;
}
