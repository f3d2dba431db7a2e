/* The sampler. See sampler.h and docs/profile-n1-sampling.md.
 *
 * One list of candidates, kept in the total order (value descending, id ascending), passes through stages that cut its
 * tail or take some out. Weights are exponentials of differences to the first, and every sum of them is fp64, in list
 * order.
 *
 * A list of the whole vocabulary is not put in order for that: a ranking lays its head out, and more when a stage comes
 * to the end of it. The sum over such a list, in an order that nobody has made, is known between two bounds. Where the
 * bounds decide, the head is enough; where they do not (one time in thousands of millions, or among equal logits), the
 * list is laid out to its end and the sum is exact. */
#include "infer/sampler.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/half.h"
#include "base/random.h"
#include "tensor/kernel.h"
#include "tensor/mathf.h"

#define TOP_K_TAKE_MAX 1024 /* a larger top-k extends the ranking */
#define TYPICAL_MAX 4096    /* candidates that the typical stage orders; the tail beyond is dropped */
#define SUM_CHUNK 1024      /* logits that are weighed at a time */

#define FLOAT_MAX 0x1.fffffep127F

struct clo_sampler {
    clo_sampler_params p;
    uint64_t seed;
    size_t n_vocab;
    const clo_kernels *kernels;
    clo_ranking list; /* owned: candidates; their logits are divided by scale */
    float *weight;    /* [n_vocab] owned: exp(z_i - z_0) of those that are laid out */
    float scale;      /* the temperature once its stage is over, until then 1 */
    uint16_t *count;  /* [n_vocab] owned: occurrences in the penalty window; all zero between picks */
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
    s->weight = (float *)calloc(n_vocab, sizeof *s->weight);
    s->count = (uint16_t *)calloc(n_vocab, sizeof *s->count);
    if (!s->weight || !s->count) {
        clo_fail(err, CLO_ERR_MEMORY, "sampler over %zu ids", n_vocab);
        goto fail;
    }
    if (!clo_ranking_open(&s->list, n_vocab, err)) goto fail;
    if (!clo_kernels_pick(&s->kernels, err)) goto fail;
    *out = s;
    return true;
fail:
    clo_sampler_close(s);
    return false;
}

void clo_sampler_close(clo_sampler *s)
{
    if (!s) return;
    clo_ranking_close(&s->list);
    free(s->weight);
    free(s->count);
    free(s);
}

