/* Prompt lookup (Saxena 2023): guesses at the next tokens, taken from what followed the newest ones the last time they
 * stood in the text. Right guesses make a step of several tokens out of one; how many are worth their cost is learnt
 * from the time that steps took. Time decides only how much is guessed, never what is said. Private to infer/. */
#ifndef CLO_INFER_LOOKUP_H
#define CLO_INFER_LOOKUP_H

#include <stddef.h>
#include <stdint.h>

#define CLO_DRAFT_MAX 23 /* guesses in one step */

/* What was learnt in one answer, in seconds. Begins as {.hold = CLO_LOOKUP_HOLD}. */
typedef struct {
    double cost_s[1 + CLO_DRAFT_MAX]; /* mean of a step with so many guesses; 0: not seen */
    double hold;                      /* share of guesses that held lately */
    double balance_s;                 /* won minus lost, at most a few steps */
} clo_lookup;

#define CLO_LOOKUP_HOLD 0.6 /* what is believed of guesses at first */

/* Writes guesses behind ids[0..n), at most `room` and as many as promise to win; returns how many.
 *   decode_s: of the answer so far, a share of which may be lost on guesses that were wrong */
size_t clo_lookup_guess(const clo_lookup *l, int32_t *ids, size_t n, size_t room, double decode_s);

/* A step with n_draft guesses took step_s, and n_kept of them held. */
void clo_lookup_learn(clo_lookup *l, size_t n_draft, size_t n_kept, double step_s);

#endif
