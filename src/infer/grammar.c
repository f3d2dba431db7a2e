/* The automaton of grammar.h: building it, checking it, laying it out. See grammar_impl.h. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "infer/grammar_impl.h"

#define EDGES_MAX ((size_t)4 * CLO_GRAMMAR_STATES_MAX)
#define BUILD_BYTES_MAX ((size_t)256 << 20)

struct gr_build_edge {
    gr_edge e;
    gr_build_edge *next;
};

/* --- building -----------------------------------------------------------------------------------------------------*/

void gr_begin(gr_builder *b)
{
    *b = (gr_builder){.arena = clo_arena_make(BUILD_BYTES_MAX)};
    b->value = b->object = b->array = b->string = b->number = b->character = GR_NONE;
    (void)gr_machine_new(b);
}

void gr_abandon(gr_builder *b)
{
    free(b->states);
    free(b->machines);
    clo_arena_free(&b->arena);
    *b = (gr_builder){0};
}

/* Room for one more; false sets no_memory. */
static bool grow(gr_builder *b, void **at, size_t n, size_t *cap, size_t size)
{
    if (n < *cap) return true;
    size_t more = *cap ? 2 * *cap : 256;
    void *p = realloc(*at, more * size);
    if (!p) {
        b->no_memory = true;
        return false;
    }
    *at = p;
    *cap = more;
    return true;
}

uint32_t gr_state_new(gr_builder *b)
{
    if (b->n_states >= CLO_GRAMMAR_STATES_MAX) b->full = true;
    if (b->full || !grow(b, (void **)&b->states, b->n_states, &b->cap_states, sizeof *b->states)) return 0;
    memset(&b->states[b->n_states], 0, sizeof *b->states);
    return (uint32_t)b->n_states++;
}

uint32_t gr_machine_new(gr_builder *b)
{
    gr_machine m = {.start = gr_state_new(b), .final = gr_state_new(b)};
    if (gr_failed(b) || !grow(b, (void **)&b->machines, b->n_machines, &b->cap_machines, sizeof m)) return 0;
    b->machines[b->n_machines] = m;
    return (uint32_t)b->n_machines++;
}

static void add(gr_builder *b, uint32_t from, gr_edge e)
{
    if (b->n_edges >= EDGES_MAX) b->full = true;
    if (gr_failed(b)) return;
    gr_build_edge *x = CLO_NEW(&b->arena, gr_build_edge, 1);
    if (!x) {
        b->no_memory = true;
        return;
    }
    x->e = e;
    if (b->states[from].last)
        b->states[from].last->next = x;
    else
        b->states[from].first = x;
    b->states[from].last = x;
    b->states[from].n++;
    b->n_edges++;
}

void gr_bytes(gr_builder *b, uint32_t from, uint8_t lo, uint8_t hi, uint32_t to)
{
    add(b, from, (gr_edge){.kind = GR_BYTES, .lo = lo, .hi = hi, .to = to});
}

void gr_eps(gr_builder *b, uint32_t from, uint32_t to)
{
    add(b, from, (gr_edge){.kind = GR_EPS, .to = to});
}

void gr_call(gr_builder *b, uint32_t from, uint32_t machine, uint32_t to)
{
    add(b, from, (gr_edge){.kind = GR_CALL, .machine = machine, .to = to});
}

void gr_repeat(gr_builder *b, uint32_t from, uint32_t machine, uint32_t min, uint32_t max, uint32_t to)
{
    uint32_t loop = gr_state_new(b);
    gr_eps(b, from, loop);
    add(b, loop, (gr_edge){.kind = GR_REPEAT, .machine = machine, .min = min, .max = max, .to = to});
}

void gr_text(gr_builder *b, uint32_t from, clo_str text, uint32_t to)
{
    gr_eps(b, gr_after(b, from, text), to);
}

/* Where exactly this byte leads already, other than to `end`; or GR_NONE. */
static uint32_t follow(const gr_builder *b, uint32_t from, uint8_t byte, uint32_t end)
{
    for (const gr_build_edge *x = b->states[from].first; x; x = x->next)
        if (x->e.kind == GR_BYTES && x->e.lo == byte && x->e.hi == byte && x->e.to != end) return x->e.to;
    return GR_NONE;
}

