/* Requests for the files of gated repositories: a user asks, an owner accepts or rejects, or lets someone in unasked.
 *
 *   clo_gate_state state;
 *   clo_gate_ask(&state, db, repo, user, gated_is_auto, fields, now_s, &err)     // accepted at once where it is automatic
 *   clo_gate_handle(db, repo, user, CLO_GATE_ACCEPTED, NULL, now_s, &err)
 *   clo_gate_state_of(&who.gate, db, repo, user, &err)                            // for access.h
 *
 * Repositories and users go by their numbers in the database. Functions that change something stand in a transaction of the
 * caller's. */
#ifndef CLO_HUB_GATE_H
#define CLO_HUB_GATE_H

#include "base/json.h"
#include "hub/access.h"
#include "store/db.h"

#define CLO_GATE_REASON_MAX 1000   /* bytes of why a request is rejected */
#define CLO_GATE_FIELDS_MAX 16384  /* bytes of what a user filled in, as JSON */

const char *clo_gate_state_name(clo_gate_state state); /* "none", "pending", "accepted", "rejected" */
/* False for other words, and for "none". */
bool clo_gate_state_parse(clo_gate_state *out, clo_str text);

CLO_CHECK bool clo_gate_state_of(clo_gate_state *out, clo_db *db, int64_t repo, int64_t user, clo_err *err);

/* fields: an object of what the user filled in, or NULL. A request that is there stays as it is, but for one that waits
 * where acceptance has become automatic. *out is what it is then. */
CLO_CHECK bool clo_gate_ask(clo_gate_state *out, clo_db *db, int64_t repo, int64_t user, bool automatic, const json_t *fields,
                            int64_t now_s, clo_err *err);
/* Puts a request into another state; back to pending too. CLO_ERR_NOT_FOUND when the user never asked, CLO_ERR_DENIED when it is
 * in that state. reason: NULL, or why it is rejected. */
CLO_CHECK bool clo_gate_handle(clo_db *db, int64_t repo, int64_t user, clo_gate_state state, const char *reason, int64_t now_s,
                               clo_err *err);
/* Accepts a user who may never have asked. CLO_ERR_DENIED when accepted already. */
CLO_CHECK bool clo_gate_grant(clo_db *db, int64_t repo, int64_t user, int64_t now_s, clo_err *err);
/* Ends all requests of a repository that is removed. */
CLO_CHECK bool clo_gate_forget(clo_db *db, int64_t repo, clo_err *err);

/* The requests in a state, oldest first, as clients read them: [{"user": {"user", "fullname", "email"}, "requestId", "status",
 * "timestamp", "fields", "rejectionReason"}]; e-mail and reason only where there is one. A request's id is its user's, for a user has
 * one request in a repository. */
CLO_CHECK bool clo_gate_list(json_t **out, clo_db *db, int64_t repo, clo_gate_state state, clo_err *err);

#endif
