/* See ranking.h. A stretch is gathered by a scan that is mostly one vector compare per 16 logits, then sorted: by a
 * heap when it is short, by radix when it is long. */
#include "infer/ranking.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/half.h"

#define DEPTH_FIRST 5.0F /* units below the largest logit that the first stretch reaches; each next one twice as far */
#define DEPTH_LAST 20.0F /* what lies deeper comes as one stretch */
#define HEAP_MAX 256     /* a longer stretch is sorted by radix */

#define FLOAT_MAX 0x1.fffffep127F
#define MINUS_INFINITY (-__builtin_inff())

/* --- scanning -----------------------------------------------------------------------------------------------------
 * Vectors of 4 floats in the compilers' own extension, four at a time; comparisons and maxima are exact, so the width
 * cannot be seen. */

typedef float vec __attribute__((vector_size(16)));
typedef int32_t mask __attribute__((vector_size(16)));

static inline vec load(const float *p)
{
    vec v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline bool any(mask m)
{
    uint64_t w[2];
    memcpy(w, &m, sizeof w);
    return (w[0] | w[1]) != 0;
}

static inline vec max4(vec a, vec b)
{
    mask more = b > a;
    return (vec)(((mask)b & more) | ((mask)a & ~more));
}

/* True when one of p[0..16) is greater than limit. */
static inline bool any_over(const float *p, float limit)
{
    vec l = (vec){0} + limit;
    return any((load(p) > l) | (load(p + 4) > l) | (load(p + 8) > l) | (load(p + 12) > l));
}

bool clo_logits_max(float *out, const float *x, size_t n)
{
    const vec high = (vec){0} + FLOAT_MAX;
    float m = MINUS_INFINITY;
    vec best[4] = {(vec){0} + m, (vec){0} + m, (vec){0} + m, (vec){0} + m};
    mask good = ~(mask){0};
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        for (int l = 0; l < 4; l++) {
            vec v = load(x + i + 4 * l);
            good &= v <= high; /* false for NaN and +infinity */
            best[l] = max4(best[l], v);
        }
    }
    bool ok = !any(~good);
    best[0] = max4(max4(best[0], best[1]), max4(best[2], best[3]));
    for (int l = 0; l < 4; l++)
        m = best[0][l] > m ? best[0][l] : m;
    for (; i < n; i++) {
        m = x[i] > m ? x[i] : m;
        ok = ok && x[i] <= FLOAT_MAX;
    }
    *out = m;
    return ok;
}

/* First i with x[i] == m, which is the maximum. */
static size_t find_equal(const float *x, size_t n, float m)
{
    size_t i = 0;
    const vec want = (vec){0} + m;
    while (i + 4 <= n && !any(load(x + i) == want))
        i += 4;
    while (i < n && !(x[i] == m))
        i++;
    return i;
}

/* The ids with low < x[id] <= high, ascending; returns how many. out has room for all n. */
static size_t gather(clo_top *out, const float *x, size_t n, float low, float high)
{
    size_t m = 0, i = 0;
    while (i < n) {
        while (i + 16 <= n && !any_over(x + i, low))
            i += 16;
        for (size_t end = clo_min(i + 16, n); i < end; i++) {
            out[m] = (clo_top){(int32_t)i, x[i] + 0.0F}; /* -0 becomes +0 */
            m += x[i] > low && x[i] <= high;
        }
    }
    return m;
}

/* --- short lists: a heap ------------------------------------------------------------------------------------------
 * Its root is the last of the heap in the order. */

