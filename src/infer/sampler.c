/* The sampler. See sampler.h and docs/profile-n1-sampling.md.
 *
 * One list of candidates, kept in the total order (value descending, id ascending), passes through stages that cut its
 * tail or take some out. The list is made by partial selection when top-k comes first (a scan that is mostly one vector
 * compare per 16 logits), else by a radix sort. Probabilities are clo_exp_f32 of differences to the largest value;
 * every sum of them is fp64, in list order. */
#include "infer/sampler.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/half.h"
#include "base/random.h"
#include "tensor/mathf.h"

#define TOP_K_BY_HEAP_MAX 1024 /* above this a radix sort is quicker */
#define TYPICAL_MAX 4096       /* candidates that the typical stage orders; the tail beyond is dropped */

struct clo_sampler {
    clo_sampler_params p;
    uint64_t seed;
    size_t n_vocab;
    clo_top *list;      /* [n_vocab] owned: candidates */
    clo_top *spare;     /* [n_vocab] owned: the other half of the sort */
    float *prob;        /* [n_vocab] owned: weights of the list, before division by their sum */
    uint16_t *count;    /* [n_vocab] owned: occurrences in the penalty window; all zero between picks */
};

clo_sampler_params clo_sampler_defaults(void)
{
    return (clo_sampler_params){.temp = 0.8F, .top_k = 40, .top_p = 0.95F, .min_p = 0.05F};
}

bool clo_sampler_check(const clo_sampler_params *p, clo_err *err)
{
    const struct {
        const char *name;
        float v, min, max;
    } rows[] = {
        {"temperature", p->temp, 0, 1e6F},
        {"top-p", p->top_p, 0, 1},
        {"min-p", p->min_p, 0, 1},
        {"typical-p", p->typical_p, 0, 1},
        {"top-n-sigma", p->top_n_sigma, 0, 1e6F},
        {"xtc-probability", p->xtc_probability, 0, 1},
        {"xtc-threshold", p->xtc_threshold, 0, 1},
        {"repeat-penalty", p->repeat_penalty, 0, 1e6F},
        {"presence-penalty", p->presence_penalty, -1e6F, 1e6F},
        {"frequency-penalty", p->frequency_penalty, -1e6F, 1e6F},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!(rows[i].v >= rows[i].min && rows[i].v <= rows[i].max))
            return clo_fail(err, CLO_ERR_USAGE, "%s %g is not between %g and %g", rows[i].name, (double)rows[i].v,
                            (double)rows[i].min, (double)rows[i].max);
    }
    if (p->order != CLO_SAMPLER_ORDER_LLAMA && p->order != CLO_SAMPLER_ORDER_HF)
        return clo_fail(err, CLO_ERR_USAGE, "unknown order of sampling stages");
    if (p->penalty_last_n < -1) return clo_fail(err, CLO_ERR_USAGE, "a penalty window of %d tokens", p->penalty_last_n);
    if (p->n_bias > CLO_LOGIT_BIAS_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "%zu logit biases, at most %d", p->n_bias, CLO_LOGIT_BIAS_MAX);
    for (size_t i = 0; i < p->n_bias; i++) {
        float b = p->bias[i].bias;
        if (!(b <= 1e6F) || (b < -1e6F && clo_f32_bits(b) != 0xff800000u))
            return clo_fail(err, CLO_ERR_USAGE, "the logit bias of token %d is out of range", p->bias[i].id);
    }
    return true;
}

bool clo_sampler_open(clo_sampler **out, const clo_sampler_params *p, uint64_t seed, size_t n_vocab, clo_err *err)
{
    if (!clo_sampler_check(p, err)) return false;
    if (n_vocab == 0 || n_vocab > INT32_MAX / 2) return clo_fail(err, CLO_ERR_USAGE, "a vocabulary of %zu", n_vocab);
    clo_sampler *s = (clo_sampler *)calloc(1, sizeof *s);
    if (!s) return clo_fail(err, CLO_ERR_MEMORY, "sampler");
    *s = (clo_sampler){.p = *p, .seed = seed, .n_vocab = n_vocab};
    s->list = (clo_top *)calloc(n_vocab, sizeof *s->list);
    s->spare = (clo_top *)calloc(n_vocab, sizeof *s->spare);
    s->prob = (float *)calloc(n_vocab, sizeof *s->prob);
    s->count = (uint16_t *)calloc(n_vocab, sizeof *s->count);
    if (!s->list || !s->spare || !s->prob || !s->count) {
        clo_sampler_close(s);
        return clo_fail(err, CLO_ERR_MEMORY, "sampler over %zu ids", n_vocab);
    }
    *out = s;
    return true;
}

