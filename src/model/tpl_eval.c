/* Runs expressions. Names are looked for in the scopes from the inside out, then in what the caller gave, then among
 * the built-in functions. */
#include <time.h>

#include "model/template_impl.h"

/* ---- arguments ---- */

static bool add_star(tpl_run *r, tpl_scope *s, const tpl_node *n, tpl_args *a)
{
    tv v;
    const tpl_list *l;
    if (!n) return true;
    if (!tpl_eval(r, s, n, &v) || !tpl_iter(r, v, &l)) return false;
    tv *pos = TPL_NEW(r, tv, a->n_pos + l->n + 1);
    if (!pos) return false;
    if (a->n_pos) memcpy(pos, a->pos, a->n_pos * sizeof *pos);
    if (l->n) memcpy(pos + a->n_pos, l->items, l->n * sizeof *pos);
    a->pos = pos;
    a->n_pos += l->n;
    return true;
}

static bool add_star2(tpl_run *r, tpl_scope *s, const tpl_node *n, tpl_args *a)
{
    tv v;
    if (!n) return true;
    if (!tpl_eval(r, s, n, &v)) return false;
    if (v.kind != TV_DICT) return tpl_fail(r, TPL_TYPE_ERROR, "argument after ** must be a mapping");
    tv *kw = TPL_NEW(r, tv, a->n_kw + v.d->n + 1);
    clo_str *names = TPL_NEW(r, clo_str, a->n_kw + v.d->n + 1);
    if (!kw || !names) return false;
    if (a->n_kw) {
        memcpy(kw, a->kw, a->n_kw * sizeof *kw);
        memcpy(names, a->kw_names, a->n_kw * sizeof *names);
    }
    a->kw = kw;
    a->kw_names = names;
    for (size_t i = 0; i < v.d->n; i++) {
        tv key = v.d->pairs[i].key;
        if (key.kind != TV_STR) return tpl_fail(r, TPL_TYPE_ERROR, "keywords must be strings");
        for (size_t k = 0; k < a->n_kw; k++)
            if (clo_str_eq(a->kw_names[k], tpl_bytes(key.s)))
                return tpl_fail(r, TPL_TYPE_ERROR, "got multiple values for keyword argument");
        names[a->n_kw] = tpl_bytes(key.s);
        kw[a->n_kw++] = v.d->pairs[i].value;
    }
    return tpl_work(r, a->n_kw * a->n_kw / 8);
}

bool tpl_eval_args(tpl_run *r, tpl_scope *s, const tpl_call *c, tpl_args *out)
{
    *out = (tpl_args){0};
    if (!c) return true;
    out->pos = TPL_NEW(r, tv, c->pos.n + 1);
    out->kw = TPL_NEW(r, tv, c->n_kw + 1);
    out->kw_names = TPL_NEW(r, clo_str, c->n_kw + 1);
    if (!out->pos || !out->kw || !out->kw_names) return false;
    for (; out->n_pos < c->pos.n; out->n_pos++)
        if (!tpl_eval(r, s, c->pos.p[out->n_pos], &out->pos[out->n_pos])) return false;
    for (; out->n_kw < c->n_kw; out->n_kw++) {
        out->kw_names[out->n_kw] = c->kw[out->n_kw].name;
        if (!tpl_eval(r, s, c->kw[out->n_kw].value, &out->kw[out->n_kw])) return false;
    }
    return add_star(r, s, c->star, out) && add_star2(r, s, c->star2, out);
}

