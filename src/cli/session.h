/* What commands that run a model share: threads, model and decoder, opened from the same options.
 *
 *   clo_session_opts so = {0};
 *   const clo_opt opts[] = { CLO_SESSION_OPTS(so), ... };
 *   clo_session s = {0};
 *   if (!clo_session_open(&s, "SmolLM2.gguf", &so, &err)) ...
 *   clo_session_close(&s);
 */
#ifndef CLO_CLI_SESSION_H
#define CLO_CLI_SESSION_H

#include "cli/cli.h"
#include "infer/decoder.h"
#include "infer/generate.h"
#include "model/model.h"

typedef struct {
    size_t n_threads;     /* 0: as many as this process may use */
    size_t n_chunk;       /* tokens computed at once; 0: the decoder's choice */
    const char *data;     /* data folder, or NULL */
    bool no_cache;        /* pack in memory, write nothing */
} clo_session_opts;

#define CLO_SESSION_OPTS(so)                                                                                           \
    {"threads", "t", CLO_OPT_SIZE, &(so).n_threads, "N", "processors to use (default: all this process may use)"},     \
        {"chunk", NULL, CLO_OPT_SIZE, &(so).n_chunk, "N", "prompt tokens computed at once (never changes a bit)"},     \
        {"data", NULL, CLO_OPT_STR, &(so).data, "DIR", "data folder (default: $CLOCHE_DATA)"},                         \
    {                                                                                                                  \
        "no-cache", NULL, CLO_OPT_FLAG, &(so).no_cache, NULL, "do not keep the prepared weights on disk"               \
    }

typedef struct {
    clo_pool *pool;
    clo_model *model;
    clo_decoder *decoder;
    char path[4096];   /* of the model */
    double load_s;
} clo_session;

CLO_CHECK bool clo_session_open(clo_session *s, const char *model, const clo_session_opts *o, clo_err *err);
void clo_session_close(clo_session *s);

/* Sampling that the model's publisher recommends (generation_config.json), over clo_sampler_defaults. */
CLO_CHECK bool clo_session_sampler(clo_sampler_params *out, const clo_session *s, clo_err *err);

/* "1,2,3" or "1 2 3" (one comma, white space or both between two), appended to *out; every id in [0, n_vocab). */
CLO_CHECK bool clo_session_parse_ids(clo_ids *out, const char *text, size_t n_vocab, clo_err *err);

#endif
