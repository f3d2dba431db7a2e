/* Runs statements. Scopes are Jinja's: for, macro, call, set block, filter block and with open one; if does not. What is
 * set inside a scope is gone at its end; a loop's iterations have one each. */
#include <stdarg.h>

#include "model/template_impl.h"

typedef enum { FLOW_ERROR, FLOW_NEXT, FLOW_BREAK, FLOW_CONTINUE } flow;

static flow run_node(tpl_run *r, tpl_scope *s, const tpl_node *n);

/* ---- the rendering's own bookkeeping ---- */

bool tpl_fail(tpl_run *r, clo_code code, const char *fmt, ...)
{
    char text[480];
    if (r->failed) return false; /* the first one stands */
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    r->failed = true;
    return clo_fail(r->err, code, "line %u: %s", r->line, text);
}

bool tpl_work(tpl_run *r, size_t n)
{
    r->steps += n;
    if (r->steps > r->opts.steps_max || r->steps < n)
        return tpl_fail(r, CLO_ERR_LIMIT, "more than %llu steps", (unsigned long long)r->opts.steps_max);
    return true;
}

void *tpl_alloc(tpl_run *r, size_t n, size_t size)
{
    void *p = r->failed ? NULL : clo_arena_alloc_n(&r->arena, n, size);
    if (!p) (void)tpl_fail(r, CLO_ERR_LIMIT, "the template needs more than %u MiB", TPL_MEMORY_BYTES_MAX >> 20);
    return p;
}

bool tpl_enter_run(tpl_run *r, uint32_t line)
{
    if (!tpl_work(r, 1)) return false;
    r->line = line;
    if (r->depth >= TPL_RUN_DEPTH_MAX) return tpl_fail(r, CLO_ERR_LIMIT, "recursion deeper than %d", TPL_RUN_DEPTH_MAX);
    r->depth++;
    return true;
}

static tpl_scope *new_scope(tpl_run *r, tpl_scope *up)
{
    tpl_scope *s = TPL_NEW(r, tpl_scope, 1);
    if (s) s->up = up;
    return s;
}

bool tpl_bind(tpl_run *r, tpl_scope *s, uint32_t sym, tv v)
{
    for (uint32_t i = 0; i < s->n; i++) {
        if (s->vars[i].sym != sym) continue;
        s->vars[i].value = v;
        return true;
    }
    if (s->n == s->cap) {
        uint32_t cap = s->cap ? s->cap * 2 : 4;
        tpl_binding *p = TPL_NEW(r, tpl_binding, cap);
        if (!p) return false;
        if (s->n) memcpy(p, s->vars, s->n * sizeof *p);
        s->vars = p;
        s->cap = cap;
    }
    s->vars[s->n++] = (tpl_binding){sym, v};
    return true;
}

/* ---- output ---- */

static flow emit(tpl_run *r, const tpl_str *s)
{
    if (s->len > r->opts.output_bytes_max - r->out->len) {
        (void)tpl_fail(r, CLO_ERR_LIMIT, "more than %zu bytes of output", r->opts.output_bytes_max);
        return FLOW_ERROR;
    }
    tpl_sb_add_str(r, r->out, s);
    return !r->failed && tpl_work(r, s->len / 64) ? FLOW_NEXT : FLOW_ERROR;
}

static flow emit_value(tpl_run *r, tv v)
{
    const tpl_str *s;
    return tpl_to_str(r, v, &s) ? emit(r, s) : FLOW_ERROR;
}

/* Runs n with its output caught. */
static flow capture(tpl_run *r, tpl_scope *s, const tpl_node *n, tv *out)
{
    tpl_sb b = {0}, *keep = r->out;
    r->out = &b;
    flow f = run_node(r, s, n);
    r->out = keep;
    if (f == FLOW_ERROR || !tpl_sb_end(r, &b, out)) return FLOW_ERROR;
    return f;
}

/* ---- assignment ---- */

