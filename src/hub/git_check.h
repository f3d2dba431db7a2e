/* Reads every repository back: each object's bytes have its name, whatever a ref leads to is there, and each pointer to
 * a large file names one that the repository has. Large files themselves: fsck.h.
 *
 *   clo_git_check_counts n;
 *   if (!clo_git_check(&n, &files, report, ctx, &err)) ...       // false: the check itself could not go on
 *
 * Others may work meanwhile; no transaction is held open. */
#ifndef CLO_HUB_GIT_CHECK_H
#define CLO_HUB_GIT_CHECK_H

#include "hub/fsck.h"

typedef struct {
    uint64_t n_repos, n_refs, n_objects; /* that were looked at; objects of each repository */
    uint64_t bytes;                      /* of objects, inflated */
    uint64_t faults;
} clo_git_check_counts;

/* kind: "object", "ref" or "pointer"; name: the repository's id, a space, and an object or a ref. */
CLO_CHECK bool clo_git_check(clo_git_check_counts *out, const clo_files *f, clo_fsck_report *report, void *ctx,
                             clo_err *err);

#endif
