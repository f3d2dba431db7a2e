/* Families under the names of other servers, so that dashboards made for them work: --metrics-compat. What this server has
 * no number for is left out (docs/running-a-server.md). Sources: llama.cpp tools/server README "GET /metrics";
 * vLLM docs, "Production Metrics". */
#include <stdio.h>
#include <string.h>

#include "serve/metrics_impl.h"

/* A model's counts beside what its open scheduler has, or zeros. */
typedef struct {
    const clo_model_metrics *mm;
    clo_model_gauges live;
} row;

/* The gauges of a model; both lists go by name as they are written. */
static row row_of(const clo_model_metrics *mm, const clo_model_gauges *g, size_t n)
{
    row r = {.mm = mm};
    for (size_t i = 0; i < n; i++) {
        char label[METRICS_LABEL_MAX];
        clo_metrics_escape(label, g[i].name);
        if (strcmp(label, mm->name) == 0) r.live = g[i];
    }
    return r;
}

static double ratio(double a, double b)
{
    return b > 0 ? a / b : 0;
}

static double n_computed(const row *r)
{
    return (double)(r->mm->n_prompt - r->mm->n_cached);
}

typedef struct {
    const char *name, *type, *help;
    double (*value)(const row *r);
} number;

static void show_numbers(clo_buf *out, const char *prefix, const char *label, const char *more, const number *list,
                         size_t n_list, clo_model_metrics *const *models, size_t n_models, const clo_model_gauges *g,
                         size_t n)
{
    for (size_t k = 0; k < n_list; k++) {
        char name[96];
        snprintf(name, sizeof name, "%s%s", prefix, list[k].name);
        clo_metrics_family(out, name, list[k].type, list[k].help);
        for (size_t i = 0; i < n_models; i++) {
            const row r = row_of(models[i], g, n);
            clo_buf_addf(out, "%s{%s=\"%s\"%s} %.17g\n", name, label, models[i]->name, more, list[k].value(&r));
        }
    }
}

/* --- llama-server -------------------------------------------------------------------------------------------------*/

static double prompt_s(const row *r)
{
    return r->mm->h[H_PREFILL].sum;
}
static double output_s(const row *r)
{
    return r->mm->h[H_DECODE].sum;
}
static double n_output(const row *r)
{
    return (double)r->mm->n_output;
}
static double n_passes(const row *r)
{
    return (double)r->mm->n_passes_shown;
}
static double n_tokens_max(const row *r)
{
    return (double)r->mm->n_tokens_max;
}
static double prompt_rate(const row *r)
{
    return ratio(n_computed(r), prompt_s(r));
}
static double output_rate(const row *r)
{
    return ratio(n_output(r), output_s(r));
}
static double n_running(const row *r)
{
    return (double)r->live.n_running;
}
static double n_waiting(const row *r)
{
    return (double)r->live.n_waiting;
}
static double kv_used(const row *r)
{
    return r->live.kv_used;
}

void clo_metrics_show_llamacpp(clo_buf *out, clo_model_metrics *const *models, size_t n_models,
                               const clo_model_gauges *g, size_t n)
{
    static const number list[] = {
        {"prompt_tokens_total", "counter", "Prompt tokens that were computed.", n_computed},
        {"prompt_seconds_total", "counter", "Time until first tokens.", prompt_s},
        {"tokens_predicted_total", "counter", "Tokens of answers.", n_output},
        {"tokens_predicted_seconds_total", "counter", "Time from first tokens to last ones.", output_s},
        {"n_decode_total", "counter", "Passes of the decoder.", n_passes},
        {"n_tokens_max", "counter", "The most tokens that a prompt had with its answer.", n_tokens_max},
        {"prompt_tokens_seconds", "gauge", "Prompt tokens a second, the mean.", prompt_rate},
        {"predicted_tokens_seconds", "gauge", "Tokens of answers a second, the mean.", output_rate},
        {"requests_processing", "gauge", "Answers that are being computed.", n_running},
        {"requests_deferred", "gauge", "Answers in line.", n_waiting},
        {"kv_cache_usage_ratio", "gauge", "KV memory of running answers beside its ceiling.", kv_used},
    };
    show_numbers(out, "llamacpp:", "model", "", list, sizeof list / sizeof *list, models, n_models, g, n);
}