void gr_choice(gr_builder *b, uint32_t from, clo_str text, uint32_t to)
{
    for (size_t i = 0; i + 1 < text.len && !gr_failed(b); i++) {
        uint8_t byte = (uint8_t)text.ptr[i];
        uint32_t next = follow(b, from, byte, to);
        if (next == GR_NONE) {
            next = gr_state_new(b);
            gr_bytes(b, from, byte, byte, next);
        }
        from = next;
    }
    if (text.len > 0) gr_bytes(b, from, (uint8_t)text.ptr[text.len - 1], (uint8_t)text.ptr[text.len - 1], to);
}

uint32_t gr_after(gr_builder *b, uint32_t from, clo_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint32_t to = gr_state_new(b);
        gr_bytes(b, from, (uint8_t)text.ptr[i], (uint8_t)text.ptr[i], to);
        from = to;
    }
    return from;
}

uint32_t gr_after_special(gr_builder *b, uint32_t from, clo_str name)
{
    size_t i = 0;
    uint32_t text = gr_state_new(b), to = gr_state_new(b);
    while (i < b->n_specials && !clo_str_eq(b->specials[i], name))
        i++;
    if (i == GR_SPECIALS_MAX) {
        b->full = true;
        return to;
    }
    if (i == b->n_specials) {
        b->specials[b->n_specials++] = clo_arena_copy_str(&b->arena, name);
        if (!b->specials[i].ptr) b->no_memory = true;
    }
    add(b, from, (gr_edge){.kind = GR_TOKEN, .machine = (uint32_t)i, .to = to});
    add(b, from, (gr_edge){.kind = GR_IF_TEXT, .machine = (uint32_t)i, .to = text});
    gr_eps(b, gr_after(b, text, name), to);
    return to;
}

/* States i: the text so far ends with the first i bytes of the mark, and no more (Knuth, Morris and Pratt 1977). */
uint32_t gr_after_free(gr_builder *b, uint32_t from, clo_str mark, uint32_t end)
{
    enum { MARK_MAX = 64 };
    uint32_t at[MARK_MAX + 1];
    size_t back[MARK_MAX + 1] = {0};
    if (mark.len == 0 || mark.len > MARK_MAX) b->full = true;
    for (size_t i = 0; i <= mark.len && i <= MARK_MAX; i++)
        at[i] = gr_state_new(b);
    if (gr_failed(b)) return 0;
    gr_eps(b, from, at[0]);
    for (size_t i = 0, k = 0; i < mark.len; i++) {
        if (i > 0) {
            back[i] = k;
            while (k > 0 && mark.ptr[i] != mark.ptr[k])
                k = back[k];
            if (mark.ptr[i] == mark.ptr[k]) k++;
        }
        for (unsigned byte = 0; byte < 256; byte++) {
            size_t to = i;
            while (to > 0 && (uint8_t)mark.ptr[to] != byte)
                to = back[to];
            if ((uint8_t)mark.ptr[to] == byte) to++;
            gr_bytes(b, at[i], (uint8_t)byte, (uint8_t)byte, at[to]);
        }
        if (end != GR_NONE) gr_eps(b, at[i], end);
    }
    return at[mark.len];
}

/* --- any JSON -----------------------------------------------------------------------------------------------------*/

uint32_t gr_any_string(gr_builder *b)
{
    if (b->string != GR_NONE) return b->string;
    uint32_t m = b->string = gr_machine_new(b), end = gr_state_new(b);
    gr_repeat(b, gr_after(b, gr_start(b, m), CLO_STR("\"")), gr_any_character(b), 0, GR_INF, end);
    gr_text(b, end, CLO_STR("\""), gr_final(b, m));
    return m;
}

/* What stands between a pair of brackets: nothing, or one `item` and more behind ", ". */
static void any_list(gr_builder *b, uint32_t m, clo_str open, clo_str close, uint32_t item, uint32_t after)
{
    uint32_t first = gr_after(b, gr_start(b, m), open);
    gr_text(b, first, close, gr_final(b, m));
    gr_eps(b, first, item);
    gr_text(b, after, close, gr_final(b, m));
    gr_text(b, after, CLO_STR(", "), item);
}

uint32_t gr_any_object(gr_builder *b)
{
    if (b->object != GR_NONE) return b->object;
    uint32_t m = b->object = gr_machine_new(b), key = gr_state_new(b), value = gr_state_new(b), after = gr_state_new(b);
    any_list(b, m, CLO_STR("{"), CLO_STR("}"), key, after);
    gr_call(b, key, gr_any_string(b), value);
    gr_call(b, gr_after(b, value, CLO_STR(": ")), gr_any_value(b), after);
    return m;
}