static bool assign_ns(tpl_run *r, tpl_scope *s, const tpl_node *n, tv v)
{
    tv ns, key;
    tpl_node name = {.kind = N_NAME, .sym = n->sym, .line = n->line};
    if (!tpl_eval(r, s, &name, &ns)) return false;
    if (ns.kind != TV_NS) return tpl_fail(r, TPL_TYPE_ERROR, "cannot assign attribute on non-namespace object");
    if (clo_str_starts_with(n->name, CLO_STR("_")))
        return tpl_fail(r, CLO_ERR_DENIED, "a namespace attribute that begins with an underscore");
    return tpl_new_str(r, n->name, &key) && tpl_dict_put(r, ns.d, key, v);
}

static bool assign(tpl_run *r, tpl_scope *s, const tpl_node *target, tv v)
{
    const tpl_list *l;
    if (target->kind == N_NAME) return tpl_bind(r, s, target->sym, v);
    if (target->kind == N_NSREF) return assign_ns(r, s, target, v);
    if (!tpl_is_iterable(v))
        return tpl_fail(r, TPL_TYPE_ERROR, "cannot unpack non-iterable %s object", tpl_type_name(v));
    if (!tpl_iter(r, v, &l)) return false;
    if (l->n > target->list.n)
        return tpl_fail(r, CLO_ERR_USAGE, "too many values to unpack (expected %u)", target->list.n);
    if (l->n < target->list.n)
        return tpl_fail(r, CLO_ERR_USAGE, "not enough values to unpack (expected %u, got %zu)", target->list.n, l->n);
    for (uint32_t i = 0; i < target->list.n; i++)
        if (!assign(r, s, target->list.p[i], l->items[i])) return false;
    return true;
}

/* Filters of a block applied to its text: the innermost filter's operand is NULL. */
static bool apply_block_filters(tpl_run *r, tpl_scope *s, const tpl_node *n, tv v, tv *out)
{
    tpl_args args;
    if (!n) {
        *out = v;
        return true;
    }
    if (!apply_block_filters(r, s, n->a, v, &v) || !tpl_eval_args(r, s, n->call, &args)) return false;
    r->line = n->line;
    return tpl_apply_filter(r, n->filter, v, &args, out);
}

static flow run_set_block(tpl_run *r, tpl_scope *s, const tpl_node *n)
{
    tv v;
    tpl_scope *inner = new_scope(r, s);
    if (!inner) return FLOW_ERROR;
    flow f = capture(r, inner, n->body, &v);
    if (f != FLOW_NEXT) return f;
    inner->over = true;
    if (!apply_block_filters(r, s, n->b, v, &v) || !assign(r, s, n->a, v)) return FLOW_ERROR;
    return FLOW_NEXT;
}

static flow run_filter_block(tpl_run *r, tpl_scope *s, const tpl_node *n)
{
    tv v;
    tpl_scope *inner = new_scope(r, s);
    if (!inner) return FLOW_ERROR;
    flow f = capture(r, inner, n->body, &v);
    if (f != FLOW_NEXT) return f;
    if (!apply_block_filters(r, inner, n->a, v, &v)) return FLOW_ERROR;
    inner->over = true;
    if (v.kind != TV_STR) return tpl_fail(r, TPL_TYPE_ERROR, "a filter block gives %s, not text", tpl_type_name(v)) ? 0 : FLOW_ERROR;
    return emit(r, v.s);
}

/* ---- loops ---- */

/* The next item that the loop's filter lets through; TV_MISSING at the end. */
static bool loop_pull(tpl_run *r, tpl_loop *l, tv *out)
{
    while (l->pos < l->src->n) {
        tv item = l->src->items[l->pos++], keep = tv_bool(true);
        if (l->gen) l->gen->pos = l->pos;
        if (l->node->c) {
            tpl_scope *s = new_scope(r, l->outer);
            if (!s || !assign(r, s, l->node->a, item) || !tpl_eval(r, s, l->node->c, &keep)) return false;
        }
        *out = item;
        if (tpl_truth(keep)) return true;
    }
    *out = (tv){.kind = TV_MISSING};
    return true;
}

static bool loop_peek(tpl_run *r, tpl_loop *l, tv *out)
{
    if (!l->has_after) {
        if (!loop_pull(r, l, &l->after)) return false;
        l->has_after = l->after.kind != TV_MISSING;
    }
    *out = l->after;
    return true;
}

