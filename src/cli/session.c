/* See session.h. */
#include "cli/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"

#define GENERATION_CONFIG_BYTES_MAX (1U << 20)

/* A data folder that may only be read still serves: its weights are then packed in memory, at every start. */
static bool open_model(clo_session *s, const char *data_dir, clo_err *err)
{
    clo_model_opts mo = {.pool = s->pool, .data_dir = data_dir, .progress = clo_cli_progress};
    clo_err why = {0};
    if (clo_model_open(&s->model, s->path, mo, &why)) return true;
    if (!data_dir || why.code != CLO_ERR_IO || (why.sys != EROFS && why.sys != EACCES && why.sys != EPERM)) {
        *err = why;
        return false;
    }
    mo.data_dir = NULL;
    if (!clo_model_open(&s->model, s->path, mo, err)) return false;
    fprintf(stderr, "cloche: '%s' cannot be written: the model starts slowly each time\n", data_dir);
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
    clo_str text;
    json_t *config = NULL;
    clo_arena arena = clo_arena_make(2 * GENERATION_CONFIG_BYTES_MAX);
    bool ok = false;

    *out = clo_sampler_defaults();
    if (!clo_path_is_dir(s->path)) return true;
    if (!clo_file_read_beside(&text, s->path, "generation_config.json", GENERATION_CONFIG_BYTES_MAX, &arena, err))
        goto done;
    if (!text.ptr) {
        ok = true;
        goto done;
    }
    if (!clo_json_parse(&config, text, GENERATION_CONFIG_BYTES_MAX, err)) {
        clo_err_context(err, "read '%s/generation_config.json'", s->path);
        goto done;
    }
    bool sample = clo_json_bool(config, "do_sample", json_object_get(config, "temperature") != NULL);
    if (json_object_get(config, "do_sample") && !sample) out->temp = 0;
    out->temp = sample ? (float)clo_json_num(config, "temperature", (double)out->temp) : out->temp;
    out->top_k = (int32_t)clo_json_int(config, "top_k", out->top_k);
    out->top_p = (float)clo_json_num(config, "top_p", (double)out->top_p);
    out->min_p = (float)clo_json_num(config, "min_p", (double)out->min_p);
    out->repeat_penalty = (float)clo_json_num(config, "repetition_penalty", 1.0);
    ok = clo_sampler_check(out, err);
    if (!ok) clo_err_context(err, "read '%s/generation_config.json'", s->path);
done:
    json_decref(config);
    clo_arena_free(&arena);
    return ok;
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
