/* Models that repositories of the hub hold, by the names that people give them:
 *
 *   lab/tiny             what main has: a model in safetensors, else the only GGUF model, else the one in Q4_K_M
 *   lab/tiny:Q8_0        the GGUF model whose name, or folder, ends so; the path of its file does as well
 *   lab/tiny@v1.0        at a branch, a tag, or a commit (5 digits or more); with ":Q8_0", in either order
 *
 * A model is opened by its path, so its files are made to lie in a folder (hub/snapshot.h). Who may have it is the caller's to ask.
 *
 *   clo_held h = {0};
 *   if (!clo_held_open(&h, data_dir, "lab/tiny@v1.0", &opts, &err)) ...      // CLO_ERR_NOT_FOUND says what is missing
 *   clo_model_open(&m, h.path, ...)
 *   clo_held_close(&h);
 *
 * or in steps, with a database at hand: clo_held_parse, clo_repo_find, clo_held_commit, clo_held_pick, clo_held_make. */
#ifndef CLO_SERVE_HELD_H
#define CLO_SERVE_HELD_H

#include "hub/snapshot.h"
#include "serve/held_name.h"

typedef struct {
    clo_repo repo;
    clo_oid commit;
    clo_snapshot files;
    char file[CLO_HELD_NAME_MAX]; /* as it was asked for */
    char path[4096]; /* of what is opened: the folder, or a GGUF file in it */
} clo_held;

/* CLO_ERR_NOT_FOUND: no such revision. */
CLO_CHECK bool clo_held_commit(clo_oid *out, clo_git *g, const clo_repo *repo, const char *rev, clo_err *err);
/* The files of the model; out is freed by clo_held_close. file: clo_held_name.file. Nothing is written. CLO_ERR_UNSUPPORTED when the
 * repository holds none. */
CLO_CHECK bool clo_held_pick(clo_held *out, clo_git *g, const char *data_dir, const clo_repo *repo, const clo_oid *commit, const char *file,
                             clo_err *err);
CLO_CHECK bool clo_held_make(const clo_held *h, const clo_files *f, clo_git *g, const clo_snapshot_opts *o, clo_err *err);

/* All of it, of a data folder. */
CLO_CHECK bool clo_held_open(clo_held *out, const char *data_dir, const char *text, const clo_snapshot_opts *o, clo_err *err);
void clo_held_close(clo_held *h);

/* A model whose files lie there since it was asked for. */
typedef struct {
    clo_sha256 digest; /* by which receipts name it (clo_model_digest) */
    char repo_oid[25];
    clo_oid commit;    /* one that it is of */
    char file[CLO_HELD_NAME_MAX];
    char path[4096];
} clo_held_note;
/* Calls fn for each, until it returns false. */
typedef bool clo_held_fn(void *ctx, const clo_held_note *n);
void clo_held_each(const char *data_dir, clo_held_fn *fn, void *ctx);

#endif
