/* Files and folders of a commit.
 *
 *   clo_entry e;
 *   if (!clo_tree_entry(&e, g, &commit, CLO_STR("a/model.safetensors"), &err)) ...      // CLO_ERR_NOT_FOUND
 *   if (e.is_lfs) serve(e.sha256, e.size); else if (!clo_blob_read(&buf, g, &e.oid, &err)) ...
 *
 * Paths have no slash at their ends; the root is the empty path. */
#ifndef CLO_HUB_TREE_H
#define CLO_HUB_TREE_H

#include "base/digest.h"
#include "hub/git_db.h"

#define CLO_PATH_MAX 4096 /* bytes, with the NUL */
#define CLO_LFS_POINTER_MAX 160

/* A large file's stand-in in git: three lines, exactly as git-lfs writes them. */
typedef struct {
    clo_sha256 sha256;
    uint64_t size;
} clo_lfs_pointer;

/* Strict: version, oid, size, each in its one spelling, nothing after. */
bool clo_lfs_parse(clo_lfs_pointer *out, clo_bytes blob);
/* The bytes of a pointer; returns their number. */
size_t clo_lfs_format(char out[CLO_LFS_POINTER_MAX], const clo_lfs_pointer *p);

typedef enum {
    CLO_ENTRY_FILE,
    CLO_ENTRY_FOLDER,
    CLO_ENTRY_SUBMODULE, /* a commit of another repository */
} clo_entry_kind;

typedef struct {
    clo_entry_kind kind;
    bool is_lfs;
    bool is_link;          /* a symbolic link: its blob is where it leads */
    clo_oid oid;           /* the blob (of the pointer, if LFS) or the tree */
    uint64_t size;         /* bytes of the file, the real ones if LFS; 0 for a folder */
    uint64_t pointer_size; /* if LFS */
    clo_sha256 sha256;     /* if LFS */
    char path[CLO_PATH_MAX];
} clo_entry;

CLO_CHECK bool clo_tree_entry(clo_entry *out, clo_git *g, const clo_oid *commit, clo_str path, clo_err *err);

typedef struct {
    clo_str path; /* the folder; empty: the root */
    bool recursive;
    clo_str after; /* go on after this path; empty: from the first */
    size_t limit;  /* 0: no limit */
} clo_tree_opts;

typedef bool clo_entry_fn(void *ctx, const clo_entry *e, clo_err *err);
/* Calls fn for the entries of a folder in git's order, folders too, each before what is in it. *more: entries are left.
 * CLO_ERR_NOT_FOUND when the path is no folder of the commit. */
CLO_CHECK bool clo_tree_each(bool *more, clo_git *g, const clo_oid *commit, const clo_tree_opts *o, clo_entry_fn *fn,
                             void *ctx, clo_err *err);

/* The commit that last changed each path, out[i] for paths[i], found by walking back from `commit`; a path that it
 * does not have gets the zero oid. At most 10,000 commits are looked at: what is older is told as the oldest of them. */
CLO_CHECK bool clo_tree_last_commits(clo_oid *out, clo_git *g, const clo_oid *commit, const clo_str *paths, size_t n,
                                     clo_err *err);

/* Appends the bytes of a blob. CLO_ERR_NOT_FOUND when it is none of the repository's. */
CLO_CHECK bool clo_blob_read(clo_buf *out, clo_git *g, const clo_oid *oid, clo_err *err);

#endif
