/* Expressions of the template language: a recursive descent in the order of jinja2.parser, loosest first:
 *
 *   a if b else c · or · and · not · comparisons, in, not in · + - · ~ · * / // % · ** · unary + - · primary,
 *   then .name [item] (call), then |filter and `is test`, which bind tighter than any operator. */
#include <stdarg.h>

#include "model/template_impl.h"

static bool parse_or(tpl_parser *p, tpl_node **out);
static bool parse_unary(tpl_parser *p, bool with_filter, tpl_node **out);
static bool parse_primary(tpl_parser *p, bool with_ns, tpl_node **out);
static bool parse_postfix(tpl_parser *p, tpl_node **node);

/* ---- helpers of both parser files ---- */

bool tpl_syntax(tpl_parser *p, uint32_t line, clo_code code, const char *fmt, ...)
{
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return clo_fail(p->err, code, "line %u: %s", line, text);
}

bool tpl_at_name(const tpl_parser *p, const char *name)
{
    return tpl_cur(p)->kind == T_NAME && clo_str_eq(tpl_cur(p)->text, clo_str_from(name));
}

bool tpl_skip_name(tpl_parser *p, const char *name)
{
    bool hit = tpl_at_name(p, name);
    p->i += hit;
    return hit;
}

bool tpl_at_op(const tpl_parser *p, uint32_t op)
{
    return tpl_cur(p)->kind == T_OP && tpl_cur(p)->op == op;
}

bool tpl_skip_op(tpl_parser *p, uint32_t op)
{
    bool hit = tpl_at_op(p, op);
    p->i += hit;
    return hit;
}

static void describe(const tpl_tok *t, char out[64])
{
    static const char *const names[] = {"end of template", "text", "{{", "}}", "{%", "%}"};
    if (t->kind == T_NAME) snprintf(out, 64, "'%.*s'", (int)(t->text.len > 40 ? 40 : t->text.len), t->text.ptr);
    else if (t->kind == T_OP) snprintf(out, 64, "'%c%c'", (int)(t->op & 255), t->op >> 8 ? (int)(t->op >> 8) : ' ');
    else if (t->kind <= T_BLOCK_END) snprintf(out, 64, "%s", names[t->kind]);
    else snprintf(out, 64, "a literal");
}

bool tpl_expect_op(tpl_parser *p, uint32_t op)
{
    char found[64];
    if (tpl_skip_op(p, op)) return true;
    describe(tpl_cur(p), found);
    return tpl_syntax(p, tpl_cur(p)->line, CLO_ERR_FORMAT, "expected '%c', got %s", (int)(op & 255), found);
}

bool tpl_expect(tpl_parser *p, tpl_tok_kind kind, const char *what)
{
    char found[64];
    if (tpl_cur(p)->kind == kind) {
        p->i++;
        return true;
    }
    describe(tpl_cur(p), found);
    return tpl_syntax(p, tpl_cur(p)->line, CLO_ERR_FORMAT, "expected %s, got %s", what, found);
}

bool tpl_enter(tpl_parser *p)
{
    if (++p->nest <= TPL_NEST_MAX) return true;
    return tpl_syntax(p, tpl_cur(p)->line, CLO_ERR_LIMIT, "nested deeper than %d", TPL_NEST_MAX);
}

tpl_node *tpl_node_new(tpl_parser *p, tpl_node_kind kind, uint32_t line)
{
    tpl_node *n = CLO_NEW(&p->t->arena, tpl_node, 1);
    if (!n) {
        (void)clo_arena_full(&p->t->arena, p->err);
        return NULL;
    }
    n->kind = kind;
    n->line = line;
    return n;
}

static void deepen(uint16_t *d, const tpl_node *kid)
{
    if (kid && kid->depth > *d) *d = kid->depth;
}

static void deepen_all(uint16_t *d, const tpl_nodes *l)
{
    for (uint32_t i = 0; i < l->n; i++) deepen(d, l->p[i]);
}