/* How many items there are in all; a filtered loop is walked to its end for it. */
static bool loop_length(tpl_run *r, tpl_loop *l, int64_t *out)
{
    if (l->length >= 0) {
        *out = l->length;
        return true;
    }
    if (l->sized) {
        l->length = (int64_t)l->src->n;
    } else {
        tv list, *items;
        size_t n = 0;
        if (!tpl_new_list(r, TV_LIST, l->src->n - l->pos, &list, &items)) return false;
        while (l->pos < l->src->n) {
            tv v;
            if (!loop_pull(r, l, &v)) return false;
            if (v.kind != TV_MISSING) items[n++] = v;
        }
        tpl_list *rest = TPL_NEW(r, tpl_list, 1);
        tpl_node *plain = TPL_NEW(r, tpl_node, 1);
        if (!rest || !plain) return false;
        *rest = (tpl_list){.items = items, .n = n};
        *plain = *l->node;
        plain->c = NULL;
        l->node = plain;
        l->src = rest;
        l->gen = NULL;
        l->pos = 0;
        l->length = (int64_t)n + l->index0 + 1 + l->has_after;
    }
    *out = l->length;
    return true;
}

bool tpl_loop_attr(tpl_run *r, tpl_loop *l, clo_str name, tv *out)
{
    int64_t n;
    bool rev0 = clo_str_eq(name, CLO_STR("revindex0")), rev = clo_str_eq(name, CLO_STR("revindex"));
    if (clo_str_eq(name, CLO_STR("index0"))) *out = tv_int(l->index0);
    else if (clo_str_eq(name, CLO_STR("index"))) *out = tv_int(l->index0 + 1);
    else if (clo_str_eq(name, CLO_STR("first"))) *out = tv_bool(l->index0 == 0);
    else if (clo_str_eq(name, CLO_STR("depth"))) *out = tv_int(l->depth0 + 1);
    else if (clo_str_eq(name, CLO_STR("depth0"))) *out = tv_int(l->depth0);
    else if (clo_str_eq(name, CLO_STR("last"))) {
        if (!loop_peek(r, l, out)) return false;
        *out = tv_bool(out->kind == TV_MISSING);
    } else if (clo_str_eq(name, CLO_STR("nextitem"))) {
        if (!loop_peek(r, l, out)) return false;
        return out->kind != TV_MISSING || tpl_undef_hint(r, "there is no next item", out);
    } else if (clo_str_eq(name, CLO_STR("previtem"))) {
        *out = l->before;
        return l->index0 > 0 || tpl_undef_hint(r, "there is no previous item", out);
    } else if (clo_str_eq(name, CLO_STR("length")) || rev || rev0) {
        if (!loop_length(r, l, &n)) return false;
        *out = tv_int(rev0 ? n - l->index0 - 1 : rev ? n - l->index0 : n);
    } else if (clo_str_eq(name, CLO_STR("cycle")) || clo_str_eq(name, CLO_STR("changed"))) {
        tpl_method *m = TPL_NEW(r, tpl_method, 1);
        if (!m) return false;
        *m = (tpl_method){.self = {.kind = TV_LOOP, .loop = l}, .name = name};
        *out = (tv){.kind = TV_METHOD, .method = m};
    } else if (clo_str_starts_with(name, CLO_STR("_"))) {
        return tpl_fail(r, CLO_ERR_DENIED, "access to attribute '%.*s' of 'LoopContext' object is unsafe.",
                        tpl_shown(name), name.ptr);
    } else {
        *out = (tv){.kind = TV_MISSING};
    }
    return true;
}

static bool loop_begin(tpl_run *r, tpl_scope *outer, const tpl_node *n, tv v, int64_t depth0, tpl_loop **out)
{
    tpl_loop *l = TPL_NEW(r, tpl_loop, 1);
    if (!l) return false;
    l->node = n;
    l->outer = outer;
    l->index0 = -1;
    l->length = -1;
    l->depth0 = depth0;
    l->sized = v.kind != TV_GEN && !n->c;
    if (v.kind == TV_GEN) { /* walked as the loop goes: a break leaves the rest */
        l->gen = v.g;
        l->src = v.g->l;
        l->pos = v.g->pos;
    } else if (!tpl_iter(r, v, &l->src)) {
        return false;
    }
    *out = l;
    return true;
}

static uint32_t sym_of(const tpl_run *r, const char *name)
{
    uint32_t i = 0;
    while (i < r->t->n_syms && !clo_str_eq(r->t->syms[i], clo_str_from(name))) i++;
    return i;
}