uint32_t gr_any_array(gr_builder *b)
{
    if (b->array != GR_NONE) return b->array;
    uint32_t m = b->array = gr_machine_new(b), value = gr_state_new(b), after = gr_state_new(b);
    any_list(b, m, CLO_STR("["), CLO_STR("]"), value, after);
    gr_call(b, value, gr_any_value(b), after);
    return m;
}

uint32_t gr_any_value(gr_builder *b)
{
    if (b->value != GR_NONE) return b->value;
    uint32_t m = b->value = gr_machine_new(b);
    const uint32_t parts[] = {gr_any_object(b), gr_any_array(b), gr_any_string(b), gr_any_number(b)};
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        gr_call(b, gr_start(b, m), parts[i], gr_final(b, m));
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        gr_text(b, gr_start(b, m), clo_str_from(words[i]), gr_final(b, m));
    return m;
}

/* --- what a machine needs -----------------------------------------------------------------------------------------*/

typedef struct {
    const clo_grammar *g;
    const uint8_t *bytes;
    uint32_t specials;
    uint16_t *need;
} needs;

static bool any_byte(const uint8_t bytes[32], unsigned lo, unsigned hi)
{
    for (unsigned c = lo; c <= hi; c++)
        if (bytes[c / 8] >> (c % 8) & 1) return true;
    return false;
}

static uint16_t need_of_call(const needs *n, const gr_edge *e)
{
    uint16_t inner = n->need[n->g->machines[e->machine].start];
    if (inner >= CLO_GRAMMAR_NEST_MAX) return GR_NEED_NEVER;
    return (uint16_t)clo_max((size_t)inner + 1, n->need[e->to]);
}

static uint16_t need_of_edge(const needs *n, const gr_edge *e)
{
    bool open = true;
    switch ((gr_kind)e->kind) {
    case GR_BYTES:
        open = any_byte(n->bytes, e->lo, e->hi);
        break;
    case GR_TOKEN:
        open = n->specials >> e->machine & 1;
        break;
    case GR_IF_TEXT:
        open = !(n->specials >> e->machine & 1);
        break;
    case GR_CALL:
        return need_of_call(n, e);
    case GR_REPEAT:
        if (e->min > 0) return need_of_call(n, e);
        break;
    case GR_EPS:
        break;
    }
    return open ? n->need[e->to] : GR_NEED_NEVER;
}

static uint16_t need_of_state(const needs *n, uint32_t s)
{
    const gr_state *st = &n->g->states[s];
    uint16_t least = st->final ? 0 : GR_NEED_NEVER;
    for (uint32_t i = 0; i < st->n; i++) {
        uint16_t v = need_of_edge(n, &n->g->edges[st->first + i]);
        if (v < least) least = v;
    }
    return least;
}

/* Who looks at a state: those with an edge to it, and those that call the machine it begins. */
typedef struct {
    uint32_t *first; /* [n_states + 1] owned */
    uint32_t *from;  /* owned */
} lookers;

/* The states that an edge makes its own state look at: returns how many. */
static size_t looks_at(uint32_t out[2], const clo_grammar *g, const gr_edge *e)
{
    out[0] = e->to;
    if (e->kind != GR_CALL && e->kind != GR_REPEAT) return 1;
    out[1] = g->machines[e->machine].start;
    return 2;
}

static bool find_lookers(lookers *l, const clo_grammar *g)
{
    uint32_t at[2];
    l->first = (uint32_t *)calloc(g->n_states + 1, sizeof *l->first);
    l->from = (uint32_t *)calloc(2 * g->n_edges + 1, sizeof *l->from);
    if (!l->first || !l->from) return false;
    for (size_t i = 0; i < g->n_edges; i++)
        for (size_t k = looks_at(at, g, &g->edges[i]); k-- > 0;)
            l->first[at[k]]++;
    for (size_t s = 1; s <= g->n_states; s++)
        l->first[s] += l->first[s - 1];
    for (size_t s = 0; s < g->n_states; s++)
        for (uint32_t i = 0; i < g->states[s].n; i++)
            for (size_t k = looks_at(at, g, &g->edges[g->states[s].first + i]); k-- > 0;)
                l->from[--l->first[at[k]]] = (uint32_t)s;
    return true;
}

