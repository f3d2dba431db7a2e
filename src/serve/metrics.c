/* See metrics.h; names of other programs are in metrics_compat.c. */
#include "serve/metrics.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "serve/json_out.h"
#include "serve/metrics_impl.h"

/* --- histograms ---------------------------------------------------------------------------------------------------*/

static const double first_bounds[] = {.001, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75,
                                      1,    2.5,  5,   7.5, 10,  20,  40,  80, 160, 640, 2560};
static const double token_bounds[] = {.01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80};
static const double whole_bounds[] = {.3, .5, .8, 1,  1.5, 2,  2.5, 5,   10,  15,  20,
                                      30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680};

/* As vLLM has them. */
static const double count_bounds[] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5};
static const double choice_bounds[] = {1, 2, 5, 10, 20};

#define HISTOGRAM(list) ((histogram){.bounds = (list), .n = sizeof(list) / sizeof *(list)})

static void observe(histogram *h, double v, uint64_t times)
{
    size_t i = 0;
    while (i < h->n && v > h->bounds[i]) i++;
    h->counts[i] += times;
    h->count += times;
    h->sum += v * (double)times;
}

/* --- what is counted ----------------------------------------------------------------------------------------------*/

/* Any other status counts as 0, shown as "other". */
static const unsigned codes[] = {200, 201, 204, 400, 401, 403, 404, 405, 413, 415, 429, 499, 500, 503, 0};
#define N_CODES (sizeof codes / sizeof *codes)
static const char *const reasons[] = {"queue_full", "quota", "auth", "policy", "context"};
#define N_REASONS (sizeof reasons / sizeof *reasons)
static const char *const ended_names[CLO_ENDED_KINDS] = {"stop", "length", "tool_calls", "cancelled", "error"};

static const struct {
    const char *name, *help;
} histogram_names[N_OWN_HISTOGRAMS] = {
    {"time_to_first_token_seconds", "From the arrival of a request to its first token."},
    {"inter_token_latency_seconds", "Between two tokens of an answer, its mean."},
    {"e2e_request_latency_seconds", "From the arrival of a request to the end of its answer."},
    {"request_queue_time_seconds", "In line before the first pass."},
    {"request_prefill_time_seconds", "From the first pass to the first token."},
    {"request_decode_time_seconds", "From the first token to the last."},
};

typedef struct {
    uint64_t by_code[N_CODES];
    histogram seconds;
} route_counts;

struct clo_metrics {
    pthread_mutex_t lock; /* guards everything below */
    const char *const *routes;
    size_t n_routes;
    route_counts *by_route; /* [n_routes] owned */
    uint64_t rejected[N_REASONS];
    clo_model_metrics *models[CLO_METRICS_MODELS_MAX + 1]; /* owned, by name */
    size_t n_models;
    double start_unix_s;
    const char *isa;
    unsigned compat; /* CLO_METRICS_... */
};

bool clo_metrics_open(clo_metrics **out, const char *const *routes, size_t n_routes, const char *isa, unsigned compat,
                      clo_err *err)
{
    clo_metrics *m = (clo_metrics *)calloc(1, sizeof *m);
    if (m) m->by_route = (route_counts *)calloc(n_routes, sizeof *m->by_route);
    if (!m || !m->by_route) {
        free(m);
        return clo_fail(err, CLO_ERR_MEMORY, "metrics");
    }
    pthread_mutex_init(&m->lock, NULL);
    m->routes = routes;
    m->n_routes = n_routes;
    m->isa = isa;
    m->compat = compat;
    for (size_t i = 0; i < n_routes; i++) m->by_route[i].seconds = HISTOGRAM(whole_bounds);
    m->start_unix_s = (double)clo_unix_us() * 1e-6;
    *out = m;
    return true;
}

void clo_metrics_close(clo_metrics *m)
{
    if (!m) return;
    for (size_t i = 0; i < m->n_models; i++) free(m->models[i]);
    free(m->by_route);
    free(m);
}