const clo_sampler_params *clo_sampler_params_of(const clo_sampler *s)
{
    return &s->p;
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

/* --- the list -----------------------------------------------------------------------------------------------------
 * At least one candidate is laid out; s->weight holds the weights of those that are. */

/* weight[i] = exp(z_i - z_0) from i = begin on. */
static void weigh(clo_sampler *s, size_t begin)
{
    const clo_top *at = s->list.at;
    float *w = s->weight;
    for (size_t i = begin; i < s->list.n; i++)
        w[i] = at[i].logit - at[0].logit;
    s->kernels->exp(w + begin, w + begin, s->list.n - begin);
}

/* Lays out more of the list; false at its end. */
static bool reach(clo_sampler *s)
{
    size_t begin = s->list.n;
    if (!clo_ranking_extend(&s->list, s->scale)) return false;
    for (size_t i = begin; i < s->list.n; i++)
        s->list.at[i].logit = s->list.at[i].logit / s->scale;
    weigh(s, begin);
    return true;
}

static void reach_end(clo_sampler *s)
{
    while (reach(s))
        continue;
}

/* The list ends after n candidates. */
static void keep(clo_sampler *s, size_t n)
{
    s->list.n = n;
    s->list.open = false;
}

typedef struct {
    double lo, hi;
} bounds;

/* The sum of weights of the whole vocabulary, in an order of its own. Chunks are of one size, the last filled up with
 * what weighs nothing, so that compilers make vectors of the loops. */
static double sum_unordered(const clo_sampler *s)
{
    float z[SUM_CHUNK], scale = s->scale, first = s->list.max / scale;
    double sum[8] = {0};
    for (size_t i = 0, m; i < s->n_vocab; i += m) {
        m = clo_min(SUM_CHUNK, s->n_vocab - i);
        memcpy(z, s->list.logits + i, m * sizeof *z);
        for (size_t j = m; j < SUM_CHUNK; j++)
            z[j] = -__builtin_inff();
        for (size_t j = 0; j < SUM_CHUNK; j++)
            z[j] = z[j] / scale - first;
        s->kernels->exp(z, z, SUM_CHUNK);
        for (size_t j = 0; j < SUM_CHUNK; j += 8)
            for (size_t l = 0; l < 8; l++)
                sum[l] = sum[l] + (double)z[j + l];
    }
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

/* Bounds of S, the fp64 sum of the list's weights in its order; equal when all of it is laid out.
 *
 * Else: n numbers >= 0 of real sum R, added in any order with unit roundoff u = 2^-53, give a sum within g R of R,
 * g = n u / (1 - n u) (Higham, Accuracy and Stability of Numerical Algorithms, section 4.2). So two orders differ by
 * less than 2 g / (1 - g) of either, which is below 3 n u for n u < 2^-10; 4 (n + 4) u covers the rounding here too. */
static bounds sum_weights(const clo_sampler *s)
{
    if (s->list.open) {
        double sum = sum_unordered(s), slack = sum * ((double)(s->n_vocab + 4) * 0x1p-51);
        return (bounds){sum - slack, sum + slack};
    }
    double sum = 0;
    for (size_t i = 0; i < s->list.n; i++)
        sum = sum + (double)s->weight[i];
    return (bounds){sum, sum};
}

/* The first i for which the sum of weights 0..i is >= share * S, or with `beyond` > share * S; the length of the list
 * when there is none. Multiplying by share rounds monotonously, so bounds stay bounds. */
static size_t find_share(clo_sampler *s, double share, bool beyond)
{
    bounds all = sum_weights(s), goal = {all.lo * share, all.hi * share};
    double sum = 0;
    for (size_t i = 0; i < s->list.n || reach(s); i++) {
        sum = sum + (double)s->weight[i];
        if (beyond ? sum > goal.hi : sum >= goal.hi) return i;
        if (beyond ? sum > goal.lo : sum >= goal.lo) { /* between the bounds */
            reach_end(s);
            return find_share(s, share, beyond);
        }
    }
    return s->list.n;
}

/* --- stages -------------------------------------------------------------------------------------------------------*/

static void stage_top_k(clo_sampler *s)
{
    if (s->p.top_k <= 0) return;
    size_t k = (size_t)s->p.top_k;
    while (s->list.n < k && reach(s))
        continue;
    if (s->list.n >= k) keep(s, k);
}

static void stage_top_p(clo_sampler *s)
{
    if (s->p.top_p <= 0 || s->p.top_p >= 1) return;
    size_t i = find_share(s, (double)s->p.top_p, false);
    if (i < s->list.n) keep(s, i + 1);
}

static void stage_min_p(clo_sampler *s)
{
    if (s->p.min_p <= 0) return;
    size_t i = 1;
    while ((i < s->list.n || reach(s)) && s->weight[i] >= s->p.min_p)
        i++;
    keep(s, i);
}

static void stage_temp(clo_sampler *s)
{
    if (s->p.temp == 1.0F) return;
    s->scale = s->p.temp;
    for (size_t i = 0; i < s->list.n; i++)
        s->list.at[i].logit = s->list.at[i].logit / s->p.temp;
    weigh(s, 0);
}

/* Mean and deviation over the list that is there. */
static void stage_top_n_sigma(clo_sampler *s)
{
    if (s->p.top_n_sigma <= 0) return;
    reach_end(s);
    const clo_top *at = s->list.at;
    double mean = 0, var = 0;
    size_t n_finite = 0;
    for (size_t i = 0; i < s->list.n && at[i].logit >= -FLOAT_MAX; i++) {
        mean = mean + (double)at[i].logit;
        n_finite++;
    }
    if (n_finite == 0) return;
    mean = mean / (double)n_finite;
    for (size_t i = 0; i < n_finite; i++) {
        double d = (double)at[i].logit - mean;
        var = var + d * d;
    }
    var = var / (double)n_finite;
    /* z0 - z <= t * sigma, squared on both sides: no root is needed. */
    double t = (double)s->p.top_n_sigma;
    double limit = t * t * var;
    size_t i = 1;
    for (; i < n_finite; i++) {
        double d = (double)at[0].logit - (double)at[i].logit;
        if (d * d > limit) break;
    }
    keep(s, i);
}

static int cmp_typical(const void *a, const void *b)
{
    const clo_top *x = (const clo_top *)a, *y = (const clo_top *)b;
    if (x->logit != y->logit) return x->logit < y->logit ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Locally typical sampling (Meister et al. 2022): by |-ln p - H| ascending, the shortest prefix whose mass passes P. */
static void stage_typical(clo_sampler *s)
{
    if (s->p.typical_p <= 0 || s->p.typical_p >= 1) return;
    while (s->list.n < TYPICAL_MAX && reach(s))
        continue;
    size_t n = clo_min(s->list.n, TYPICAL_MAX);
    keep(s, n);
    clo_top *at = s->list.at;
    double sum = sum_weights(s).lo, log_sum = clo_log_f64(sum), entropy = 0;
    for (size_t i = 0; i < n; i++) {
        double lp = (double)at[i].logit - (double)at[0].logit - log_sum;
        if (s->weight[i] > 0) entropy = entropy - (double)s->weight[i] / sum * lp;
    }
    clo_top *rank = s->list.spare; /* id: place in the list; logit: distance */
    for (size_t i = 0; i < n; i++) {
        double lp = (double)at[i].logit - (double)at[0].logit - log_sum;
        double d = -lp - entropy;
        rank[i] = (clo_top){(int32_t)i, (float)(d < 0 ? -d : d)};
    }
    qsort(rank, n, sizeof *rank, cmp_typical);
    double mass = 0, goal = sum * (double)s->p.typical_p;
    size_t kept = 0;
    while (kept < n && !(mass > goal))
        mass = mass + (double)s->weight[rank[kept++].id];
    for (size_t i = 0; i < kept; i++)
        s->weight[rank[i].id] = -1.0F; /* marked: weights are not negative */
    size_t out = 0;
    for (size_t i = 0; i < n; i++)
        if (s->weight[i] < 0) at[out++] = at[i];
    keep(s, out);
    weigh(s, 0);
}

/* Exclude top choices: with some probability, of those at or over the threshold only the least likely stays. */
static void stage_xtc(clo_sampler *s, uint64_t i_output)
{
    if (s->p.xtc_probability <= 0 || s->p.xtc_threshold > 0.5F) return;
    if (clo_random_unit(s->seed, CLO_RANDOM_SAMPLE, i_output, 1) >= (double)s->p.xtc_probability) return;
    reach_end(s);
    double goal = sum_weights(s).lo * (double)s->p.xtc_threshold;
    size_t over = 0;
    while (over < s->list.n && (double)s->weight[over] >= goal)
        over++;
    if (over < 2) return;
    size_t n = s->list.n - (over - 1);
    memmove(s->list.at, s->list.at + (over - 1), n * sizeof *s->list.at);
    keep(s, n);
    weigh(s, 0);
}

static void run_stages(clo_sampler *s, uint64_t i_output)
{
    if (s->p.order == CLO_SAMPLER_ORDER_HF) {
        stage_temp(s);
        stage_top_k(s);
        stage_top_p(s);
        stage_min_p(s);
        stage_typical(s);
        stage_top_n_sigma(s);
        stage_xtc(s, i_output);
        return;
    }
    stage_top_n_sigma(s);
    stage_top_k(s);
    stage_typical(s);
    stage_top_p(s);
    stage_min_p(s);
    stage_xtc(s, i_output);
    stage_temp(s);
}

/* --- picking ------------------------------------------------------------------------------------------------------*/

/* Lays out the beginning of the list: what top-k keeps where it is the first to cut, else the first stretch. */
static void begin_list(clo_sampler *s)
{
    bool k_first = s->p.order == CLO_SAMPLER_ORDER_HF || s->p.top_n_sigma <= 0;
    s->scale = 1.0F;
    if (k_first && s->p.top_k > 0 && s->p.top_k <= TOP_K_TAKE_MAX)
        clo_ranking_take(&s->list, (size_t)s->p.top_k);
    else
        clo_ranking_extend(&s->list, 1.0F);
    weigh(s, 0);
}

static int32_t draw(clo_sampler *s, uint64_t i_output)
{
    size_t i = find_share(s, clo_random_unit(s->seed, CLO_RANDOM_SAMPLE, i_output, 0), true);
    if (i == s->list.n) i--;
    while (i > 0 && s->weight[i] == 0)
        i--; /* the end of the list may weigh nothing */
    return s->list.at[i].id;
}

bool clo_sampler_pick(clo_sampler *s, int32_t *id, float *logits, const int32_t *history, size_t n_history,
                      uint64_t i_output, clo_err *err)
{
    apply_bias(s, logits);
    apply_penalties(s, logits, history, n_history);
    if (!clo_ranking_begin(&s->list, logits))
        return clo_fail(err, CLO_ERR_FORMAT, "output token %llu: a logit is not a finite number",
                        (unsigned long long)i_output);
    if (s->list.max < -FLOAT_MAX)
        return clo_fail(err, CLO_ERR_FORMAT, "output token %llu: every token is banned", (unsigned long long)i_output);
    if (s->p.temp <= 0) {
        *id = clo_ranking_first(&s->list);
        return true;
    }
    begin_list(s);
    run_stages(s, i_output);
    *id = draw(s, i_output);
    return true;
}

/* --- beside the choice --------------------------------------------------------------------------------------------*/

void clo_logits_keep(float *logits, const uint32_t *allowed, size_t n)
{
    for (size_t from = 0; from < n; from += 32) {
        uint32_t bits = allowed[from / 32];
        size_t to = clo_min(from + 32, n);
        if (bits == UINT32_MAX) continue;
        for (size_t i = from; i < to; i++, bits >>= 1)
            logits[i] = bits & 1 ? logits[i] : -__builtin_inff();
    }
}

void clo_logprobs(double *out, const int32_t *ids, size_t n_ids, const float *logits, size_t n)
{
    float max = 0;
    double sum = 0;
    bool ok = clo_logits_max(&max, logits, n) && max >= -FLOAT_MAX;
    for (size_t i = 0; ok && i < n; i++)
        sum = sum + clo_exp_f64((double)logits[i] - (double)max);
    double log_sum = clo_log_f64(sum);
    for (size_t i = 0; i < n_ids; i++) {
        bool known = ok && ids[i] >= 0 && (size_t)ids[i] < n;
        out[i] = known ? (double)logits[ids[i]] - (double)max - log_sum : CLO_LOGPROB_NONE;
    }
}

double clo_logprob(const float *logits, size_t n, int32_t id)
{
    double out;
    clo_logprobs(&out, &id, 1, logits, n);
    return out;
}
