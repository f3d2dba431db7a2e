/* Brings a repository from a hub elsewhere into this data folder, with its commits, branches, tags and large files.
 *
 *   clo_pull_opts o = {.remote = {.endpoint = "https://huggingface.co", .id = "org/name"}, .data_dir = dir};
 *   if (!clo_remote_pull(&r, &o, &err)) ...
 *
 * The order: what there is there, one pack of what is new, a look at all of it, large files several at once, one transaction.
 * Killed before that, the repository is as it was; what came of large files stays under names that the next pull goes on from,
 * and goes with gc after a day. A large file counts when its SHA-256 is the one that its pointer names. */
#ifndef CLO_HUB_REMOTE_PULL_H
#define CLO_HUB_REMOTE_PULL_H

#include "hub/intake.h"
#include "hub/remote.h"

typedef struct {
    clo_remote_opts remote;
    const char *data_dir;
    const char *revision;   /* a branch, a tag, or a commit's full id; NULL: all branches and tags */
    clo_intake_pick pick;   /* which large files */
    bool force;             /* also over branches that went another way here */
    bool make_public;       /* a new repository is public here though it is private there */
    size_t n_jobs;          /* large files at once; 0: 4 */
    int64_t now_s;
    clo_home_note_fn *note;
    void *note_ctx;
    void (*progress)(void *ctx, const char *what, uint64_t done, uint64_t total); /* one thread at a time; may be NULL */
    void *progress_ctx;
} clo_pull_opts;

typedef struct {
    clo_repo repo;
    bool is_new;
    size_t n_refs_changed, n_refs_ahead;
    size_t n_objects;
    size_t n_files_brought, n_absent; /* large files; those that the tips name and that are not here */
    uint64_t bytes_brought;           /* of large files, what was there of them already not counted */
    clo_oid main;
} clo_pull_result;

CLO_CHECK bool clo_remote_pull(clo_pull_result *out, const clo_pull_opts *o, clo_err *err);

#endif
