/* cloche embed: texts to vectors. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/digest.h"
#include "base/file.h"
#include "cli/npy.h"
#include "cli/session.h"
#include "infer/embed.h"

#define INPUT_BYTES_MAX ((size_t)1 << 30)
#define TEXTS_MAX 65536

typedef struct {
    clo_session_opts so;
    const char *out;
    size_t n_dim; /* 0: the model's */
    bool truncate, json;
} options;

typedef struct {
    clo_str *texts; /* [n] owned */
    clo_ids *ids;   /* [n] owned */
    size_t n, cap;
    float *vectors; /* [n, n_dim] owned */
    size_t n_dim;   /* of the model, then as asked for */
} work_list;

static bool add_text(work_list *w, clo_str text, clo_err *err)
{
    if (w->n == w->cap) {
        size_t cap = w->cap ? 2 * w->cap : 64;
        clo_str *more = (clo_str *)realloc(w->texts, cap * sizeof *more);
        if (!more) return clo_fail(err, CLO_ERR_MEMORY, "%zu texts", cap);
        w->texts = more;
        w->cap = cap;
    }
    if (w->n == TEXTS_MAX) return clo_fail(err, CLO_ERR_LIMIT, "more than %d texts", TEXTS_MAX);
    w->texts[w->n++] = text;
    return true;
}

/* The arguments, or the lines of standard input. */
static bool collect(work_list *w, const clo_cli_args *args, clo_arena *keep, clo_err *err)
{
    clo_str all;
    for (size_t i = 1; i < args->n_args; i++)
        if (!add_text(w, clo_str_from(args->args[i]), err)) return false;
    if (args->n_args > 1) return true;
    if (!clo_stdin_read(&all, INPUT_BYTES_MAX, keep, err)) return false;
    for (size_t at = 0, end; at < all.len; at = end + 1) {
        end = clo_str_find(all, at, '\n');
        clo_str line = {all.ptr + at, end - at};
        if (clo_str_ends_with(line, CLO_STR("\r"))) line.len--;
        if (!add_text(w, line, err)) return false;
    }
    return w->n > 0 || clo_fail(err, CLO_ERR_USAGE, "no text: neither an argument nor a line on standard input");
}

static bool compute(work_list *w, clo_session *s, const options *o, clo_err *err)
{
    size_t bytes, n_max = clo_embed_tokens_max(s->model);
    if (!clo_embed_can(s->model, err)) return false;
    w->n_dim = clo_model_spec(s->model)->n_dim;
    if (o->n_dim && !clo_embed_length_ok(s->model, o->n_dim))
        return clo_fail(err, CLO_ERR_USAGE, "--dimensions %zu: the model's vectors have %zu, and it was not trained for fewer",
                        o->n_dim, w->n_dim);
    w->ids = (clo_ids *)calloc(w->n, sizeof *w->ids);
    if (!clo_mul(w->n, w->n_dim * sizeof(float), &bytes) || !(w->vectors = (float *)malloc(bytes)) || !w->ids)
        return clo_fail(err, CLO_ERR_MEMORY, "%zu vectors", w->n);
    for (size_t i = 0; i < w->n; i++) {
        if (clo_embed_encode(&w->ids[i], s->model, w->texts[i], n_max, o->truncate, err)) continue;
        clo_err_context(err, "text %zu", i + 1);
        return false;
    }
    return clo_embed_run(s->decoder, w->ids, w->n, w->vectors, err);
}

/* Keeps the first n numbers of each vector, brought to length 1 again. */
static void cut(work_list *w, size_t n)
{
    for (size_t i = 0; i < w->n; i++) {
        memmove(w->vectors + i * n, w->vectors + i * w->n_dim, n * sizeof(float));
        clo_embed_normalise(w->vectors + i * n, n);
    }
    w->n_dim = n;
}

static bool write_npy(const work_list *w, const char *path, clo_err *err)
{
    clo_writer out;
    if (!clo_writer_open(&out, path, err)) return false;
    if (clo_npy_put_header(&out, w->n, w->n_dim, err) &&
        clo_writer_put(&out, w->vectors, w->n * w->n_dim * sizeof(float), err))
        return clo_writer_commit(&out, err);
    clo_writer_abandon(&out);
    return false;
}

