/* Statements of the template language. Left out, and refused by name: import, include, extends, block, autoescape. */
#include "model/template_impl.h"

typedef bool stmt_fn(tpl_parser *p, uint32_t line, tpl_node **out);

static bool parse_body_until(tpl_parser *p, const char *const *ends, tpl_node **out);

/* The rest of a tag's line, its end, then statements up to one of the end tags; the end tag's name is consumed and its
 * index in `ends` (NULL-terminated) given. */
static bool parse_body(tpl_parser *p, const char *const *ends, size_t *i_end, tpl_node **out)
{
    (void)tpl_skip_op(p, ':');
    if (!tpl_expect(p, T_BLOCK_END, "%}") || !tpl_enter(p) || !parse_body_until(p, ends, out)) return false;
    p->nest--;
    size_t i = 0;
    while (ends[i] && !tpl_at_name(p, ends[i])) i++;
    if (!ends[i])
        return tpl_syntax(p, tpl_cur(p)->line, CLO_ERR_FORMAT, "unexpected end of template, looking for '%s'", ends[0]);
    p->i++;
    if (i_end) *i_end = i;
    return true;
}

static bool parse_body_1(tpl_parser *p, const char *end, tpl_node **out)
{
    const char *const ends[] = {end, NULL};
    return parse_body(p, ends, NULL, out);
}

/* ---- targets ---- */

static bool check_target(tpl_parser *p, const tpl_node *n)
{
    if (n->kind == N_NAME || n->kind == N_NSREF) return true;
    if (n->kind != N_TUPLE) return tpl_syntax(p, n->line, CLO_ERR_FORMAT, "cannot assign to this expression");
    for (uint32_t i = 0; i < n->list.n; i++)
        if (!check_target(p, n->list.p[i])) return false;
    return true;
}

static bool parse_target(tpl_parser *p, bool with_ns, const char *end_name, tpl_node **out)
{
    /* Naming caller and its like in a target does not make a macro take them. */
    tpl_fn_ctx *fn = p->fn;
    p->fn = NULL;
    bool ok = tpl_expr_tuple(p, with_ns ? TPL_TUPLE_TARGET_NS : TPL_TUPLE_TARGET, false, end_name, out);
    p->fn = fn;
    return ok && check_target(p, *out);
}

/* ---- statements ---- */

static bool target_has(const tpl_parser *p, const tpl_node *n, clo_str name)
{
    if (n->kind == N_NAME) return clo_str_eq(p->t->syms[n->sym], name);
    for (uint32_t i = 0; i < n->list.n; i++)
        if (target_has(p, n->list.p[i], name)) return true;
    return false;
}

static bool in_loop(const tpl_parser *p)
{
    for (const tpl_fn_ctx *f = p->fn; f; f = f->up)
        if (f->n_loops) return true;
    return false;
}

static bool refuse_loop(tpl_parser *p, uint32_t line)
{
    return tpl_syntax(p, line, CLO_ERR_FORMAT, "Can't assign to special loop variable in for-loop target");
}

static bool parse_set(tpl_parser *p, uint32_t line, tpl_node **out)
{
    tpl_node *n = tpl_node_new(p, N_SET, line);
    if (!n || !parse_target(p, true, NULL, &n->a)) return false;
    if (in_loop(p) && target_has(p, n->a, CLO_STR("loop"))) return refuse_loop(p, line);
    if (tpl_skip_op(p, '='))
        return tpl_expr_tuple(p, TPL_TUPLE_FULL, false, NULL, &n->b) && tpl_node_done(p, n, out);
    n->kind = N_SET_BLOCK;
    return tpl_expr_filter(p, false, &n->b) && parse_body_1(p, "endset", &n->body) && tpl_node_done(p, n, out);
}

