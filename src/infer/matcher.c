/* See matcher.h. The mask of a place is made by walking the vocabulary's trees with the automaton. */
#include "infer/matcher.h"

#include <stdlib.h>
#include <string.h>

#include "infer/automaton.h"
#include "infer/generate.h"
#include "infer/sampler.h"

/* What may be remembered before it is thrown away at the next step, and what one walk may spend: a walk that spends it
 * from nothing stops there, with every token of one byte looked at, so that no schema takes seconds a token. */
#define KEPT_MAX ((size_t)16 << 20)
#define WALK_MAX ((size_t)64 << 20)
#define PLACE_ENDED (-3)  /* behind a stop id */
#define STOP_IDS_MAX 64
#define PLAIN_WAYS_MAX 64 /* of a place inside a string whose plain tokens are known at once */

struct clo_matcher {
    clo_grammar *g;             /* shared */
    const clo_vocab_trie *trie; /* borrowed */
    clo_automaton a;
    int32_t *stop_ids; /* [n_stop_ids] owned */
    size_t n_stop_ids;
    int32_t special_ids[GR_SPECIALS_MAX]; /* of the grammar's control tokens; -1: the vocabulary has none */
    int32_t *ids;       /* [n_ids] owned: the output that was asked for last */
    int32_t *places;    /* [n_ids + 1] owned: before the first, and behind each */
    size_t n_ids, cap;
    uint32_t *ended;    /* [n_words] owned: the mask behind a stop id */
};

/* --- life ---------------------------------------------------------------------------------------------------------*/

static void set_bit(uint32_t *bits, int32_t id)
{
    bits[id / 32] |= (uint32_t)1 << (id % 32);
}

static void set_stops(const clo_matcher *m, uint32_t *bits)
{
    for (size_t i = 0; i < m->n_stop_ids; i++)
        if (m->stop_ids[i] >= 0 && (size_t)m->stop_ids[i] < m->trie->n_vocab) set_bit(bits, m->stop_ids[i]);
}

static uint32_t find_specials(clo_matcher *m)
{
    uint32_t found = 0;
    for (size_t i = 0; i < m->g->n_specials; i++) {
        int32_t id = clo_tok_id(m->trie->tok, m->g->specials[i]);
        bool there = id >= 0 && (size_t)id < m->trie->n_vocab && clo_tok_is_special(m->trie->tok, id);
        m->special_ids[i] = there ? id : -1;
        if (there) found |= (uint32_t)1 << i;
    }
    return found;
}

bool clo_matcher_open(clo_matcher **out, clo_grammar *g, const clo_vocab_trie *trie, const int32_t *stop_ids,
                      size_t n_stop_ids, clo_err *err)
{
    clo_matcher *m = (clo_matcher *)calloc(1, sizeof *m);
    *out = NULL;
    if (!m) return clo_fail(err, CLO_ERR_MEMORY, "a matcher");
    m->g = clo_grammar_share(g);
    m->trie = trie;
    m->n_stop_ids = n_stop_ids;
    m->stop_ids = (int32_t *)calloc(n_stop_ids + 1, sizeof *m->stop_ids);
    m->ended = (uint32_t *)calloc(trie->n_words + 1, sizeof *m->ended);
    if (!m->stop_ids || !m->ended) {
        clo_fail(err, CLO_ERR_MEMORY, "a matcher");
        goto fail;
    }
    if (n_stop_ids > 0) memcpy(m->stop_ids, stop_ids, n_stop_ids * sizeof *stop_ids);
    set_stops(m, m->ended);
    if (!clo_automaton_open(&m->a, g, trie->bytes, find_specials(m), err)) goto fail;
    *out = m;
    return true;
fail:
    clo_matcher_close(m);
    return false;
}

void clo_matcher_close(clo_matcher *m)
{
    if (!m) return;
    clo_automaton_close(&m->a);
    clo_grammar_close(m->g);
    free(m->stop_ids);
    free(m->ids);
    free(m->places);
    free(m->ended);
    free(m);
}

void clo_matcher_free(void *ctx)
{
    clo_matcher_close((clo_matcher *)ctx);
}

/* --- following the output -----------------------------------------------------------------------------------------*/

static bool is_stop(const clo_matcher *m, int32_t id)
{
    for (size_t i = 0; i < m->n_stop_ids; i++)
        if (m->stop_ids[i] == id) return true;
    return false;
}