static json_t *as_json(const work_list *w, bool with_vectors)
{
    char hex[65];
    clo_sha256 d = clo_sha256_of(w->vectors, w->n * w->n_dim * sizeof(float));
    json_t *rows = with_vectors ? json_array() : NULL, *counts = json_array();
    for (size_t i = 0; i < w->n; i++) {
        json_array_append_new(counts, json_integer((json_int_t)w->ids[i].n));
        json_t *row = rows ? json_array() : NULL;
        for (size_t k = 0; row && k < w->n_dim; k++)
            json_array_append_new(row, json_real((double)w->vectors[i * w->n_dim + k]));
        if (row) json_array_append_new(rows, row);
    }
    clo_sha256_hex(hex, &d);
    json_t *o = json_pack("{s:I, s:o, s:s, s:s}", "dimensions", (json_int_t)w->n_dim, "tokens", counts, "sha256", hex,
                          "profile", "n1");
    if (rows) json_object_set_new(o, "embeddings", rows);
    return o;
}

static void print_rows(const work_list *w)
{
    for (size_t i = 0; i < w->n; i++)
        for (size_t k = 0; k < w->n_dim; k++)
            printf("%.9g%c", (double)w->vectors[i * w->n_dim + k], k + 1 < w->n_dim ? ' ' : '\n');
}

static bool work(const clo_cli_args *args, const options *o, clo_err *err)
{
    clo_session s = {0};
    clo_arena arena = clo_arena_make(2 * INPUT_BYTES_MAX);
    work_list w = {0};
    bool ok = collect(&w, args, &arena, err) && clo_session_open(&s, args->args[0], &o->so, err) &&
              compute(&w, &s, o, err);
    if (ok && o->n_dim && o->n_dim < w.n_dim) cut(&w, o->n_dim);
    if (ok && o->out) ok = write_npy(&w, o->out, err);
    if (ok && o->json)
        ok = clo_cli_print_json(as_json(&w, !o->out)) == CLO_EXIT_OK;
    else if (ok && !o->out)
        print_rows(&w);
    for (size_t i = 0; w.ids && i < w.n; i++) clo_ids_free(&w.ids[i]);
    free(w.ids);
    free(w.texts);
    free(w.vectors);
    clo_session_close(&s);
    clo_arena_free(&arena);
    return ok;
}

int clo_cmd_embed(int argc, char **argv)
{
    options o = {0};
    const clo_opt opts[] = {
        {"out", "o", CLO_OPT_STR, &o.out, "FILE", "write float32 [n_texts, n_dim] in NumPy's .npy format"},
        {"dimensions", NULL, CLO_OPT_SIZE, &o.n_dim, "N", "the first N numbers, of a model that was trained for it"},
        {"truncate", NULL, CLO_OPT_FLAG, &o.truncate, NULL, "cut a text that is too long instead of refusing it"},
        CLO_SESSION_OPTS(o.so),
        {"json", NULL, CLO_OPT_FLAG, &o.json, NULL, "print one JSON object"},
    };
    const clo_cli_spec spec = {
        "embed MODEL [TEXT]...",
        "Prints a vector for each text, a line each: the model's last hidden states, pooled as its files say, of length 1.\n"
        "Without TEXT each line of standard input is one. The model is an encoder, or a decoder whose files name a pooling.\n"
        "The same bits for every number of threads, and whatever other texts are computed at once.",
        "  cloche embed all-MiniLM-L6-v2 'a bell of clear glass' 'a glass dome'\n"
        "  cloche embed all-MiniLM-L6-v2 --out vectors.npy <sentences.txt\n",
        opts, CLO_COUNT(opts), 1, TEXTS_MAX};
    clo_cli_args args;
    clo_err err = {0};
    int rc = 0;
    if (!clo_cli_parse(&args, &spec, argc, argv, &rc)) return rc;
    if (!work(&args, &o, &err)) return clo_cli_fail(&err, NULL);
    return CLO_EXIT_OK;
}
