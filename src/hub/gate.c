/* See gate.h. */
#include "hub/gate.h"

#include <stdlib.h>
#include <string.h>

#include "hub/stamp.h"

static const char *const names[] = {"none", "pending", "accepted", "rejected"};

const char *clo_gate_state_name(clo_gate_state state)
{
    return names[state];
}

bool clo_gate_state_parse(clo_gate_state *out, clo_str text)
{
    for (int s = CLO_GATE_PENDING; s <= CLO_GATE_REJECTED; s++) {
        if (!clo_str_eq(text, clo_str_from(names[s]))) continue;
        *out = (clo_gate_state)s;
        return true;
    }
    return false;
}

/* Runs a statement on (repo, user); *row: whether it gave one. The caller closes it. */
static bool run(clo_stmt *q, bool *row, clo_db *db, const char *sql, int64_t repo, int64_t user, clo_err *err)
{
    return clo_stmt_open(q, db, sql, err) && clo_stmt_int(q, 1, repo, err) && clo_stmt_int(q, 2, user, err) &&
           clo_stmt_step(q, row, err);
}

bool clo_gate_state_of(clo_gate_state *out, clo_db *db, int64_t repo, int64_t user, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    *out = CLO_GATE_NONE;
    bool ok = run(&q, &row, db, "SELECT status FROM gated_requests WHERE repo = ?1 AND user = ?2", repo, user, err);
    if (ok && row && !clo_gate_state_parse(out, clo_stmt_get_str(&q, 0)))
        ok = clo_fail(err, CLO_ERR_DAMAGED, "database: no state of a request");
    clo_stmt_close(&q);
    return ok;
}

static bool put(clo_db *db, int64_t repo, int64_t user, clo_gate_state state, const char *reason, const char *fields,
                int64_t now_s, clo_err *err)
{
    clo_stmt q = {0};
    bool row;
    bool ok = clo_stmt_open(&q, db,
                            "INSERT INTO gated_requests (repo, user, status, time, reason, fields) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
                            " ON CONFLICT DO UPDATE SET status = ?3, time = ?4, reason = ?5",
                            err) &&
              clo_stmt_int(&q, 1, repo, err) && clo_stmt_int(&q, 2, user, err) &&
              clo_stmt_text(&q, 3, clo_str_from(clo_gate_state_name(state)), err) && clo_stmt_int(&q, 4, now_s, err) &&
              (reason ? clo_stmt_text(&q, 5, clo_str_from(reason), err) : clo_stmt_null(&q, 5, err)) &&
              (fields ? clo_stmt_text(&q, 6, clo_str_from(fields), err) : clo_stmt_null(&q, 6, err)) &&
              clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    return ok;
}

bool clo_gate_ask(clo_gate_state *out, clo_db *db, int64_t repo, int64_t user, bool automatic, const json_t *fields,
                  int64_t now_s, clo_err *err)
{
    clo_gate_state now = CLO_GATE_NONE, next = automatic ? CLO_GATE_ACCEPTED : CLO_GATE_PENDING;
    if (!clo_gate_state_of(&now, db, repo, user, err)) return false;
    bool stays = now == CLO_GATE_ACCEPTED || now == CLO_GATE_REJECTED || now == next;
    *out = stays ? now : next;
    if (stays) return true;
    char *text = fields ? json_dumps(fields, JSON_COMPACT) : NULL;
    bool ok = (text || !fields) || clo_fail(err, CLO_ERR_MEMORY, "request for access");
    if (ok && text && (!json_is_object(fields) || strlen(text) > CLO_GATE_FIELDS_MAX))
        ok = clo_fail(err, CLO_ERR_LIMIT, "the fields of a request are an object of up to %d bytes", CLO_GATE_FIELDS_MAX);
    ok = ok && put(db, repo, user, next, NULL, text, now_s, err);
    free(text);
    return ok;
}

