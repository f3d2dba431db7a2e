/* Parameters of a request: JSON fields to numbers, types and ranges checked by one table for all interfaces.
 *
 * null is absent; a whole number may be written with a fraction (8.0); text is never taken for a number. What the table
 * does not know is ignored, as clients expect. What was not given keeps the value of clo_params_make. */
#ifndef CLO_SERVE_PARAMS_H
#define CLO_SERVE_PARAMS_H

#include "base/arena.h"
#include "base/json.h"
#include "infer/sampler.h"
#include "serve/api_error.h"

#define CLO_PARAMS_STOPS_MAX 16
#define CLO_PARAMS_CHOICES_MAX 8
#define CLO_PARAMS_NONE INT64_MIN /* an integer that was not given */

/* Which fields are looked for. */
typedef enum {
    CLO_PARAMS_CHAT = 1,        /* POST /v1/chat/completions */
    CLO_PARAMS_COMPLETIONS = 2, /* POST /v1/completions */
    CLO_PARAMS_OPTIONS = 4,     /* `options` of /api/chat and /api/generate */
    CLO_PARAMS_OLLAMA = 8,      /* their body */
} clo_params_kind;

typedef struct {
    /* NaN: not given */
    double temperature, top_p, min_p, typical_p, repeat_penalty, presence_penalty, frequency_penalty;
    int64_t top_k, repeat_last_n; /* CLO_PARAMS_NONE: not given */
    int64_t seed;                 /* valid when has_seed; negative ones are taken modulo 2^64 */
    int64_t n_max;                /* CLO_PARAMS_NONE: not given; -1: no limit */
    int64_t n, best_of;
    int64_t n_top;                /* likeliest tokens beside each; with logprobs */
    int64_t n_ctx;                /* Ollama's num_ctx; CLO_PARAMS_NONE: not given */
    bool has_seed, stream, include_usage, logprobs, echo, truncate, raw, ignore_eos;
    bool receipt;                 /* ours: the answer carries its receipt (receipts.h) */
    bool queue;                   /* ours: a stream tells its place in line */
    clo_str stops[CLO_PARAMS_STOPS_MAX];
    size_t n_stops;
    const clo_logit_bias *bias;   /* [n_bias] in the arena */
    size_t n_bias;
} clo_params;

/* What holds when a body says nothing. stream: the interface's habit. */
clo_params clo_params_make(bool stream);

/* Reads the fields of `kinds` from body (an object; borrowed, strings too) into *io. False: e names the field and what was
 * expected. */
bool clo_params_read(clo_params *io, const json_t *body, unsigned kinds, clo_arena *keep, clo_api_error *e);

/* The sampler: what was given over what `base` (the interface's or the model's own) says. */
bool clo_params_sampler(clo_sampler_params *out, const clo_params *p, const clo_sampler_params *base, clo_api_error *e);

/* The body of a request as an object; *out is owned. */
bool clo_body_parse(json_t **out, clo_str body, clo_api_error *e);
/* A text that must be there, or (needed false) may be; null is absent. *out is a NULL slice when it is absent. */
bool clo_body_str(clo_str *out, const json_t *body, const char *key, bool needed, clo_api_error *e);
/* An object or array, or NULL when it is absent or null. */
bool clo_body_object(json_t **out, const json_t *body, const char *key, clo_api_error *e);
bool clo_body_array(json_t **out, const json_t *body, const char *key, clo_api_error *e);
bool clo_body_bool(bool *io, const json_t *body, const char *key, clo_api_error *e);

#endif
