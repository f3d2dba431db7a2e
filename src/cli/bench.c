/* cloche bench: times a model beside the machine's own limits.
 *
 * Best of several runs, for the noise of a shared machine only ever adds time. Weights settle first (decoder.h): what a
 * talk meets after its first seconds is measured. Prefill starts from an empty sequence; decoding starts from one token. Fractions: bytes of weights read per second over plain reading; multiply-adds of the
 * matrices per second over plain ones. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/check.h"
#include "base/json.h"
#include "cli/session.h"
#include "tensor/limits.h"

#define REPEATS_MAX 1000
#define SETTLE_S_MAX 60.0 /* a machine slow to give huge pages is measured as it is then */

typedef struct {
    clo_session_opts so;
    size_t n_prompt, n_decode, n_repeats;
    bool json, lookup, no_limits;
} options;

typedef struct {
    double prefill_s, decode_s;    /* best */
    double prefill_mid, decode_mid; /* medians */
    double plain_s, lookup_s;      /* --lookup: best, without and with */
    size_t n_drafted, n_accepted, n_out;
    bool lookup_same;
} times;

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void best_and_median(double *best, double *mid, double *all, size_t n)
{
    qsort(all, n, sizeof *all, ascending);
    *best = all[0];
    *mid = all[n / 2];
}

/* Fixed tokens without much repetition. */
static void fill_ids(int32_t *ids, size_t n, size_t n_vocab)
{
    uint64_t x = 88172645463325252ULL;
    for (size_t i = 0; i < n; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        ids[i] = (int32_t)(x % n_vocab);
    }
}

static bool time_prefill(double *took, clo_session *s, const int32_t *ids, size_t n, float *row, clo_err *err)
{
    clo_seq *seq = NULL;
    if (!clo_seq_open(&seq, s->decoder, n, err)) return false;
    const clo_step st = {.seq = seq, .ids = ids, .n = n, .n_logits = 1, .logits = row};
    double begin = clo_cli_now();
    bool ok = clo_decoder_run(s->decoder, &st, 1, err);
    *took = clo_cli_now() - begin;
    clo_seq_close(seq);
    return ok;
}

static bool settle(clo_session *s, const int32_t *ids, float *row, clo_err *err)
{
    double took, begin = clo_cli_now();
    do {
        if (!time_prefill(&took, s, ids, 1, row, err)) return false;
    } while (clo_decoder_settling(s->decoder) && clo_cli_now() - begin < SETTLE_S_MAX);
    return true;
}

static bool time_all(times *t, clo_session *s, const options *o, clo_err *err)
{
    size_t n_vocab = clo_gen_vocab(s->model), n_ctx = clo_max(o->n_prompt, o->n_decode + 2) + 1;
    int32_t *ids = (int32_t *)calloc(n_ctx, sizeof *ids);
    double *all = (double *)calloc(o->n_repeats, sizeof *all);
    float *row = (float *)aligned_alloc(64, clo_round_up(clo_decoder_logits_stride(s->decoder) * sizeof *row, 64));
    clo_gen *gen = NULL;
    bool ok = ids && all && row;
    if (!ok) clo_fail(err, CLO_ERR_MEMORY, "bench");
    if (ok) fill_ids(ids, n_ctx, n_vocab);
    ok = ok && settle(s, ids, row, err);
    for (size_t i = 0; ok && o->n_prompt > 0 && i < o->n_repeats; i++)
        ok = time_prefill(&all[i], s, ids, o->n_prompt, row, err);
    if (ok && o->n_prompt > 0) best_and_median(&t->prefill_s, &t->prefill_mid, all, o->n_repeats);
    ok = ok && clo_gen_open(&gen, s->decoder, n_ctx, err);
    for (size_t i = 0; ok && o->n_decode > 0 && i < o->n_repeats; i++) {
        const clo_gen_opts g = {.n_max = o->n_decode + 1, .ignore_stop_ids = true};
        clo_gen_result r;
        clo_gen_forget(gen);
        ok = clo_gen_run(gen, ids, 1, &g, &r, err);
        all[i] = r.decode_s;
    }
    if (ok && o->n_decode > 0) best_and_median(&t->decode_s, &t->decode_mid, all, o->n_repeats);
    clo_gen_close(gen);
    free(row);
    free(all);
    free(ids);
    return ok;
}