static bool parse_for(tpl_parser *p, uint32_t line, tpl_node **out)
{
    static const char *const ends[] = {"endfor", "else", NULL};
    tpl_node *n = tpl_node_new(p, N_FOR, line);
    size_t end;
    if (!n || !parse_target(p, false, "in", &n->a)) return false;
    if (target_has(p, n->a, CLO_STR("loop"))) return refuse_loop(p, line);
    if (!tpl_skip_name(p, "in")) return tpl_syntax(p, line, CLO_ERR_FORMAT, "expected 'in'");
    if (!tpl_expr_tuple(p, TPL_TUPLE_NO_COND, false, "recursive", &n->b)) return false;
    if (tpl_skip_name(p, "if") && !tpl_expr(p, &n->c)) return false;
    n->recursive = tpl_skip_name(p, "recursive");
    p->fn->n_loops++;
    if (!parse_body(p, ends, &end, &n->body)) return false;
    p->fn->n_loops--;
    if (end == 1 && !parse_body_1(p, "endfor", &n->orelse)) return false;
    return tpl_node_done(p, n, out);
}

static bool parse_if(tpl_parser *p, uint32_t line, tpl_node **out)
{
    static const char *const ends[] = {"endif", "elif", "else", NULL};
    tpl_node *n = tpl_node_new(p, N_IF, line), *cond, *body;
    size_t end = 1;
    if (!n) return false;
    while (end == 1) {
        if (!tpl_expr_tuple(p, TPL_TUPLE_NO_COND, false, NULL, &cond)) return false;
        if (!parse_body(p, ends, &end, &body)) return false;
        if (!tpl_nodes_add(p, &n->list, cond) || !tpl_nodes_add(p, &n->list, body)) return false;
    }
    if (end == 2) {
        if (!parse_body_1(p, "endif", &body)) return false;
        if (!tpl_nodes_add(p, &n->list, NULL) || !tpl_nodes_add(p, &n->list, body)) return false;
    }
    return tpl_node_done(p, n, out);
}

/* (a, b=1): parameters into list, defaults of the last ones into list2. */
static bool parse_signature(tpl_parser *p, tpl_node *n)
{
    if (!tpl_expect_op(p, '(')) return false;
    while (!tpl_at_op(p, ')')) {
        if (n->list.n && !tpl_expect_op(p, ',')) return false;
        const tpl_tok *t = tpl_cur(p);
        tpl_node *param = tpl_node_new(p, N_NAME, t->line), *value;
        if (!param || !tpl_expect(p, T_NAME, "the name of a parameter") || !tpl_sym(p, t->text, &param->sym)) return false;
        if (clo_str_eq(t->text, CLO_STR("caller")) || clo_str_eq(t->text, CLO_STR("varargs")) ||
            clo_str_eq(t->text, CLO_STR("kwargs")))
            return tpl_syntax(p, t->line, CLO_ERR_UNSUPPORTED, "a macro parameter named '%.*s'", tpl_shown(t->text),
                              t->text.ptr);
        for (uint32_t i = 0; i < n->list.n; i++)
            if (n->list.p[i]->sym == param->sym)
                return tpl_syntax(p, t->line, CLO_ERR_FORMAT, "duplicate argument in function definition");
        if (!tpl_nodes_add(p, &n->list, param)) return false;
        if (tpl_skip_op(p, '=')) {
            if (!tpl_expr(p, &value) || !tpl_nodes_add(p, &n->list2, value)) return false;
        } else if (n->list2.n) {
            return tpl_syntax(p, t->line, CLO_ERR_FORMAT, "non-default argument follows default argument");
        }
    }
    p->i++;
    return true;
}

/* The body of a macro: a function of its own. */
static bool parse_function_body(tpl_parser *p, tpl_node *n, tpl_fn_ctx *fn, const char *end)
{
    if (!parse_body_1(p, end, &n->body)) return false;
    p->fn = fn->up;
    n->uses_caller = fn->caller;
    n->uses_varargs = fn->varargs;
    n->uses_kwargs = fn->kwargs;
    return true;
}

static bool parse_macro(tpl_parser *p, uint32_t line, tpl_node **out)
{
    tpl_node *n = tpl_node_new(p, N_MACRO, line);
    tpl_fn_ctx fn = {.up = p->fn};
    if (!n) return false;
    const tpl_tok *t = tpl_cur(p);
    if (!tpl_expect(p, T_NAME, "the name of a macro") || !tpl_sym(p, t->text, &n->sym)) return false;
    n->name = t->text;
    p->fn = &fn;
    if (!parse_signature(p, n) || !parse_function_body(p, n, &fn, "endmacro")) return false;
    return tpl_node_done(p, n, out);
}

