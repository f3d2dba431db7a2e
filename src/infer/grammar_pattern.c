/* Patterns: regular expressions over the characters of a string, as ECMA-262 and Python both read them.
 *
 * A pattern is parsed to a tree, the tree becomes a small automaton over sets of characters (Thompson 1968), and that is
 * written into the grammar: as it is, or, where the length is bounded too, once for every number of characters read.
 *
 * Where the two languages differ (\d and \w know more letters in Python, '.' fewer line ends), a set is taken small
 * enough for both, and its complement too: every escape has a narrow and a wide set. */
#include <string.h>

#include "base/utf8.h"
#include "infer/grammar_impl.h"

#define NFA_STATES_MAX 8192
#define GROUP_DEPTH_MAX 32
#define REPEAT_MAX 1000

typedef enum { NODE_EMPTY, NODE_SET, NODE_THEN, NODE_OR, NODE_REPEAT } node_kind;

typedef struct node node;
struct node {
    node_kind kind;
    gr_set set;
    node *a, *b;
    uint32_t min, max;
};

typedef struct {
    gr_builder *b;
    clo_str in;
    size_t at;
    size_t depth;
    clo_err *err;
} parser;

/* --- characters ---------------------------------------------------------------------------------------------------*/

static const gr_range digit[] = {{'0', '9'}};
static const gr_range word[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
static const gr_range space[] = {{9, 13}, {' ', ' '}};
/* What either language counts as white space. */
static const gr_range space_wide[] = {{9, 13},           {0x1C, ' '},      {0x85, 0x85},     {0xA0, 0xA0},
                                      {0x1680, 0x1680},  {0x180E, 0x180E}, {0x2000, 0x200A}, {0x2028, 0x2029},
                                      {0x202F, 0x202F},  {0x205F, 0x205F}, {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
static const gr_range beyond_ascii[] = {{0x80, GR_CODE_POINT_MAX}};
static const gr_range line_ends[] = {{'\n', '\n'}, {'\r', '\r'}, {0x85, 0x85}, {0x2028, 0x2029}};
#define RANGES(a) (a), sizeof(a) / sizeof *(a)

static void add_ranges(parser *p, gr_set *s, const gr_range *at, size_t n)
{
    for (size_t i = 0; i < n; i++)
        gr_set_add(p->b, s, at[i].lo, at[i].hi);
}

/* The set of \d, \w or \s, as wide as any language takes it, or as narrow. */
static gr_set class_of(parser *p, char c, bool wide)
{
    gr_set s = {0};
    if (c == 's') {
        if (wide)
            add_ranges(p, &s, RANGES(space_wide));
        else
            add_ranges(p, &s, RANGES(space));
        return s;
    }
    if (c == 'd')
        add_ranges(p, &s, RANGES(digit));
    else
        add_ranges(p, &s, RANGES(word));
    if (wide) add_ranges(p, &s, RANGES(beyond_ascii));
    return s;
}

/* \d \D \w \W \s \S into a set; false: c names none. */
static bool add_class(parser *p, gr_set *s, char c, bool wide)
{
    bool not = c == 'D' || c == 'W' || c == 'S';
    char lower = not ? (char)(c + 32) : c;
    if (lower != 'd' && lower != 'w' && lower != 's') return false;
    gr_set part = class_of(p, lower, wide != not);
    if (not) part = gr_set_not(p->b, &part);
    gr_set_add_all(p->b, s, &part);
    return true;
}

static bool fault(parser *p, clo_code code, const char *what)
{
    return clo_fail(p->err, code, "%s at byte %zu of the pattern", what, p->at);
}

static bool at_end(const parser *p)
{
    return p->at >= p->in.len;
}

static char peek(const parser *p)
{
    return at_end(p) ? 0 : p->in.ptr[p->at];
}

static bool take(parser *p, char c)
{
    if (at_end(p) || p->in.ptr[p->at] != c) return false;
    p->at++;
    return true;
}

static bool take_hex(parser *p, size_t n, uint32_t *cp)
{
    *cp = 0;
    for (size_t i = 0; i < n; i++) {
        char c = peek(p);
        uint32_t d = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                     : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                     : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                            : 16;
        if (d == 16) return fault(p, CLO_ERR_FORMAT, "not a hexadecimal digit");
        *cp = *cp * 16 + d;
        p->at++;
    }
    return true;
}

/* What stands behind a backslash and is one character. */
static bool take_escaped(parser *p, uint32_t *cp, bool in_class)
{
    static const char marks[] = "tnrfv", of[] = "\t\n\r\f\v";
    char c = peek(p);
    if (at_end(p)) return fault(p, CLO_ERR_FORMAT, "a backslash and nothing more");
    const char *m = strchr(marks, c);
    p->at++;
    if (c == 'x') return take_hex(p, 2, cp);
    if (c == 'u') return take_hex(p, 4, cp);
    if (in_class && c == 'b') {
        *cp = 8;
    } else if (m && c) {
        *cp = (uint32_t)of[m - marks];
    } else if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (uint8_t)c >= 0x80 || !c) {
        p->at--;
        return fault(p, CLO_ERR_UNSUPPORTED, "an escape that is not built");
    } else {
        *cp = (uint8_t)c;
    }
    return true;
}

static bool take_char(parser *p, uint32_t *cp)
{
    size_t n;
    *cp = clo_utf8_decode(p->in, p->at, &n);
    if (*cp == CLO_UTF8_BAD) return fault(p, CLO_ERR_FORMAT, "invalid UTF-8");
    p->at += n;
    return true;
}

/* One end of a range in a class, or a whole escape class (*cp = GR_NONE). */
static bool class_atom(parser *p, gr_set *s, bool wide, uint32_t *cp)
{
    if (at_end(p)) return fault(p, CLO_ERR_FORMAT, "a class without its ']'");
    if (peek(p) == '[') return fault(p, CLO_ERR_UNSUPPORTED, "'[' within a class");
    if (!take(p, '\\')) return take_char(p, cp);
    if (!at_end(p) && add_class(p, s, peek(p), wide)) {
        p->at++;
        *cp = GR_NONE;
        return true;
    }
    return take_escaped(p, cp, true);
}

static bool parse_class(parser *p, gr_set *out)
{
    gr_set s = {0};
    bool not = take(p, '^');
    if (peek(p) == ']') return fault(p, CLO_ERR_UNSUPPORTED, "an empty class");
    while (!take(p, ']')) {
        uint32_t lo, hi;
        if (!class_atom(p, &s, not, &lo)) return false;
        hi = lo;
        if (peek(p) == '-' && p->at + 1 < p->in.len && p->in.ptr[p->at + 1] != ']') {
            p->at++;
            if (!class_atom(p, &s, not, &hi)) return false;
            if (lo == GR_NONE || hi == GR_NONE || hi < lo) return fault(p, CLO_ERR_FORMAT, "a range out of order");
        }
        if (lo != GR_NONE) gr_set_add(p->b, &s, lo, hi);
    }
    *out = not ? gr_set_not(p->b, &s) : s;
    return true;
}

/* --- the tree -----------------------------------------------------------------------------------------------------*/

static node *make(parser *p, node_kind kind, node *a, node *b)
{
    node *n = CLO_NEW(&p->b->arena, node, 1);
    if (!n) {
        p->b->no_memory = true;
        (void)clo_arena_full(&p->b->arena, p->err);
        return NULL;
    }
    *n = (node){.kind = kind, .a = a, .b = b};
    return n;
}

static node *make_set(parser *p, gr_set s)
{
    node *n = make(p, NODE_SET, NULL, NULL);
    if (n) n->set = s;
    return n;
}

static node *any_char(parser *p)
{
    const gr_set none = {0};
    return make_set(p, gr_set_not(p->b, &none));
}

static node *parse_or(parser *p, bool top);

static node *parse_group(parser *p)
{
    if (take(p, '?') && !take(p, ':')) {
        fault(p, CLO_ERR_UNSUPPORTED, "a group other than (...) and (?:...)");
        return NULL;
    }
    if (p->depth == GROUP_DEPTH_MAX) {
        fault(p, CLO_ERR_LIMIT, "groups nested too deep");
        return NULL;
    }
    p->depth++;
    node *n = parse_or(p, false);
    p->depth--;
    if (n && !take(p, ')')) {
        fault(p, CLO_ERR_FORMAT, "a group without its ')'");
        return NULL;
    }
    return n;
}

static node *parse_atom(parser *p)
{
    gr_set s = {0};
    uint32_t cp;
    if (take(p, '(')) return parse_group(p);
    if (take(p, '[')) return parse_class(p, &s) ? make_set(p, s) : NULL;
    if (take(p, '.')) {
        add_ranges(p, &s, RANGES(line_ends));
        return make_set(p, gr_set_not(p->b, &s));
    }
    if (peek(p) == '^' || peek(p) == '$') {
        fault(p, CLO_ERR_UNSUPPORTED, "an anchor inside");
        return NULL;
    }
    if (strchr("*+?", peek(p)) && peek(p)) {
        fault(p, CLO_ERR_FORMAT, "nothing to repeat");
        return NULL;
    }
    if (take(p, '\\')) {
        if (!at_end(p) && add_class(p, &s, peek(p), false)) {
            p->at++;
            return make_set(p, s);
        }
        if (!take_escaped(p, &cp, false)) return NULL;
    } else if (!take_char(p, &cp)) {
        return NULL;
    }
    gr_set_add(p->b, &s, cp, cp);
    return make_set(p, s);
}

static bool take_count(parser *p, uint32_t *n)
{
    size_t from = p->at;
    *n = 0;
    while (peek(p) >= '0' && peek(p) <= '9' && p->at - from < 6)
        *n = *n * 10 + (uint32_t)(p->in.ptr[p->at++] - '0');
    return p->at > from;
}

/* {m}, {m,} or {m,n}; anything else in braces stands for itself in both languages, save {,n}. */
static bool take_braces(parser *p, uint32_t *min, uint32_t *max)
{
    size_t from = p->at;
    if (!take(p, '{')) return false;
    if (take_count(p, min)) {
        *max = *min;
        if (take(p, ',') && !take_count(p, max)) *max = GR_INF;
        if (take(p, '}')) return true;
    }
    p->at = from;
    return false;
}

static node *parse_repeat(parser *p)
{
    size_t from = p->at;
    node *n = parse_atom(p);
    uint32_t min = 1, max = 1;
    if (!n) return NULL;
    if (peek(p) == '{' && p->at + 1 < p->in.len && p->in.ptr[p->at + 1] == ',') {
        fault(p, CLO_ERR_UNSUPPORTED, "a repetition without its least number");
        return NULL;
    }
    if (take(p, '*'))
        min = 0, max = GR_INF;
    else if (take(p, '+'))
        max = GR_INF;
    else if (take(p, '?'))
        min = 0;
    else if (!take_braces(p, &min, &max))
        return n;
    (void)take(p, '?'); /* lazy: the same texts */
    if (peek(p) == '+' || peek(p) == '*' || peek(p) == '?') {
        fault(p, CLO_ERR_FORMAT, "nothing to repeat");
        return NULL;
    }
    if (max < min || min > REPEAT_MAX || (max != GR_INF && max > REPEAT_MAX)) {
        p->at = from;
        fault(p, max < min ? CLO_ERR_FORMAT : CLO_ERR_LIMIT, "a repetition out of bounds");
        return NULL;
    }
    node *r = make(p, NODE_REPEAT, n, NULL);
    if (r) r->min = min, r->max = max;
    return r;
}

/* A sequence up to '|', ')' or the end. Where the pattern is not anchored, anything may stand around it. */
static node *parse_then(parser *p, bool top)
{
    node *all = make(p, NODE_EMPTY, NULL, NULL), *one;
    bool end = false;
    if (top && !take(p, '^') && all) {
        node *any = make(p, NODE_REPEAT, any_char(p), NULL);
        if (any) any->max = GR_INF;
        all = any;
    }
    while (all && !at_end(p) && peek(p) != '|' && peek(p) != ')') {
        if (top && peek(p) == '$' && (p->at + 1 == p->in.len || p->in.ptr[p->at + 1] == '|')) {
            p->at++;
            end = true;
            break;
        }
        one = parse_repeat(p);
        all = one ? make(p, NODE_THEN, all, one) : NULL;
    }
    if (all && top && !end) {
        node *any = make(p, NODE_REPEAT, any_char(p), NULL);
        if (any) any->max = GR_INF;
        all = any ? make(p, NODE_THEN, all, any) : NULL;
    }
    return all;
}

static node *parse_or(parser *p, bool top)
{
    node *n = parse_then(p, top);
    while (n && take(p, '|')) {
        node *other = parse_then(p, top);
        n = other ? make(p, NODE_OR, n, other) : NULL;
    }
    return n;
}

/* --- the automaton over sets --------------------------------------------------------------------------------------*/

typedef struct {
    uint32_t from, to;
    const gr_set *set; /* NULL: reads nothing */
} nfa_edge;

typedef struct {
    nfa_edge *edges; /* [4 * NFA_STATES_MAX] in the builder's arena */
    size_t n_edges, n_states;
    bool full;
} nfa;

static uint32_t nfa_state(nfa *a)
{
    if (a->n_states == NFA_STATES_MAX) a->full = true;
    return a->full ? 0 : (uint32_t)a->n_states++;
}

static void nfa_add(nfa *a, uint32_t from, const gr_set *set, uint32_t to)
{
    if (a->n_edges == (size_t)4 * NFA_STATES_MAX) a->full = true;
    if (!a->full) a->edges[a->n_edges++] = (nfa_edge){from, to, set};
}

static uint32_t emit(nfa *a, const node *n, uint32_t from);

/* min copies, then a loop, or max - min copies each of which may be the last. */
static uint32_t emit_repeat(nfa *a, const node *n, uint32_t from)
{
    for (uint32_t i = 0; i < n->min && !a->full; i++)
        from = emit(a, n->a, from);
    uint32_t end = nfa_state(a);
    if (n->max == GR_INF) {
        uint32_t loop = nfa_state(a);
        nfa_add(a, from, NULL, loop);
        nfa_add(a, emit(a, n->a, loop), NULL, loop);
        nfa_add(a, loop, NULL, end);
        return end;
    }
    for (uint32_t i = n->min; i < n->max && !a->full; i++) {
        nfa_add(a, from, NULL, end);
        from = emit(a, n->a, from);
    }
    nfa_add(a, from, NULL, end);
    return end;
}

/* Appends what n reads; returns the state behind it. */
static uint32_t emit(nfa *a, const node *n, uint32_t from)
{
    uint32_t to;
    switch (n->kind) {
    case NODE_EMPTY:
        return from;
    case NODE_SET:
        to = nfa_state(a);
        nfa_add(a, from, &n->set, to);
        return to;
    case NODE_THEN:
        return emit(a, n->b, emit(a, n->a, from));
    case NODE_REPEAT:
        return emit_repeat(a, n, from);
    case NODE_OR:
        break;
    }
    to = nfa_state(a);
    /* A loop in one side must not lead into the other: each begins at a state of its own. */
    for (int side = 0; side < 2; side++) {
        uint32_t begin = nfa_state(a);
        nfa_add(a, from, NULL, begin);
        nfa_add(a, emit(a, side ? n->b : n->a, begin), NULL, to);
    }
    return to;
}

/* --- into the grammar ---------------------------------------------------------------------------------------------*/

static void write_free(gr_builder *b, const nfa *a, uint32_t from, uint32_t final, uint32_t to)
{
    uint32_t *at = CLO_NEW(&b->arena, uint32_t, a->n_states);
    if (!at) {
        b->no_memory = true;
        return;
    }
    for (size_t i = 0; i < a->n_states; i++)
        at[i] = gr_state_new(b);
    for (size_t i = 0; i < a->n_edges; i++) {
        const nfa_edge *e = &a->edges[i];
        if (e->set)
            gr_call(b, at[e->from], gr_char_machine_of(b, e->set), at[e->to]);
        else
            gr_eps(b, at[e->from], at[e->to]);
    }
    gr_eps(b, from, at[0]);
    gr_eps(b, at[final], to);
}

/* A layer of states for each number of characters read; beyond min they are one when there is no max. */
static void write_counted(gr_builder *b, const nfa *a, uint32_t from, uint32_t final, uint32_t min, uint32_t max,
                          uint32_t to)
{
    size_t last = max == GR_INF ? min : max;
    uint32_t *now = CLO_NEW(&b->arena, uint32_t, a->n_states), *next = CLO_NEW(&b->arena, uint32_t, a->n_states);
    if (!now || !next) {
        b->no_memory = true;
        return;
    }
    for (size_t i = 0; i < a->n_states; i++)
        next[i] = gr_state_new(b);
    gr_eps(b, from, next[0]);
    for (size_t k = 0; k <= last && !gr_failed(b); k++) {
        memcpy(now, next, a->n_states * sizeof *now);
        for (size_t i = 0; i < a->n_states && k < last; i++)
            next[i] = gr_state_new(b);
        for (size_t i = 0; i < a->n_edges; i++) {
            const nfa_edge *e = &a->edges[i];
            if (!e->set)
                gr_eps(b, now[e->from], now[e->to]);
            else if (k < last || max == GR_INF)
                gr_call(b, now[e->from], gr_char_machine_of(b, e->set), next[e->to]);
        }
        if (k >= min) gr_eps(b, now[final], to);
    }
}

bool gr_pattern(gr_builder *b, uint32_t from, clo_str pattern, uint32_t min, uint32_t max, uint32_t to, clo_err *err)
{
    parser p = {.b = b, .in = pattern, .err = err};
    if (pattern.len > CLO_GRAMMAR_PATTERN_BYTES_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "a pattern of %zu bytes, limit %d", pattern.len,
                        CLO_GRAMMAR_PATTERN_BYTES_MAX);
    const node *n = parse_or(&p, true);
    if (!n) return false;
    if (!at_end(&p)) return fault(&p, CLO_ERR_FORMAT, "a ')' without its '('");
    nfa a = {.edges = CLO_NEW(&b->arena, nfa_edge, (size_t)4 * NFA_STATES_MAX)};
    if (!a.edges) return clo_arena_full(&b->arena, err);
    uint32_t final = emit(&a, n, nfa_state(&a));
    if (a.full) return clo_fail(err, CLO_ERR_LIMIT, "the pattern needs more than %d states", NFA_STATES_MAX);
    if (min == 0 && max == GR_INF)
        write_free(b, &a, from, final, to);
    else
        write_counted(b, &a, from, final, min, max, to);
    return true;
}

/* --- formats ------------------------------------------------------------------------------------------------------*/

/* RFC 3339, section 5.6; years 0001 to 9999, 29 February in leap years alone. Seconds end at 59. */
#define DAYS_28 "(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])"
#define DAYS_30 "(0[13-9]|1[0-2])-(29|30)"
#define DAYS_31 "(0[13578]|1[02])-31"
#define YEAR "([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"
#define BY_4 "(0[48]|[2468][048]|[13579][26])"
#define LEAP_YEAR "([0-9]{2}" BY_4 "|" BY_4 "00)"
#define DATE "(" YEAR "-(" DAYS_28 "|" DAYS_30 "|" DAYS_31 ")|" LEAP_YEAR "-02-29)"
#define HOURS_MINUTES "([01][0-9]|2[0-3]):[0-5][0-9]"
#define TIME HOURS_MINUTES ":[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-]" HOURS_MINUTES ")"
#define HEX(n) "[0-9a-fA-F]{" #n "}"

const char *gr_format_pattern(clo_str format)
{
    static const struct {
        const char *name, *pattern;
    } rows[] = {
        {"date", "^" DATE "$"},
        {"time", "^" TIME "$"},
        {"date-time", "^" DATE "T" TIME "$"},
        {"uuid", "^" HEX(8) "-" HEX(4) "-" HEX(4) "-" HEX(4) "-" HEX(12) "$"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (clo_str_eq(format, clo_str_from(rows[i].name))) return rows[i].pattern;
    return NULL;
}
