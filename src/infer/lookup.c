/* See lookup.h. */
#include "infer/lookup.h"

#include <string.h>

#include "base/check.h"

#define NGRAM_MAX 3          /* newest tokens that a guess must match, longest first */
#define LOOKUP_LOSS_MAX 0.01 /* of the decode time that wrong guesses may cost */
#define LOOKUP_GAIN_MIN 0.1  /* of a step, that guesses must promise to win */

/* Numbers of guesses that are tried: with the newest token they fill tiles of 2, 4, 8, ... rows. */
static const uint8_t draft_sizes[] = {1, 3, 7, 11, 15, CLO_DRAFT_MAX};

/* Writes behind ids[0..n) the n_want tokens that followed the latest earlier occurrence of the newest ones, and where
 * that reaches the end goes round: what repeats is guessed to go on repeating. Returns n_want, or 0 for no occurrence. */
static size_t guess(int32_t *ids, size_t n, size_t n_want, size_t ngram_min)
{
    for (size_t k = NGRAM_MAX; k >= ngram_min; k--) {
        if (n < k + 1) continue;
        const int32_t *key = ids + n - k;
        for (size_t at = n - k; at-- > 0;) {
            if (ids[at] != key[0] || memcmp(ids + at, key, k * sizeof *ids) != 0) continue;
            for (size_t i = 0; i < n_want; i++)
                ids[n + i] = ids[at + k + i];
            return n_want;
        }
    }
    return 0;
}

/* Seconds of a step with n guesses; a size not seen yet is taken to cost three tenths of a step for each. */
static double step_cost(const clo_lookup *l, size_t n)
{
    return l->cost_s[n] > 0 ? l->cost_s[n] : l->cost_s[0] * (1 + 0.3 * (double)n);
}

/* How many guesses win the most, if each holds as often as lately. */
static size_t best_draft(const clo_lookup *l, size_t room)
{
    size_t best = 0;
    double best_s = LOOKUP_GAIN_MIN * l->cost_s[0], right = 1, n_right = 0;
    for (size_t n = 1, i = 0; n <= clo_min(room, CLO_DRAFT_MAX); n++) {
        right *= l->hold;
        n_right += right;
        if (n != draft_sizes[i] && n != room) continue;
        double won_s = (1 + n_right) * l->cost_s[0] - step_cost(l, n);
        if (won_s > best_s) best = n, best_s = won_s;
        i++;
    }
    return best;
}

/* Where no guesses promise to win, one is made now and then, while lookup has lost less than its share. */
size_t clo_lookup_guess(const clo_lookup *l, int32_t *ids, size_t n, size_t room, double decode_s)
{
    if (room == 0 || l->cost_s[0] <= 0) return 0;
    if (l->balance_s < -(l->cost_s[0] + LOOKUP_LOSS_MAX * decode_s)) return 0;
    return guess(ids, n, clo_max(1, best_draft(l, room)), l->balance_s > 0 ? 1 : 2);
}

/* Follows the mean time of steps; one that was disturbed counts as twice the mean at most, the first as most_s. */
static void note_cost(double *cost_s, double step_s, double most_s)
{
    if (*cost_s > 0) most_s = 2 * *cost_s;
    if (step_s > most_s) step_s = most_s;
    *cost_s += (*cost_s > 0 ? 0.2 : 1) * (step_s - *cost_s);
}

void clo_lookup_learn(clo_lookup *l, size_t n_draft, size_t n_kept, double step_s)
{
    double single_s = l->cost_s[0];
    /* A step of n + 1 rows that takes longer than n + 1 steps was disturbed. */
    note_cost(&l->cost_s[n_draft], step_s, single_s > 0 ? (double)(n_draft + 2) * single_s : step_s);
    if (n_draft == 0) return;
    for (size_t i = 0; i <= n_kept && i < n_draft; i++)
        l->hold += 0.15 * ((i < n_kept) - l->hold);
    l->balance_s += (double)(n_kept + 1) * single_s - l->cost_s[n_draft];
    if (l->balance_s > 4 * single_s) l->balance_s = 4 * single_s;
}
