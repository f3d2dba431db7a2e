/* A commit from a list of operations on files.
 *
 *   clo_commit *c = NULL;
 *   clo_commit_result r;
 *   if (!clo_commit_open(&c, g, &err)) ...
 *   if (!clo_commit_add(c, &op, &err)) ...                  // each: checked, its bytes hashed, deflated and staged
 *   if (!clo_db_begin(db, &err)) ...
 *   bool ok = clo_commit_write(&r, c, &opts, &err) && clo_db_commit(db, &err);
 *   if (!ok) clo_db_rollback(db);
 *   clo_commit_close(c);                                   // then close g, too, if it was rolled back
 *
 * The costly part is before the transaction. In it: the head is read, compared with parentCommit, the trees are made
 * upon it, rows are written, the ref moves. SQLite has one writer at a time, so commits to a branch stand one after
 * the other, and each is there wholly or not at all.
 *
 * Paths: UTF-8, 1 to 255 bytes between slashes, no empty part, no . or .., no backslash, no control character, no
 * name that git or a file system could take for .git. A file cannot take the place of a folder or stand under a file. */
#ifndef CLO_HUB_COMMIT_H
#define CLO_HUB_COMMIT_H

#include "base/digest.h"
#include "hub/author.h"
#include "hub/git_db.h"

#define CLO_COMMIT_FILE_MAX ((size_t)10 << 20) /* bytes of a file that is not LFS */
#define CLO_COMMIT_OPS_MAX 25000
#define CLO_FOLDER_ENTRIES_MAX 10000

typedef struct clo_commit clo_commit;

typedef enum {
    CLO_OP_FILE,          /* content */
    CLO_OP_LFS,           /* sha256, size */
    CLO_OP_DELETE_FILE,   /* of a folder: the folder */
    CLO_OP_DELETE_FOLDER,
    CLO_OP_COPY,          /* from, from_rev: a file of this repository */
} clo_op_kind;

typedef struct {
    clo_op_kind kind;
    clo_str path;
    clo_bytes content; /* borrowed for the call */
    clo_sha256 sha256;
    int64_t size;     /* of LFS; -1: may_link tells */
    clo_str from;     /* COPY: the path it has at from_rev; FILE and LFS: the path that it had (a rename), or empty */
    clo_str from_rev; /* a revision; empty: the head */
} clo_op;

/* Whether a file may be linked: it is here whole, and this caller may read it. *size: in, what the client says or -1;
 * out, what it is. On false err names the reason. */
typedef bool clo_may_link_fn(void *ctx, const clo_sha256 *sha256, int64_t *size, clo_err *err);

typedef struct {
    clo_str ref;         /* full name: refs/heads/main, refs/pr/1 (clo_revision_branch) */
    bool is_first;       /* the ref is not there yet and the commit has no parent */
    clo_str summary;     /* at least one character */
    clo_str description; /* may be empty */
    clo_str parent;      /* 5 to 40 hex digits that the head must begin with; empty: no matter */
    clo_author author;
    int64_t now_s;
    clo_may_link_fn *may_link; /* NULL: no LFS file may be linked */
    void *may_link_ctx;
} clo_commit_opts;

/* Why a commit was refused, for those who answer in HTTP. */
typedef enum {
    CLO_COMMIT_OK,
    CLO_COMMIT_STALE,     /* 412: the branch is not at parentCommit */
    CLO_COMMIT_NO_BRANCH, /* 404 RevisionNotFound */
    CLO_COMMIT_NO_ENTRY,  /* 404 EntryNotFound: "A file with this name doesn't exist: x" */
    CLO_COMMIT_BAD_PATH,  /* 422 */
    CLO_COMMIT_NO_OBJECT, /* 400: an LFS file that is not here or not the caller's */
    CLO_COMMIT_TOO_LARGE, /* 413 */
    CLO_COMMIT_BAD,       /* 400 */
    CLO_COMMIT_FAILED,    /* 500: the store */
} clo_commit_fault;

typedef struct {
    clo_oid commit, parent;
    bool changed; /* the tree is not the parent's */
} clo_commit_result;

CLO_CHECK bool clo_commit_open(clo_commit **out, clo_git *g, clo_err *err);
/* Copies path, from and from_rev; content is staged before it returns. Operations take effect in their order. */
CLO_CHECK bool clo_commit_add(clo_commit *c, const clo_op *op, clo_err *err);
/* Stands in a transaction. LFS paths that the .gitattributes of the new tree does not cover are added to it. */
CLO_CHECK bool clo_commit_write(clo_commit_result *out, clo_commit *c, const clo_commit_opts *o, clo_err *err);
/* Of the last call that returned false. */
clo_commit_fault clo_commit_why(const clo_commit *c);
void clo_commit_close(clo_commit *c);

/* Begin, write, commit. */
CLO_CHECK bool clo_commit_make(clo_commit_result *out, clo_commit *c, const clo_commit_opts *o, clo_err *err);

/* The rules above. CLO_ERR_USAGE says which one. */
CLO_CHECK bool clo_path_check(clo_str path, clo_err *err);

#endif
