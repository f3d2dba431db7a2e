/* Private to the files of the template module: tokens, syntax tree, values and the state of one rendering.
 *
 *   tpl_lex.c     text -> tokens            tpl_value.c    values, iteration, equality, order
 *   tpl_expr.c    tokens -> expressions     tpl_str.c      strings with marks, Python's str() and repr()
 *   tpl_parse.c   tokens -> statements      tpl_text.c     whitespace, case and number text as Python has them
 *   tpl_exec.c    runs statements           tpl_method.c   methods of str, dict, list
 *   tpl_eval.c    runs expressions          tpl_filter.c   filters; tpl_seq.c: filters on sequences
 *   tpl_arith.c   operators                 tpl_test.c     tests (`x is string`)
 *   template.c    the public functions      tpl_tojson.c   the tojson filter
 *
 * Every function that can fail takes the rendering `r` (or the parser `p`) first and reports into its err.
 * Values live in the rendering's arena and are immutable, as the sandbox demands; namespaces and generators excepted.
 */
#ifndef CLO_MODEL_TEMPLATE_IMPL_H
#define CLO_MODEL_TEMPLATE_IMPL_H

#include "base/arena.h"
#include "model/template.h"

#define TPL_TEXT_BYTES_MAX (4u << 20)   /* of a template */
#define TPL_NEST_MAX 150                /* statements and brackets inside each other */
#define TPL_NODE_DEPTH_MAX 400          /* height of a syntax tree: a + b + c + ... grows it too */
#define TPL_RUN_DEPTH_MAX 1000          /* nodes being evaluated inside each other, through macro calls */
#define TPL_DATA_DEPTH_MAX 200          /* nested lists and dicts that are printed or compared */
#define TPL_MEMORY_BYTES_MAX (256u << 20)
#define TPL_RANGE_MAX 100000            /* jinja2.sandbox.MAX_RANGE */

/* ---- values ---- */

typedef enum {
    TV_MISSING, /* no value at all: an argument that was not given, a name that is not bound */
    TV_UNDEF,
    TV_NONE,
    TV_BOOL,
    TV_INT,
    TV_FLOAT,
    TV_STR,
    TV_LIST,
    TV_TUPLE,
    TV_VIEW,  /* dict.items(), .keys(), .values() */
    TV_RANGE,
    TV_GEN,   /* what a lazy filter returns: can be walked once */
    TV_DICT,
    TV_NS,    /* namespace(...) */
    TV_LOOP,
    TV_MACRO,
    TV_FUNC,   /* a global function */
    TV_METHOD, /* a method bound to its value */
} tv_kind;

typedef struct tpl_str tpl_str;
typedef struct tpl_list tpl_list;
typedef struct tpl_dict tpl_dict;
typedef struct tpl_gen tpl_gen;
typedef struct tpl_undef tpl_undef;
typedef struct tpl_loop tpl_loop;
typedef struct tpl_macro tpl_macro;
typedef struct tpl_method tpl_method;
typedef struct tpl_node tpl_node;
typedef struct tpl_run tpl_run;
typedef struct tpl_args tpl_args;

typedef struct {
    tv_kind kind;
    union {
        bool b;
        int64_t i;
        double f;
        const tpl_str *s;
        const tpl_list *l; /* list, tuple, view, range */
        tpl_gen *g;
        tpl_dict *d; /* dict, namespace */
        const tpl_undef *u;
        tpl_loop *loop;
        tpl_macro *macro;
        const tpl_method *method;
        uint32_t func; /* tpl_func */
    };
} tv;

/* Bytes [begin, end) of a string came from the conversation. */
typedef struct {
    size_t begin, end;
} tpl_mark;

struct tpl_str {
    const char *ptr; /* UTF-8, valid */
    size_t len;      /* bytes */
    const tpl_mark *marks; /* [n_marks] sorted, disjoint */
    size_t n_marks;
    bool markup;     /* result of the safe filter: Python would escape what is added to it */
};

struct tpl_list {
    tv *items;
    size_t n;
    int64_t range[3]; /* of a range: start, stop, step */
};

typedef struct {
    tv key, value;
} tpl_pair;

struct tpl_dict {
    tpl_pair *pairs; /* in order of insertion */
    size_t n, cap;
};

struct tpl_gen {
    const tpl_list *l;
    size_t pos; /* of the next item */
};

typedef enum { TPL_UNDEF_NAME, TPL_UNDEF_MEMBER, TPL_UNDEF_HINT, TPL_UNDEF_UNSAFE } tpl_undef_why;