/* A finished node: its height is known and checked. */
bool tpl_node_done(tpl_parser *p, tpl_node *n, tpl_node **out)
{
    uint16_t d = 0;
    const tpl_node *kids[] = {n->a, n->b, n->c, n->body, n->orelse};
    for (size_t i = 0; i < sizeof kids / sizeof *kids; i++) deepen(&d, kids[i]);
    deepen_all(&d, &n->list);
    deepen_all(&d, &n->list2);
    if (n->call) {
        deepen_all(&d, &n->call->pos);
        for (uint32_t i = 0; i < n->call->n_kw; i++) deepen(&d, n->call->kw[i].value);
        deepen(&d, n->call->star);
        deepen(&d, n->call->star2);
    }
    n->depth = (uint16_t)(d + 1);
    if (n->depth > TPL_NODE_DEPTH_MAX)
        return tpl_syntax(p, n->line, CLO_ERR_LIMIT, "an expression deeper than %d", TPL_NODE_DEPTH_MAX);
    *out = n;
    return true;
}

bool tpl_nodes_add(tpl_parser *p, tpl_nodes *l, tpl_node *n)
{
    if (l->n == l->cap) {
        uint32_t cap = l->cap ? l->cap * 2 : 4;
        tpl_node **q = CLO_NEW(&p->t->arena, tpl_node *, cap);
        if (!q) return clo_arena_full(&p->t->arena, p->err);
        if (l->n) memcpy(q, l->p, l->n * sizeof *q);
        l->p = q;
        l->cap = cap;
    }
    l->p[l->n++] = n;
    return true;
}

#define TPL_SYMS_MAX 4096

bool tpl_sym(tpl_parser *p, clo_str name, uint32_t *out)
{
    clo_template *t = p->t;
    for (uint32_t i = 0; i < t->n_syms; i++) {
        if (clo_str_eq(t->syms[i], name)) {
            *out = i;
            return true;
        }
    }
    if (t->n_syms == TPL_SYMS_MAX)
        return tpl_syntax(p, tpl_cur(p)->line, CLO_ERR_LIMIT, "more than %d names", TPL_SYMS_MAX);
    if (t->n_syms == t->cap_syms) {
        uint32_t cap = t->cap_syms ? t->cap_syms * 2 : 32;
        clo_str *q = CLO_NEW(&t->arena, clo_str, cap);
        if (!q) return clo_arena_full(&t->arena, p->err);
        if (t->n_syms) memcpy(q, t->syms, t->n_syms * sizeof *q);
        t->syms = q;
        t->cap_syms = cap;
    }
    *out = t->n_syms;
    t->syms[t->n_syms++] = name;
    return true;
}

/* ---- primaries ---- */

/* A macro that mentions caller, varargs or kwargs takes them; so do the macros around it. */
static void note_special(tpl_parser *p, clo_str name)
{
    for (tpl_fn_ctx *f = p->fn; f; f = f->up) {
        f->caller |= clo_str_eq(name, CLO_STR("caller"));
        f->varargs |= clo_str_eq(name, CLO_STR("varargs"));
        f->kwargs |= clo_str_eq(name, CLO_STR("kwargs"));
    }
}

static bool parse_name(tpl_parser *p, bool with_ns, tpl_node **out)
{
    static const struct {
        const char *word;
        tv_kind kind;
        bool b;
    } words[] = {{"true", TV_BOOL, true},   {"True", TV_BOOL, true}, {"false", TV_BOOL, false},
                 {"False", TV_BOOL, false}, {"none", TV_NONE, 0},    {"None", TV_NONE, 0}};
    const tpl_tok *t = &p->toks[p->i++];
    tpl_node *n = tpl_node_new(p, N_NAME, t->line);
    if (!n) return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!clo_str_eq(t->text, clo_str_from(words[i].word))) continue;
        n->kind = N_CONST;
        n->value = words[i].kind == TV_NONE ? tv_none() : tv_bool(words[i].b);
        return tpl_node_done(p, n, out);
    }
    if (!tpl_sym(p, t->text, &n->sym)) return false;
    if (with_ns && tpl_skip_op(p, '.')) {
        n->kind = N_NSREF;
        n->name = tpl_cur(p)->text;
        return tpl_expect(p, T_NAME, "a name") && tpl_node_done(p, n, out);
    }
    note_special(p, t->text);
    return tpl_node_done(p, n, out);
}

