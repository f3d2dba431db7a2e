/* Metrics in the Prometheus text format (0.0.4), families and buckets as the contract names them.
 *
 * Counters live as long as the server, whatever models come and go; gauges are asked for when they are shown, and showing
 * them loads, wakes and touches no model. Labels are bounded: routes are the router's, models at most
 * CLO_METRICS_MODELS_MAX and then "other". All functions: any thread. */
#ifndef CLO_SERVE_METRICS_H
#define CLO_SERVE_METRICS_H

#include "base/buf.h"
#include "base/err.h"
#include "serve/api_error.h"

#define CLO_METRICS_MODELS_MAX 64

typedef struct clo_metrics clo_metrics;
typedef struct clo_model_metrics clo_model_metrics;

/* Families under other servers' names, too. */
enum { CLO_METRICS_LLAMACPP = 1, CLO_METRICS_VLLM = 2 };

/* compat: of those; routes: [n_routes] labels; isa: the instruction set in use. Borrowed. */
CLO_CHECK bool clo_metrics_open(clo_metrics **out, const char *const *routes, size_t n_routes, const char *isa,
                                unsigned compat, clo_err *err);
void clo_metrics_close(clo_metrics *m);

void clo_metrics_request(clo_metrics *m, size_t i_route, unsigned status, double seconds);
/* A request was refused for a reason that is counted; other kinds are left alone. */
void clo_metrics_reject(clo_metrics *m, clo_api_kind kind);

/* Lives as long as m. */
clo_model_metrics *clo_metrics_model(clo_metrics *m, const char *name);
void clo_metrics_load(clo_model_metrics *mm);
/* With what its scheduler counted, which goes with it. */
void clo_metrics_unload(clo_model_metrics *mm, uint64_t n_passes, uint64_t n_preempted);
void clo_metrics_receipt(clo_model_metrics *mm);
void clo_metrics_replay(clo_model_metrics *mm, bool same);

typedef enum {
    CLO_ENDED_STOP,
    CLO_ENDED_LENGTH,
    CLO_ENDED_TOOL_CALLS,
    CLO_ENDED_CANCELLED,
    CLO_ENDED_ERROR,
    CLO_ENDED_KINDS
} clo_ended;

typedef struct {
    clo_ended ended;
    size_t n_prompt, n_cached, n_output;
    size_t n_choices;  /* that its request asked for; 0: counted with another of them */
    size_t n_max;      /* tokens that it allowed; 0: did not say */
    double queue_s, prefill_s, decode_s;
    double first_s; /* from the request's begin to the first token; 0: none came */
    double whole_s; /* from the request's begin to its end */
} clo_answer_times;
void clo_metrics_answer(clo_model_metrics *mm, const clo_answer_times *t);

/* Gauges of a loaded model. */
typedef struct {
    const char *name;
    size_t n_running, n_waiting, n_ctx;
    double kv_used;         /* 0 to 1 */
    uint64_t memory_bytes;  /* of weights */
    uint64_t n_passes, n_preempted; /* since it was loaded */
} clo_model_gauges;

/* [n] gauges, by name. */
void clo_metrics_show(clo_metrics *m, clo_buf *out, const clo_model_gauges *gauges, size_t n);

#endif
