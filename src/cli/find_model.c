/* What MODEL stands for: the one place where every command asks. See cli.h. */
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "cli/cli.h"
#include "infer/library.h"
#ifndef CLO_NO_SERVE
#include "serve/held.h"
#endif

/* Errors that only say that there is nothing of this name. */
static bool is_absent(const clo_err *e)
{
    return e->code == CLO_ERR_NOT_FOUND || e->code == CLO_ERR_USAGE;
}

#ifndef CLO_NO_SERVE
_Static_assert(sizeof((clo_cli_model *)0)->repo >= sizeof((clo_repo *)0)->full && sizeof((clo_cli_model *)0)->commit >= CLO_OID_HEX,
               "room for a repository's id and a commit's");

static bool tell(void *ctx, const char *path, uint64_t done, uint64_t total)
{
    clo_cli_progress(ctx, path, done, total);
    return true;
}

/* *is_id: it may be the name of a repository. False with CLO_ERR_NOT_FOUND says what is missing. */
static bool find_held(clo_cli_model *out, bool *is_id, const char *model, const char *dir, clo_err *err)
{
    clo_held h = {0};
    clo_held_name n;
    const clo_snapshot_opts o = {.now_s = (int64_t)time(NULL), .progress = tell};
    *is_id = clo_held_parse(&n, clo_str_from(model));
    if (!*is_id || !clo_held_open(&h, dir, model, &o, err)) return false;
    out->place = CLO_MODEL_IN_HUB;
    memcpy(out->path, h.path, sizeof out->path);
    memcpy(out->repo, h.repo.full, sizeof h.repo.full);
    clo_oid_hex(out->commit, &h.commit);
    clo_held_close(&h);
    return true;
}
#endif

static bool copy_err(clo_err *err, const clo_err *from)
{
    if (err) *err = *from;
    return false;
}

bool clo_cli_find_model(clo_cli_model *out, const char *model, const char *data, clo_err *err)
{
    char dir[4096];
    clo_err why = {0};
    *out = (clo_cli_model){0};
    if (clo_path_exists(model)) return clo_path_join(out->path, err, "%s", model);
    if (!clo_cli_data_dir(dir, data, err)) return false;
    out->place = CLO_MODEL_IN_LIBRARY;
    if (clo_library_path(out->path, dir, model, &why)) return true;
    if (!is_absent(&why)) return copy_err(err, &why);
#ifndef CLO_NO_SERVE
    bool is_id = false;
    why = (clo_err){0};
    if (find_held(out, &is_id, model, dir, &why)) return true;
    if (is_id) {
        if (why.code == CLO_ERR_NOT_FOUND) clo_err_context(&why, "model '%.100s': no such file or folder", model);
        return copy_err(err, &why);
    }
#endif
    return clo_fail(err, CLO_ERR_NOT_FOUND,
                    "model '%s': no such file or folder, and no such name in '%s' ('cloche list' shows those)", model,
                    dir);
}

bool clo_cli_model_path(char out[4096], const char *model, const char *data, clo_err *err)
{
    clo_cli_model m;
    if (!clo_cli_find_model(&m, model, data, err)) return false;
    memcpy(out, m.path, sizeof m.path);
    return true;
}

#ifndef CLO_NO_SERVE
typedef struct {
    const clo_sha256 *digest;
    char *path;
    bool found;
} wanted;

static bool is_wanted(void *ctx, const clo_held_note *n)
{
    wanted *w = (wanted *)ctx;
    w->found = clo_sha256_eq(&n->digest, w->digest);
    if (w->found) memcpy(w->path, n->path, sizeof n->path);
    return !w->found;
}
#endif

bool clo_cli_model_of_digest(char out[4096], const clo_sha256 *digest, const char *data, clo_err *err)
{
    char dir[4096], name[CLO_MODEL_NAME_MAX];
    clo_err why = {0};
    if (!clo_cli_data_dir(dir, data, err)) return false;
    if (clo_library_find(name, dir, digest, &why)) return clo_library_path(out, dir, name, err);
#ifndef CLO_NO_SERVE
    wanted w = {digest, out, false};
    if (why.code == CLO_ERR_NOT_FOUND) clo_held_each(dir, is_wanted, &w);
    if (w.found) return true;
#endif
    return copy_err(err, &why);
}
