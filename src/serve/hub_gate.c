/* Requests for the files of gated repositories: asked by users, answered by whoever administers the repository. */
#include <string.h>

#include "hub/account.h"
#include "hub/gate.h"
#include "serve/hub_handlers.h"

static bool is_gated(clo_hub_call *c)
{
    return c->repo.gated != CLO_GATED_NO || clo_hub_fail(c, 400, NULL, "This repository is not gated");
}

void clo_hub_gate_list(clo_hub_call *c)
{
    clo_gate_state state;
    json_t *out;
    clo_err err = {0};
    if (!is_gated(c)) return;
    if (!clo_gate_state_parse(&state, c->a.x)) clo_hub_fail(c, 404, NULL, "pending, accepted or rejected is expected");
    else if (clo_gate_list(&out, c->db, c->repo.id, state, &err)) clo_hub_json(c, 200, out);
    else clo_hub_fail_err(c, &err);
}

/* --- answers ------------------------------------------------------------------------------------------------------*/

static bool oid_account(clo_account_info *out, clo_db *db, clo_str oid, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    bool ok = clo_stmt_open(&q, db, "SELECT id FROM accounts WHERE oid = ?1", err) && clo_stmt_text(&q, 1, oid, err) &&
              clo_stmt_step(&q, &row, err);
    int64_t id = ok && row ? clo_stmt_get_int(&q, 0) : 0;
    clo_stmt_close(&q);
    return ok && clo_account_get(out, db, id, err);
}

/* The user that a body names, by name or as the maker of a request. False: replied. */
static bool take_user(clo_account_info *out, clo_hub_call *c, const json_t *body)
{
    clo_err err = {0};
    clo_str name = clo_json_str(body, "user", CLO_STR("")), request = clo_json_str(body, "requestId", CLO_STR(""));
    if ((name.len == 0) == (request.len == 0)) return clo_hub_fail(c, 400, NULL, "either user or requestId is expected");
    bool ok = name.len ? clo_account_find(out, c->db, name, &err) : oid_account(out, c->db, request, &err);
    if (ok && !out->is_org) return true;
    if (ok || err.code == CLO_ERR_NOT_FOUND) return clo_hub_fail(c, 404, NULL, name.len ? "no such user" : "no such request");
    return clo_hub_fail_err(c, &err);
}

/* Ends the transaction and replies. Errors are such as the user may read. */
static void end_answer(clo_hub_call *c, bool ok, clo_err *err)
{
    if (ok && clo_db_commit(c->db, err)) {
        clo_hub_json(c, 200, json_pack("{s:b}", "success", 1));
        return;
    }
    clo_db_rollback(c->db);
    if (err->code == CLO_ERR_NOT_FOUND) clo_hub_fail(c, 404, NULL, "%s", err->text);
    else if (err->code == CLO_ERR_DENIED) clo_hub_fail(c, 400, NULL, "%s", err->text);
    else clo_hub_fail_err(c, err);
}

void clo_hub_gate_handle(clo_hub_call *c)
{
    json_t *body;
    clo_account_info user;
    clo_gate_state state;
    clo_err err = {0};
    if (!is_gated(c) || !clo_hub_body(&body, c)) return;
    clo_str reason = clo_json_str(body, "rejectionReason", CLO_STR(""));
    if (!clo_gate_state_parse(&state, clo_json_str(body, "status", CLO_STR("")))) {
        clo_hub_fail(c, 400, NULL, "status: pending, accepted or rejected is expected");
    } else if (reason.len && state != CLO_GATE_REJECTED) {
        clo_hub_fail(c, 400, NULL, "rejectionReason: only beside the status rejected");
    } else if (take_user(&user, c, body)) {
        bool ok = clo_db_begin(c->db, &err) &&
                  clo_gate_handle(c->db, c->repo.id, user.id, state, reason.len ? reason.ptr : NULL, clo_hub_now(), &err);
        end_answer(c, ok, &err);
    }
    json_decref(body);
}

void clo_hub_gate_grant(clo_hub_call *c)
{
    json_t *body;
    clo_account_info user;
    clo_err err = {0};
    if (!is_gated(c) || !clo_hub_body(&body, c)) return;
    if (take_user(&user, c, body)) {
        bool ok = clo_db_begin(c->db, &err) && clo_gate_grant(c->db, c->repo.id, user.id, clo_hub_now(), &err);
        end_answer(c, ok, &err);
    }
    json_decref(body);
}

/* --- asking -------------------------------------------------------------------------------------------------------*/

/* A form's fields (application/x-www-form-urlencoded): each name with its last value. */
static json_t *form_fields(clo_hub_call *c, clo_str form)
{
    json_t *out = json_object();
    for (size_t at = 0; at < form.len;) {
        clo_str pair = clo_str_from_off(form, at), value;
        pair.len = clo_str_find(pair, 0, '&');
        clo_str raw = {pair.ptr, clo_str_find(pair, 0, '=')}, name = clo_request_unescape(c->r, raw);
        at += pair.len + 1;
        char key[128];
        if (name.len == 0 || name.len >= sizeof key || raw.len != name.len) continue; /* names of our pages are plain */
        memcpy(key, name.ptr, name.len);
        key[name.len] = '\0';
        if (clo_request_param(&value, c->r, form, key, 0)) json_object_set_new(out, key, json_stringn(value.ptr, value.len));
    }
    return out;
}

/* What the user filled in. False: replied. */
static bool take_fields(json_t **out, clo_hub_call *c)
{
    clo_str body = clo_request_body(c->r), type = clo_request_header(c->r, "Content-Type");
    *out = NULL;
    if (body.len == 0) return true;
    if (!clo_str_starts_with(type, CLO_STR("application/x-www-form-urlencoded"))) return clo_hub_body(out, c);
    *out = form_fields(c, body);
    return *out != NULL || clo_hub_fail(c, 503, NULL, "server busy, please try again.  no memory is left");
}

void clo_hub_gate_ask(clo_hub_call *c)
{
    json_t *fields;
    clo_gate_state state = CLO_GATE_NONE;
    clo_err err = {0};
    if (c->who.account == 0) {
        clo_hub_fail(c, 401, NULL, "This needs a token: log in first");
        return;
    }
    if (!c->caller.in_scope) {
        clo_hub_fail(c, 403, NULL, "This token is for another repository");
        return;
    }
    if (!is_gated(c) || !take_fields(&fields, c)) return;
    if (clo_db_begin(c->db, &err) &&
        clo_gate_ask(&state, c->db, c->repo.id, c->who.account, c->repo.gated == CLO_GATED_AUTO, fields, clo_hub_now(), &err) &&
        clo_db_commit(c->db, &err))
        clo_hub_json(c, 200, json_pack("{s:s}", "status", clo_gate_state_name(state)));
    else clo_hub_undo(c, &err);
    json_decref(fields);
}
