/* See held.h: finding a model's files in a repository, and making them files. */
#include "serve/held.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "hub/revision.h"
#include "infer/library.h"
#include "model/checkpoint.h"

void clo_held_close(clo_held *h)
{
    clo_snapshot_free(&h->files);
    *h = (clo_held){0};
}

bool clo_held_commit(clo_oid *out, clo_git *g, const clo_repo *repo, const char *rev, clo_err *err)
{
    clo_err why = {0};
    if (clo_revision_find(out, g, rev[0] ? clo_str_from(rev) : CLO_STR("main"), &why)) return true;
    if (why.code == CLO_ERR_NOT_FOUND)
        return clo_fail(err, CLO_ERR_NOT_FOUND, "'%.80s' has no revision '%.60s' here ('cloche pull %.80s' brings what is new)", repo->full,
                        rev[0] ? rev : "main", repo->full);
    if (err) *err = why;
    return false;
}

/* --- which files --------------------------------------------------------------------------------------------------*/

#define ENTRIES_MAX 100000 /* files and folders of a commit that are looked at */

/* What may be opened as a folder in Hugging Face's form, and GGUF files, wherever they lie. */
typedef struct {
    clo_snapshot folder, gguf; /* owned */
    bool has_config, has_weights;
} holdings;

static bool add_entry(void *ctx, const clo_entry *e, clo_err *err)
{
    holdings *h = (holdings *)ctx;
    if (e->kind != CLO_ENTRY_FILE || e->is_link || !clo_snapshot_path_ok(e->path)) return true;
    if (clo_str_ends_with(clo_str_from(e->path), CLO_STR(".gguf"))) return clo_snapshot_add(&h->gguf, e, err);
    if (!clo_library_takes(e->path)) return true;
    h->has_config = h->has_config || strcmp(e->path, "config.json") == 0;
    h->has_weights = h->has_weights || strcmp(e->path, "model.safetensors") == 0 || strcmp(e->path, "model.safetensors.index.json") == 0;
    return clo_snapshot_add(&h->folder, e, err);
}

static bool list_files(holdings *h, clo_git *g, const char *data_dir, const clo_repo *repo, const clo_oid *commit, clo_err *err)
{
    const clo_tree_opts o = {.recursive = true, .limit = ENTRIES_MAX};
    bool more = false;
    return clo_snapshot_begin(&h->folder, data_dir, repo, commit, err) && clo_snapshot_begin(&h->gguf, data_dir, repo, commit, err) &&
           clo_tree_each(&more, g, commit, &o, add_entry, h, err) &&
           (!more || clo_fail(err, CLO_ERR_LIMIT, "'%.100s' has more than %d files", repo->full, ENTRIES_MAX));
}

/* The file at index i and, of a split one, all its parts: the others are dropped. */
static bool keep_parts(clo_snapshot *s, size_t i, clo_err *err)
{
    size_t stem = 0, len, n = 0;
    int no, count = 1, parts = 0;
    const clo_snapshot_file first = s->files[i];
    bool split = clo_gguf_split_name(first.path, &stem, &no, &count);
    s->bytes = 0;
    for (size_t k = 0; k < s->n_files; k++) {
        const clo_snapshot_file f = s->files[k];
        int c;
        bool part = k == i || (split && clo_gguf_split_name(f.path, &len, &no, &c) && len == stem && c == count && no != 1 &&
                               memcmp(f.path, first.path, stem) == 0);
        if (part) {
            s->files[n++] = f;
            s->bytes += f.size;
            parts++;
        } else {
            free(f.path);
        }
    }
    s->n_files = n;
    return parts == count || clo_fail(err, CLO_ERR_NOT_FOUND, "%d of the %d parts of a GGUF file are there", parts, count);
}