struct tpl_undef {
    tpl_undef_why why;
    clo_str text;         /* the name, or the hint */
    const char *obj_type; /* "dict object", for members */
    bool is_element;      /* the member was looked for by a key that is not text */
};

typedef struct tpl_scope tpl_scope;

struct tpl_macro {
    const tpl_node *node; /* N_MACRO or N_CALL_BLOCK */
    tpl_scope *scope;     /* where it was defined */
};

struct tpl_method {
    tv self;
    clo_str name;
};

typedef enum {
    TPL_FUNC_NONE,
    TPL_FUNC_NAMESPACE,
    TPL_FUNC_RANGE,
    TPL_FUNC_DICT,
    TPL_FUNC_RAISE,
    TPL_FUNC_STRFTIME,
} tpl_func;

static inline tv tv_none(void)
{
    return (tv){.kind = TV_NONE};
}
static inline tv tv_bool(bool b)
{
    return (tv){.kind = TV_BOOL, .b = b};
}
static inline tv tv_int(int64_t i)
{
    return (tv){.kind = TV_INT, .i = i};
}
static inline tv tv_float(double f)
{
    return (tv){.kind = TV_FLOAT, .f = f};
}
static inline tv tv_str(const tpl_str *s)
{
    return (tv){.kind = TV_STR, .s = s};
}
static inline clo_str tpl_bytes(const tpl_str *s)
{
    return (clo_str){s->ptr, s->len};
}

/* ---- syntax ---- */

typedef enum { T_EOF, T_DATA, T_VAR_BEGIN, T_VAR_END, T_BLOCK_BEGIN, T_BLOCK_END, T_NAME, T_STR, T_INT, T_FLOAT, T_OP } tpl_tok_kind;

#define TPL_OP2(a, b) ((uint32_t)(uint8_t)(a) | (uint32_t)(uint8_t)(b) << 8)

typedef struct {
    tpl_tok_kind kind;
    uint32_t op;   /* T_OP: one character, or two by TPL_OP2 */
    uint32_t line;
    clo_str text;  /* data, name, decoded string; in the template's arena */
    tv value;      /* T_INT, T_FLOAT */
} tpl_tok;

typedef enum {
    N_CONST, N_NAME, N_LIST, N_TUPLE, N_DICT, N_ATTR, N_ITEM, N_SLICE, N_CALL, N_FILTER, N_TEST, N_NOT, N_NEG, N_POS,
    N_AND, N_OR, N_COND, N_CONCAT, N_COMPARE, N_BIN, N_NSREF,
    N_DATA, N_PRINT, N_BODY, N_IF, N_FOR, N_SET, N_SET_BLOCK, N_MACRO, N_CALL_BLOCK, N_FILTER_BLOCK, N_WITH,
    N_BREAK, N_CONTINUE,
} tpl_node_kind;

#define TPL_OP_IN 'i'
#define TPL_OP_NOT_IN 'n'

typedef struct {
    tpl_node **p;
    uint32_t n, cap;
} tpl_nodes;

typedef struct {
    clo_str name;
    tpl_node *value;
} tpl_keyword;

typedef struct {
    tpl_nodes pos;
    tpl_keyword *kw;
    uint32_t n_kw, cap_kw;
    tpl_node *star, *star2; /* *args, **kwargs, or NULL */
} tpl_call;

struct tpl_filter;
struct tpl_test;

/* One node. Which fields a kind uses:
 *   CONST value · NAME sym · LIST, TUPLE, CONCAT list · DICT list (key, value, key, ...) · ATTR a.name · ITEM a[b]
 *   SLICE a:b:c (parts may be NULL) · CALL a(call) · FILTER a|filter(call), a NULL in blocks · TEST a is test(call)
 *   NOT, NEG, POS a · AND, OR, BIN a op b · COND a if b else c (c may be NULL) · COMPARE a, ops[i] list[i]
 *   NSREF sym.name · DATA str · PRINT list · BODY list · IF list (condition or NULL, BODY, ...)
 *   FOR a target, b iterable, c filter or NULL, body, orelse · SET a = b · SET_BLOCK a, filter b or NULL, body
 *   MACRO sym, list parameters, list2 defaults (the last ones), body · CALL_BLOCK as MACRO, a the call
 *   FILTER_BLOCK a filter, body · WITH list targets, list2 values, body */
