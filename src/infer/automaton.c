#include "infer/automaton.h"

#include <stdlib.h>
#include <string.h>

#define ARENA_BYTES_MAX ((size_t)1 << 30) /* the matcher throws places away long before */
#define WAYS_MAX (1u << 26)

/* --- life ---------------------------------------------------------------------------------------------------------*/

bool clo_automaton_open(clo_automaton *a, const clo_grammar *g, const uint8_t bytes[32], uint32_t specials, clo_err *err)
{
    *a = (clo_automaton){.g = g, .specials = specials, .arena = clo_arena_make(ARENA_BYTES_MAX)};
    a->need = (uint16_t *)calloc(g->n_states, sizeof *a->need);
    if (!a->need) return clo_fail(err, CLO_ERR_MEMORY, "a grammar of %zu states", g->n_states);
    if (!gr_needs(a->need, g, bytes, specials, err)) return false;
    if (a->need[g->machines[0].start] > CLO_GRAMMAR_NEST_MAX)
        return clo_fail(err, CLO_ERR_UNSUPPORTED, "the model's vocabulary lacks bytes that the schema needs");
    return true;
}

void clo_automaton_forget(clo_automaton *a)
{
    clo_arena_free(&a->arena);
    a->arena = clo_arena_make(ARENA_BYTES_MAX);
    free(a->ways);
    free(a->way_table);
    free(a->way_seen);
    free(a->places);
    free(a->place_table);
    a->ways = NULL;
    a->way_table = a->way_seen = a->place_table = NULL;
    a->places = NULL;
    a->n_ways = a->cap_ways = a->n_places = a->cap_places = a->spent = 0;
    a->n_closures = 0;
    a->no_memory = false;
}

void clo_automaton_close(clo_automaton *a)
{
    clo_automaton_forget(a);
    clo_arena_free(&a->arena);
    free(a->need);
    free(a->todo);
    *a = (clo_automaton){0};
}

/* --- ways ---------------------------------------------------------------------------------------------------------*/

static uint32_t mix(uint32_t h, uint32_t v)
{
    h = (h ^ v) * 0x9E3779B1u;
    return h ^ h >> 15;
}

static uint32_t hash_way(uint32_t state, uint32_t count, uint32_t below)
{
    return mix(mix(mix(17, state), count), below);
}

static bool grow_ways(clo_automaton *a)
{
    size_t cap = a->cap_ways ? 2 * a->cap_ways : 256;
    clo_way *ways = (clo_way *)realloc(a->ways, cap * sizeof *ways);
    if (ways) a->ways = ways;
    uint32_t *seen = (uint32_t *)realloc(a->way_seen, cap * sizeof *seen);
    if (seen) a->way_seen = seen;
    uint32_t *table = (uint32_t *)malloc(2 * cap * sizeof *table);
    if (!ways || !seen || !table || cap > WAYS_MAX) {
        free(table);
        a->no_memory = true;
        return false;
    }
    memset(table, 0xff, 2 * cap * sizeof *table);
    for (uint32_t w = 0; w < a->n_ways; w++) {
        size_t i = hash_way(ways[w].state, ways[w].count, ways[w].below) & (2 * cap - 1);
        while (table[i] != GR_NONE)
            i = (i + 1) & (2 * cap - 1);
        table[i] = w;
    }
    free(a->way_table);
    a->way_table = table;
    a->spent += (cap - a->cap_ways) * (sizeof *ways + 3 * sizeof *seen);
    a->cap_ways = cap;
    return true;
}

/* The way with this state on top; GR_NONE when it is nested too deep or memory is gone. */
static uint32_t way(clo_automaton *a, uint32_t state, uint32_t count, uint32_t below)
{
    if (a->n_ways == a->cap_ways && !grow_ways(a)) return GR_NONE;
    size_t mask = 2 * a->cap_ways - 1, i = hash_way(state, count, below) & mask;
    for (; a->way_table[i] != GR_NONE; i = (i + 1) & mask) {
        const clo_way *w = &a->ways[a->way_table[i]];
        if (w->state == state && w->count == count && w->below == below) return a->way_table[i];
    }
    size_t depth = below == GR_NONE ? 0 : a->ways[below].depth + 1u;
    if (depth > CLO_GRAMMAR_NEST_MAX) return GR_NONE;
    uint32_t id = (uint32_t)a->n_ways++;
    a->way_table[i] = id;
    a->way_seen[id] = 0;
    a->ways[id] = (clo_way){.state = state, .count = count, .below = below, .depth = (uint16_t)depth};
    a->ways[id].safe = a->need[state] + depth <= CLO_GRAMMAR_NEST_MAX && (below == GR_NONE || a->ways[below].safe);
    return id;
}

