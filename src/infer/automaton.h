/* A grammar followed byte by byte: all its ways at once, each place remembered.
 *
 * A way is a stack: a state, and below it the states to which the machines return that are entered. Stacks share what
 * lies below and are made once each, so a way is one number. A place is a list of ways that wait for a byte. Places are
 * made once each too, and remember where every byte leads, so that a byte read again costs one look into a table.
 *
 * What is remembered is thrown away when it has grown large, and made again when asked for: places are numbers that live
 * until then. One thread at a time. */
#ifndef CLO_INFER_AUTOMATON_H
#define CLO_INFER_AUTOMATON_H

#include "base/arena.h"
#include "infer/grammar_impl.h"

#define CLO_PLACE_NONE (-1)         /* no text goes on from here */
#define CLO_PLACE_UNKNOWN (-2)      /* in next: not computed yet */
#define CLO_PLACE_WAYS_MAX 1024     /* of one place; those found later are given up: the text stays within the grammar */

typedef struct {
    uint32_t state, count; /* count: of the repetition whose state it is */
    uint32_t below;        /* the way to return to, or GR_NONE */
    uint16_t depth;
    bool safe;             /* tokens of one byte lead to the end */
} clo_way;

typedef struct {
    uint32_t *ways; /* [n_ways] in the arena */
    uint32_t n_ways;
    bool complete;  /* the text may end here */
    bool safe;      /* complete, or some way is safe */
    int32_t *next;  /* [256] in the arena; NULL: nothing computed yet */
    uint32_t *mask; /* the matcher's, in the arena; NULL: not computed yet */
} clo_place;

typedef struct {
    const clo_grammar *g; /* borrowed */
    uint32_t specials;    /* bits: control tokens that the vocabulary has */
    uint16_t *need;       /* [n_states] owned */
    clo_arena arena;
    clo_way *ways; /* owned */
    uint32_t *way_table, *way_seen; /* owned: hash table; number of the closure that met the way last */
    clo_place *places;              /* owned */
    uint32_t *place_table;          /* owned */
    size_t n_ways, cap_ways, n_places, cap_places;
    uint32_t *todo; /* owned: ways to look at [cap_todo] */
    size_t n_todo, cap_todo;
    uint32_t n_closures;
    uint32_t found[CLO_PLACE_WAYS_MAX]; /* of the closure under way */
    size_t n_found;
    bool found_complete, found_safe;
    size_t spent;   /* bytes and, 16 each, ways looked at, since everything was thrown away */
    bool no_memory;
} clo_automaton;

/* bytes [256 bits]: those that are tokens by themselves; specials: bits of the grammar's control tokens that are there.
 * CLO_ERR_UNSUPPORTED when the vocabulary can write no text of the grammar. */
CLO_CHECK bool clo_automaton_open(clo_automaton *a, const clo_grammar *g, const uint8_t bytes[32], uint32_t specials,
                                  clo_err *err);
void clo_automaton_close(clo_automaton *a);
/* Throws away all places. */
void clo_automaton_forget(clo_automaton *a);

/* The place before the first byte. CLO_PLACE_NONE when memory is gone, as below. */
int32_t clo_automaton_start(clo_automaton *a);
/* Where a byte leads; places may move in memory. */
int32_t clo_automaton_step(clo_automaton *a, int32_t place, uint8_t byte);
/* Where control token i of the grammar leads. */
int32_t clo_automaton_special(clo_automaton *a, int32_t place, uint32_t i);

#endif