bool gr_needs(uint16_t *need, const clo_grammar *g, const uint8_t bytes[32], uint32_t specials, clo_err *err)
{
    const needs n = {g, bytes, specials, need};
    lookers l = {0};
    uint32_t *queue = (uint32_t *)calloc(g->n_states + 1, sizeof *queue);
    bool *queued = (bool *)calloc(g->n_states + 1, sizeof *queued);
    size_t head = 0, n_queued = 0;
    bool ok = find_lookers(&l, g) && queue && queued;

    if (!ok) clo_fail(err, CLO_ERR_MEMORY, "a grammar of %zu states", g->n_states);
    for (size_t s = 0; ok && s < g->n_states; s++) {
        need[s] = GR_NEED_NEVER;
        if (g->states[s].final) queue[n_queued++] = (uint32_t)s, queued[s] = true;
    }
    while (ok && n_queued > 0) {
        uint32_t s = queue[head];
        head = head + 1 == g->n_states ? 0 : head + 1;
        n_queued--;
        queued[s] = false;
        uint16_t now = need_of_state(&n, s);
        if (now >= need[s]) continue;
        need[s] = now;
        for (uint32_t i = l.first[s]; i < l.first[s + 1]; i++) {
            uint32_t f = l.from[i];
            if (queued[f]) continue;
            queued[f] = true;
            queue[(head + n_queued++) % g->n_states] = f;
        }
    }
    free(l.first);
    free(l.from);
    free(queue);
    free(queued);
    return ok;
}

/* --- a machine that calls itself before it reads ------------------------------------------------------------------*/

/* Machines that m may call before it reads a byte, appended to out; stack and seen are scratch of n_states. */
static void calls_first(const clo_grammar *g, uint32_t m, uint32_t *stack, uint32_t *seen, uint32_t **out)
{
    size_t n = 0;
    stack[n++] = g->machines[m].start;
    seen[g->machines[m].start] = m + 1;
    while (n > 0) {
        const gr_state *s = &g->states[stack[--n]];
        for (uint32_t i = 0; i < s->n; i++) {
            const gr_edge *e = &g->edges[s->first + i];
            if (e->kind == GR_CALL || e->kind == GR_REPEAT) *(*out)++ = e->machine;
            bool on = e->kind == GR_EPS || e->kind == GR_IF_TEXT || (e->kind == GR_REPEAT && e->min == 0);
            if (on && seen[e->to] != m + 1) seen[e->to] = m + 1, stack[n++] = e->to;
        }
    }
}

/* Whether the first calls of some machine lead back to it. at (a copy of first), path and seen are scratch. */
static bool goes_round(const uint32_t *first, const uint32_t *calls, size_t n, uint32_t *at, uint32_t *path, uint8_t *seen)
{
    enum { NEW, ON_PATH, DONE };
    for (uint32_t root = 0; root < n; root++) {
        size_t n_path = 0;
        if (seen[root] != NEW) continue;
        path[n_path++] = root;
        seen[root] = ON_PATH;
        while (n_path > 0) {
            uint32_t m = path[n_path - 1];
            if (at[m] == first[m + 1]) {
                seen[m] = DONE;
                n_path--;
                continue;
            }
            uint32_t c = calls[at[m]++];
            if (seen[c] == ON_PATH) return true;
            if (seen[c] == DONE) continue;
            seen[c] = ON_PATH;
            path[n_path++] = c;
        }
    }
    return false;
}

static bool check_first_calls(const clo_grammar *g, clo_err *err)
{
    uint32_t *stack = (uint32_t *)calloc(g->n_states + 1, sizeof *stack);
    uint32_t *seen = (uint32_t *)calloc(g->n_states + 1, sizeof *seen);
    uint32_t *calls = (uint32_t *)calloc(g->n_edges + 1, sizeof *calls);
    uint32_t *first = (uint32_t *)calloc(g->n_machines + 1, sizeof *first);
    uint32_t *at = (uint32_t *)calloc(g->n_machines + 1, sizeof *at);
    uint8_t *color = (uint8_t *)calloc(g->n_machines + 1, sizeof *color);
    bool ok = stack && seen && calls && first && at && color;
    if (!ok) clo_fail(err, CLO_ERR_MEMORY, "a grammar of %zu states", g->n_states);
    uint32_t *end = calls;
    for (uint32_t m = 0; ok && m < g->n_machines; m++) {
        calls_first(g, m, stack, seen, &end);
        first[m + 1] = at[m + 1] = (uint32_t)(end - calls);
    }
    /* There are fewer machines than states, so the stack holds a path. */
    if (ok && goes_round(first, calls, g->n_machines, at, stack, color))
        ok = clo_fail(err, CLO_ERR_FORMAT, "the schema refers to itself and to nothing else");
    free(stack);
    free(seen);
    free(calls);
    free(first);
    free(at);
    free(color);
    return ok;
}