/* --- closures: everything that can be reached without a byte ------------------------------------------------------*/

static void meet(clo_automaton *a, uint32_t w)
{
    if (w == GR_NONE || a->way_seen[w] == a->n_closures) return;
    a->way_seen[w] = a->n_closures;
    if (a->n_todo == a->cap_todo) {
        size_t cap = a->cap_todo ? 2 * a->cap_todo : 256;
        uint32_t *p = (uint32_t *)realloc(a->todo, cap * sizeof *p);
        if (!p) {
            a->no_memory = true;
            return;
        }
        a->todo = p;
        a->cap_todo = cap;
    }
    a->todo[a->n_todo++] = w;
}

static void meet_top(clo_automaton *a, uint32_t state, uint32_t below)
{
    meet(a, way(a, state, 0, below));
}

/* Enters a machine; where nothing follows the call in its own machine, it returns to whoever called that. */
static void enter(clo_automaton *a, const gr_edge *e, uint32_t below)
{
    uint32_t back = below;
    if (!a->g->states[e->to].final && (back = way(a, e->to, 0, below)) == GR_NONE) return;
    meet_top(a, a->g->machines[e->machine].start, back);
}

static void repeat(clo_automaton *a, const gr_edge *e, clo_way w)
{
    if (w.count >= e->min) meet_top(a, e->to, w.below);
    if (w.count >= e->max && e->max != GR_INF) return;
    uint32_t count = e->max == GR_INF && w.count >= e->min ? w.count : w.count + 1;
    uint32_t back = way(a, w.state, count, w.below);
    if (back != GR_NONE) meet_top(a, a->g->machines[e->machine].start, back);
}

static void keep(clo_automaton *a, uint32_t w)
{
    bool safe = a->ways[w].safe;
    if (a->n_found < CLO_PLACE_WAYS_MAX)
        a->found[a->n_found++] = w;
    else if (safe && !a->found_safe) /* a place keeps a way to its end */
        a->found[CLO_PLACE_WAYS_MAX - 1] = w;
    else
        return;
    a->found_safe = a->found_safe || safe;
}

static void look_at(clo_automaton *a, uint32_t id)
{
    const clo_way w = a->ways[id];
    const gr_state *s = &a->g->states[w.state];
    bool reads = false;
    if (s->final && w.below == GR_NONE) a->found_complete = true;
    if (s->final && w.below != GR_NONE) meet(a, w.below);
    for (uint32_t i = 0; i < s->n; i++) {
        const gr_edge *e = &a->g->edges[s->first + i];
        switch ((gr_kind)e->kind) {
        case GR_BYTES:
            reads = true;
            break;
        case GR_TOKEN:
            reads = reads || a->specials >> e->machine & 1;
            break;
        case GR_IF_TEXT:
            if (!(a->specials >> e->machine & 1)) meet_top(a, e->to, w.below);
            break;
        case GR_EPS:
            meet_top(a, e->to, w.below);
            break;
        case GR_CALL:
            enter(a, e, w.below);
            break;
        case GR_REPEAT:
            repeat(a, e, w);
            break;
        }
    }
    if (reads) keep(a, id);
}

static void begin_closure(clo_automaton *a)
{
    a->n_closures++;
    a->n_todo = a->n_found = 0;
    a->found_complete = a->found_safe = false;
}

static void close_over(clo_automaton *a)
{
    while (a->n_todo > 0) {
        a->spent += 16;
        look_at(a, a->todo[--a->n_todo]);
    }
}

/* --- places -------------------------------------------------------------------------------------------------------*/

static uint32_t hash_place(const uint32_t *ways, size_t n, bool complete)
{
    uint32_t h = complete;
    for (size_t i = 0; i < n; i++)
        h = mix(h, ways[i]);
    return mix(h, (uint32_t)n);
}