static flow run_loop(tpl_run *r, tpl_scope *outer, const tpl_node *n, tv v, int64_t depth0)
{
    tpl_loop *l;
    bool ran = false;
    uint32_t loop_sym = sym_of(r, "loop");
    if (!loop_begin(r, outer, n, v, depth0, &l)) return FLOW_ERROR;
    for (;;) {
        tv item;
        if (!loop_peek(r, l, &item)) return FLOW_ERROR;
        if (item.kind == TV_MISSING) break;
        l->has_after = false;
        l->index0++;
        l->before = l->current;
        l->current = item;
        tpl_scope *s = new_scope(r, outer);
        if (!s || !tpl_bind(r, s, loop_sym, (tv){.kind = TV_LOOP, .loop = l})) return FLOW_ERROR;
        if (!assign(r, s, n->a, item)) return FLOW_ERROR;
        flow f = run_node(r, s, n->body);
        s->over = true;
        if (f == FLOW_ERROR) return f;
        if (f == FLOW_BREAK) break;
        ran |= f == FLOW_NEXT; /* Jinja notes it at the end of the body, which continue skips */
    }
    if (ran || !n->orelse) return FLOW_NEXT;
    tpl_scope *s = new_scope(r, outer);
    return s ? run_node(r, s, n->orelse) : FLOW_ERROR;
}

bool tpl_loop_again(tpl_run *r, tpl_loop *l, tv items, tv *out)
{
    tpl_sb b = {0}, *keep = r->out;
    if (!l->node->recursive)
        return tpl_fail(r, TPL_TYPE_ERROR, "The loop must have the 'recursive' marker to be called recursively.");
    if (!tpl_enter_run(r, r->line)) return false;
    r->out = &b;
    flow f = run_loop(r, l->outer, l->node, items, l->depth0 + 1);
    r->out = keep;
    r->depth--;
    return f != FLOW_ERROR && tpl_sb_end(r, &b, out);
}

static flow run_for(tpl_run *r, tpl_scope *s, const tpl_node *n)
{
    tv v;
    if (!tpl_eval(r, s, n->b, &v)) return FLOW_ERROR;
    if (!n->recursive) return run_loop(r, s, n, v, 0);
    tpl_sb b = {0}, *keep = r->out;
    r->out = &b;
    flow f = run_loop(r, s, n, v, 0);
    r->out = keep;
    return f != FLOW_ERROR && tpl_sb_end(r, &b, &v) ? emit_value(r, v) : FLOW_ERROR;
}

/* ---- macros ---- */

static bool bind_params(tpl_run *r, const tpl_macro *m, tpl_args *a, tpl_scope *s, bool *used)
{
    const tpl_nodes *params = &m->node->list, *defaults = &m->node->list2;
    tv *given = TPL_NEW(r, tv, params->n + 1);
    if (!given) return false;
    for (uint32_t i = 0; i < params->n; i++) {
        if (i < a->n_pos) given[i] = a->pos[i];
        for (size_t k = 0; i >= a->n_pos && k < a->n_kw; k++) {
            if (!clo_str_eq(a->kw_names[k], r->t->syms[params->p[i]->sym])) continue;
            given[i] = a->kw[k];
            used[k] = true;
        }
    }
    for (uint32_t i = 0; i < params->n; i++) { /* a default may use the parameters before it */
        if (given[i].kind == TV_MISSING && i + defaults->n >= params->n) {
            if (!tpl_eval(r, s, defaults->p[i + defaults->n - params->n], &given[i])) return false;
        } else if (given[i].kind == TV_MISSING) {
            clo_str name = r->t->syms[params->p[i]->sym];
            char *hint = TPL_NEW(r, char, name.len + 40);
            if (!hint) return false;
            snprintf(hint, name.len + 40, "parameter '%.*s' was not provided", (int)name.len, name.ptr);
            if (!tpl_undef_hint(r, hint, &given[i])) return false;
        }
        if (!tpl_bind(r, s, params->p[i]->sym, given[i])) return false;
    }
    return true;
}