static bool parse_call_block(tpl_parser *p, uint32_t line, tpl_node **out)
{
    tpl_node *n = tpl_node_new(p, N_CALL_BLOCK, line);
    if (!n) return false;
    n->name = CLO_STR("caller");
    if (tpl_at_op(p, '(') && !parse_signature(p, n)) return false;
    if (!tpl_expr(p, &n->a)) return false;
    if (n->a->kind != N_CALL) return tpl_syntax(p, line, CLO_ERR_FORMAT, "expected call");
    tpl_fn_ctx fn = {.up = p->fn};
    p->fn = &fn;
    return parse_function_body(p, n, &fn, "endcall") && tpl_node_done(p, n, out);
}

/* {% generation %}: marks what the assistant wrote; for rendering a scope of its own. */
static bool parse_generation(tpl_parser *p, uint32_t line, tpl_node **out)
{
    tpl_node *n = tpl_node_new(p, N_WITH, line);
    tpl_fn_ctx fn = {.up = p->fn};
    if (!n) return false;
    p->fn = &fn;
    if (tpl_cur(p)->kind != T_BLOCK_END) return tpl_syntax(p, line, CLO_ERR_FORMAT, "expected %%}");
    if (!parse_function_body(p, n, &fn, "endgeneration")) return false;
    if (fn.caller || fn.varargs || fn.kwargs)
        return tpl_syntax(p, line, CLO_ERR_UNSUPPORTED, "caller, varargs or kwargs inside generation");
    return tpl_node_done(p, n, out);
}

static bool parse_with(tpl_parser *p, uint32_t line, tpl_node **out)
{
    tpl_node *n = tpl_node_new(p, N_WITH, line), *target, *value;
    if (!n) return false;
    while (tpl_cur(p)->kind != T_BLOCK_END) {
        if (n->list.n && !tpl_expect_op(p, ',')) return false;
        tpl_fn_ctx *fn = p->fn;
        p->fn = NULL;
        const tpl_tok *t = tpl_cur(p);
        if (t->kind != T_NAME) return tpl_syntax(p, t->line, CLO_ERR_FORMAT, "expected a name after with");
        bool ok = tpl_expr_tuple(p, TPL_TUPLE_TARGET, true, NULL, &target);
        p->fn = fn;
        if (!ok || !check_target(p, target)) return false;
        if (!tpl_expect_op(p, '=') || !tpl_expr(p, &value)) return false;
        if (!tpl_nodes_add(p, &n->list, target) || !tpl_nodes_add(p, &n->list2, value)) return false;
    }
    return parse_body_1(p, "endwith", &n->body) && tpl_node_done(p, n, out);
}

static bool parse_filter_block(tpl_parser *p, uint32_t line, tpl_node **out)
{
    tpl_node *n = tpl_node_new(p, N_FILTER_BLOCK, line);
    if (!n || !tpl_expr_filter(p, true, &n->a)) return false;
    return parse_body_1(p, "endfilter", &n->body) && tpl_node_done(p, n, out);
}

static bool parse_print(tpl_parser *p, uint32_t line, tpl_node **out)
{
    tpl_node *n = tpl_node_new(p, N_PRINT, line), *item;
    if (!n) return false;
    while (tpl_cur(p)->kind != T_BLOCK_END) {
        if (n->list.n && !tpl_expect_op(p, ',')) return false;
        if (!tpl_expr(p, &item) || !tpl_nodes_add(p, &n->list, item)) return false;
    }
    return tpl_node_done(p, n, out);
}

static bool parse_jump(tpl_parser *p, uint32_t line, tpl_node_kind kind, tpl_node **out)
{
    if (p->fn->n_loops == 0) return tpl_syntax(p, line, CLO_ERR_FORMAT, "break or continue outside of a loop");
    tpl_node *n = tpl_node_new(p, kind, line);
    return n && tpl_node_done(p, n, out);
}