void clo_metrics_request(clo_metrics *m, size_t i_route, unsigned status, double seconds)
{
    size_t c = 0;
    while (c + 1 < N_CODES && codes[c] != status) c++;
    pthread_mutex_lock(&m->lock);
    m->by_route[i_route].by_code[c]++;
    observe(&m->by_route[i_route].seconds, seconds, 1);
    pthread_mutex_unlock(&m->lock);
}

void clo_metrics_reject(clo_metrics *m, clo_api_kind kind)
{
    const char *reason = clo_api_reject_reason(kind);
    for (size_t i = 0; reason && i < N_REASONS; i++) {
        if (strcmp(reason, reasons[i]) != 0) continue;
        pthread_mutex_lock(&m->lock);
        m->rejected[i]++;
        pthread_mutex_unlock(&m->lock);
    }
}

/* Label values: backslash, quote and newline are escaped; a name has no other control characters. */
void clo_metrics_escape(char out[METRICS_LABEL_MAX], const char *name)
{
    size_t n = 0;
    for (const char *p = name; *p && n + 3 < METRICS_LABEL_MAX; p++) {
        if (*p == '\\' || *p == '"' || *p == '\n') out[n++] = '\\';
        out[n++] = *p == '\n' ? 'n' : *p;
    }
    out[n] = '\0';
}

static clo_model_metrics *add_model(clo_metrics *m, const char *label, size_t at)
{
    clo_model_metrics *mm = (clo_model_metrics *)calloc(1, sizeof *mm);
    if (!mm) return NULL;
    mm->m = m;
    snprintf(mm->name, sizeof mm->name, "%s", label);
    mm->h[H_FIRST] = HISTOGRAM(first_bounds);
    mm->h[H_TOKEN] = HISTOGRAM(token_bounds);
    for (size_t i = H_WHOLE; i <= H_INFERENCE; i++) mm->h[i] = HISTOGRAM(whole_bounds);
    for (size_t i = H_PROMPT_TOKENS; i < N_HISTOGRAMS; i++) mm->h[i] = HISTOGRAM(count_bounds);
    mm->h[H_PARAMS_N] = HISTOGRAM(choice_bounds);
    memmove(&m->models[at + 1], &m->models[at], (m->n_models - at) * sizeof *m->models);
    m->models[at] = mm;
    m->n_models++;
    return mm;
}

clo_model_metrics *clo_metrics_model(clo_metrics *m, const char *name)
{
    char label[METRICS_LABEL_MAX];
    clo_metrics_escape(label, name);
    pthread_mutex_lock(&m->lock);
    clo_model_metrics *found = NULL;
    for (int turn = 0; turn < 2 && !found; turn++) {
        size_t at = 0;
        while (at < m->n_models && strcmp(m->models[at]->name, label) < 0) at++;
        if (at < m->n_models && strcmp(m->models[at]->name, label) == 0) found = m->models[at];
        else if (m->n_models < CLO_METRICS_MODELS_MAX + (size_t)turn) found = add_model(m, label, at);
        snprintf(label, sizeof label, "other");
    }
    pthread_mutex_unlock(&m->lock);
    return found;
}

void clo_metrics_load(clo_model_metrics *mm)
{
    if (!mm) return;
    pthread_mutex_lock(&mm->m->lock);
    mm->n_loads++;
    pthread_mutex_unlock(&mm->m->lock);
}

void clo_metrics_unload(clo_model_metrics *mm, uint64_t n_passes, uint64_t n_preempted)
{
    if (!mm) return;
    pthread_mutex_lock(&mm->m->lock);
    mm->n_unloads++;
    mm->n_passes += n_passes;
    mm->n_preempted += n_preempted;
    pthread_mutex_unlock(&mm->m->lock);
}