bool tpl_bind_args(tpl_run *r, clo_str what, const tpl_args *a, const char *names, size_t n_required, tv *out,
                   size_t n_out)
{
    if (a->n_pos > n_out)
        return tpl_fail(r, TPL_TYPE_ERROR, "%.*s() takes at most %zu arguments", tpl_shown(what), what.ptr, n_out);
    for (size_t i = 0; i < n_out; i++) out[i] = i < a->n_pos ? a->pos[i] : (tv){.kind = TV_MISSING};
    for (size_t k = 0; k < a->n_kw; k++) {
        clo_str rest = clo_str_from(names);
        size_t i = 0;
        for (; i < n_out && rest.len; i++) {
            size_t end = clo_str_find(rest, 0, ' ');
            if (clo_str_eq((clo_str){rest.ptr, end}, a->kw_names[k])) break;
            rest = clo_str_from_off(rest, end + 1);
        }
        if (i == n_out || !rest.len || out[i].kind != TV_MISSING)
            return tpl_fail(r, TPL_TYPE_ERROR, "%.*s() got an unexpected keyword argument '%.*s'", tpl_shown(what),
                            what.ptr, tpl_shown(a->kw_names[k]), a->kw_names[k].ptr);
        out[i] = a->kw[k];
    }
    for (size_t i = 0; i < n_required; i++)
        if (out[i].kind == TV_MISSING)
            return tpl_fail(r, TPL_TYPE_ERROR, "%.*s() misses argument %zu", tpl_shown(what), what.ptr, i + 1);
    return true;
}

/* ---- built-in functions ---- */

static bool call_range(tpl_run *r, const tpl_args *a, tv *out)
{
    tv v[3], *items;
    int64_t n[3] = {0, 0, 1}, count = 0;
    if (!tpl_bind_args(r, CLO_STR("range"), a, "", 1, v, 3)) return false;
    for (size_t i = 0; i < 3; i++) {
        if (v[i].kind == TV_MISSING) continue;
        if (v[i].kind == TV_UNDEF) return tpl_undef_fail(r, v[i].u);
        if (v[i].kind != TV_INT && v[i].kind != TV_BOOL)
            return tpl_fail(r, TPL_TYPE_ERROR, "'%s' object cannot be interpreted as an integer", tpl_type_name(v[i]));
        n[i] = v[i].kind == TV_INT ? v[i].i : v[i].b;
    }
    if (v[1].kind == TV_MISSING) {
        n[1] = n[0];
        n[0] = 0;
    }
    if (n[2] == 0) return tpl_fail(r, CLO_ERR_USAGE, "range() arg 3 must not be zero");
    const int64_t far = INT64_MAX / 4;
    if (n[0] > far || n[0] < -far || n[1] > far || n[1] < -far || n[2] > far || n[2] < -far)
        return tpl_fail(r, CLO_ERR_LIMIT, "Range too big.");
    if (n[2] > 0 && n[1] > n[0]) count = (n[1] - n[0] - 1) / n[2] + 1;
    if (n[2] < 0 && n[1] < n[0]) count = (n[0] - n[1] - 1) / -n[2] + 1;
    if (count > TPL_RANGE_MAX)
        return tpl_fail(r, CLO_ERR_LIMIT, "Range too big. The sandbox blocks ranges larger than MAX_RANGE (%d).",
                        TPL_RANGE_MAX);
    tpl_list *l = TPL_NEW(r, tpl_list, 1);
    if (!l || !tpl_new_list(r, TV_RANGE, (size_t)count, out, &items)) return false;
    for (int64_t i = 0; i < count; i++) items[i] = tv_int(n[0] + i * n[2]);
    *l = (tpl_list){.items = items, .n = (size_t)count, .range = {n[0], n[1], n[2]}};
    out->l = l;
    return true;
}