/* --- vLLM ---------------------------------------------------------------------------------------------------------*/

#define ENGINE ",engine=\"0\""

static double n_prompt(const row *r)
{
    return (double)r->mm->n_prompt;
}
static double n_cached(const row *r)
{
    return (double)r->mm->n_cached;
}
static double n_preempted(const row *r)
{
    return (double)r->mm->n_preempted_shown;
}

static void show_ended(clo_buf *out, clo_model_metrics *const *models, size_t n_models)
{
    clo_metrics_family(out, "vllm:request_success_total", "counter", "Answers by the reason of their end.");
    for (size_t i = 0; i < n_models; i++) {
        const uint64_t *e = models[i]->ended;
        const struct {
            const char *reason;
            uint64_t n;
        } rows[] = {{"stop", e[CLO_ENDED_STOP] + e[CLO_ENDED_TOOL_CALLS]},
                    {"length", e[CLO_ENDED_LENGTH]},
                    {"abort", e[CLO_ENDED_CANCELLED]},
                    {"error", e[CLO_ENDED_ERROR]}};
        for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
            clo_buf_addf(out, "vllm:request_success_total{model_name=\"%s\"" ENGINE ",finished_reason=\"%s\"} %llu\n",
                         models[i]->name, rows[k].reason, (unsigned long long)rows[k].n);
    }
}

void clo_metrics_show_vllm(clo_buf *out, clo_model_metrics *const *models, size_t n_models, const clo_model_gauges *g,
                           size_t n)
{
    static const number list[] = {
        {"num_requests_running", "gauge", "Answers that are being computed.", n_running},
        {"num_requests_waiting", "gauge", "Answers in line.", n_waiting},
        {"kv_cache_usage_perc", "gauge", "KV memory of running answers beside its ceiling; 1 is full.", kv_used},
        {"gpu_cache_usage_perc", "gauge", "The older name of kv_cache_usage_perc.", kv_used},
        {"prompt_tokens_total", "counter", "Tokens of prompts.", n_prompt},
        {"generation_tokens_total", "counter", "Tokens of answers.", n_output},
        {"num_preemptions_total", "counter", "Times that a running answer went back into the line.", n_preempted},
        {"prefix_cache_queries_total", "counter", "Tokens of prompts that were looked for in what is kept.", n_prompt},
        {"prefix_cache_hits_total", "counter", "Tokens of prompts that were not computed again.", n_cached},
    };
    static const struct {
        const char *name, *help;
        unsigned h;
    } histograms[] = {
        {"vllm:time_to_first_token_seconds", "From the arrival of a request to its first token.", H_FIRST},
        {"vllm:time_per_output_token_seconds", "Between two tokens of an answer, its mean.", H_TOKEN},
        {"vllm:e2e_request_latency_seconds", "From the arrival of a request to the end of its answer.", H_WHOLE},
        {"vllm:request_queue_time_seconds", "In line before the first pass.", H_QUEUE},
        {"vllm:request_inference_time_seconds", "From the first pass to the last token.", H_INFERENCE},
        {"vllm:request_prefill_time_seconds", "From the first pass to the first token.", H_PREFILL},
        {"vllm:request_decode_time_seconds", "From the first token to the last.", H_DECODE},
        {"vllm:request_prompt_tokens", "Tokens of a prompt.", H_PROMPT_TOKENS},
        {"vllm:request_generation_tokens", "Tokens of an answer.", H_OUTPUT_TOKENS},
        {"vllm:request_params_n", "Answers that a request asked for.", H_PARAMS_N},
        {"vllm:request_params_max_tokens", "Tokens that a request allowed its answer.", H_PARAMS_MAX},
    };
    show_numbers(out, "vllm:", "model_name", ENGINE, list, sizeof list / sizeof *list, models, n_models, g, n);
    show_ended(out, models, n_models);
    for (size_t k = 0; k < sizeof histograms / sizeof *histograms; k++) {
        clo_metrics_family(out, histograms[k].name, "histogram", histograms[k].help);
        for (size_t i = 0; i < n_models; i++) {
            char labels[METRICS_LABEL_MAX + 40];
            snprintf(labels, sizeof labels, "model_name=\"%s\"" ENGINE, models[i]->name);
            clo_metrics_histogram(out, histograms[k].name, labels, &models[i]->h[histograms[k].h]);
        }
    }
}