static bool bind_kwargs(tpl_run *r, const tpl_macro *m, const tpl_args *a, tpl_scope *s, const bool *used)
{
    tpl_dict *d = TPL_NEW(r, tpl_dict, 1);
    if (!d) return false;
    for (size_t k = 0; k < a->n_kw; k++) {
        tv key;
        if (used[k]) continue;
        bool caller = clo_str_eq(a->kw_names[k], CLO_STR("caller"));
        if (!m->node->uses_kwargs && caller)
            return tpl_fail(r, TPL_TYPE_ERROR, "macro '%.*s' was invoked with two values for the special caller "
                            "argument. This is most likely a bug.", tpl_shown(m->node->name), m->node->name.ptr);
        if (!m->node->uses_kwargs)
            return tpl_fail(r, TPL_TYPE_ERROR, "macro '%.*s' takes no keyword argument '%.*s'",
                            tpl_shown(m->node->name), m->node->name.ptr, tpl_shown(a->kw_names[k]), a->kw_names[k].ptr);
        if (!tpl_new_str(r, a->kw_names[k], &key) || !tpl_dict_put(r, d, key, a->kw[k])) return false;
    }
    return !m->node->uses_kwargs || tpl_bind(r, s, sym_of(r, "kwargs"), (tv){.kind = TV_DICT, .d = d});
}

static bool bind_caller(tpl_run *r, const tpl_args *a, tpl_scope *s, bool *used)
{
    tv caller = tv_none();
    for (size_t k = 0; k < a->n_kw; k++) {
        if (used[k] || !clo_str_eq(a->kw_names[k], CLO_STR("caller"))) continue;
        caller = a->kw[k];
        used[k] = true;
    }
    if (caller.kind == TV_NONE && !tpl_undef_hint(r, "No caller defined", &caller)) return false;
    return tpl_bind(r, s, sym_of(r, "caller"), caller);
}

static bool bind_varargs(tpl_run *r, const tpl_macro *m, const tpl_args *a, tpl_scope *s)
{
    size_t n = m->node->list.n, extra = a->n_pos > n ? a->n_pos - n : 0;
    tv v, *items;
    if (!m->node->uses_varargs) {
        if (!extra) return true;
        return tpl_fail(r, TPL_TYPE_ERROR, "macro '%.*s' takes not more than %zu argument(s)",
                        tpl_shown(m->node->name), m->node->name.ptr, n);
    }
    if (!tpl_new_list(r, TV_TUPLE, extra, &v, &items)) return false;
    if (extra) memcpy(items, a->pos + n, extra * sizeof *items);
    return tpl_bind(r, s, sym_of(r, "varargs"), v);
}

bool tpl_call_macro(tpl_run *r, const tpl_macro *m, const tpl_args *a, tv *out)
{
    tpl_scope *s = new_scope(r, m->scope);
    bool *used = TPL_NEW(r, bool, a->n_kw + 1);
    tpl_args args = *a;
    for (const tpl_scope *up = m->scope; up; up = up->up)
        if (up->over) return tpl_fail(r, CLO_ERR_UNSUPPORTED, "a macro called outside of the block that defined it");
    if (!s || !used || !tpl_enter_run(r, r->line)) return false;
    if (!bind_params(r, m, &args, s, used)) return false;
    if (m->node->uses_caller && !bind_caller(r, a, s, used)) return false;
    if (!bind_kwargs(r, m, a, s, used) || !bind_varargs(r, m, a, s)) return false;
    bool ok = capture(r, s, m->node->body, out) == FLOW_NEXT;
    r->depth--;
    return ok;
}

static bool new_macro(tpl_run *r, tpl_scope *s, const tpl_node *n, tv *out)
{
    tpl_macro *m = TPL_NEW(r, tpl_macro, 1);
    if (!m) return false;
    m->node = n;
    m->scope = s;
    *out = (tv){.kind = TV_MACRO, .macro = m};
    return true;
}

