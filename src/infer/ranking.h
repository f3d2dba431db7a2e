/* Ids by their logits, largest first, put in order only as far as somebody asks.
 *
 * The order is total: larger value first, lower id first among equals, -0 counts as +0. A choice looks at some dozens
 * of 150,000 candidates, so the order is laid out in stretches: first the ids within some distance of the largest
 * logit, then those within twice the distance, twice that, and at last all. What is laid out is always the beginning of
 * the full order; where a stretch ends shows in nothing but time.
 *
 *   clo_ranking r = {0};
 *   if (!clo_ranking_open(&r, n_vocab, &err)) ...
 *   if (!clo_ranking_begin(&r, logits)) ...
 *   for (size_t i = 0; i < r.n || clo_ranking_extend(&r, 1.0F); i++) ... r.at[i] ...
 *   clo_ranking_close(&r);
 */
#ifndef CLO_INFER_RANKING_H
#define CLO_INFER_RANKING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef struct {
    int32_t id;
    float logit;
} clo_top;

/* The k largest logits, value descending, lower id first among equals; -0 counts as +0. Fewer than k when n < k:
 * returns how many. out [k]. logits hold no NaN. */
size_t clo_top_logits(clo_top *out, size_t k, const float *logits, size_t n);

/* The largest logit; false when one is NaN or +infinity. -infinity when n is 0. */
bool clo_logits_max(float *out, const float *logits, size_t n);

typedef struct {
    clo_top *at;         /* [n_ids] owned: the first n are laid out, in order */
    clo_top *spare;      /* [n_ids] owned: anybody's scratch between calls */
    const float *logits; /* [n_ids] borrowed from begin on */
    size_t n_ids;
    size_t n;
    bool open;   /* more follow the n that are laid out, or may; cleared to end the list at n */
    float max;   /* the largest logit */
    float low;   /* logits above it are laid out */
    float depth; /* of the last stretch, in units */
} clo_ranking;

/* Ranks up to n_ids ids; all memory is taken here. */
CLO_CHECK bool clo_ranking_open(clo_ranking *r, size_t n_ids, clo_err *err);
void clo_ranking_close(clo_ranking *r);

/* Starts over with a row that stays as it is until the next begin; nothing is laid out yet. False when a logit is NaN
 * or +infinity. Those at -infinity are not in the list. */
CLO_CHECK bool clo_ranking_begin(clo_ranking *r, const float *logits);
/* The first id of the order, when the largest logit is finite. Lays nothing out. */
int32_t clo_ranking_first(const clo_ranking *r);
/* Lays out the first k, and the list ends there: for small k, the quickest way. */
void clo_ranking_take(clo_ranking *r, size_t k);
/* Lays out the next stretch, at least one id; false at the end of the list. unit: differences of logits that count as
 * one e-fold of likelihood (the temperature); it decides how long stretches are, nothing else. */
bool clo_ranking_extend(clo_ranking *r, float unit);

#endif