bool clo_gate_handle(clo_db *db, int64_t repo, int64_t user, clo_gate_state state, const char *reason, int64_t now_s, clo_err *err)
{
    clo_gate_state now = CLO_GATE_NONE;
    if (reason && strlen(reason) > CLO_GATE_REASON_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "a reason of %zu bytes, at most %d", strlen(reason), CLO_GATE_REASON_MAX);
    if (!clo_gate_state_of(&now, db, repo, user, err)) return false;
    if (now == CLO_GATE_NONE) return clo_fail(err, CLO_ERR_NOT_FOUND, "the user has not asked for access");
    if (now == state) return clo_fail(err, CLO_ERR_DENIED, "the request is %s already", clo_gate_state_name(state));
    return put(db, repo, user, state, state == CLO_GATE_REJECTED ? reason : NULL, NULL, now_s, err);
}

bool clo_gate_grant(clo_db *db, int64_t repo, int64_t user, int64_t now_s, clo_err *err)
{
    clo_gate_state now = CLO_GATE_NONE;
    if (!clo_gate_state_of(&now, db, repo, user, err)) return false;
    if (now == CLO_GATE_ACCEPTED) return clo_fail(err, CLO_ERR_DENIED, "the user has access already");
    return put(db, repo, user, CLO_GATE_ACCEPTED, NULL, NULL, now_s, err);
}

bool clo_gate_forget(clo_db *db, int64_t repo, clo_err *err)
{
    clo_stmt q = {0};
    bool row;
    bool ok = clo_stmt_open(&q, db, "DELETE FROM gated_requests WHERE repo = ?1", err) && clo_stmt_int(&q, 1, repo, err) &&
              clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    return ok;
}

/* --- listing ------------------------------------------------------------------------------------------------------*/

static void set_text(json_t *o, const char *key, clo_stmt *q, int i)
{
    clo_str s = clo_stmt_get_str(q, i);
    if (!clo_stmt_is_null(q, i)) json_object_set_new(o, key, json_stringn(s.ptr, s.len));
}

static json_t *request_json(clo_stmt *q)
{
    char time[CLO_STAMP_LEN + 1];
    json_t *fields = NULL, *user = json_object();
    if (clo_stmt_is_null(q, 5) || !clo_json_parse(&fields, clo_stmt_get_str(q, 5), CLO_GATE_FIELDS_MAX, NULL)) fields = json_object();
    set_text(user, "user", q, 0);
    set_text(user, "fullname", q, 1);
    set_text(user, "email", q, 2);
    json_t *r = json_pack("{s:o, s:s, s:s, s:o}", "user", user, "status", clo_stmt_get_str(q, 3).ptr, "timestamp",
                          clo_stamp(time, clo_stmt_get_int(q, 4)), "fields", fields);
    if (r) set_text(r, "rejectionReason", q, 6);
    if (r) set_text(r, "requestId", q, 7);
    return r;
}

bool clo_gate_list(json_t **out, clo_db *db, int64_t repo, clo_gate_state state, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    json_t *list = json_array();
    bool ok = list || clo_fail(err, CLO_ERR_MEMORY, "list of requests");
    ok = ok &&
         clo_stmt_open(&q, db,
                       "SELECT a.name, coalesce(a.fullname, a.name), a.email, r.status, r.time, r.fields, r.reason, a.oid"
                       " FROM gated_requests r JOIN accounts a ON a.id = r.user WHERE r.repo = ?1 AND r.status = ?2"
                       " ORDER BY r.time, a.name",
                       err) &&
         clo_stmt_int(&q, 1, repo, err) && clo_stmt_text(&q, 2, clo_str_from(clo_gate_state_name(state)), err);
    while (ok && (ok = clo_stmt_step(&q, &row, err)) && row)
        ok = json_array_append_new(list, request_json(&q)) == 0 || clo_fail(err, CLO_ERR_MEMORY, "list of requests");
    clo_stmt_close(&q);
    if (ok) *out = list;
    else json_decref(list);
    return ok;
}
