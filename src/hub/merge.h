/* Merging a revision into a branch, and what differs between two revisions: what pull requests ask.
 *
 *   bool conflicts;
 *   if (!clo_merge_check(&conflicts, g, &main, &pr, &err)) ...
 *   if (!clo_db_begin(db, &err)) ...
 *   if (!clo_merge_into(&merged, g, CLO_STR("refs/heads/main"), &pr, message, &by, now_s, &err)) ... // CLO_ERR_MISMATCH */
#ifndef CLO_HUB_MERGE_H
#define CLO_HUB_MERGE_H

#include "hub/author.h"
#include "hub/git_db.h"

/* Whether merging `from` into `into` leaves something that only a person can decide. */
CLO_CHECK bool clo_merge_check(bool *conflicts, clo_git *g, const clo_oid *into, const clo_oid *from, clo_err *err);

/* Calls fn for each path of such, in git's order, until it returns false. */
typedef bool clo_conflict_fn(void *ctx, clo_str path, clo_err *err);
CLO_CHECK bool clo_merge_conflicts(clo_git *g, const clo_oid *into, const clo_oid *from, clo_conflict_fn *fn, void *ctx,
                                   clo_err *err);

/* In a transaction. The branch gets a commit with two parents, its head and `from`, and the merged files; when it has all of
 * `from` already, *out is its head and nothing is written. CLO_ERR_MISMATCH that names paths when there are conflicts;
 * CLO_ERR_NOT_FOUND when there is no such branch. */
CLO_CHECK bool clo_merge_into(clo_oid *out, clo_git *g, clo_str ref, const clo_oid *from, clo_str message, const clo_author *by,
                              int64_t now_s, clo_err *err);

#endif