struct tpl_node {
    tpl_node_kind kind;
    uint32_t op;
    uint32_t line;
    uint16_t depth; /* height of the tree below */
    bool recursive; /* FOR */
    bool uses_caller, uses_varargs, uses_kwargs; /* MACRO, CALL_BLOCK */
    uint32_t sym;
    clo_str name;
    tv value;
    const tpl_str *str;
    tpl_node *a, *b, *c;
    tpl_nodes list, list2;
    uint32_t *ops;
    tpl_node *body, *orelse;
    tpl_call *call;
    const struct tpl_filter *filter;
    const struct tpl_test *test;
};

struct clo_template {
    clo_arena arena;   /* owned: everything below */
    clo_str *syms;     /* [n_syms] names of variables */
    uint32_t n_syms, cap_syms;
    tpl_node *root;    /* BODY */
};

/* What the parser knows of the macro or call block that it is in. */
typedef struct tpl_fn_ctx {
    struct tpl_fn_ctx *up;
    bool caller, varargs, kwargs;
    uint32_t n_loops;
} tpl_fn_ctx;

typedef struct {
    clo_template *t;
    const tpl_tok *toks; /* ends with T_EOF */
    size_t i;
    uint32_t nest;
    tpl_fn_ctx *fn;
    clo_err *err;
} tpl_parser;

CLO_CHECK bool tpl_lex(const tpl_tok **out, clo_arena *arena, clo_str text, clo_err *err);
CLO_CHECK bool tpl_parse_root(tpl_parser *p, tpl_node **out);

/* tpl_expr.c, for tpl_parse.c */
typedef enum { TPL_TUPLE_FULL, TPL_TUPLE_NO_COND, TPL_TUPLE_TARGET, TPL_TUPLE_TARGET_NS } tpl_tuple_mode;
CLO_CHECK bool tpl_expr_tuple(tpl_parser *p, tpl_tuple_mode mode, bool parens, const char *end_name, tpl_node **out);
CLO_CHECK bool tpl_expr(tpl_parser *p, tpl_node **out);
CLO_CHECK bool tpl_expr_filter(tpl_parser *p, bool start_inline, tpl_node **node);
tpl_node *tpl_node_new(tpl_parser *p, tpl_node_kind kind, uint32_t line);
CLO_CHECK bool tpl_node_done(tpl_parser *p, tpl_node *n, tpl_node **out);
CLO_CHECK bool tpl_nodes_add(tpl_parser *p, tpl_nodes *l, tpl_node *n);
CLO_CHECK bool tpl_sym(tpl_parser *p, clo_str name, uint32_t *out);
bool tpl_syntax(tpl_parser *p, uint32_t line, clo_code code, const char *fmt, ...) CLO_PRINTF(4, 5);
static inline const tpl_tok *tpl_cur(const tpl_parser *p)
{
    return &p->toks[p->i];
}
/* Bytes of a name to show in a message. */
static inline int tpl_shown(clo_str s)
{
    return (int)(s.len > 80 ? 80 : s.len);
}
bool tpl_at_name(const tpl_parser *p, const char *name);
bool tpl_skip_name(tpl_parser *p, const char *name);
bool tpl_at_op(const tpl_parser *p, uint32_t op);
bool tpl_skip_op(tpl_parser *p, uint32_t op);
CLO_CHECK bool tpl_expect_op(tpl_parser *p, uint32_t op);
CLO_CHECK bool tpl_expect(tpl_parser *p, tpl_tok_kind kind, const char *what);
CLO_CHECK bool tpl_enter(tpl_parser *p);

/* ---- rendering ---- */

typedef struct {
    uint32_t sym;
    tv value;
} tpl_binding;

struct tpl_scope {
    tpl_scope *up;
    tpl_binding *vars;
    uint32_t n, cap;
    bool over; /* the block has ended: Jinja forgets its variables, even for macros made in it */
};

/* A string being built, or an output being captured. Lives in the arena; append failures stick in the rendering. */
typedef struct {
    char *ptr;
    size_t len, cap;
    tpl_mark *marks;
    size_t n_marks, cap_marks;
} tpl_sb;

struct tpl_run {
    const clo_template *t;
    clo_arena arena;   /* owned */
    clo_template_opts opts;
    clo_err *err;
    tv *globals;       /* [n_syms] what the caller gave, then the built-in functions */
    tpl_sb *out;       /* where statements write */
    size_t captured_bytes;
    uint64_t steps;
    uint32_t depth;
    uint32_t line;     /* of the node being run */
    bool failed;
};

struct tpl_args {
    tv *pos;
    size_t n_pos;
    clo_str *kw_names;
    tv *kw;
    size_t n_kw;
};

