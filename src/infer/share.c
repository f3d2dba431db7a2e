/* Keys' shares of the machine's time: start-time fair queueing (Goyal, Vin & Cheng 1996), with the time that passes took
 * as the measure. What a key used is counted on a clock of its own, slower by its weight; the key whose clock is furthest
 * behind goes first. A key without work is not owed the time that went by, but for a little, so that who seldom asks
 * is answered at once. */
#include "infer/scheduler_impl.h"

#include <string.h>

#include "base/check.h"

#define CREDIT_S 0.2 /* that a key may be behind when it comes with work */

static bool has_work(const clo_share *k)
{
    return k->n_running + k->n_waiting > 0;
}

double clo_shares_least(clo_shares *all, bool running)
{
    const clo_share *least = NULL;
    for (size_t i = 0; i < all->n; i++) {
        const clo_share *k = &all->at[i];
        if ((running ? k->n_running > 0 : has_work(k)) && (!least || k->used_s < least->used_s)) least = k;
    }
    return least ? least->used_s : all->floor_s;
}

/* One that is not known yet takes the place of an idle one that was furthest behind, where the table is full. */
clo_share *clo_share_of(clo_shares *all, const char *name, double weight)
{
    clo_share *k = NULL, *idle = NULL;
    for (size_t i = 0; i < all->n && !k; i++) {
        clo_share *other = &all->at[i];
        if (strcmp(other->name, name) == 0) k = other;
        if (!has_work(other) && (!idle || other->used_s < idle->used_s)) idle = other;
    }
    if (!k) {
        k = all->n < all->n_max ? &all->at[all->n++] : idle;
        *k = (clo_share){.used_s = all->floor_s - CREDIT_S};
        memcpy(k->name, name, strlen(name) + 1);
    }
    if (!has_work(k) && k->used_s < all->floor_s - CREDIT_S) k->used_s = all->floor_s - CREDIT_S;
    k->weight = weight;
    return k;
}

void clo_share_line_up(clo_task *t, bool first)
{
    clo_share *k = t->share;
    clo_task **at = &k->first;
    while (*at && !first) at = &(*at)->next;
    t->next = *at;
    *at = t;
    k->n_waiting++;
}

void clo_share_leave(clo_task *t)
{
    clo_task **at = &t->share->first;
    while (*at != t) at = &(*at)->next;
    *at = t->next;
    t->share->n_waiting--;
}

clo_share *clo_shares_next(const clo_shares *all)
{
    clo_share *next = NULL;
    for (size_t i = 0; i < all->n; i++) {
        clo_share *k = &all->at[i];
        if (k->n_waiting > 0 && (!next || k->used_s < next->used_s)) next = k;
    }
    return next;
}

/* Keys in line take turns, one task each. */
size_t clo_shares_place(const clo_shares *all, const clo_task *t)
{
    size_t i = 0, place = 0;
    for (const clo_task *other = t->share->first; other != t; other = other->next) i++;
    for (size_t j = 0; j < all->n; j++) {
        const clo_share *k = &all->at[j];
        if (k != t->share) place += clo_min(k->n_waiting, i + (k->used_s < t->share->used_s));
    }
    return place + i;
}
