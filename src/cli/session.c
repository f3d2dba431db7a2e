/* See session.h. */
#include "cli/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "infer/facts.h"

/* A data folder that may only be read still serves: its weights are then packed in memory, at every start. */
static bool open_model(clo_session *s, const char *data_dir, clo_err *err)
{
    bool not_kept = false;
    const clo_model_opts mo = {
        .pool = s->pool, .data_dir = data_dir, .not_kept = &not_kept, .progress = clo_cli_progress};
    if (!clo_model_open(&s->model, s->path, mo, err)) return false;
    if (not_kept) fprintf(stderr, "cloche: '%s' cannot be written: the model starts slowly each time\n", data_dir);
    return true;
}

bool clo_session_open(clo_session *s, const char *model, const clo_session_opts *o, clo_err *err)
{
    char data[4096];
    double begin = clo_cli_now();
    *s = (clo_session){0};
    if (!clo_cli_model_path(s->path, model, o->data, err)) return false;
    if (!clo_cli_data_dir(data, o->data, err)) return false;
    if (!clo_pool_open(&s->pool, o->n_threads, err)) goto fail;
    if (!open_model(s, o->no_cache ? NULL : data, err)) goto fail;
    clo_decoder_opts dopts = {.n_tok_max = o->n_chunk};
    if (!clo_decoder_open(&s->decoder, s->model, s->pool, dopts, err)) goto fail;
    s->load_s = clo_cli_now() - begin;
    return true;
fail:
    clo_session_close(s);
    return false;
}

void clo_session_close(clo_session *s)
{
    clo_decoder_close(s->decoder);
    clo_model_close(s->model);
    clo_pool_close(s->pool);
    s->decoder = NULL;
    s->model = NULL;
    s->pool = NULL;
}

bool clo_session_sampler(clo_sampler_params *out, const clo_session *s, clo_err *err)
{
    *out = clo_sampler_defaults();
    return clo_facts_sampler(out, s->path, err);
}

bool clo_session_parse_ids(clo_ids *out, const char *text, size_t n_vocab, clo_err *err)
{
    const char *p = text;
    while (*p) {
        char *end = NULL;
        if (*p < '0' || *p > '9')
            return clo_fail(err, CLO_ERR_USAGE, "token ids '%.40s': a number is expected at '%.10s'", text, p);
        unsigned long long v = strtoull(p, &end, 10);
        if (v >= n_vocab)
            return clo_fail(err, CLO_ERR_USAGE, "token id %llu: the vocabulary has %zu", v, n_vocab);
        if (!clo_ids_push(out, (int32_t)v, err)) return false;
        p = end + strspn(end, " \t\r\n");
        if (*p == ',')
            p++;
        else if (p == end && *p)
            continue; /* no separator: the next turn names the place */
        p += strspn(p, " \t\r\n");
    }
    return true;
}