struct tpl_loop {
    const tpl_node *node; /* FOR */
    tpl_scope *outer;
    const tpl_list *src;
    tpl_gen *gen;         /* the generator walked, or NULL */
    bool sized;           /* Python's len() works on what is walked */
    size_t pos;           /* next in src */
    bool has_after;
    tv after, current, before;
    int64_t index0, length; /* length -1: not asked yet */
    tv changed;           /* tuple of the last loop.changed(...) */
    int64_t depth0;
};

bool tpl_fail(tpl_run *r, clo_code code, const char *fmt, ...) CLO_PRINTF(3, 4);
#define TPL_TYPE_ERROR CLO_ERR_USAGE
/* Counts n units of work. */
CLO_CHECK bool tpl_work(tpl_run *r, size_t n);
void *tpl_alloc(tpl_run *r, size_t n, size_t size);
#define TPL_NEW(r, type, n) ((type *)tpl_alloc((r), (n), sizeof(type)))

/* tpl_str.c */
void tpl_sb_add(tpl_run *r, tpl_sb *b, clo_str s);
void tpl_sb_add_str(tpl_run *r, tpl_sb *b, const tpl_str *s);
void tpl_sb_add_marked(tpl_run *r, tpl_sb *b, clo_str s, bool marked);
CLO_CHECK bool tpl_sb_end(tpl_run *r, tpl_sb *b, tv *out);
CLO_CHECK bool tpl_new_str(tpl_run *r, clo_str s, tv *out); /* borrows s */
CLO_CHECK bool tpl_sub_str(tpl_run *r, const tpl_str *s, size_t begin, size_t end, tv *out);
CLO_CHECK bool tpl_to_str(tpl_run *r, tv v, const tpl_str **out); /* Python's str(v) */
CLO_CHECK bool tpl_repr(tpl_run *r, tpl_sb *b, tv v, uint32_t depth);
CLO_CHECK bool tpl_concat(tpl_run *r, const tpl_str *a, const tpl_str *b, tv *out);
size_t tpl_str_len(const tpl_str *s); /* code points */
size_t tpl_str_off(const tpl_str *s, size_t i_char); /* bytes before code point i */
bool tpl_str_is(tv v, const char *lit);

/* tpl_text.c */
bool tpl_is_space(uint32_t cp);
size_t tpl_space_head(clo_str s); /* bytes of white space at the start */
size_t tpl_space_tail(clo_str s); /* bytes of white space at the end */
size_t tpl_fmt_float(char out[40], double f); /* Python's repr(float) */
size_t tpl_fmt_int(char out[24], int64_t i);
typedef enum { TPL_CASE_UPPER, TPL_CASE_LOWER, TPL_CASE_CAPITAL, TPL_CASE_SWAP } tpl_case;
CLO_CHECK bool tpl_case_str(tpl_run *r, const tpl_str *s, tpl_case how, tv *out);
size_t tpl_find(clo_str hay, clo_str needle, size_t from); /* hay.len + 1 when absent */

/* tpl_value.c */
const char *tpl_type_name(tv v);   /* as Python: "str" */
const char *tpl_object_name(tv v); /* as jinja2.runtime.object_type_repr: "str object", "None" */
bool tpl_truth(tv v);
CLO_CHECK bool tpl_eq(tpl_run *r, tv a, tv b, uint32_t depth, bool *out);
CLO_CHECK bool tpl_less(tpl_run *r, tv a, tv b, uint32_t depth, bool *out);
CLO_CHECK bool tpl_order(tpl_run *r, tv a, tv b, int *out); /* for sorting: -1, 0, 1 */
CLO_CHECK bool tpl_iter(tpl_run *r, tv v, const tpl_list **out); /* walks all of v */
bool tpl_is_iterable(tv v);
CLO_CHECK bool tpl_len(tpl_run *r, tv v, int64_t *out);
CLO_CHECK bool tpl_new_list(tpl_run *r, tv_kind kind, size_t n, tv *out, tv **items);
CLO_CHECK bool tpl_new_gen(tpl_run *r, tv list, tv *out);
CLO_CHECK bool tpl_dict_find(tpl_run *r, const tpl_dict *d, tv key, size_t *i); /* i == n: absent */
CLO_CHECK bool tpl_dict_put(tpl_run *r, tpl_dict *d, tv key, tv value);
CLO_CHECK bool tpl_from_json(tpl_run *r, json_t *j, bool marked, uint32_t depth, tv *out);
CLO_CHECK bool tpl_undef_name(tpl_run *r, clo_str name, tv *out);
CLO_CHECK bool tpl_undef_hint(tpl_run *r, const char *hint, tv *out);
CLO_CHECK bool tpl_undef_member(tpl_run *r, tv obj, tv key, tv *out);
bool tpl_undef_fail(tpl_run *r, const tpl_undef *u);
CLO_CHECK bool tpl_get_attr(tpl_run *r, tv obj, clo_str name, tv *out);
CLO_CHECK bool tpl_get_item(tpl_run *r, tv obj, tv key, tv *out);
CLO_CHECK bool tpl_get_path(tpl_run *r, tv obj, tv path, tv default_value, tv *out); /* attribute="a.b.0" of filters */

