/* Refs of a repository: full names such as refs/heads/main, each to one object. See git_db.h for the handle.
 *
 * Changes stand in a transaction; SQLite has one writer at a time, so a compare and a change in one are one step. When
 * refs/heads/main moves, what lists know of the repository is renewed in the same transaction (index.h), whoever moved it. */
#ifndef CLO_HUB_REFS_H
#define CLO_HUB_REFS_H

#include "hub/git_db.h"

#define CLO_REF_NAME_MAX 256 /* bytes, with the NUL */

typedef struct {
    char name[CLO_REF_NAME_MAX];
    clo_oid target; /* a commit, or the tag object of an annotated tag */
} clo_ref;

/* git's own rules (git check-ref-format), UTF-8, at most 255 bytes, and it begins with refs/. What a branch or tag is called
 * must not begin with a dash or refs/, nor be HEAD: on a command line or as a revision it would be something else. */
bool clo_ref_name_ok(clo_str name);
/* A branch or tag called by 40 hex digits. Nobody may make one, for who pins a commit would be led elsewhere; but what comes
 * from a cache keeps its ids so (import.h). */
bool clo_ref_reads_as_id(clo_str name);
/* *found: whether there is such a ref. */
CLO_CHECK bool clo_ref_get(clo_oid *out, bool *found, clo_git *g, clo_str name, clo_err *err);
/* `old`: what it must be now, the zero oid for "not there"; NULL: no matter. CLO_ERR_MISMATCH when it is another. */
CLO_CHECK bool clo_ref_set(clo_git *g, clo_str name, const clo_oid *target, const clo_oid *old, clo_err *err);
CLO_CHECK bool clo_ref_delete(clo_git *g, clo_str name, const clo_oid *old, clo_err *err);
/* Calls fn for each ref whose name begins with `prefix`, in bytewise order. */
typedef bool clo_ref_fn(void *ctx, const clo_ref *ref, clo_err *err);
CLO_CHECK bool clo_ref_each(clo_git *g, clo_str prefix, clo_ref_fn *fn, void *ctx, clo_err *err);

#endif
