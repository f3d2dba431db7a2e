/* Files of a commit as files of a folder, for what needs paths: a model is mapped, not read through a database.
 *
 *   <data>/snapshots/<repository's oid>/<digest of the list of files>/<path>
 *
 * A large file is a hard link to the one under lfs/ (one that came by Xet is put together there first, once), a small one a copy.
 * Commits in which the wanted files are the same share a folder. All of it is a cache, for what a list of digests names stays what
 * it is: what is missing is made again, and the sweep (sweep.h) takes what was not used for a while, or is of no repository any
 * more. A name appears with all its bytes, so a process that is killed leaves some of the files, and the next one makes the rest.
 *
 *   clo_snapshot s = {0};
 *   if (!clo_snapshot_add(&s, &entry, &err)) ...               // each file that is wanted
 *   if (!clo_snapshot_place(&s, data_dir, &repo, &err)) ...    // now s.folder is known
 *   if (!clo_snapshot_make(&s, &files, git, &opts, &err)) ...  // now they lie there
 *   clo_snapshot_free(&s);
 *
 * Several processes may make the same one at once. */
#ifndef CLO_HUB_SNAPSHOT_H
#define CLO_HUB_SNAPSHOT_H

#include "hub/files.h"
#include "hub/repo.h"
#include "hub/sweep.h"
#include "hub/tree.h"

typedef struct {
    char *path; /* owned */
    bool is_lfs;
    clo_oid oid;       /* of the blob, or of the pointer if LFS */
    clo_sha256 sha256; /* if LFS */
    uint64_t size;
} clo_snapshot_file;

typedef struct {
    char folder[4096];
    clo_snapshot_file *files; /* [n_files] owned */
    size_t n_files, cap;
    uint64_t bytes; /* of all files */
} clo_snapshot;

/* false ends the work (CLO_ERR_CANCELLED). */
typedef bool clo_snapshot_progress(void *ctx, const char *path, uint64_t done, uint64_t total);

typedef struct {
    int64_t now_s;
    clo_snapshot_progress *progress; /* of files that are put together; may be NULL */
    void *progress_ctx;
} clo_snapshot_opts;

/* Whether a path may be a file's here: no part of it is hidden or leads out. */
bool clo_snapshot_path_ok(const char *path);
/* CLO_ERR_UNSUPPORTED for a path that may not. */
CLO_CHECK bool clo_snapshot_add(clo_snapshot *s, const clo_entry *e, clo_err *err);
CLO_CHECK bool clo_snapshot_place(clo_snapshot *s, const char *data_dir, const clo_repo *repo, clo_err *err);
/* g: of the repository. CLO_ERR_NOT_FOUND when the bytes of a large file are not the repository's here. */
CLO_CHECK bool clo_snapshot_make(const clo_snapshot *s, const clo_files *f, clo_git *g, const clo_snapshot_opts *o, clo_err *err);
void clo_snapshot_free(clo_snapshot *s);

#endif