void clo_metrics_receipt(clo_model_metrics *mm)
{
    if (!mm) return;
    pthread_mutex_lock(&mm->m->lock);
    mm->n_receipts++;
    pthread_mutex_unlock(&mm->m->lock);
}

void clo_metrics_replay(clo_model_metrics *mm, bool same)
{
    if (!mm) return;
    pthread_mutex_lock(&mm->m->lock);
    mm->n_replays[same]++;
    pthread_mutex_unlock(&mm->m->lock);
}

void clo_metrics_answer(clo_model_metrics *mm, const clo_answer_times *t)
{
    if (!mm) return;
    pthread_mutex_lock(&mm->m->lock);
    mm->ended[t->ended]++;
    mm->n_prompt += t->n_prompt;
    mm->n_cached += t->n_cached;
    mm->n_output += t->n_output;
    if (t->n_prompt + t->n_output > mm->n_tokens_max) mm->n_tokens_max = t->n_prompt + t->n_output;
    observe(&mm->h[H_WHOLE], t->whole_s, 1);
    observe(&mm->h[H_PROMPT_TOKENS], (double)t->n_prompt, 1);
    observe(&mm->h[H_OUTPUT_TOKENS], (double)t->n_output, 1);
    if (t->n_choices > 0) observe(&mm->h[H_PARAMS_N], (double)t->n_choices, 1);
    if (t->n_max > 0) observe(&mm->h[H_PARAMS_MAX], (double)t->n_max, 1);
    if (t->n_output > 0) {
        observe(&mm->h[H_FIRST], t->first_s, 1);
        observe(&mm->h[H_QUEUE], t->queue_s, 1);
        observe(&mm->h[H_PREFILL], t->prefill_s, 1);
        observe(&mm->h[H_DECODE], t->decode_s, 1);
        observe(&mm->h[H_INFERENCE], t->prefill_s + t->decode_s, 1);
    }
    if (t->n_output > 1) observe(&mm->h[H_TOKEN], t->decode_s / (double)(t->n_output - 1), t->n_output - 1);
    pthread_mutex_unlock(&mm->m->lock);
}

/* --- showing ------------------------------------------------------------------------------------------------------*/

void clo_metrics_family(clo_buf *out, const char *name, const char *type, const char *help)
{
    clo_buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void clo_metrics_histogram(clo_buf *out, const char *name, const char *labels, const histogram *h)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < h->n; i++) {
        sum += h->counts[i];
        clo_buf_addf(out, "%s_bucket{%s,le=\"%g\"} %llu\n", name, labels, h->bounds[i], (unsigned long long)sum);
    }
    clo_buf_addf(out, "%s_bucket{%s,le=\"+Inf\"} %llu\n%s_sum{%s} %.9g\n%s_count{%s} %llu\n", name, labels,
                 (unsigned long long)h->count, name, labels, h->sum, name, labels, (unsigned long long)h->count);
}

static void show_own(clo_buf *out, const char *name, const char *label, const char *value, const histogram *h)
{
    char labels[METRICS_LABEL_MAX + 16];
    snprintf(labels, sizeof labels, "%s=\"%s\"", label, value);
    clo_metrics_histogram(out, name, labels, h);
}

static void show_requests(const clo_metrics *m, clo_buf *out)
{
    clo_metrics_family(out, "cloche_http_requests_total", "counter", "Requests by route and status; 499: the client went.");
    for (size_t i = 0; i < m->n_routes; i++)
        for (size_t c = 0; c < N_CODES; c++) {
            uint64_t n = m->by_route[i].by_code[c];
            if (n == 0) continue;
            char code[16] = "other";
            if (codes[c]) snprintf(code, sizeof code, "%u", codes[c]);
            clo_buf_addf(out, "cloche_http_requests_total{route=\"%s\",code=\"%s\"} %llu\n", m->routes[i], code,
                         (unsigned long long)n);
        }
    clo_metrics_family(out, "cloche_http_request_duration_seconds", "histogram", "From the arrival of a request to its end.");
    for (size_t i = 0; i < m->n_routes; i++)
        if (m->by_route[i].seconds.count > 0)
            show_own(out, "cloche_http_request_duration_seconds", "route", m->routes[i], &m->by_route[i].seconds);
    clo_metrics_family(out, "cloche_requests_rejected_total", "counter", "Requests that were refused.");
    for (size_t i = 0; i < N_REASONS; i++)
        clo_buf_addf(out, "cloche_requests_rejected_total{reason=\"%s\"} %llu\n", reasons[i],
                     (unsigned long long)m->rejected[i]);
}