/* a comes before b in the total order. */
static inline bool before(clo_top a, clo_top b)
{
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

static void sift_down(clo_top *heap, size_t n, size_t i)
{
    clo_top e = heap[i];
    for (;;) {
        size_t c = 2 * i + 1;
        if (c >= n) break;
        if (c + 1 < n && before(heap[c], heap[c + 1])) c++;
        if (!before(e, heap[c])) break;
        heap[i] = heap[c];
        i = c;
    }
    heap[i] = e;
}

static void make_heap(clo_top *list, size_t n)
{
    for (size_t i = n / 2; i-- > 0;)
        sift_down(list, n, i);
}

static void unfold_heap(clo_top *heap, size_t n)
{
    for (size_t m = n; m-- > 1;) {
        clo_top t = heap[0];
        heap[0] = heap[m];
        heap[m] = t;
        sift_down(heap, m, 0);
    }
}

/* The heap holds the k best so far; a logit enters when it is larger than the root (an equal one has a higher id, so it
 * stays out). */
size_t clo_top_logits(clo_top *out, size_t k, const float *logits, size_t n)
{
    if (k > n) k = n;
    if (k == 0) return 0;
    for (size_t i = 0; i < k; i++)
        out[i] = (clo_top){(int32_t)i, logits[i] + 0.0F};
    make_heap(out, k);
    size_t i = k;
    while (i < n) {
        while (i + 16 <= n && !any_over(logits + i, out[0].logit))
            i += 16;
        for (size_t end = clo_min(i + 16, n); i < end; i++) {
            if (!(logits[i] > out[0].logit)) continue;
            out[0] = (clo_top){(int32_t)i, logits[i] + 0.0F};
            sift_down(out, k, 0);
        }
    }
    unfold_heap(out, k);
    return k;
}

/* --- long lists: radix --------------------------------------------------------------------------------------------*/

/* Unsigned and ascending where the float is descending. */
static inline uint32_t descending_key(float f)
{
    uint32_t u = clo_f32_bits(f);
    return u >> 31 ? u : ~u & 0x7fffffffu;
}

/* Least significant digit first, 3 passes of 11 bits; each is stable, so equal values keep ascending ids. From spare
 * [n], which is lost, to out [n]. */
static void sort_radix(clo_top *out, clo_top *spare, size_t n)
{
    uint32_t at[3][2048];
    memset(at, 0, sizeof at);
    for (size_t i = 0; i < n; i++) {
        uint32_t k = descending_key(spare[i].logit);
        at[0][k & 2047]++;
        at[1][k >> 11 & 2047]++;
        at[2][k >> 22]++;
    }
    for (int pass = 0; pass < 3; pass++) {
        uint32_t sum = 0;
        for (size_t d = 0; d < 2048; d++) {
            uint32_t c = at[pass][d];
            at[pass][d] = sum;
            sum += c;
        }
    }
    clo_top *from = spare, *to = out;
    for (int pass = 0; pass < 3; pass++) {
        for (size_t i = 0; i < n; i++) {
            uint32_t d = descending_key(from[i].logit) >> (11 * pass) & 2047;
            to[at[pass][d]++] = from[i];
        }
        clo_top *t = from;
        from = to;
        to = t;
    }
}

/* --- the ranking --------------------------------------------------------------------------------------------------*/

bool clo_ranking_open(clo_ranking *r, size_t n_ids, clo_err *err)
{
    *r = (clo_ranking){.n_ids = n_ids};
    r->at = (clo_top *)calloc(n_ids, sizeof *r->at);
    r->spare = (clo_top *)calloc(n_ids, sizeof *r->spare);
    if (r->at && r->spare) return true;
    clo_ranking_close(r);
    return clo_fail(err, CLO_ERR_MEMORY, "ranking of %zu ids", n_ids);
}

void clo_ranking_close(clo_ranking *r)
{
    free(r->at);
    free(r->spare);
    *r = (clo_ranking){0};
}

bool clo_ranking_begin(clo_ranking *r, const float *logits)
{
    r->logits = logits;
    r->n = 0;
    r->open = true;
    r->low = FLOAT_MAX;
    r->depth = 0;
    return clo_logits_max(&r->max, logits, r->n_ids);
}

int32_t clo_ranking_first(const clo_ranking *r)
{
    return (int32_t)find_equal(r->logits, r->n_ids, r->max);
}

void clo_ranking_take(clo_ranking *r, size_t k)
{
    r->n = clo_top_logits(r->at, k, r->logits, r->n_ids);
    while (r->n > 0 && r->at[r->n - 1].logit < -FLOAT_MAX)
        r->n--;
    r->open = false;
}

/* Moves r->low to where the next stretch ends; the last one ends below every finite number. */
static void deepen(clo_ranking *r, float unit)
{
    r->depth = r->depth > 0 ? 2 * r->depth : DEPTH_FIRST;
    float low = r->depth > DEPTH_LAST ? MINUS_INFINITY : r->max - r->depth * unit;
    if (low < r->low) r->low = low;
    r->open = r->low >= -FLOAT_MAX;
}

bool clo_ranking_extend(clo_ranking *r, float unit)
{
    size_t m = 0;
    while (r->open && m == 0) {
        float high = r->low;
        deepen(r, unit);
        m = gather(r->spare, r->logits, r->n_ids, r->low, high);
    }
    clo_top *out = r->at + r->n;
    if (m > HEAP_MAX) {
        sort_radix(out, r->spare, m);
    } else if (m > 0) {
        memcpy(out, r->spare, m * sizeof *out);
        make_heap(out, m);
        unfold_heap(out, m);
    }
    r->n += m;
    return m > 0;
}