/* The GGUF model that is meant stays in the list; *path: its file, or its first part. */
static bool choose_gguf(char path[4096], clo_snapshot *s, const char *id, const char *want, clo_err *err)
{
    const char **paths = (const char **)calloc(s->n_files + 1, sizeof *paths);
    size_t *at = (size_t *)calloc(s->n_files + 1, sizeof *at), n = 0, chosen = 0;
    bool ok = (paths && at) || clo_fail(err, CLO_ERR_MEMORY, "list of files");
    for (size_t i = 0; ok && i < s->n_files; i++) {
        if (!clo_held_is_gguf(s->files[i].path, want)) continue;
        paths[n] = s->files[i].path;
        at[n++] = i;
    }
    ok = ok && clo_held_choose(&chosen, paths, n, id, want, err) &&
         clo_path_join(path, err, "%s/%s", s->folder, s->files[at[chosen]].path) && keep_parts(s, at[chosen], err);
    free(paths);
    free(at);
    return ok;
}

bool clo_held_pick(clo_held *out, clo_git *g, const char *data_dir, const clo_repo *repo, const clo_oid *commit, const char *file,
                   clo_err *err)
{
    holdings h = {0};
    *out = (clo_held){.repo = *repo, .commit = *commit};
    bool ok = list_files(&h, g, data_dir, repo, commit, err);
    bool folder = ok && !file[0] && h.has_config && h.has_weights;
    if (ok && !folder && !file[0] && h.gguf.n_files == 0)
        ok = clo_fail(err, CLO_ERR_UNSUPPORTED, "'%.100s' holds no model that can be run: config.json with model.safetensors, or a GGUF file, is expected",
                      repo->full);
    if (ok && folder) ok = clo_path_join(out->path, err, "%s", h.folder.folder);
    else if (ok) ok = choose_gguf(out->path, &h.gguf, repo->full, file, err);
    clo_snapshot *taken = folder ? &h.folder : &h.gguf;
    if (ok) {
        out->files = *taken;
        *taken = (clo_snapshot){0};
    }
    clo_snapshot_free(&h.folder);
    clo_snapshot_free(&h.gguf);
    return ok;
}

/* --- the whole ----------------------------------------------------------------------------------------------------*/

bool clo_held_make(const clo_held *h, const clo_files *f, clo_git *g, const clo_snapshot_opts *o, clo_err *err)
{
    return clo_snapshot_make(&h->files, f, g, o, err);
}

static bool no_repo(clo_err *err, const char *id, const char *data_dir)
{
    return clo_fail(err, CLO_ERR_NOT_FOUND, "no name or repository '%.60s' in '%.60s' ('cloche pull %.60s' brings one)", id, data_dir, id);
}

static bool find_repo(clo_repo *out, clo_db *db, const clo_held_name *n, const char *data_dir, clo_err *err)
{
    clo_err why = {0};
    bool moved;
    if (clo_repo_find(out, &moved, db, CLO_REPO_MODEL, clo_str_from(n->id), &why)) return true;
    if (why.code == CLO_ERR_NOT_FOUND || why.code == CLO_ERR_USAGE) return no_repo(err, n->id, data_dir);
    if (err) *err = why;
    return false;
}

bool clo_held_open(clo_held *out, const char *data_dir, const char *text, const clo_snapshot_opts *o, clo_err *err)
{
    clo_held_name n;
    clo_repo repo;
    clo_oid commit;
    clo_db *db = NULL;
    clo_git *g = NULL;
    *out = (clo_held){0};
    if (!clo_held_parse(&n, clo_str_from(text)) || !clo_db_exists(data_dir))
        return no_repo(err, n.id, data_dir);
    bool ok = clo_db_open(&db, data_dir, err) && find_repo(&repo, db, &n, data_dir, err) && clo_git_open(&g, db, repo.id, err) &&
              clo_held_commit(&commit, g, &repo, n.rev, err) && clo_held_pick(out, g, data_dir, &repo, &commit, n.file, err);
    ok = ok && clo_held_make(out, &(clo_files){.db = db, .data_dir = data_dir}, g, o, err);
    if (!ok) clo_held_close(out);
    clo_git_close(g);
    clo_db_close(db);
    return ok;
}