static bool const_str(tpl_parser *p, clo_str s, tv *out)
{
    tpl_str *q = CLO_NEW(&p->t->arena, tpl_str, 1);
    if (!q) return clo_arena_full(&p->t->arena, p->err);
    q->ptr = s.ptr;
    q->len = s.len;
    *out = tv_str(q);
    return true;
}

/* One string literal, or several side by side. */
static bool parse_string(tpl_parser *p, tpl_node **out)
{
    tpl_node *n = tpl_node_new(p, N_CONST, tpl_cur(p)->line);
    if (!n) return false;
    size_t len = 0, begin = p->i;
    while (tpl_cur(p)->kind == T_STR) len += p->toks[p->i++].text.len;
    clo_str s = p->toks[begin].text;
    if (p->i - begin > 1) {
        char *q = CLO_NEW(&p->t->arena, char, len + 1);
        if (!q) return clo_arena_full(&p->t->arena, p->err);
        s = (clo_str){q, len};
        for (size_t i = begin; i < p->i; q += p->toks[i++].text.len)
            memcpy(q, p->toks[i].text.ptr, p->toks[i].text.len);
    }
    return const_str(p, s, &n->value) && tpl_node_done(p, n, out);
}

/* [a, b] or {k: v}; a comma may end the list. */
static bool parse_display(tpl_parser *p, uint32_t close, tpl_node **out)
{
    bool dict = close == '}';
    tpl_node *n = tpl_node_new(p, dict ? N_DICT : N_LIST, tpl_cur(p)->line);
    if (!n || !tpl_enter(p)) return false;
    p->i++;
    while (!tpl_at_op(p, close)) {
        tpl_node *item;
        if (n->list.n && !tpl_expect_op(p, ',')) return false;
        if (tpl_at_op(p, close)) break;
        if (!tpl_expr(p, &item) || !tpl_nodes_add(p, &n->list, item)) return false;
        if (dict && (!tpl_expect_op(p, ':') || !tpl_expr(p, &item) || !tpl_nodes_add(p, &n->list, item))) return false;
    }
    p->i++;
    p->nest--;
    return tpl_node_done(p, n, out);
}

static bool parse_primary(tpl_parser *p, bool with_ns, tpl_node **out)
{
    const tpl_tok *t = tpl_cur(p);
    if (t->kind == T_NAME) return parse_name(p, with_ns, out);
    if (t->kind == T_STR) return parse_string(p, out);
    if (t->kind == T_INT || t->kind == T_FLOAT) {
        tpl_node *n = tpl_node_new(p, N_CONST, t->line);
        if (!n) return false;
        n->value = t->value;
        p->i++;
        return tpl_node_done(p, n, out);
    }
    if (tpl_at_op(p, '(')) {
        p->i++;
        if (!tpl_enter(p) || !tpl_expr_tuple(p, TPL_TUPLE_FULL, true, NULL, out)) return false;
        p->nest--;
        return tpl_expect_op(p, ')');
    }
    if (tpl_at_op(p, '[')) return parse_display(p, ']', out);
    if (tpl_at_op(p, '{')) return parse_display(p, '}', out);
    char found[64];
    describe(t, found);
    return tpl_syntax(p, t->line, CLO_ERR_FORMAT, "unexpected %s", found);
}

static bool at_tuple_end(const tpl_parser *p, const char *end_name)
{
    tpl_tok_kind k = tpl_cur(p)->kind;
    return k == T_VAR_END || k == T_BLOCK_END || tpl_at_op(p, ')') || (end_name && tpl_at_name(p, end_name));
}

