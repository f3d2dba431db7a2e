/* Makes a repository of what lies on disk: a folder, a file, a clone of git, a repository in huggingface_hub's cache.
 *
 *   clo_import_repo_opts o = {.files = {db, data_dir}, .home = {.type = CLO_REPO_MODEL, .id = "lab/tiny"}, .source = "./tiny"};
 *   if (!clo_import_repo(&r, &o, &err)) ...
 *
 *   folder, file   one commit on main. A folder is then what main has; a file stands beside what main has. A folder's .git and
 *                  .cache are left out; symbolic links are followed within the folder.
 *   clone          every object behind its branches (those of origin too, where no local one has the name) and tags, as intake.h
 *                  takes them; large files from its lfs/objects
 *   cache          models--org--name of a Hugging Face cache: a commit for each snapshot, the oldest first and that of refs/main
 *                  last; its other refs become branches, and each snapshot gets a tag named after the commit that it was
 *
 * Large files are copied into the store, read twice and counted when their SHA-256 is right; then all appears in one transaction. */
#ifndef CLO_HUB_IMPORT_H
#define CLO_HUB_IMPORT_H

#include "hub/files.h"
#include "hub/home.h"
#include "hub/tree.h"

#define CLO_IMPORT_FILES_MAX 25000 /* of a folder, a snapshot */

typedef struct {
    clo_files files;
    clo_home_opts home;
    const char *source;
    const char *message; /* of the commit; NULL: a default */
    bool force;          /* of a clone: also over branches that went another way here */
    int64_t now_s;
    void (*progress)(void *ctx, const char *what, uint64_t done, uint64_t total); /* may be NULL */
    void *progress_ctx;
} clo_import_repo_opts;

typedef struct {
    clo_repo repo;
    const char *kind; /* "folder", "file", "clone", "cache" */
    bool is_new;
    size_t n_commits; /* that were made; 0 for a clone */
    size_t n_refs, n_objects, n_files, n_absent; /* of a clone: as intake.h tells; large files otherwise */
    clo_oid main;
} clo_import_result;

CLO_CHECK bool clo_import_repo(clo_import_result *out, const clo_import_repo_opts *o, clo_err *err);

#endif