/* tpl_arith.c */
CLO_CHECK bool tpl_binary(tpl_run *r, uint32_t op, tv a, tv b, tv *out);
CLO_CHECK bool tpl_negate(tpl_run *r, tv a, tv *out);
CLO_CHECK bool tpl_compare(tpl_run *r, uint32_t op, tv a, tv b, bool *out);
CLO_CHECK bool tpl_contains(tpl_run *r, tv item, tv box, bool *out);
CLO_CHECK bool tpl_slice(tpl_run *r, tv v, tv start, tv stop, tv step, tv *out);
bool tpl_as_number(tv v, bool *is_int, int64_t *i, double *f);
int tpl_cmp_int_float(int64_t i, double f); /* -1, 0, 1, or 2 for NaN */

/* tpl_eval.c, tpl_exec.c */
CLO_CHECK bool tpl_eval(tpl_run *r, tpl_scope *s, const tpl_node *n, tv *out);
CLO_CHECK bool tpl_eval_args(tpl_run *r, tpl_scope *s, const tpl_call *c, tpl_args *out);
CLO_CHECK bool tpl_call_value(tpl_run *r, tv f, const tpl_args *a, tv *out);
CLO_CHECK bool tpl_call_macro(tpl_run *r, const tpl_macro *m, const tpl_args *a, tv *out);
CLO_CHECK bool tpl_loop_again(tpl_run *r, tpl_loop *l, tv items, tv *out);
CLO_CHECK bool tpl_loop_attr(tpl_run *r, tpl_loop *l, clo_str name, tv *out);
CLO_CHECK bool tpl_run_root(tpl_run *r);
CLO_CHECK bool tpl_bind(tpl_run *r, tpl_scope *s, uint32_t sym, tv v);
CLO_CHECK bool tpl_enter_run(tpl_run *r, uint32_t line);

/* Puts arguments where their names say: names are separated by one space, the first n_required must be given. Absent
 * ones are TV_MISSING. what names the callee in errors. */
CLO_CHECK bool tpl_bind_args(tpl_run *r, clo_str what, const tpl_args *a, const char *names, size_t n_required,
                             tv *out, size_t n_out);

/* tpl_method.c */
bool tpl_has_method(tv v, clo_str name, bool *unsafe);
CLO_CHECK bool tpl_replace(tpl_run *r, const tpl_str *s, const tpl_str *from, const tpl_str *to, int64_t max, tv *out);
CLO_CHECK bool tpl_all_case(tpl_run *r, const tpl_str *s, bool upper, bool *out); /* str.isupper, str.islower */
CLO_CHECK bool tpl_call_method(tpl_run *r, const tpl_method *m, const tpl_args *a, tv *out);

/* tpl_filter.c, tpl_seq.c, tpl_test.c */
#define TPL_FILTER_ARGS_MAX 4
typedef struct tpl_filter {
    const char *name;
    const char *params; /* for tpl_bind_args; NULL: `raw` takes them as they are */
    uint32_t n_required;
    bool (*fn)(tpl_run *r, tv v, const tv *a, tv *out);
    bool (*raw)(tpl_run *r, tv v, const tpl_args *a, tv *out);
} tpl_filter;
typedef struct tpl_test {
    const char *name;
    uint32_t n_args;
    bool (*fn)(tpl_run *r, tv v, tv arg, bool *out);
} tpl_test;
const tpl_filter *tpl_find_filter(clo_str name, bool *known);
const tpl_test *tpl_find_test(clo_str name, bool *known);
extern const tpl_filter tpl_seq_filters[]; /* ends with a NULL name */
CLO_CHECK bool tpl_apply_filter(tpl_run *r, const tpl_filter *f, tv v, const tpl_args *a, tv *out);
CLO_CHECK bool tpl_apply_test(tpl_run *r, const tpl_test *t, tv v, const tpl_args *a, bool *out);
bool tpl_filter_tojson(tpl_run *r, tv v, const tv *a, tv *out);

#endif