bool tpl_expr_tuple(tpl_parser *p, tpl_tuple_mode mode, bool parens, const char *end_name, tpl_node **out)
{
    tpl_node *tuple = tpl_node_new(p, N_TUPLE, tpl_cur(p)->line), *item = NULL;
    bool is_tuple = false;
    if (!tuple) return false;
    while (!at_tuple_end(p, end_name)) {
        bool ok = mode == TPL_TUPLE_FULL      ? tpl_expr(p, &item)
                  : mode == TPL_TUPLE_NO_COND ? parse_or(p, &item)
                                              : parse_primary(p, mode == TPL_TUPLE_TARGET_NS, &item);
        if (!ok || !tpl_nodes_add(p, &tuple->list, item)) return false;
        if (!tpl_skip_op(p, ',')) break;
        is_tuple = true;
    }
    if (!is_tuple && tuple->list.n) {
        *out = item;
        return true;
    }
    if (!is_tuple && !parens) {
        char found[64];
        describe(tpl_cur(p), found);
        return tpl_syntax(p, tpl_cur(p)->line, CLO_ERR_FORMAT, "expected an expression, got %s", found);
    }
    return tpl_node_done(p, tuple, out);
}

/* ---- postfix: members, calls, filters, tests ---- */

static bool add_keyword(tpl_parser *p, tpl_call *c, clo_str name, tpl_node *value)
{
    for (uint32_t i = 0; i < c->n_kw; i++)
        if (clo_str_eq(c->kw[i].name, name))
            return tpl_syntax(p, value->line, CLO_ERR_FORMAT, "keyword argument repeated: %.*s",
                              tpl_shown(name), name.ptr);
    if (c->n_kw == c->cap_kw) {
        uint32_t cap = c->cap_kw ? c->cap_kw * 2 : 4;
        tpl_keyword *q = CLO_NEW(&p->t->arena, tpl_keyword, cap);
        if (!q) return clo_arena_full(&p->t->arena, p->err);
        if (c->n_kw) memcpy(q, c->kw, c->n_kw * sizeof *q);
        c->kw = q;
        c->cap_kw = cap;
    }
    c->kw[c->n_kw++] = (tpl_keyword){name, value};
    return true;
}

static bool parse_one_arg(tpl_parser *p, tpl_call *c, uint32_t line)
{
    tpl_node *v;
    bool ok = true;
    if (tpl_skip_op(p, '*')) {
        ok = !c->star && !c->star2;
        if (ok && !tpl_expr(p, &c->star)) return false;
    } else if (tpl_skip_op(p, TPL_OP2('*', '*'))) {
        ok = !c->star2;
        if (ok && !tpl_expr(p, &c->star2)) return false;
    } else if (tpl_cur(p)->kind == T_NAME && p->toks[p->i + 1].kind == T_OP && p->toks[p->i + 1].op == '=') {
        clo_str name = tpl_cur(p)->text;
        ok = !c->star2;
        p->i += 2;
        if (ok && (!tpl_expr(p, &v) || !add_keyword(p, c, name, v))) return false;
    } else {
        ok = !c->star && !c->star2 && !c->n_kw;
        if (ok && (!tpl_expr(p, &v) || !tpl_nodes_add(p, &c->pos, v))) return false;
    }
    return ok || tpl_syntax(p, line, CLO_ERR_FORMAT, "invalid syntax for function call expression");
}

static bool parse_args(tpl_parser *p, tpl_call **out)
{
    uint32_t line = tpl_cur(p)->line;
    tpl_call *c = CLO_NEW(&p->t->arena, tpl_call, 1);
    if (!c) return clo_arena_full(&p->t->arena, p->err);
    if (!tpl_expect_op(p, '(') || !tpl_enter(p)) return false;
    for (bool comma = false; !tpl_at_op(p, ')'); comma = true) {
        if (comma && !tpl_expect_op(p, ',')) return false;
        if (tpl_at_op(p, ')')) break;
        if (!parse_one_arg(p, c, line)) return false;
    }
    p->i++;
    p->nest--;
    *out = c;
    return true;
}

static bool parse_call(tpl_parser *p, tpl_node **node)
{
    tpl_node *n = tpl_node_new(p, N_CALL, tpl_cur(p)->line);
    if (!n) return false;
    n->a = *node;
    return parse_args(p, &n->call) && tpl_node_done(p, n, node);
}

