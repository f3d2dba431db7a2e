/* Takes in a repository's history, branches and tags from elsewhere: another hub, or a clone on disk. What comes is looked at as a
 * push is (push.h), and appears in one transaction.
 *
 *   clo_intake *in = NULL;
 *   if (!clo_intake_open(&in, &opts, &err)) ...
 *   if (!clo_intake_add_ref(in, CLO_STR("refs/heads/main"), &oid, &err)) ...      // as they are there
 *   if (!clo_intake_pack(in, pack, &err)) ...                                    // when there is something new
 *   if (!clo_intake_plan(in, &err)) ...                                          // CLO_ERR_DENIED: a branch went another way
 *   if (!clo_intake_missing(&files, &n, in, &pick, &err)) ...                    // large files: bring them (files.h), for later
 *   if (!clo_intake_brought(in, files, n, &err)) ...
 *   if (!clo_intake_commit(in, &err)) ...
 *   clo_intake_close(in);
 *
 * A branch goes forward, or stays where it is ahead; one that went another way is refused unless `force`. Branches that are not
 * there stay. A large file becomes the repository's when its bytes were brought, or when that gives nothing away (clo_files_is_open): to
 * name it by its digest does not open what is another's. Others are noted as absent: a later intake may bring them. A new repository
 * without a branch main gets one at the first ref. */
#ifndef CLO_HUB_INTAKE_H
#define CLO_HUB_INTAKE_H

#include "hub/files.h"
#include "hub/home.h"
#include "hub/refs.h"
#include "hub/tree.h"

typedef struct clo_intake clo_intake;

typedef struct {
    clo_files files;
    clo_home_opts home;
    bool force;
    int64_t now_s;
} clo_intake_opts;

typedef enum {
    CLO_INTAKE_SAME,
    CLO_INTAKE_NEW,
    CLO_INTAKE_FORWARD,
    CLO_INTAKE_AHEAD,  /* what is here has all of it and more */
    CLO_INTAKE_FORCED, /* what was here is behind no name any more */
} clo_intake_fate;

typedef struct {
    clo_ref ref;
    clo_oid was; /* zero: not there */
    clo_intake_fate fate;
} clo_intake_ref;

CLO_CHECK bool clo_intake_open(clo_intake **out, const clo_intake_opts *o, clo_err *err);
void clo_intake_close(clo_intake *in);
/* The repository is new. */
bool clo_intake_is_new(const clo_intake *in);
/* Its handle; objects of packs that were read are in it. */
clo_git *clo_intake_git(clo_intake *in);

/* refs/heads/ and refs/tags/; others are passed over. */
CLO_CHECK bool clo_intake_add_ref(clo_intake *in, clo_str name, const clo_oid *target, clo_err *err);
/* A commit whose files count as those of a ref, without one. */
CLO_CHECK bool clo_intake_add_tip(clo_intake *in, const clo_oid *commit, clo_err *err);
CLO_CHECK bool clo_intake_pack(clo_intake *in, clo_bytes pack, clo_err *err);
CLO_CHECK bool clo_intake_plan(clo_intake *in, clo_err *err);
size_t clo_intake_refs(const clo_intake *in, const clo_intake_ref **out);

typedef struct {
    bool history; /* also what older commits name; the patterns do not count for those */
    const char *const *include; /* [n_include] globs of paths: of nothing else, when there are any */
    size_t n_include;
    const char *const *exclude;
    size_t n_exclude;
} clo_intake_pick;

/* Large files of the tips that are to be brought, each once: not here, or not open to this repository. The caller frees *out. */
CLO_CHECK bool clo_intake_missing(clo_lfs_pointer **out, size_t *n, clo_intake *in, const clo_intake_pick *pick, clo_err *err);
/* Their bytes came and are here. */
CLO_CHECK bool clo_intake_brought(clo_intake *in, const clo_lfs_pointer *files, size_t n, clo_err *err);

typedef struct {
    clo_repo repo;
    size_t n_objects;         /* that were new */
    size_t n_files, n_absent; /* large files that the repository has now, and lacks, of those that were looked at */
} clo_intake_result;
CLO_CHECK bool clo_intake_commit(clo_intake_result *out, clo_intake *in, clo_err *err);

#endif
