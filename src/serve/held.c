/* See held.h: finding a model's files in a repository, and making them files. */
#include "serve/held.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "hub/revision.h"
#include "infer/library.h"
#include "model/checkpoint.h"

#define NOTE ".model" /* in a snapshot: which model it is */
#define NOTE_BYTES_MAX ((size_t)64 << 10)

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
    if (!clo_library_takes(e->path) || clo_str_ends_with(clo_str_from(e->path), CLO_STR(".md"))) return true; /* a new card is no new model */
    h->has_config = h->has_config || strcmp(e->path, "config.json") == 0;
    h->has_weights = h->has_weights || strcmp(e->path, "model.safetensors") == 0 || strcmp(e->path, "model.safetensors.index.json") == 0;
    return clo_snapshot_add(&h->folder, e, err);
}

static bool list_files(holdings *h, clo_git *g, const clo_repo *repo, const clo_oid *commit, clo_err *err)
{
    const clo_tree_opts o = {.recursive = true, .limit = ENTRIES_MAX};
    bool more = false;
    return clo_tree_each(&more, g, commit, &o, add_entry, h, err) &&
           (!more || clo_fail(err, CLO_ERR_LIMIT, "'%.100s' has more than %d files", repo->full, ENTRIES_MAX));
}

/* The file at index i and, of a split one, all its parts: the others are dropped. */
static bool keep_parts(clo_snapshot *s, size_t i, clo_err *err)
{
    size_t stem = 0, len, n = 0;
    int no, count = 1, parts = 0;
    const clo_snapshot_file first = s->files[i];
    bool split = clo_gguf_split_name(first.path, &stem, &no, &count);
    if (!split) count = 1;
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

/* The GGUF model that is meant stays in the list, its first file first. */
static bool choose_gguf(clo_snapshot *s, const char *id, const char *want, clo_err *err)
{
    const char **paths = (const char **)calloc(s->n_files + 1, sizeof *paths);
    size_t *at = (size_t *)calloc(s->n_files + 1, sizeof *at), n = 0, chosen = 0;
    bool ok = (paths && at) || clo_fail(err, CLO_ERR_MEMORY, "list of files");
    for (size_t i = 0; ok && i < s->n_files; i++) {
        if (!clo_held_is_gguf(s->files[i].path, want)) continue;
        paths[n] = s->files[i].path;
        at[n++] = i;
    }
    ok = ok && clo_held_choose(&chosen, paths, n, id, want, err) && keep_parts(s, at[chosen], err);
    free(paths);
    free(at);
    return ok;
}

bool clo_held_pick(clo_held *out, clo_git *g, const char *data_dir, const clo_repo *repo, const clo_oid *commit, const char *file,
                   clo_err *err)
{
    holdings h = {0};
    *out = (clo_held){.repo = *repo, .commit = *commit};
    snprintf(out->file, sizeof out->file, "%s", file);
    bool ok = list_files(&h, g, repo, commit, err);
    bool folder = ok && !file[0] && h.has_config && h.has_weights;
    if (ok && !folder && !file[0] && h.gguf.n_files == 0)
        ok = clo_fail(err, CLO_ERR_UNSUPPORTED, "'%.100s' holds no model that can be run: config.json with model.safetensors, or a GGUF file, is expected",
                      repo->full);
    clo_snapshot *taken = folder ? &h.folder : &h.gguf;
    ok = ok && (folder || choose_gguf(taken, repo->full, file, err)) && clo_snapshot_place(taken, data_dir, repo, err) &&
         clo_path_join(out->path, err, "%s%s%s", taken->folder, folder ? "" : "/", folder ? "" : taken->files[0].path);
    if (ok) {
        out->files = *taken;
        *taken = (clo_snapshot){0};
    }
    clo_snapshot_free(&h.folder);
    clo_snapshot_free(&h.gguf);
    return ok;
}

/* --- the whole ----------------------------------------------------------------------------------------------------*/

static bool file_digest(clo_sha256 *out, const clo_snapshot_file *file, clo_git *g, clo_err *err)
{
    clo_buf text = {0};
    *out = file->sha256;
    if (file->is_lfs) return true;
    bool ok = clo_blob_read(&text, g, &file->oid, err);
    if (ok) *out = clo_sha256_of(text.ptr ? text.ptr : "", text.len);
    clo_buf_free(&text);
    return ok;
}

/* The model's digest, as receipts have it. Files of a commit are in the order that it is made in. */
static bool model_digest(clo_sha256 *out, const clo_held *h, clo_git *g, clo_err *err)
{
    clo_sha256_ctx root;
    bool ok = true;
    clo_sha256_begin(&root);
    for (size_t i = 0; ok && i < h->files.n_files; i++) {
        clo_sha256 d;
        if (!clo_library_in_digest(h->files.files[i].path)) continue;
        ok = file_digest(&d, &h->files.files[i], g, err);
        if (ok) clo_sha256_add(&root, d.b, sizeof d.b);
    }
    *out = clo_sha256_end(&root);
    return ok;
}

/* What clo_held_each reads. */
static bool write_note(const clo_held *h, clo_git *g, clo_err *err)
{
    char path[4096], digest[65], commit[CLO_OID_HEX];
    clo_sha256 d;
    if (!clo_path_join(path, err, "%s/" NOTE, h->files.folder)) return false;
    if (clo_path_exists(path)) return true;
    if (!model_digest(&d, h, g, err)) return false;
    clo_sha256_hex(digest, &d);
    clo_oid_hex(commit, &h->commit);
    json_t *o = json_pack("{s:s, s:s, s:s, s:s}", "digest", digest, "commit", commit, "file", h->file, "opens",
                          h->path + strlen(h->files.folder));
    char *text = o ? json_dumps(o, JSON_INDENT(2)) : NULL;
    json_decref(o);
    if (!text) return clo_fail(err, CLO_ERR_FORMAT, "the name of a file that is not UTF-8");
    bool ok = clo_file_write_atomic(path, (clo_bytes){(const uint8_t *)text, strlen(text)}, err);
    free(text);
    return ok;
}

bool clo_held_make(const clo_held *h, const clo_files *f, clo_git *g, const clo_snapshot_opts *o, clo_err *err)
{
    return clo_snapshot_make(&h->files, f, g, o, err) && write_note(h, g, err);
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

/* --- by digest ----------------------------------------------------------------------------------------------------*/

/* The note of a snapshot; one that is damaged is none. */
static bool read_note(clo_held_note *out, const char *folder)
{
    char path[4096];
    clo_str text;
    clo_arena arena = clo_arena_make(2 * NOTE_BYTES_MAX);
    json_t *o = NULL;
    bool ok = clo_path_join(path, NULL, "%s/" NOTE, folder) && clo_file_read(&text, path, NOTE_BYTES_MAX, &arena, NULL) &&
              clo_json_parse(&o, text, NOTE_BYTES_MAX, NULL);
    clo_str digest = clo_json_str(o, "digest", CLO_STR("")), opens = clo_json_str(o, "opens", CLO_STR(""));
    clo_str file = clo_json_str(o, "file", CLO_STR(""));
    ok = ok && clo_sha256_parse(&out->digest, digest.ptr, digest.len) && clo_oid_parse(&out->commit, clo_json_str(o, "commit", CLO_STR(""))) &&
         file.len < sizeof out->file && (opens.len == 0 || clo_snapshot_path_ok(opens.ptr + 1)) &&
         clo_path_join(out->path, NULL, "%s%s", folder, opens.ptr);
    if (ok) snprintf(out->file, sizeof out->file, "%s", file.ptr);
    json_decref(o);
    clo_arena_free(&arena);
    return ok && clo_path_exists(out->path);
}

/* The snapshots of a repository. False: fn ended it. */
static bool each_of(const char *repo_folder, const char *oid, clo_held_fn *fn, void *ctx)
{
    char folder[4096];
    bool more = true;
    DIR *d = opendir(repo_folder);
    if (!d) return true;
    for (struct dirent *e; more && (e = readdir(d));) {
        clo_held_note n = {0};
        if (e->d_name[0] == '.' || !clo_path_join(folder, NULL, "%s/%s", repo_folder, e->d_name) || !read_note(&n, folder)) continue;
        snprintf(n.repo_oid, sizeof n.repo_oid, "%.24s", oid);
        more = fn(ctx, &n);
    }
    closedir(d);
    return more;
}

void clo_held_each(const char *data_dir, clo_held_fn *fn, void *ctx)
{
    char root[4096], folder[4096];
    bool more = true;
    DIR *d = clo_path_join(root, NULL, "%s/snapshots", data_dir) ? opendir(root) : NULL;
    if (!d) return;
    for (struct dirent *e; more && (e = readdir(d));)
        if (strlen(e->d_name) == 24 && clo_path_join(folder, NULL, "%s/%s", root, e->d_name)) more = each_of(folder, e->d_name, fn, ctx);
    closedir(d);
}