/* What stands between brackets: an expression or a slice. */
static bool parse_subscribed(tpl_parser *p, tpl_node **out)
{
    tpl_node *first = NULL, *n;
    if (!tpl_at_op(p, ':')) {
        if (!tpl_expr(p, &first)) return false;
        if (!tpl_at_op(p, ':')) {
            *out = first;
            return true;
        }
    }
    if (!(n = tpl_node_new(p, N_SLICE, tpl_cur(p)->line))) return false;
    n->a = first;
    p->i++;
    if (!tpl_at_op(p, ':') && !tpl_at_op(p, ']') && !tpl_at_op(p, ',') && !tpl_expr(p, &n->b)) return false;
    if (tpl_skip_op(p, ':') && !tpl_at_op(p, ']') && !tpl_at_op(p, ',') && !tpl_expr(p, &n->c)) return false;
    return tpl_node_done(p, n, out);
}

static bool parse_bracket(tpl_parser *p, tpl_node **node)
{
    tpl_node *n = tpl_node_new(p, N_ITEM, tpl_cur(p)->line);
    if (!n || !tpl_enter(p)) return false;
    n->a = *node;
    p->i++;
    if (tpl_at_op(p, ']')) return tpl_syntax(p, n->line, CLO_ERR_FORMAT, "expected an expression, got ']'");
    if (!parse_subscribed(p, &n->b)) return false;
    if (tpl_at_op(p, ',')) return tpl_syntax(p, n->line, CLO_ERR_UNSUPPORTED, "several subscripts between brackets");
    p->nest--;
    return tpl_expect_op(p, ']') && tpl_node_done(p, n, node);
}

static bool parse_dot(tpl_parser *p, tpl_node **node)
{
    tpl_node *n = tpl_node_new(p, N_ATTR, tpl_cur(p)->line);
    if (!n) return false;
    n->a = *node;
    p->i++;
    const tpl_tok *t = tpl_cur(p);
    if (t->kind == T_NAME) {
        n->name = t->text;
    } else if (t->kind == T_INT) {
        n->kind = N_ITEM;
        if (!(n->b = tpl_node_new(p, N_CONST, t->line))) return false;
        n->b->value = t->value;
    } else {
        return tpl_syntax(p, t->line, CLO_ERR_FORMAT, "expected name or number");
    }
    p->i++;
    return tpl_node_done(p, n, node);
}

static bool parse_postfix(tpl_parser *p, tpl_node **node)
{
    for (;;) {
        bool ok;
        if (tpl_at_op(p, '.')) ok = parse_dot(p, node);
        else if (tpl_at_op(p, '[')) ok = parse_bracket(p, node);
        else if (tpl_at_op(p, '(')) ok = parse_call(p, node);
        else return true;
        if (!ok) return false;
    }
}

/* Filters after an expression; with start_inline the first one has no bar ({% filter name %}). */
bool tpl_expr_filter(tpl_parser *p, bool start_inline, tpl_node **node)
{
    while (start_inline || tpl_skip_op(p, '|')) {
        start_inline = false;
        const tpl_tok *t = tpl_cur(p);
        tpl_node *n = tpl_node_new(p, N_FILTER, t->line);
        bool known;
        if (!n || !tpl_expect(p, T_NAME, "the name of a filter")) return false;
        n->a = *node;
        n->name = t->text;
        n->filter = tpl_find_filter(t->text, &known);
        if (!n->filter)
            return tpl_syntax(p, t->line, known ? CLO_ERR_UNSUPPORTED : CLO_ERR_FORMAT, "%s '%.*s'",
                              known ? "unsupported filter" : "no filter named", tpl_shown(t->text), t->text.ptr);
        if (tpl_at_op(p, '(') && !parse_args(p, &n->call)) return false;
        if (!tpl_node_done(p, n, node)) return false;
    }
    return true;
}

static bool at_test_arg(const tpl_parser *p)
{
    tpl_tok_kind k = tpl_cur(p)->kind;
    if (tpl_at_name(p, "else") || tpl_at_name(p, "or") || tpl_at_name(p, "and")) return false;
    return k == T_NAME || k == T_STR || k == T_INT || k == T_FLOAT || tpl_at_op(p, '[') || tpl_at_op(p, '{');
}