/* dict(mapping or pairs, **more), also for namespace. */
static bool call_dict(tpl_run *r, const tpl_args *a, tv_kind kind, tv *out)
{
    tpl_dict *d = TPL_NEW(r, tpl_dict, 1);
    if (!d) return false;
    *out = (tv){.kind = kind, .d = d};
    if (a->n_pos > 1) return tpl_fail(r, TPL_TYPE_ERROR, "dict expected at most 1 argument, got %zu", a->n_pos);
    if (a->n_pos == 1 && a->pos[0].kind == TV_DICT) {
        for (size_t i = 0; i < a->pos[0].d->n; i++)
            if (!tpl_dict_put(r, d, a->pos[0].d->pairs[i].key, a->pos[0].d->pairs[i].value)) return false;
    } else if (a->n_pos == 1) {
        const tpl_list *l, *pair;
        if (!tpl_iter(r, a->pos[0], &l)) return false;
        for (size_t i = 0; i < l->n; i++) {
            if (!tpl_iter(r, l->items[i], &pair)) return false;
            if (pair->n != 2) return tpl_fail(r, TPL_TYPE_ERROR, "a pair of %zu items", pair->n);
            if (!tpl_dict_put(r, d, pair->items[0], pair->items[1])) return false;
        }
    }
    for (size_t i = 0; i < a->n_kw; i++) {
        tv key;
        if (!tpl_new_str(r, a->kw_names[i], &key) || !tpl_dict_put(r, d, key, a->kw[i])) return false;
    }
    for (size_t i = 0; kind == TV_NS && i < d->n; i++)
        if (d->pairs[i].key.kind != TV_STR || clo_str_starts_with(tpl_bytes(d->pairs[i].key.s), CLO_STR("_")))
            return tpl_fail(r, CLO_ERR_DENIED, "a namespace attribute that begins with an underscore");
    return true;
}

/* The message becomes the error's text, nothing added. */
static bool call_raise(tpl_run *r, const tpl_args *a)
{
    tv v[1];
    const tpl_str *s;
    if (!tpl_bind_args(r, CLO_STR("raise_exception"), a, "message", 1, v, 1) || !tpl_to_str(r, v[0], &s)) return false;
    r->failed = true;
    return clo_fail(r->err, CLO_ERR_USAGE, "%.*s", (int)(s->len > 500 ? 500 : s->len), s->ptr);
}

/* strftime of the C library, in the C locale, as Python calls it; directives that would need more than a date and a
 * local time are refused. */
static bool call_strftime(tpl_run *r, const tpl_args *a, tv *out)
{
    tv v[1];
    char fmt[256], text[1024];
    struct tm tm;
    if (!tpl_bind_args(r, CLO_STR("strftime_now"), a, "format", 1, v, 1)) return false;
    if (v[0].kind != TV_STR) return tpl_fail(r, TPL_TYPE_ERROR, "strftime_now() takes text");
    clo_str f = tpl_bytes(v[0].s);
    if (f.len >= sizeof fmt || clo_str_find(f, 0, '\0') < f.len)
        return tpl_fail(r, CLO_ERR_UNSUPPORTED, "a format of strftime_now of %zu bytes", f.len);
    for (size_t i = 0; i < f.len; i++) {
        if (f.ptr[i] != '%') continue;
        size_t k = i + 1;
        if (k < f.len && f.ptr[k] == '-') k++;
        if (k >= f.len || !memchr("aAbBdHIjmMpSyYUwWcxX%eFTDRhnuVG", f.ptr[k], 31))
            return tpl_fail(r, CLO_ERR_UNSUPPORTED, "this directive of strftime_now");
        i = k;
    }
    memcpy(fmt, f.ptr, f.len);
    fmt[f.len] = '\0';
    time_t now = r->opts.now_unix ? (time_t)r->opts.now_unix : time(NULL);
    if (!localtime_r(&now, &tm)) return tpl_fail(r, CLO_ERR_LIMIT, "a date out of range");
    size_t n = f.len ? strftime(text, sizeof text, fmt, &tm) : 0;
    clo_str copy = clo_arena_copy_str(&r->arena, (clo_str){text, n});
    if (!copy.ptr) return tpl_fail(r, CLO_ERR_MEMORY, "no memory");
    return tpl_new_str(r, copy, out);
}

bool tpl_call_value(tpl_run *r, tv f, const tpl_args *a, tv *out)
{
    switch (f.kind) {
    case TV_UNDEF: return tpl_undef_fail(r, f.u);
    case TV_MACRO: return tpl_call_macro(r, f.macro, a, out);
    case TV_METHOD: return tpl_call_method(r, f.method, a, out);
    case TV_LOOP: {
        tv v[1];
        return tpl_bind_args(r, CLO_STR("loop"), a, "iterable", 1, v, 1) && tpl_loop_again(r, f.loop, v[0], out);
    }
    case TV_FUNC:
        switch ((tpl_func)f.func) {
        case TPL_FUNC_NAMESPACE: return call_dict(r, a, TV_NS, out);
        case TPL_FUNC_DICT: return call_dict(r, a, TV_DICT, out);
        case TPL_FUNC_RANGE: return call_range(r, a, out);
        case TPL_FUNC_RAISE: return call_raise(r, a);
        case TPL_FUNC_STRFTIME: return call_strftime(r, a, out);
        case TPL_FUNC_NONE: break;
        }
        return tpl_fail(r, CLO_ERR_UNSUPPORTED, "this function");
    default: return tpl_fail(r, TPL_TYPE_ERROR, "'%s' object is not callable", tpl_type_name(f));
    }
}