/* Where a token leads. */
static int32_t advance(clo_matcher *m, int32_t place, int32_t id)
{
    if (is_stop(m, id)) return place == PLACE_ENDED || m->a.places[place].complete ? PLACE_ENDED : CLO_PLACE_NONE;
    if (place == PLACE_ENDED) return CLO_PLACE_NONE;
    for (size_t i = 0; i < m->g->n_specials; i++)
        if (m->special_ids[i] == id) return clo_automaton_special(&m->a, place, (uint32_t)i);
    clo_str bytes = clo_tok_piece(m->trie->tok, id, false);
    if (bytes.len == 0) return CLO_PLACE_NONE;
    for (size_t i = 0; i < bytes.len && place != CLO_PLACE_NONE; i++)
        place = clo_automaton_step(&m->a, place, (uint8_t)bytes.ptr[i]);
    return place;
}

static bool room_for(clo_matcher *m, size_t n)
{
    if (n <= m->cap && m->places) return true;
    size_t cap = m->cap ? m->cap : 256;
    while (cap < n)
        cap *= 2;
    int32_t *ids = (int32_t *)realloc(m->ids, cap * sizeof *ids);
    if (ids) m->ids = ids;
    int32_t *places = (int32_t *)realloc(m->places, (cap + 1) * sizeof *places);
    if (places) m->places = places;
    if (!ids || !places) return false;
    m->cap = cap;
    return true;
}

/* Throws away what is remembered of places, so that every id is followed anew. */
static void forget(clo_matcher *m)
{
    clo_automaton_forget(&m->a);
    m->n_ids = 0;
}

/* The place behind ids. */
static int32_t follow(clo_matcher *m, const int32_t *ids, size_t n)
{
    size_t same = 0;
    if (m->a.spent > KEPT_MAX || m->a.no_memory) forget(m);
    if (!room_for(m, n)) return CLO_PLACE_NONE;
    if (m->a.n_places == 0) {
        m->places[0] = clo_automaton_start(&m->a);
        m->n_ids = 0;
    }
    while (same < m->n_ids && same < n && m->ids[same] == ids[same])
        same++;
    int32_t place = m->places[same];
    for (m->n_ids = same; m->n_ids < n && place != CLO_PLACE_NONE;) {
        place = advance(m, place, ids[m->n_ids]);
        m->ids[m->n_ids] = ids[m->n_ids];
        m->places[++m->n_ids] = place;
    }
    return place;
}

/* --- masks --------------------------------------------------------------------------------------------------------*/

static void set_same(const clo_matcher *m, uint32_t *bits, int32_t id)
{
    for (; id >= 0; id = m->trie->same[id])
        set_bit(bits, id);
}

/* Sets the tokens of a tree that lead on from a place; of one byte alone when told. False: too much was spent. */
static bool walk(clo_matcher *m, const clo_trie_tree *t, int32_t place, bool one_byte, uint32_t *bits)
{
    int32_t at[CLO_TRIE_TOKEN_BYTES_MAX + 1]; /* places by depth */
    at[0] = place;
    for (size_t i = 0; i < t->n;) {
        const clo_trie_node *n = &t->nodes[i];
        const clo_place *from = &m->a.places[at[n->depth - 1]];
        int32_t to = from->next ? from->next[n->byte] : CLO_PLACE_UNKNOWN;
        if (to == CLO_PLACE_UNKNOWN) {
            if (!one_byte && m->a.spent > WALK_MAX) return false;
            to = clo_automaton_step(&m->a, at[n->depth - 1], n->byte);
        }
        if (to != CLO_PLACE_NONE) {
            if (n->id >= 0 && m->a.places[to].safe) set_same(m, bits, n->id);
            at[n->depth] = to;
        }
        i = to == CLO_PLACE_NONE || one_byte ? n->end : i + 1;
    }
    return true;
}

/* Of a way that waits for any character of a string: how many more it takes at most, GR_INF without end; 0: it does not. */
static uint32_t plain_left_of(const clo_automaton *a, const clo_way *w)
{
    if (!a->g->states[w->state].plain || w->below == GR_NONE || !w->safe) return 0;
    const clo_way *loop = &a->ways[w->below];
    const gr_state *s = &a->g->states[loop->state];
    const gr_edge *e = &a->g->edges[s->first];
    if (s->n != 1 || e->kind != GR_REPEAT) return 0;
    return e->max == GR_INF ? GR_INF : e->max - loop->count + 1;
}

/* Of a way that waits for a quote and nothing else. */
static bool closes_string(const clo_automaton *a, const clo_way *w)
{
    const gr_state *s = &a->g->states[w->state];
    const gr_edge *e = &a->g->edges[s->first];
    return s->n == 1 && e->kind == GR_BYTES && e->lo == '"' && e->hi == '"';
}

/* The same for a place: 0 also when there are ways that take some characters and not others, unless a single way beside
 * them takes all. */