/* Generates after a prompt that repeats itself, without and with lookup, by turns. */
static bool time_lookup(times *t, clo_session *s, const options *o, clo_err *err)
{
    enum { BLOCK = 24, TIMES = 6 };
    int32_t ids[BLOCK * TIMES], *plain = (int32_t *)calloc(o->n_decode + 1, sizeof *plain);
    clo_gen *gen = NULL;
    clo_gen_result r;
    if (!plain) return clo_fail(err, CLO_ERR_MEMORY, "bench");
    fill_ids(ids, BLOCK, clo_gen_vocab(s->model));
    for (size_t i = BLOCK; i < CLO_COUNT(ids); i++) ids[i] = ids[i - BLOCK];
    bool ok = clo_gen_open(&gen, s->decoder, CLO_COUNT(ids) + o->n_decode + 1, err);
    t->plain_s = t->lookup_s = 1e30;
    t->lookup_same = true;
    for (size_t i = 0; ok && i < 2 * o->n_repeats; i++) {
        bool lookup = i % 2 == 1;
        const clo_gen_opts g = {.n_max = o->n_decode, .ignore_stop_ids = true, .lookup = lookup};
        ok = clo_gen_run(gen, ids, CLO_COUNT(ids), &g, &r, err);
        if (!ok) break;
        double *best = lookup ? &t->lookup_s : &t->plain_s;
        *best = r.decode_s < *best ? r.decode_s : *best;
        if (i == 0) memcpy(plain, r.ids, r.n_ids * sizeof *plain);
        else if (memcmp(plain, r.ids, r.n_ids * sizeof *plain) != 0) t->lookup_same = false;
        t->n_out = r.n_ids;
        if (lookup) {
            t->n_drafted = r.n_drafted;
            t->n_accepted = r.n_accepted;
        }
    }
    clo_gen_close(gen);
    free(plain);
    return ok;
}

/* Multiply-adds of the layers' matrices for one token. */
static double macs_per_token(const clo_spec *s)
{
    double q = (double)s->n_head * s->head_dim, kv = (double)s->n_kv_head * s->head_dim;
    return (double)s->n_layer * ((double)s->n_dim * (2 * q + 2 * kv) + 3.0 * s->n_dim * s->n_ff);
}

static double ratio(double a, double b)
{
    return b > 0 ? a / b : 0;
}

static json_t *report(const clo_session *s, const options *o, const times *t, const clo_limits *lim, double peak_bytes)
{
    double prefill = ratio((double)o->n_prompt, t->prefill_s), decode = ratio((double)o->n_decode, t->decode_s);
    double read = (double)clo_model_bytes_per_token(s->model) * decode * 1e-9;
    double flop = 2 * macs_per_token(clo_model_spec(s->model)) * prefill * 1e-9;
    const clo_kernels *k = NULL;
    if (!clo_kernels_pick(&k, NULL)) return NULL;
    json_t *j = json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:I, s:f, s:f, s:f, s:f}", "model", s->path,
        "type", clo_dtype_info_of(clo_model_main_dtype(s->model))->name, "kernels", k->name, "threads",
        (json_int_t)clo_pool_threads(s->pool), "n_prompt", (json_int_t)o->n_prompt, "n_decode", (json_int_t)o->n_decode,
        "repeats", (json_int_t)o->n_repeats, "prefill_tok_s", prefill, "decode_tok_s", decode, "prefill_tok_s_median",
        ratio((double)o->n_prompt, t->prefill_mid), "decode_tok_s_median", ratio((double)o->n_decode, t->decode_mid),
        "load_ms", s->load_s * 1e3, "bytes_per_token",
        (json_int_t)clo_model_bytes_per_token(s->model), "read_gb_s", lim->read_gb_s, "fma_gflop_s", lim->fma_gflop_s,
        "decode_read_fraction", ratio(read, lim->read_gb_s), "prefill_fma_fraction", ratio(flop, lim->fma_gflop_s));
    if (j) json_object_set_new(j, "peak_rss_bytes", json_integer((json_int_t)peak_bytes));
    if (j && o->lookup) {
        json_object_set_new(j, "lookup", json_pack("{s:f, s:f, s:f, s:I, s:I, s:b}", "plain_tok_s",
                                                   ratio((double)t->n_out, t->plain_s), "lookup_tok_s",
                                                   ratio((double)t->n_out, t->lookup_s), "speedup",
                                                   ratio(t->plain_s, t->lookup_s), "drafted", (json_int_t)t->n_drafted,
                                                   "accepted", (json_int_t)t->n_accepted, "same", t->lookup_same));
    }
    return j;
}

/* limit 0: it was not measured. */
static void print_rate(const char *what, double tok_s, int64_t n_tok, double fraction, double limit, const char *of)
{
    printf("%-8s %9.1f tok/s  (%lld tokens", what, tok_s, (long long)n_tok);
    if (limit > 0) printf("; %.0f %% of %.1f %s", 100 * fraction, limit, of);
    printf(")\n");
}