/* --- finishing ----------------------------------------------------------------------------------------------------*/

static bool lay_out(clo_grammar *g, const gr_builder *b, clo_err *err)
{
    g->arena = clo_arena_make(BUILD_BYTES_MAX);
    g->n_states = b->n_states;
    g->n_edges = b->n_edges;
    g->n_machines = b->n_machines;
    g->n_specials = b->n_specials;
    g->states = CLO_NEW(&g->arena, gr_state, b->n_states);
    g->edges = CLO_NEW(&g->arena, gr_edge, b->n_edges);
    g->machines = CLO_NEW(&g->arena, gr_machine, b->n_machines);
    for (size_t i = 0; i < b->n_specials; i++) {
        g->specials[i] = clo_arena_copy_str(&g->arena, b->specials[i]);
        if (!g->specials[i].ptr) return clo_arena_full(&g->arena, err);
    }
    if (!g->states || !g->edges || !g->machines) return clo_arena_full(&g->arena, err);
    memcpy(g->machines, b->machines, b->n_machines * sizeof *g->machines);
    uint32_t n = 0;
    for (size_t s = 0; s < b->n_states; s++) {
        g->states[s] = (gr_state){.first = n, .n = b->states[s].n, .plain = b->states[s].plain};
        for (const gr_build_edge *x = b->states[s].first; x; x = x->next)
            g->edges[n++] = x->e;
    }
    for (size_t m = 0; m < b->n_machines; m++)
        g->states[g->machines[m].final].final = true;
    return true;
}

/* That some text fits at all. */
static bool check_some_text(const clo_grammar *g, clo_err *err)
{
    uint8_t all[32];
    memset(all, 0xff, sizeof all);
    uint16_t *need = (uint16_t *)calloc(g->n_states, sizeof *need);
    if (!need) return clo_fail(err, CLO_ERR_MEMORY, "a grammar of %zu states", g->n_states);
    bool ok = gr_needs(need, g, all, UINT32_MAX, err);
    if (ok && need[g->machines[0].start] > CLO_GRAMMAR_NEST_MAX)
        ok = clo_fail(err, CLO_ERR_FORMAT, "no text fits the schema");
    free(need);
    return ok;
}

bool gr_finish(clo_grammar **out, gr_builder *b, clo_err *err)
{
    clo_grammar *g = NULL;
    bool ok = false;
    *out = NULL;
    if (b->no_memory) {
        clo_fail(err, CLO_ERR_MEMORY, "a grammar of %zu states", b->n_states);
    } else if (b->full) {
        clo_fail(err, CLO_ERR_LIMIT, "the schema needs more than %u states or %zu edges", CLO_GRAMMAR_STATES_MAX,
                 EDGES_MAX);
    } else if (!(g = (clo_grammar *)calloc(1, sizeof *g))) {
        clo_fail(err, CLO_ERR_MEMORY, "a grammar");
    } else {
        atomic_init(&g->n_owners, 1);
        ok = lay_out(g, b, err) && check_first_calls(g, err) && check_some_text(g, err);
    }
    gr_abandon(b);
    if (!ok) clo_grammar_close(g), g = NULL;
    *out = g;
    return ok;
}

clo_grammar *clo_grammar_share(clo_grammar *g)
{
    atomic_fetch_add(&g->n_owners, 1);
    return g;
}

void clo_grammar_close(clo_grammar *g)
{
    if (!g || atomic_fetch_sub(&g->n_owners, 1) > 1) return;
    clo_arena_free(&g->arena);
    free(g);
}

void clo_grammar_notes_free(clo_grammar_notes *n)
{
    clo_buf_free(&n->ignored);
    n->path[0] = 0;
}

bool clo_grammar_json_object(clo_grammar **out, clo_err *err)
{
    gr_builder b;
    gr_begin(&b);
    gr_call(&b, gr_start(&b, 0), gr_any_object(&b), gr_final(&b, 0));
    return gr_finish(out, &b, err);
}