void clo_sampler_close(clo_sampler *s)
{
    if (!s) return;
    free(s->list);
    free(s->spare);
    free(s->prob);
    free(s->count);
    free(s);
}

const clo_sampler_params *clo_sampler_params_of(const clo_sampler *s)
{
    return &s->p;
}

/* --- scanning -----------------------------------------------------------------------------------------------------
 * Vectors of 4 floats in the compilers' own extension, four at a time; comparisons and maxima are exact, so the width
 * cannot be seen. */

typedef float vec __attribute__((vector_size(16)));
typedef int32_t mask __attribute__((vector_size(16)));

#define FLOAT_MAX 0x1.fffffep127F

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

/* The largest value; NaN and +infinity anywhere give false. */
static bool scan_max(float *out, const float *x, size_t n)
{
    const vec high = (vec){0} + FLOAT_MAX;
    float m = -clo_bits_f32(0x7f800000u);
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
    for (int l = 0; l < 4; l++) m = best[0][l] > m ? best[0][l] : m;
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
    while (i + 4 <= n && !any(load(x + i) == want)) i += 4;
    while (i < n && !(x[i] == m)) i++;
    return i;
}

/* a comes before b in the total order. */
static inline bool before(clo_top a, clo_top b)
{
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

/* --- the k largest ------------------------------------------------------------------------------------------------
 * A heap whose root is the last of the k best in the order; a logit enters when it is larger than the root (an equal one
 * has a higher id, so it stays out). */

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

size_t clo_top_logits(clo_top *out, size_t k, const float *logits, size_t n)
{
    if (k > n) k = n;
    if (k == 0) return 0;
    for (size_t i = 0; i < k; i++) out[i] = (clo_top){(int32_t)i, logits[i] + 0.0F};
    for (size_t i = k / 2; i-- > 0;) sift_down(out, k, i);
    size_t i = k;
    while (i < n) {
        while (i + 16 <= n && !any_over(logits + i, out[0].logit)) i += 16;
        for (size_t end = i + 16 < n ? i + 16 : n; i < end; i++) {
            if (!(logits[i] > out[0].logit)) continue;
            out[0] = (clo_top){(int32_t)i, logits[i] + 0.0F};
            sift_down(out, k, 0);
        }
    }
    for (size_t m = k; m-- > 1;) {
        clo_top t = out[0];
        out[0] = out[m];
        out[m] = t;
        sift_down(out, m, 0);
    }
    return k;
}

/* --- sorting all --------------------------------------------------------------------------------------------------*/

/* Unsigned and ascending where the float is descending. */
static inline uint32_t descending_key(float f)
{
    uint32_t u = clo_f32_bits(f);
    return u >> 31 ? u : ~u & 0x7fffffffu;
}

/* Stable least-significant-digit radix sort, 3 passes of 11 bits: equal values keep ascending ids. The result is in
 * s->list. */
static void sort_all(clo_sampler *s, const float *logits)
{
    size_t n = s->n_vocab;
    uint32_t at[3][2048];
    memset(at, 0, sizeof at);
    for (size_t i = 0; i < n; i++) {
        float v = logits[i] + 0.0F; /* -0 becomes +0 */
        uint32_t k = descending_key(v);
        s->spare[i] = (clo_top){(int32_t)i, v};
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
    clo_top *from = s->spare, *to = s->list;
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

/* --- penalties ----------------------------------------------------------------------------------------------------*/

static void apply_penalties(clo_sampler *s, float *logits, const int32_t *history, size_t n_history)
{
    const clo_sampler_params *p = &s->p;
    float repeat = p->repeat_penalty > 0 ? p->repeat_penalty : 1.0F;
    if (repeat == 1.0F && p->presence_penalty == 0 && p->frequency_penalty == 0) return;
    size_t window = p->penalty_last_n < 0 ? n_history : p->penalty_last_n == 0 ? 64 : (size_t)p->penalty_last_n;
    size_t begin = n_history > window ? n_history - window : 0;

    for (size_t i = begin; i < n_history; i++) {
        size_t id = (size_t)history[i];
        if (id < s->n_vocab && s->count[id] < UINT16_MAX) s->count[id]++;
    }
    for (size_t i = begin; i < n_history; i++) {
        size_t id = (size_t)history[i];
        if (id >= s->n_vocab || s->count[id] == 0) continue;
        float z = logits[id];
        z = z > 0 ? z / repeat : z * repeat;
        float f = (float)s->count[id] * p->frequency_penalty;
        z = z - f;
        logits[id] = z - p->presence_penalty;
        s->count[id] = 0;
    }
}

static void apply_bias(clo_sampler *s, float *logits)
{
    for (size_t i = 0; i < s->p.n_bias; i++) {
        size_t id = (size_t)s->p.bias[i].id;
        if (id < s->n_vocab) logits[id] = logits[id] + s->p.bias[i].bias;
    }
}

/* --- stages -------------------------------------------------------------------------------------------------------
 * Each takes the list [n] in the total order and returns how many are left, at the front and still in order; n > 0. */

/* prob[i] = exp(z_i - z_0); returns their sum. */
static double weigh(clo_sampler *s, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        s->prob[i] = clo_exp_f32(s->list[i].logit - s->list[0].logit);
        sum = sum + (double)s->prob[i];
    }
    return sum;
}

static size_t stage_top_k(clo_sampler *s, size_t n)
{
    return s->p.top_k > 0 && (size_t)s->p.top_k < n ? (size_t)s->p.top_k : n;
}

static size_t stage_top_p(clo_sampler *s, size_t n)
{
    if (s->p.top_p <= 0 || s->p.top_p >= 1) return n;
    double goal = weigh(s, n) * (double)s->p.top_p, sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum = sum + (double)s->prob[i];
        if (sum >= goal) return i + 1;
    }
    return n;
}

static size_t stage_min_p(clo_sampler *s, size_t n)
{
    if (s->p.min_p <= 0) return n;
    size_t i = 1;
    while (i < n && clo_exp_f32(s->list[i].logit - s->list[0].logit) >= s->p.min_p) i++;
    return i;
}

static size_t stage_temp(clo_sampler *s, size_t n)
{
    if (s->p.temp == 1.0F) return n;
    for (size_t i = 0; i < n; i++) s->list[i].logit = s->list[i].logit / s->p.temp;
    return n;
}

/* Mean and deviation over the list that is there. */
static size_t stage_top_n_sigma(clo_sampler *s, size_t n)
{
    if (s->p.top_n_sigma <= 0) return n;
    double mean = 0, var = 0;
    size_t n_finite = 0;
    for (size_t i = 0; i < n && s->list[i].logit >= -FLOAT_MAX; i++) {
        mean = mean + (double)s->list[i].logit;
        n_finite++;
    }
    if (n_finite == 0) return n;
    mean = mean / (double)n_finite;
    for (size_t i = 0; i < n_finite; i++) {
        double d = (double)s->list[i].logit - mean;
        var = var + d * d;
    }
    var = var / (double)n_finite;
    /* z0 - z <= t * sigma, squared on both sides: no root is needed. */
    double t = (double)s->p.top_n_sigma;
    double limit = t * t * var;
    size_t i = 1;
    for (; i < n_finite; i++) {
        double d = (double)s->list[0].logit - (double)s->list[i].logit;
        if (d * d > limit) break;
    }
    return i;
}

/* Locally typical sampling (Meister et al. 2022): by |-ln p - H| ascending, the shortest prefix whose mass passes P. */
static int cmp_typical(const void *a, const void *b)
{
    const clo_top *x = (const clo_top *)a, *y = (const clo_top *)b;
    if (x->logit != y->logit) return x->logit < y->logit ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static size_t stage_typical(clo_sampler *s, size_t n)
{
    if (s->p.typical_p <= 0 || s->p.typical_p >= 1) return n;
    if (n > TYPICAL_MAX) n = TYPICAL_MAX;
    double sum = weigh(s, n), log_sum = clo_log_f64(sum), entropy = 0;
    for (size_t i = 0; i < n; i++) {
        double lp = (double)s->list[i].logit - (double)s->list[0].logit - log_sum;
        if (s->prob[i] > 0) entropy = entropy - (double)s->prob[i] / sum * lp;
    }
    clo_top *rank = s->spare; /* id: place in the list; logit: distance */
    for (size_t i = 0; i < n; i++) {
        double lp = (double)s->list[i].logit - (double)s->list[0].logit - log_sum;
        double d = -lp - entropy;
        rank[i] = (clo_top){(int32_t)i, (float)(d < 0 ? -d : d)};
    }
    qsort(rank, n, sizeof *rank, cmp_typical);
    double mass = 0, goal = sum * (double)s->p.typical_p;
    size_t kept = 0;
    while (kept < n && !(mass > goal)) mass = mass + (double)s->prob[rank[kept++].id];
    for (size_t i = 0; i < kept; i++) s->prob[rank[i].id] = -1.0F; /* marked: weights are not negative */
    size_t out = 0;
    for (size_t i = 0; i < n; i++)
        if (s->prob[i] < 0) s->list[out++] = s->list[i];
    return out;
}

/* Exclude top choices: with some probability, of those at or over the threshold only the least likely stays. */
static size_t stage_xtc(clo_sampler *s, size_t n, uint64_t i_output)
{
    if (s->p.xtc_probability <= 0 || s->p.xtc_threshold > 0.5F || n < 2) return n;
    if (clo_random_unit(s->seed, CLO_RANDOM_SAMPLE, i_output, 1) >= (double)s->p.xtc_probability) return n;
    double goal = weigh(s, n) * (double)s->p.xtc_threshold;
    size_t over = 0;
    while (over < n && (double)s->prob[over] >= goal) over++;
    if (over < 2) return n;
    memmove(s->list, s->list + (over - 1), (n - (over - 1)) * sizeof *s->list);
    return n - (over - 1);
}

static size_t run_stages(clo_sampler *s, size_t n, uint64_t i_output)
{
    if (s->p.order == CLO_SAMPLER_ORDER_HF) {
        n = stage_temp(s, n);
        n = stage_top_k(s, n);
        n = stage_top_p(s, n);
        n = stage_min_p(s, n);
        n = stage_typical(s, n);
        n = stage_top_n_sigma(s, n);
        return stage_xtc(s, n, i_output);
    }
    n = stage_top_n_sigma(s, n);
    n = stage_top_k(s, n);
    n = stage_typical(s, n);
    n = stage_top_p(s, n);
    n = stage_min_p(s, n);
    n = stage_xtc(s, n, i_output);
    return stage_temp(s, n);
}

/* --- picking ------------------------------------------------------------------------------------------------------*/

static int32_t draw(clo_sampler *s, size_t n, uint64_t i_output)
{
    double goal = clo_random_unit(s->seed, CLO_RANDOM_SAMPLE, i_output, 0) * weigh(s, n), sum = 0;
    size_t i = 0;
    for (; i + 1 < n; i++) {
        sum = sum + (double)s->prob[i];
        if (sum > goal) break;
    }
    while (i > 0 && s->prob[i] == 0) i--; /* the end of the list may weigh nothing */
    return s->list[i].id;
}

bool clo_sampler_pick(clo_sampler *s, int32_t *id, float *logits, const int32_t *history, size_t n_history,
                      uint64_t i_output, clo_err *err)
{
    float max = 0;
    apply_bias(s, logits);
    apply_penalties(s, logits, history, n_history);
    if (!scan_max(&max, logits, s->n_vocab))
        return clo_fail(err, CLO_ERR_FORMAT, "output token %llu: a logit is not a finite number",
                        (unsigned long long)i_output);
    if (max < -FLOAT_MAX)
        return clo_fail(err, CLO_ERR_FORMAT, "output token %llu: every token is banned",
                        (unsigned long long)i_output);
    if (s->p.temp <= 0) {
        *id = (int32_t)find_equal(logits, s->n_vocab, max);
        return true;
    }
    bool k_first = s->p.order == CLO_SAMPLER_ORDER_HF || s->p.top_n_sigma <= 0;
    size_t n = s->n_vocab;
    if (k_first && s->p.top_k > 0 && s->p.top_k <= TOP_K_BY_HEAP_MAX)
        n = clo_top_logits(s->list, (size_t)s->p.top_k, logits, n);
    else
        sort_all(s, logits);
    while (n > 1 && s->list[n - 1].logit < -FLOAT_MAX) n--; /* banned */
    n = run_stages(s, n, i_output);
    *id = draw(s, n, i_output);
    return true;
}

double clo_logprob(const float *logits, size_t n, int32_t id)
{
    float max = 0;
    double sum = 0;
    if (!scan_max(&max, logits, n) || id < 0 || (size_t)id >= n) return -1e300;
    for (size_t i = 0; i < n; i++) sum = sum + clo_exp_f64((double)logits[i] - (double)max);
    return (double)logits[id] - (double)max - clo_log_f64(sum);
}