/* ---- expressions ---- */

static bool eval_name(tpl_run *r, tpl_scope *s, uint32_t sym, tv *out)
{
    for (; s; s = s->up) {
        for (uint32_t i = 0; i < s->n; i++) {
            if (s->vars[i].sym != sym) continue;
            *out = s->vars[i].value;
            return true;
        }
    }
    *out = r->globals[sym];
    if (out->kind == TV_FUNC && out->func == TPL_FUNC_NONE)
        return tpl_fail(r, CLO_ERR_UNSUPPORTED, "unsupported function '%.*s'", tpl_shown(r->t->syms[sym]),
                        r->t->syms[sym].ptr);
    return out->kind != TV_MISSING || tpl_undef_name(r, r->t->syms[sym], out);
}

static bool eval_list(tpl_run *r, tpl_scope *s, const tpl_node *n, tv *out)
{
    tv *items;
    if (!tpl_new_list(r, n->kind == N_LIST ? TV_LIST : TV_TUPLE, n->list.n, out, &items)) return false;
    for (uint32_t i = 0; i < n->list.n; i++)
        if (!tpl_eval(r, s, n->list.p[i], &items[i])) return false;
    return true;
}

static bool eval_dict(tpl_run *r, tpl_scope *s, const tpl_node *n, tv *out)
{
    tpl_dict *d = TPL_NEW(r, tpl_dict, 1);
    if (!d) return false;
    for (uint32_t i = 0; i + 1 < n->list.n; i += 2) {
        tv k, v;
        if (!tpl_eval(r, s, n->list.p[i], &k) || !tpl_eval(r, s, n->list.p[i + 1], &v)) return false;
        if (!tpl_dict_put(r, d, k, v)) return false;
    }
    *out = (tv){.kind = TV_DICT, .d = d};
    return true;
}

static bool eval_optional(tpl_run *r, tpl_scope *s, const tpl_node *n, tv *out)
{
    *out = tv_none();
    return !n || tpl_eval(r, s, n, out);
}

static bool eval_item(tpl_run *r, tpl_scope *s, const tpl_node *n, tv *out)
{
    tv obj, a, b, c;
    if (!tpl_eval(r, s, n->a, &obj)) return false;
    if (n->b->kind != N_SLICE) return tpl_eval(r, s, n->b, &a) && tpl_get_item(r, obj, a, out);
    if (!eval_optional(r, s, n->b->a, &a) || !eval_optional(r, s, n->b->b, &b)) return false;
    return eval_optional(r, s, n->b->c, &c) && tpl_slice(r, obj, a, b, c, out);
}

static bool eval_concat(tpl_run *r, tpl_scope *s, const tpl_node *n, tv *out)
{
    tpl_sb b = {0};
    for (uint32_t i = 0; i < n->list.n; i++) {
        tv v;
        const tpl_str *text;
        if (!tpl_eval(r, s, n->list.p[i], &v) || !tpl_to_str(r, v, &text)) return false;
        tpl_sb_add_str(r, &b, text);
    }
    return tpl_sb_end(r, &b, out);
}

static bool eval_compare(tpl_run *r, tpl_scope *s, const tpl_node *n, tv *out)
{
    tv left, right;
    bool hit = true;
    if (!tpl_eval(r, s, n->a, &left)) return false;
    for (uint32_t i = 0; hit && i < n->list.n; i++) {
        if (!tpl_eval(r, s, n->list.p[i], &right) || !tpl_compare(r, n->ops[i], left, right, &hit)) return false;
        left = right;
    }
    *out = tv_bool(hit);
    return true;
}