static void show_model_counters(const clo_metrics *m, clo_buf *out)
{
    static const struct {
        const char *name, *help;
        size_t offset;
    } rows[] = {
        {"prompt_tokens_total", "Tokens of prompts.", offsetof(clo_model_metrics, n_prompt)},
        {"generation_tokens_total", "Tokens of answers.", offsetof(clo_model_metrics, n_output)},
        {"cached_tokens_total", "Tokens of prompts that were not computed again.", offsetof(clo_model_metrics, n_cached)},
        {"model_loads_total", "Times that a model was loaded.", offsetof(clo_model_metrics, n_loads)},
        {"model_unloads_total", "Times that a model was unloaded.", offsetof(clo_model_metrics, n_unloads)},
        {"receipts_total", "Receipts that were made.", offsetof(clo_model_metrics, n_receipts)},
    };
    clo_metrics_family(out, "cloche_request_success_total", "counter", "Answers by the reason of their end.");
    for (size_t i = 0; i < m->n_models; i++)
        for (size_t k = 0; k < CLO_ENDED_KINDS; k++)
            clo_buf_addf(out, "cloche_request_success_total{model=\"%s\",finished_reason=\"%s\"} %llu\n",
                         m->models[i]->name, ended_names[k], (unsigned long long)m->models[i]->ended[k]);
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        char name[64];
        snprintf(name, sizeof name, "cloche_%s", rows[k].name);
        clo_metrics_family(out, name, "counter", rows[k].help);
        for (size_t i = 0; i < m->n_models; i++) {
            uint64_t v;
            memcpy(&v, (const char *)m->models[i] + rows[k].offset, sizeof v);
            clo_buf_addf(out, "%s{model=\"%s\"} %llu\n", name, m->models[i]->name, (unsigned long long)v);
        }
    }
    clo_metrics_family(out, "cloche_receipt_replays_total", "counter", "Answers that were made again, by what came of it.");
    for (size_t i = 0; i < m->n_models; i++)
        for (size_t k = 0; k < 2; k++)
            clo_buf_addf(out, "cloche_receipt_replays_total{model=\"%s\",result=\"%s\"} %llu\n", m->models[i]->name,
                         k ? "match" : "mismatch", (unsigned long long)m->models[i]->n_replays[k]);
    for (size_t k = 0; k < N_OWN_HISTOGRAMS; k++) {
        char name[64];
        snprintf(name, sizeof name, "cloche_%s", histogram_names[k].name);
        clo_metrics_family(out, name, "histogram", histogram_names[k].help);
        for (size_t i = 0; i < m->n_models; i++)
            show_own(out, name, "model", m->models[i]->name, &m->models[i]->h[k]);
    }
}

