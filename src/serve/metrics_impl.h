/* What metrics.c (counting, and our own families) and metrics_compat.c (other programs' names) share. */
#ifndef CLO_SERVE_METRICS_IMPL_H
#define CLO_SERVE_METRICS_IMPL_H

#include <pthread.h>

#include "serve/metrics.h"

#define METRICS_BUCKETS_MAX 24
#define METRICS_LABEL_MAX 256

typedef struct {
    const double *bounds; /* [n] */
    size_t n;
    uint64_t counts[METRICS_BUCKETS_MAX + 1]; /* each bucket alone; the last: over all bounds */
    uint64_t count;
    double sum;
} histogram;

enum {
    H_FIRST,
    H_TOKEN,
    H_WHOLE,
    H_QUEUE,
    H_PREFILL,
    H_DECODE,
    N_OWN_HISTOGRAMS,
    /* For other programs' names alone. */
    H_INFERENCE = N_OWN_HISTOGRAMS,
    H_PROMPT_TOKENS,
    H_OUTPUT_TOKENS,
    H_PARAMS_N,
    H_PARAMS_MAX,
    N_HISTOGRAMS
};

struct clo_model_metrics {
    clo_metrics *m;
    char name[METRICS_LABEL_MAX]; /* escaped for a label */
    uint64_t ended[CLO_ENDED_KINDS];
    uint64_t n_prompt, n_output, n_cached, n_loads, n_unloads, n_receipts,
        n_replays[2];                           /* replays: not the same, the same */
    uint64_t n_tokens_max;                      /* of a prompt with its answer */
    uint64_t n_passes, n_preempted;             /* of schedulers that were closed */
    uint64_t n_passes_shown, n_preempted_shown; /* of all, as they were told last */
    histogram h[N_HISTOGRAMS];
};

/* "# HELP" and "# TYPE". */
void clo_metrics_family(clo_buf *out, const char *name, const char *type, const char *help);
/* labels: without braces, `model="a"`. */
void clo_metrics_histogram(clo_buf *out, const char *name, const char *labels, const histogram *h);
void clo_metrics_escape(char out[METRICS_LABEL_MAX], const char *name);

/* With the lock of the metrics held: models [n_models] and gauges [n] are both by name. */
void clo_metrics_show_llamacpp(clo_buf *out, clo_model_metrics *const *models, size_t n_models,
                               const clo_model_gauges *g, size_t n);
void clo_metrics_show_vllm(clo_buf *out, clo_model_metrics *const *models, size_t n_models, const clo_model_gauges *g,
                           size_t n);

#endif