static bool eval_call(tpl_run *r, tpl_scope *s, const tpl_node *n, tv *out)
{
    tv f;
    tpl_args args;
    if (!tpl_eval(r, s, n->a, &f) || !tpl_eval_args(r, s, n->call, &args)) return false;
    r->line = n->line;
    return tpl_call_value(r, f, &args, out);
}

static bool eval_test(tpl_run *r, tpl_scope *s, const tpl_node *n, tv *out)
{
    tv v;
    tpl_args args;
    bool hit;
    if (!tpl_eval(r, s, n->a, &v) || !tpl_eval_args(r, s, n->call, &args)) return false;
    if (!tpl_apply_test(r, n->test, v, &args, &hit)) return false;
    *out = tv_bool(hit);
    return true;
}

static bool eval_filter(tpl_run *r, tpl_scope *s, const tpl_node *n, tv *out)
{
    tv v;
    tpl_args args;
    if (!tpl_eval(r, s, n->a, &v) || !tpl_eval_args(r, s, n->call, &args)) return false;
    r->line = n->line;
    return tpl_apply_filter(r, n->filter, v, &args, out);
}

static bool eval_cond(tpl_run *r, tpl_scope *s, const tpl_node *n, tv *out)
{
    tv test;
    if (!tpl_eval(r, s, n->b, &test)) return false;
    if (tpl_truth(test)) return tpl_eval(r, s, n->a, out);
    if (n->c) return tpl_eval(r, s, n->c, out);
    return tpl_undef_hint(r, "the inline if-expression evaluated to false and no else section was defined.", out);
}

/* Truth of what is unsafe raises, as every use of it does in Jinja's sandbox except `is defined`. */
static bool eval_logic(tpl_run *r, tpl_scope *s, const tpl_node *n, tv *out)
{
    if (!tpl_eval(r, s, n->a, out)) return false;
    if (tpl_truth(*out) == (n->kind == N_OR)) return true;
    return tpl_eval(r, s, n->b, out);
}

static bool eval_node(tpl_run *r, tpl_scope *s, const tpl_node *n, tv *out)
{
    tv a, b;
    switch (n->kind) {
    case N_CONST: *out = n->value; return true;
    case N_NAME: return eval_name(r, s, n->sym, out);
    case N_LIST:
    case N_TUPLE: return eval_list(r, s, n, out);
    case N_DICT: return eval_dict(r, s, n, out);
    case N_ATTR: return tpl_eval(r, s, n->a, &a) && tpl_get_attr(r, a, n->name, out);
    case N_ITEM: return eval_item(r, s, n, out);
    case N_CALL: return eval_call(r, s, n, out);
    case N_FILTER: return eval_filter(r, s, n, out);
    case N_TEST: return eval_test(r, s, n, out);
    case N_NOT:
        if (!tpl_eval(r, s, n->a, &a)) return false;
        *out = tv_bool(!tpl_truth(a));
        return true;
    case N_NEG: return tpl_eval(r, s, n->a, &a) && tpl_negate(r, a, out);
    case N_POS: return tpl_eval(r, s, n->a, &a) && tpl_negate(r, a, &b) && tpl_negate(r, b, out);
    case N_AND:
    case N_OR: return eval_logic(r, s, n, out);
    case N_COND: return eval_cond(r, s, n, out);
    case N_CONCAT: return eval_concat(r, s, n, out);
    case N_COMPARE: return eval_compare(r, s, n, out);
    case N_BIN:
        return tpl_eval(r, s, n->a, &a) && tpl_eval(r, s, n->b, &b) && tpl_binary(r, n->op, a, b, out);
    default: return tpl_fail(r, CLO_ERR_UNSUPPORTED, "this expression");
    }
}

bool tpl_eval(tpl_run *r, tpl_scope *s, const tpl_node *n, tv *out)
{
    if (!tpl_enter_run(r, n->line)) return false;
    bool ok = eval_node(r, s, n, out);
    r->depth--;
    return ok;
}