static void show_gauges(clo_buf *out, const clo_model_gauges *g, size_t n)
{
    static const struct {
        const char *name, *help;
    } rows[] = {
        {"requests_running", "Answers that are being computed."},
        {"requests_waiting", "Answers in line."},
        {"kv_cache_usage_ratio", "KV memory of running answers beside its ceiling."},
        {"model_memory_bytes", "Memory of the weights."},
        {"context_length", "Tokens that an answer and its prompt may have."},
    };
    clo_metrics_family(out, "cloche_models_loaded", "gauge", "Models in memory.");
    clo_buf_addf(out, "cloche_models_loaded %zu\n", n);
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        char name[64];
        snprintf(name, sizeof name, "cloche_%s", rows[k].name);
        clo_metrics_family(out, name, "gauge", rows[k].help);
        for (size_t i = 0; i < n; i++) {
            char label[METRICS_LABEL_MAX];
            const double v[] = {(double)g[i].n_running, (double)g[i].n_waiting, g[i].kv_used, (double)g[i].memory_bytes,
                                (double)g[i].n_ctx};
            clo_metrics_escape(label, g[i].name);
            clo_buf_addf(out, "%s{model=\"%s\"} %.17g\n", name, label, v[k]);
        }
    }
}

static size_t count_open_files(void)
{
    DIR *d = opendir("/proc/self/fd");
    size_t n = 0;
    if (!d) return 0;
    while (readdir(d)) n++;
    closedir(d);
    return n > 3 ? n - 3 : 0; /* ".", "..", and the folder itself */
}

static void show_process(const clo_metrics *m, clo_buf *out)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f) {
        if (fscanf(f, "%*s %ld", &pages) != 1) pages = 0;
        fclose(f);
    }
    struct timespec cpu;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    clo_metrics_family(out, "process_resident_memory_bytes", "gauge", "Resident memory.");
    clo_buf_addf(out, "process_resident_memory_bytes %lld\n", (long long)pages * sysconf(_SC_PAGESIZE));
    clo_metrics_family(out, "process_cpu_seconds_total", "counter", "Processor time used.");
    clo_buf_addf(out, "process_cpu_seconds_total %.2f\n", (double)cpu.tv_sec + (double)cpu.tv_nsec * 1e-9);
    clo_metrics_family(out, "process_start_time_seconds", "gauge", "When the server started, in Unix time.");
    clo_buf_addf(out, "process_start_time_seconds %.3f\n", m->start_unix_s);
    clo_metrics_family(out, "process_open_fds", "gauge", "Open file descriptors.");
    clo_buf_addf(out, "process_open_fds %zu\n", count_open_files());
}

/* What schedulers that are open have counted, on top of those that were closed. One may be closed between the look at it and
 * this, and be counted twice: a counter never goes back for that. */
static void add_live(clo_metrics *m, const clo_model_gauges *g, size_t n)
{
    for (size_t i = 0; i < m->n_models; i++) {
        clo_model_metrics *mm = m->models[i];
        uint64_t n_passes = mm->n_passes, n_preempted = mm->n_preempted;
        for (size_t k = 0; k < n; k++) {
            char label[METRICS_LABEL_MAX];
            clo_metrics_escape(label, g[k].name);
            if (strcmp(label, mm->name) != 0) continue;
            n_passes += g[k].n_passes;
            n_preempted += g[k].n_preempted;
        }
        if (n_passes > mm->n_passes_shown) mm->n_passes_shown = n_passes;
        if (n_preempted > mm->n_preempted_shown) mm->n_preempted_shown = n_preempted;
    }
}

void clo_metrics_show(clo_metrics *m, clo_buf *out, const clo_model_gauges *gauges, size_t n)
{
    clo_metrics_family(out, "cloche_build_info", "gauge", "What is running.");
    clo_buf_addf(out, "cloche_build_info{version=\"%s\",numerics=\"n1\",isa=\"%s\"} 1\n", CLO_VERSION,
                 m->isa);
    pthread_mutex_lock(&m->lock);
    show_requests(m, out);
    show_model_counters(m, out);
    add_live(m, gauges, n);
    if (m->compat & CLO_METRICS_LLAMACPP) clo_metrics_show_llamacpp(out, m->models, m->n_models, gauges, n);
    if (m->compat & CLO_METRICS_VLLM) clo_metrics_show_vllm(out, m->models, m->n_models, gauges, n);
    pthread_mutex_unlock(&m->lock);
    show_gauges(out, gauges, n);
    show_process(m, out);
}