static bool parse_test(tpl_parser *p, tpl_node **node)
{
    p->i++;
    bool negated = tpl_skip_name(p, "not"), known;
    const tpl_tok *t = tpl_cur(p);
    tpl_node *n = tpl_node_new(p, N_TEST, t->line), *arg;
    if (!n || !tpl_expect(p, T_NAME, "the name of a test")) return false;
    n->a = *node;
    n->name = t->text;
    n->test = tpl_find_test(t->text, &known);
    if (!n->test)
        return tpl_syntax(p, t->line, known ? CLO_ERR_UNSUPPORTED : CLO_ERR_FORMAT, "%s '%.*s'",
                          known ? "unsupported test" : "no test named", tpl_shown(t->text), t->text.ptr);
    if (tpl_at_op(p, '(')) {
        if (!parse_args(p, &n->call)) return false;
    } else if (at_test_arg(p)) {
        if (tpl_at_name(p, "is")) return tpl_syntax(p, t->line, CLO_ERR_FORMAT, "you cannot chain multiple tests with is");
        if (!(n->call = CLO_NEW(&p->t->arena, tpl_call, 1))) return clo_arena_full(&p->t->arena, p->err);
        if (!parse_primary(p, false, &arg) || !parse_postfix(p, &arg)) return false;
        if (!tpl_nodes_add(p, &n->call->pos, arg)) return false;
    }
    if (!tpl_node_done(p, n, node)) return false;
    if (!negated) return true;
    if (!(n = tpl_node_new(p, N_NOT, t->line))) return false;
    n->a = *node;
    return tpl_node_done(p, n, node);
}

static bool parse_filters(tpl_parser *p, tpl_node **node)
{
    for (;;) {
        bool ok;
        if (tpl_at_op(p, '|')) ok = tpl_expr_filter(p, false, node);
        else if (tpl_at_name(p, "is")) ok = parse_test(p, node);
        else if (tpl_at_op(p, '(')) ok = parse_call(p, node);
        else return true;
        if (!ok) return false;
    }
}

/* ---- operators ---- */

static bool parse_unary(tpl_parser *p, bool with_filter, tpl_node **out)
{
    if (tpl_at_op(p, '-') || tpl_at_op(p, '+')) {
        tpl_node *n = tpl_node_new(p, tpl_at_op(p, '-') ? N_NEG : N_POS, tpl_cur(p)->line);
        p->i++;
        if (!n || !tpl_enter(p) || !parse_unary(p, false, &n->a) || !tpl_node_done(p, n, out)) return false;
        p->nest--;
    } else if (!parse_primary(p, false, out)) {
        return false;
    }
    if (!parse_postfix(p, out)) return false;
    return !with_filter || parse_filters(p, out);
}

static bool parse_unary_full(tpl_parser *p, tpl_node **out)
{
    return parse_unary(p, true, out);
}

/* Operators of one level, left to right. `ops` ends with 0. */
static bool parse_level(tpl_parser *p, const uint32_t *ops, bool (*next)(tpl_parser *, tpl_node **), tpl_node **out)
{
    if (!next(p, out)) return false;
    for (;;) {
        const uint32_t *op = ops;
        while (*op && !tpl_at_op(p, *op)) op++;
        if (!*op) return true;
        tpl_node *n = tpl_node_new(p, N_BIN, tpl_cur(p)->line);
        p->i++;
        if (!n) return false;
        n->op = *op;
        n->a = *out;
        if (!next(p, &n->b) || !tpl_node_done(p, n, out)) return false;
    }
}

static bool parse_pow(tpl_parser *p, tpl_node **out)
{
    static const uint32_t ops[] = {TPL_OP2('*', '*'), 0};
    return parse_level(p, ops, parse_unary_full, out);
}

static bool parse_math2(tpl_parser *p, tpl_node **out)
{
    static const uint32_t ops[] = {'*', '/', TPL_OP2('/', '/'), '%', 0};
    return parse_level(p, ops, parse_pow, out);
}

