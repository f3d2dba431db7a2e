/* Revisions: texts that name a commit, the branches and tags behind them, and history.
 *
 *   clo_oid c;
 *   if (!clo_revision_find(&c, g, CLO_STR("main"), &err)) ...        // CLO_ERR_NOT_FOUND: "Invalid rev id: ..."
 *
 * Order of look-up: a full object id, HEAD (main), refs/..., a branch, a tag, a prefix of 5 or more hex digits that
 * fits one commit. An object id counts when the repository has that object. Changes stand in a transaction of the
 * caller's; error texts are those that clients of the Hub know. */
#ifndef CLO_HUB_REVISION_H
#define CLO_HUB_REVISION_H

#include "hub/author.h"
#include "hub/refs.h"

/* The commit that `rev` names; a tag object is followed to its commit. */
CLO_CHECK bool clo_revision_find(clo_oid *out, clo_git *g, clo_str rev, clo_err *err);
/* The full name of the ref that a commit to `rev` would move: a branch, or refs/pr/N. CLO_ERR_NOT_FOUND when there is
 * none (an object id, a tag, nothing). `head` is its commit. */
CLO_CHECK bool clo_revision_branch(char ref[CLO_REF_NAME_MAX], clo_oid *head, clo_git *g, clo_str rev, clo_err *err);
/* Whether all that the commit `from` leads to is behind the commit `head`. */
CLO_CHECK bool clo_revision_has(bool *yes, clo_git *g, const clo_oid *head, const clo_oid *from, clo_err *err);
/* Follows tag objects. */
CLO_CHECK bool clo_revision_peel(clo_oid *out, clo_git *g, const clo_oid *oid, clo_err *err);

/* --- branches, tags, pull requests ---------------------------------------------------------------------------------*/

/* `start`: a revision; empty: main. CLO_ERR_DENIED "Reference refs/heads/x already exists"; CLO_ERR_USAGE: no name
 * for a branch; CLO_ERR_NOT_FOUND: no such start. */
CLO_CHECK bool clo_branch_create(clo_git *g, clo_str name, clo_str start, clo_err *err);
/* One that begins anew: a commit without files or parents. Errors as above. */
CLO_CHECK bool clo_branch_create_empty(clo_git *g, clo_str name, const clo_author *by, int64_t now_s, clo_err *err);
/* CLO_ERR_DENIED "Cannot delete refs/heads/main"; CLO_ERR_NOT_FOUND "Invalid rev id: x". */
CLO_CHECK bool clo_branch_delete(clo_git *g, clo_str name, clo_err *err);
/* A tag of a revision; annotated when there is a message. Errors as for branches, with refs/tags/x. */
CLO_CHECK bool clo_tag_create(clo_git *g, clo_str name, clo_str rev, clo_str message, const clo_author *by,
                              int64_t now_s, clo_err *err);
CLO_CHECK bool clo_tag_delete(clo_git *g, clo_str name, clo_err *err);
/* refs/pr/<n> at main's head. */
CLO_CHECK bool clo_pull_create(clo_git *g, int64_t n, clo_err *err);

/* Calls fn for each ref under `prefix` (refs/heads/, refs/tags/, refs/pr/, refs/convert/) with its commit. */
typedef bool clo_revision_fn(void *ctx, const clo_ref *ref, const clo_oid *commit, clo_err *err);
CLO_CHECK bool clo_revision_each(clo_git *g, clo_str prefix, clo_revision_fn *fn, void *ctx, clo_err *err);

/* --- history -------------------------------------------------------------------------------------------------------*/

typedef struct {
    clo_oid id, tree;
    const char *title;   /* borrowed until the call ends: the first line */
    const char *message; /* the rest, without the empty line between */
    const char *author, *email;
    int64_t time_s;
} clo_commit_info;

typedef bool clo_commit_fn(void *ctx, const clo_commit_info *c, clo_err *err);
/* Calls fn for commits [skip, skip + limit) of those that `from` leads to, newest first and children before parents.
 * *total: how many there are. */
CLO_CHECK bool clo_history_each(size_t *total, clo_git *g, const clo_oid *from, size_t skip, size_t limit,
                                clo_commit_fn *fn, void *ctx, clo_err *err);
/* One commit. */
CLO_CHECK bool clo_history_get(clo_git *g, const clo_oid *commit, clo_commit_fn *fn, void *ctx, clo_err *err);

/* The branch (or refs/pr/N) becomes one commit without parents, with the tree that it had. */
CLO_CHECK bool clo_history_squash(clo_oid *out, clo_git *g, clo_str branch, clo_str message, const clo_author *by,
                                  int64_t now_s, clo_err *err);

#endif
