/* Where a repository that comes from elsewhere goes: the one of that id in this data folder, or a new one without commits, whose
 * namespace becomes an organisation without members when no account has the name.
 *
 *   clo_home_opts o = {.type = CLO_REPO_MODEL, .id = "org/name", .note = note};
 *   if (!clo_home_find(&repo, &found, db, &o, &err)) ...           // any time
 *   if (!clo_home_make(&repo, db, &o, now_s, &err)) ...            // in the transaction that also writes its commits */
#ifndef CLO_HUB_HOME_H
#define CLO_HUB_HOME_H

#include "hub/repo.h"

/* Told in the transaction of an account that was made: for a log. */
typedef bool clo_home_note_fn(void *ctx, clo_db *db, const char *event, const char *whom, clo_err *err);

typedef struct {
    clo_repo_type type;
    const char *id;
    bool is_private; /* of a new one */
    clo_gated gated;
    clo_home_note_fn *note; /* may be NULL */
    void *note_ctx;
} clo_home_opts;

/* An id that leads to another one is CLO_ERR_NOT_FOUND: what comes would land under a name that nobody gave. */
CLO_CHECK bool clo_home_find(clo_repo *out, bool *found, clo_db *db, const clo_home_opts *o, clo_err *err);
CLO_CHECK bool clo_home_make(clo_repo *out, clo_db *db, const clo_home_opts *o, int64_t now_s, clo_err *err);

#endif