static bool parse_concat(tpl_parser *p, tpl_node **out)
{
    if (!parse_math2(p, out)) return false;
    if (!tpl_at_op(p, '~')) return true;
    tpl_node *n = tpl_node_new(p, N_CONCAT, tpl_cur(p)->line), *item = *out;
    if (!n || !tpl_nodes_add(p, &n->list, item)) return false;
    while (tpl_skip_op(p, '~'))
        if (!parse_math2(p, &item) || !tpl_nodes_add(p, &n->list, item)) return false;
    return tpl_node_done(p, n, out);
}

static bool parse_math1(tpl_parser *p, tpl_node **out)
{
    static const uint32_t ops[] = {'+', '-', 0};
    return parse_level(p, ops, parse_concat, out);
}

static uint32_t compare_op(tpl_parser *p)
{
    static const uint32_t ops[] = {TPL_OP2('=', '='), TPL_OP2('!', '='), '<', '>', TPL_OP2('<', '='), TPL_OP2('>', '=')};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (tpl_skip_op(p, ops[i])) return ops[i];
    if (tpl_skip_name(p, "in")) return TPL_OP_IN;
    const tpl_tok *t = tpl_cur(p);
    if (tpl_at_name(p, "not") && t[1].kind == T_NAME && clo_str_eq(t[1].text, CLO_STR("in"))) {
        p->i += 2;
        return TPL_OP_NOT_IN;
    }
    return 0;
}

static bool parse_compare(tpl_parser *p, tpl_node **out)
{
    uint32_t ops[64], n_ops = 0, op, line = tpl_cur(p)->line;
    tpl_node *n = NULL, *item;
    if (!parse_math1(p, out)) return false;
    while ((op = compare_op(p)) != 0) {
        if (n_ops == 64) return tpl_syntax(p, line, CLO_ERR_LIMIT, "more than 64 comparisons in a chain");
        if (!n && !(n = tpl_node_new(p, N_COMPARE, line))) return false;
        ops[n_ops++] = op;
        if (!parse_math1(p, &item) || !tpl_nodes_add(p, &n->list, item)) return false;
    }
    if (!n) return true;
    n->a = *out;
    if (!(n->ops = CLO_NEW(&p->t->arena, uint32_t, n_ops))) return clo_arena_full(&p->t->arena, p->err);
    memcpy(n->ops, ops, n_ops * sizeof *ops);
    return tpl_node_done(p, n, out);
}

static bool parse_not(tpl_parser *p, tpl_node **out)
{
    if (!tpl_at_name(p, "not")) return parse_compare(p, out);
    tpl_node *n = tpl_node_new(p, N_NOT, tpl_cur(p)->line);
    p->i++;
    if (!n || !tpl_enter(p) || !parse_not(p, &n->a)) return false;
    p->nest--;
    return tpl_node_done(p, n, out);
}

static bool parse_words(tpl_parser *p, const char *word, tpl_node_kind kind, bool (*next)(tpl_parser *, tpl_node **),
                        tpl_node **out)
{
    if (!next(p, out)) return false;
    while (tpl_at_name(p, word)) {
        tpl_node *n = tpl_node_new(p, kind, tpl_cur(p)->line);
        p->i++;
        if (!n) return false;
        n->a = *out;
        if (!next(p, &n->b) || !tpl_node_done(p, n, out)) return false;
    }
    return true;
}

static bool parse_and(tpl_parser *p, tpl_node **out)
{
    return parse_words(p, "and", N_AND, parse_not, out);
}

static bool parse_or(tpl_parser *p, tpl_node **out)
{
    return parse_words(p, "or", N_OR, parse_and, out);
}

bool tpl_expr(tpl_parser *p, tpl_node **out)
{
    if (!tpl_enter(p) || !parse_or(p, out)) return false;
    while (tpl_at_name(p, "if")) {
        tpl_node *n = tpl_node_new(p, N_COND, tpl_cur(p)->line);
        p->i++;
        if (!n) return false;
        n->a = *out;
        if (!parse_or(p, &n->b)) return false;
        if (tpl_skip_name(p, "else") && !tpl_expr(p, &n->c)) return false;
        if (!tpl_node_done(p, n, out)) return false;
    }
    p->nest--;
    return true;
}