static bool grow_places(clo_automaton *a)
{
    size_t cap = a->cap_places ? 2 * a->cap_places : 64;
    clo_place *places = (clo_place *)realloc(a->places, cap * sizeof *places);
    if (places) a->places = places;
    uint32_t *table = (uint32_t *)malloc(2 * cap * sizeof *table);
    if (!places || !table) {
        free(table);
        a->no_memory = true;
        return false;
    }
    memset(table, 0xff, 2 * cap * sizeof *table);
    for (uint32_t p = 0; p < a->n_places; p++) {
        size_t i = hash_place(places[p].ways, places[p].n_ways, places[p].complete) & (2 * cap - 1);
        while (table[i] != GR_NONE)
            i = (i + 1) & (2 * cap - 1);
        table[i] = p;
    }
    free(a->place_table);
    a->place_table = table;
    a->spent += (cap - a->cap_places) * (sizeof *places + 2 * sizeof *table);
    a->cap_places = cap;
    return true;
}

/* The place of the ways that were found. */
static int32_t found_place(clo_automaton *a)
{
    size_t n = a->n_found;
    if (a->no_memory || (n == 0 && !a->found_complete)) return CLO_PLACE_NONE;
    if (a->n_places == a->cap_places && !grow_places(a)) return CLO_PLACE_NONE;
    size_t mask = 2 * a->cap_places - 1, i = hash_place(a->found, n, a->found_complete) & mask;
    for (; a->place_table[i] != GR_NONE; i = (i + 1) & mask) {
        const clo_place *p = &a->places[a->place_table[i]];
        if (p->n_ways == n && p->complete == a->found_complete &&
            (n == 0 || memcmp(p->ways, a->found, n * sizeof *a->found) == 0))
            return (int32_t)a->place_table[i];
    }
    uint32_t *ways = CLO_NEW(&a->arena, uint32_t, n);
    if (!ways) {
        a->no_memory = true;
        return CLO_PLACE_NONE;
    }
    memcpy(ways, a->found, n * sizeof *ways);
    a->spent += n * sizeof *ways;
    a->place_table[i] = (uint32_t)a->n_places;
    a->places[a->n_places] = (clo_place){.ways = ways,
                                         .n_ways = (uint32_t)n,
                                         .complete = a->found_complete,
                                         .safe = a->found_complete || a->found_safe};
    return (int32_t)a->n_places++;
}

int32_t clo_automaton_start(clo_automaton *a)
{
    begin_closure(a);
    meet_top(a, a->g->machines[0].start, GR_NONE);
    close_over(a);
    return found_place(a);
}

/* Follows the edges of a place that read this byte, or this control token. */
static int32_t follow(clo_automaton *a, int32_t place, gr_kind kind, uint32_t what)
{
    const clo_place p = a->places[place];
    begin_closure(a);
    for (uint32_t k = 0; k < p.n_ways; k++) {
        const clo_way w = a->ways[p.ways[k]];
        const gr_state *s = &a->g->states[w.state];
        for (uint32_t i = 0; i < s->n; i++) {
            const gr_edge *e = &a->g->edges[s->first + i];
            if (e->kind != kind) continue;
            bool reads = kind == GR_BYTES ? e->lo <= what && what <= e->hi : e->machine == what;
            if (reads) meet_top(a, e->to, w.below);
        }
        a->spent += 16;
        close_over(a);
    }
    return found_place(a);
}

int32_t clo_automaton_step(clo_automaton *a, int32_t place, uint8_t byte)
{
    clo_place *p = &a->places[place];
    if (!p->next) {
        p->next = CLO_NEW(&a->arena, int32_t, 256);
        if (!p->next) {
            a->no_memory = true;
            return CLO_PLACE_NONE;
        }
        a->spent += 256 * sizeof *p->next;
        for (size_t i = 0; i < 256; i++)
            p->next[i] = CLO_PLACE_UNKNOWN;
    }
    if (p->next[byte] != CLO_PLACE_UNKNOWN) return p->next[byte];
    int32_t to = follow(a, place, GR_BYTES, byte);
    if (!a->no_memory) a->places[place].next[byte] = to;
    return to;
}

int32_t clo_automaton_special(clo_automaton *a, int32_t place, uint32_t i)
{
    return follow(a, place, GR_TOKEN, i);
}