static uint32_t plain_left(const clo_automaton *a, const clo_place *p)
{
    uint32_t left = 0;
    bool others = false;
    for (uint32_t i = 0; i < p->n_ways && p->n_ways <= PLAIN_WAYS_MAX; i++) {
        const clo_way *w = &a->ways[p->ways[i]];
        uint32_t n = plain_left_of(a, w);
        if (n > left) left = n;
        others = others || (n == 0 && !closes_string(a, w));
    }
    return others && !(left == GR_INF && p->n_ways == 2) ? 0 : left;
}

/* The plain tokens of at most n characters. */
static void set_plain(const clo_matcher *m, uint32_t n, uint32_t *bits)
{
    const clo_vocab_trie *t = m->trie;
    memcpy(bits, t->plain_bits, t->n_words * sizeof *bits);
    for (size_t i = 0; i < t->n_plain && t->n_chars[i] > n; i++)
        bits[t->by_chars[i] / 32] &= ~((uint32_t)1 << (t->by_chars[i] % 32));
}

static void set_specials(clo_matcher *m, int32_t place, uint32_t *bits)
{
    for (uint32_t i = 0; i < m->g->n_specials; i++) {
        if (m->special_ids[i] < 0) continue;
        int32_t to = clo_automaton_special(&m->a, place, i);
        if (to != CLO_PLACE_NONE && m->a.places[to].safe) set_bit(bits, m->special_ids[i]);
    }
}

/* False: too much was spent; bits then hold what was found, all tokens of one byte among it. */
static bool make_mask(clo_matcher *m, int32_t place, uint32_t *bits)
{
    const clo_vocab_trie *t = m->trie;
    uint32_t left = plain_left(&m->a, &m->a.places[place]);
    if (left > 0) set_plain(m, left, bits);
    if (m->a.places[place].complete) set_stops(m, bits);
    set_specials(m, place, bits);
    bool ok = walk(m, &t->plain, place, true, bits) && walk(m, &t->other, place, true, bits);
    ok = ok && (left > 0 || walk(m, &t->plain, place, false, bits)) && walk(m, &t->other, place, false, bits);
    return ok;
}

const uint32_t *clo_matcher_mask(clo_matcher *m, const int32_t *ids, size_t n_ids)
{
    for (bool again = false;; again = true) {
        int32_t place = follow(m, ids, n_ids);
        if (place == PLACE_ENDED) return m->ended;
        if (place == CLO_PLACE_NONE) return NULL;
        if (m->a.places[place].mask) return m->a.places[place].mask;
        uint32_t *bits = CLO_NEW(&m->a.arena, uint32_t, m->trie->n_words);
        if (!bits) return NULL;
        m->a.spent += m->trie->n_words * sizeof *bits;
        bool whole = make_mask(m, place, bits);
        if (m->a.no_memory) return NULL;
        if (!whole && !again) { /* what was spent before must not show in the mask */
            forget(m);
            continue;
        }
        m->a.places[place].mask = bits;
        return bits;
    }
}

bool clo_matcher_fits(clo_matcher *m, const int32_t *ids, size_t n_ids, bool *complete)
{
    int32_t place = follow(m, ids, n_ids);
    bool ended = place == PLACE_ENDED;
    if (complete) *complete = ended || (place != CLO_PLACE_NONE && m->a.places[place].complete);
    return place != CLO_PLACE_NONE;
}

void clo_matcher_keep(void *ctx, float *logits, size_t n_vocab, const int32_t *ids, size_t n_ids)
{
    clo_matcher *m = (clo_matcher *)ctx;
    const uint32_t *bits = clo_matcher_mask(m, ids, n_ids);
    size_t n = bits ? (n_vocab < m->trie->n_vocab ? n_vocab : m->trie->n_vocab) : 0;
    if (n > 0) clo_logits_keep(logits, bits, n);
    for (size_t i = n; i < n_vocab; i++)
        logits[i] = -__builtin_inff();
}

/* --- a model's own ------------------------------------------------------------------------------------------------*/

bool clo_mask_open(clo_mask *out, const clo_model *m, clo_grammar *g, clo_err *err)
{
    int32_t stop_ids[STOP_IDS_MAX];
    size_t n = clo_gen_stop_ids(m, stop_ids, STOP_IDS_MAX);
    *out = (clo_mask){0};
    if (!clo_model_tokenizer(m)) return clo_fail(err, CLO_ERR_UNSUPPORTED, "the model has no tokenizer");
    if (clo_vocab_trie_open(&out->trie, clo_model_tokenizer(m), clo_gen_vocab(m), err) &&
        clo_matcher_open(&out->matcher, g, out->trie, stop_ids, n, err))
        return true;
    clo_mask_close(out);
    return false;
}

void clo_mask_close(clo_mask *m)
{
    clo_matcher_close(m->matcher);
    clo_vocab_trie_close(m->trie);
    *m = (clo_mask){0};
}