static bool parse_break(tpl_parser *p, uint32_t line, tpl_node **out)
{
    return parse_jump(p, line, N_BREAK, out);
}

static bool parse_continue(tpl_parser *p, uint32_t line, tpl_node **out)
{
    return parse_jump(p, line, N_CONTINUE, out);
}

static bool parse_statement(tpl_parser *p, tpl_node **out)
{
    static const struct {
        const char *name;
        stmt_fn *parse; /* NULL: known and not built */
    } rows[] = {
        {"set", parse_set},        {"for", parse_for},           {"if", parse_if},
        {"macro", parse_macro},    {"call", parse_call_block},   {"filter", parse_filter_block},
        {"with", parse_with},      {"print", parse_print},       {"generation", parse_generation},
        {"break", parse_break},    {"continue", parse_continue}, {"block", NULL},
        {"extends", NULL},         {"include", NULL},            {"import", NULL},
        {"from", NULL},            {"autoescape", NULL},
    };
    const tpl_tok *t = tpl_cur(p);
    if (!tpl_expect(p, T_NAME, "the name of a tag")) return false;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!clo_str_eq(t->text, clo_str_from(rows[i].name))) continue;
        if (!rows[i].parse) return tpl_syntax(p, t->line, CLO_ERR_UNSUPPORTED, "unsupported tag '%s'", rows[i].name);
        return rows[i].parse(p, t->line, out);
    }
    return tpl_syntax(p, t->line, CLO_ERR_FORMAT, "unknown tag '%.*s'", tpl_shown(t->text), t->text.ptr);
}

static bool parse_data(tpl_parser *p, tpl_node **out)
{
    const tpl_tok *t = &p->toks[p->i++];
    tpl_node *n = tpl_node_new(p, N_DATA, t->line);
    tpl_str *s = CLO_NEW(&p->t->arena, tpl_str, 1);
    if (!n || !s) return clo_arena_full(&p->t->arena, p->err);
    s->ptr = t->text.ptr;
    s->len = t->text.len;
    n->str = s;
    return tpl_node_done(p, n, out);
}

static bool parse_variable(tpl_parser *p, tpl_node **out)
{
    tpl_node *n = tpl_node_new(p, N_PRINT, tpl_cur(p)->line), *item;
    p->i++;
    if (!n || !tpl_expr_tuple(p, TPL_TUPLE_FULL, false, NULL, &item)) return false;
    if (!tpl_expect(p, T_VAR_END, "}}") || !tpl_nodes_add(p, &n->list, item)) return false;
    return tpl_node_done(p, n, out);
}

/* Statements until the template ends, or until a tag in `ends` (may be NULL), whose name is then current. */
static bool parse_body_until(tpl_parser *p, const char *const *ends, tpl_node **out)
{
    tpl_node *body = tpl_node_new(p, N_BODY, tpl_cur(p)->line), *n;
    if (!body) return false;
    while (tpl_cur(p)->kind != T_EOF) {
        if (tpl_cur(p)->kind == T_DATA) {
            if (!parse_data(p, &n)) return false;
        } else if (tpl_cur(p)->kind == T_VAR_BEGIN) {
            if (!parse_variable(p, &n)) return false;
        } else {
            if (!tpl_expect(p, T_BLOCK_BEGIN, "{%")) return false;
            bool end = false;
            for (size_t i = 0; ends && ends[i]; i++) end |= tpl_at_name(p, ends[i]);
            if (end) break;
            if (!parse_statement(p, &n) || !tpl_expect(p, T_BLOCK_END, "%}")) return false;
        }
        if (!tpl_nodes_add(p, &body->list, n)) return false;
    }
    return tpl_node_done(p, body, out);
}

bool tpl_parse_root(tpl_parser *p, tpl_node **out)
{
    tpl_fn_ctx fn = {0};
    p->fn = &fn;
    bool ok = parse_body_until(p, NULL, out);
    p->fn = NULL;
    return ok;
}