static flow run_call_block(tpl_run *r, tpl_scope *s, const tpl_node *n)
{
    tv f, caller, v;
    tpl_args a;
    if (!new_macro(r, s, n, &caller) || !tpl_eval(r, s, n->a->a, &f)) return FLOW_ERROR;
    if (!tpl_eval_args(r, s, n->a->call, &a)) return FLOW_ERROR;
    if (f.kind == TV_UNDEF) return tpl_undef_fail(r, f.u) ? FLOW_NEXT : FLOW_ERROR;
    clo_str *names = TPL_NEW(r, clo_str, a.n_kw + 1);
    tv *kw = TPL_NEW(r, tv, a.n_kw + 1);
    if (!names || !kw) return FLOW_ERROR;
    if (a.n_kw) {
        memcpy(names, a.kw_names, a.n_kw * sizeof *names);
        memcpy(kw, a.kw, a.n_kw * sizeof *kw);
    }
    names[a.n_kw] = CLO_STR("caller");
    kw[a.n_kw++] = caller;
    a.kw_names = names;
    a.kw = kw;
    if (f.kind != TV_MACRO) return tpl_fail(r, CLO_ERR_UNSUPPORTED, "a call block of other than a macro") ? 0 : FLOW_ERROR;
    return tpl_call_macro(r, f.macro, &a, &v) ? emit_value(r, v) : FLOW_ERROR;
}

/* ---- statements ---- */

static flow run_body(tpl_run *r, tpl_scope *s, const tpl_node *n)
{
    flow f = FLOW_NEXT;
    for (uint32_t i = 0; f == FLOW_NEXT && i < n->list.n; i++) f = run_node(r, s, n->list.p[i]);
    return f;
}

static flow run_if(tpl_run *r, tpl_scope *s, const tpl_node *n)
{
    for (uint32_t i = 0; i + 1 < n->list.n; i += 2) {
        tv test = tv_bool(true);
        if (n->list.p[i] && !tpl_eval(r, s, n->list.p[i], &test)) return FLOW_ERROR;
        if (tpl_truth(test)) return run_node(r, s, n->list.p[i + 1]);
    }
    return FLOW_NEXT;
}

static flow run_print(tpl_run *r, tpl_scope *s, const tpl_node *n)
{
    for (uint32_t i = 0; i < n->list.n; i++) {
        tv v;
        if (!tpl_eval(r, s, n->list.p[i], &v) || emit_value(r, v) == FLOW_ERROR) return FLOW_ERROR;
    }
    return FLOW_NEXT;
}

static flow run_with(tpl_run *r, tpl_scope *s, const tpl_node *n)
{
    tpl_scope *inner = new_scope(r, s);
    if (!inner) return FLOW_ERROR;
    for (uint32_t i = 0; i < n->list.n; i++) {
        tv v;
        if (!tpl_eval(r, s, n->list2.p[i], &v) || !assign(r, inner, n->list.p[i], v)) return FLOW_ERROR;
    }
    flow f = run_node(r, inner, n->body);
    inner->over = true;
    return f;
}

static flow run_one(tpl_run *r, tpl_scope *s, const tpl_node *n)
{
    tv v;
    switch (n->kind) {
    case N_DATA: return emit(r, n->str);
    case N_PRINT: return run_print(r, s, n);
    case N_BODY: return run_body(r, s, n);
    case N_IF: return run_if(r, s, n);
    case N_FOR: return run_for(r, s, n);
    case N_SET: return tpl_eval(r, s, n->b, &v) && assign(r, s, n->a, v) ? FLOW_NEXT : FLOW_ERROR;
    case N_SET_BLOCK: return run_set_block(r, s, n);
    case N_MACRO: return new_macro(r, s, n, &v) && tpl_bind(r, s, n->sym, v) ? FLOW_NEXT : FLOW_ERROR;
    case N_CALL_BLOCK: return run_call_block(r, s, n);
    case N_FILTER_BLOCK: return run_filter_block(r, s, n);
    case N_WITH: return run_with(r, s, n);
    case N_BREAK: return FLOW_BREAK;
    case N_CONTINUE: return FLOW_CONTINUE;
    default: return tpl_fail(r, CLO_ERR_UNSUPPORTED, "this statement") ? FLOW_NEXT : FLOW_ERROR;
    }
}

static flow run_node(tpl_run *r, tpl_scope *s, const tpl_node *n)
{
    if (!tpl_enter_run(r, n->line)) return FLOW_ERROR;
    flow f = run_one(r, s, n);
    r->depth--;
    return f;
}

bool tpl_run_root(tpl_run *r)
{
    tpl_scope *s = new_scope(r, NULL);
    return s && run_node(r, s, r->t->root) != FLOW_ERROR;
}