static void print_report(const json_t *j)
{
    char size[24];
    printf("%s, %s, kernels %s, %lld threads\n", clo_json_str(j, "model", CLO_STR("")).ptr,
           clo_json_str(j, "type", CLO_STR("")).ptr, clo_json_str(j, "kernels", CLO_STR("")).ptr,
           (long long)clo_json_int(j, "threads", 0));
    print_rate("prefill", clo_json_num(j, "prefill_tok_s", 0), clo_json_int(j, "n_prompt", 0),
               clo_json_num(j, "prefill_fma_fraction", 0), clo_json_num(j, "fma_gflop_s", 0),
               "GFLOP/s of plain multiply-adds");
    print_rate("decode", clo_json_num(j, "decode_tok_s", 0), clo_json_int(j, "n_decode", 0),
               clo_json_num(j, "decode_read_fraction", 0), clo_json_num(j, "read_gb_s", 0), "GB/s of plain reading");
    printf("load     %9.1f ms,  peak memory %s\n", clo_json_num(j, "load_ms", 0),
           clo_cli_bytes(size, (uint64_t)clo_json_int(j, "peak_rss_bytes", 0)));
    const json_t *l = json_object_get(j, "lookup");
    if (!l) return;
    printf("lookup   %9.1f tok/s, %.2f times %.1f without; %lld of %lld guesses held, tokens %s\n",
           clo_json_num(l, "lookup_tok_s", 0), clo_json_num(l, "speedup", 0), clo_json_num(l, "plain_tok_s", 0),
           (long long)clo_json_int(l, "accepted", 0), (long long)clo_json_int(l, "drafted", 0),
           clo_json_bool(l, "same", false) ? "the same" : "NOT THE SAME");
}

static bool work(const char *model, const options *o, clo_err *err)
{
    clo_session s = {0};
    clo_limits lim = {.isa = ""};
    times t = {0};
    struct rusage ru;
    bool ok = false;

    if (!clo_session_open(&s, model, &o->so, err)) return false;
    if (!time_all(&t, &s, o, err)) goto done;
    if (o->lookup && o->n_decode > 0 && !time_lookup(&t, &s, o, err)) goto done;
    getrusage(RUSAGE_SELF, &ru); /* before the measuring of limits takes its own memory */
    if (!o->no_limits && !clo_measure_limits(&lim, s.pool, err)) goto done;
    json_t *j = report(&s, o, &t, &lim, (double)ru.ru_maxrss * 1024);
    if (o->json) {
        ok = clo_cli_print_json(j) == CLO_EXIT_OK;
    } else {
        print_report(j);
        json_decref(j);
        ok = true;
    }
    if (ok && o->lookup && !t.lookup_same) ok = clo_fail(err, CLO_ERR_MISMATCH, "lookup changed a token");
done:
    clo_session_close(&s);
    return ok;
}

int clo_cmd_bench(int argc, char **argv)
{
    options o = {.n_prompt = 512, .n_decode = 128, .n_repeats = 3};
    const clo_opt opts[] = {
        {"prompt", "p", CLO_OPT_SIZE, &o.n_prompt, "N", "tokens of prefill (default: 512)"},
        {"decode", "n", CLO_OPT_SIZE, &o.n_decode, "N", "tokens of decoding (default: 128)"},
        {"repeats", "r", CLO_OPT_SIZE, &o.n_repeats, "N", "runs of each; the best counts (default: 3)"},
        {"lookup", NULL, CLO_OPT_FLAG, &o.lookup, NULL, "time prompt lookup on a text that repeats itself, too"},
        {"no-limits", NULL, CLO_OPT_FLAG, &o.no_limits, NULL, "do not measure the machine's own limits"},
        CLO_SESSION_OPTS(o.so),
        {"json", NULL, CLO_OPT_FLAG, &o.json, NULL, "print one JSON object"},
    };
    const clo_cli_spec spec = {"bench MODEL", "Times a model beside what this machine can do at most.",
                               "  cloche bench SmolLM2.gguf\n  cloche bench SmolLM2.gguf -p 64 -n 32 -t 2 --json\n",
                               opts, CLO_COUNT(opts), 1, 1};
    clo_cli_args args;
    clo_err err = {0};
    int rc = 0;
    if (!clo_cli_parse(&args, &spec, argc, argv, &rc)) return rc;
    if (o.n_repeats == 0 || o.n_repeats > REPEATS_MAX || o.n_prompt > 1U << 20 || o.n_decode > 1U << 20)
        return clo_cli_fail_usage("-p and -n are at most 1048576, -r is 1 to %d", REPEATS_MAX);
    if (!work(args.args[0], &o, &err)) return clo_cli_fail(&err, NULL);
    return CLO_EXIT_OK;
}
