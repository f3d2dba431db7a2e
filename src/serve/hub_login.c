/* Signing in and out of the pages, and the tokens of who is signed in. Programs send tokens and need none of this.
 *
 * Tokens are made and ended in a session alone (clo_hub_has_session): a token that leaked could else make itself last for ever. */
#include <stdio.h>
#include <string.h>

#include "hub/identity.h"
#include "hub/session.h"
#include "serve/account.h"
#include "serve/attempts.h"
#include "serve/cookie.h"
#include "serve/hub_handlers.h"
#include "serve/json_out.h"
#include "serve/server_impl.h"

static clo_attempts attempts = CLO_ATTEMPTS_INIT;

/* --- in -----------------------------------------------------------------------------------------------------------*/

/* Whoever signs in is told who it is. */
static void reply_who(clo_hub_call *c, const char *text, int64_t life_s)
{
    json_t *out;
    clo_err err = {0};
    if (!clo_identity_whoami(&out, c->db, &c->who, c->base, &err)) {
        clo_hub_fail_err(c, &err);
        return;
    }
    clo_cookie_set(c->r, text, life_s);
    clo_hub_json(c, 200, out);
}

static bool wrong(clo_hub_call *c)
{
    return clo_hub_fail(c, 401, NULL, "Invalid username or password.");
}

/* False: replied. The account when name and password are right. */
static bool check(clo_account_info *out, clo_hub_call *c, clo_str name, clo_str password)
{
    clo_err err = {0};
    char text[24];
    bool right = false;
    int64_t wait_s = clo_attempts_take(&attempts, name, clo_hub_now());
    if (wait_s > 0) {
        snprintf(text, sizeof text, "%lld", (long long)wait_s);
        clo_reply_header(c->r, "Retry-After", text);
        return clo_hub_fail(c, 429, NULL, "Too many attempts: try again in %lld seconds", (long long)wait_s);
    }
    if (!clo_account_check_password(&right, out, c->db, name, password, &err)) return clo_hub_fail_err(c, &err);
    if (!right) return wrong(c);
    clo_attempts_forget(&attempts, name);
    return true;
}

static void by_password(clo_hub_call *c, clo_str name, clo_str password)
{
    clo_account_info a;
    clo_denial no = {0};
    clo_err err = {0};
    char text[CLO_KEY_TEXT_MAX], bearer[CLO_COOKIE_MAX];
    if (!check(&a, c, name, password)) return;
    if (!clo_db_begin(c->db, &err)) {
        clo_hub_fail_err(c, &err);
        return;
    }
    if (!clo_session_add(text, c->db, a.id, clo_hub_now(), &err) || !clo_db_commit(c->db, &err)) {
        clo_hub_undo(c, &err);
        return;
    }
    snprintf(bearer, sizeof bearer, "Bearer %s", text);
    if (!clo_token_who(&c->who, c->s->keys, bearer, clo_hub_now(), &no)) clo_hub_deny(c, &no);
    else if (!clo_hub_note(c, "session-opened", c->who.id, &err)) clo_hub_fail_err(c, &err);
    else reply_who(c, text, CLO_SESSION_LIFE_S);
}

/* The cookie is the token itself: it may what the token may, as long as that is valid. */
static void by_token(clo_hub_call *c, clo_str token)
{
    clo_denial no = {0};
    char bearer[CLO_COOKIE_MAX];
    if (token.len >= CLO_KEY_TEXT_MAX) {
        wrong(c);
        return;
    }
    snprintf(bearer, sizeof bearer, "Bearer %.*s", (int)token.len, token.ptr);
    if (!clo_token_who(&c->who, c->s->keys, bearer, clo_hub_now(), &no)) clo_hub_deny(c, &no);
    else if (c->who.account == 0) clo_hub_fail(c, 401, NULL, "This is a key for models: the token of a user is expected");
    else reply_who(c, bearer + strlen("Bearer "), 0);
}

void clo_hub_login(clo_hub_call *c)
{
    json_t *body;
    if (clo_cookie_is_foreign(c->r)) {
        clo_hub_fail(c, 403, NULL, "Pages of another server may not sign in here");
        return;
    }
    if (!clo_hub_body(&body, c)) return;
    clo_str token = clo_json_str(body, "token", CLO_STR("")), name = clo_json_str(body, "name", CLO_STR(""));
    clo_str password = clo_json_str(body, "password", CLO_STR(""));
    if (token.len > 0) by_token(c, token);
    else if (name.len > 0 && password.len > 0) by_password(c, name, password);
    else clo_hub_fail(c, 400, NULL, "name and password, or token, are expected");
    json_decref(body);
}

void clo_hub_logout(clo_hub_call *c)
{
    clo_err err = {0};
    if (clo_hub_has_session(c)) {
        bool ok = clo_db_begin(c->db, &err) && clo_token_revoke(NULL, c->db, clo_str_from(c->who.id), clo_hub_now(), &err) &&
                  clo_db_commit(c->db, &err);
        if (!ok && err.code != CLO_ERR_NOT_FOUND) {
            clo_hub_undo(c, &err);
            return;
        }
        if (!ok) clo_db_rollback(c->db);
        if (ok && !clo_hub_note(c, "session-closed", c->who.id, &err)) {
            clo_hub_fail_err(c, &err);
            return;
        }
    }
    if (!clo_cookie_is_foreign(c->r)) clo_cookie_set(c->r, NULL, 0);
    clo_reply(c->r, 200, CLO_TYPE_TEXT, CLO_STR("OK"));
}

/* --- tokens -------------------------------------------------------------------------------------------------------*/

static bool needs_session(clo_hub_call *c)
{
    return clo_hub_has_session(c) || clo_hub_fail(c, 403, NULL, "Tokens are managed by who is signed in with name and password");
}

void clo_hub_tokens(clo_hub_call *c)
{
    json_t *rows, *row;
    size_t i;
    clo_err err = {0};
    if (!needs_session(c)) return;
    if (!clo_token_list(&rows, c->db, c->who.account, false, clo_hub_now(), &err)) {
        clo_hub_fail_err(c, &err);
        return;
    }
    json_array_foreach (rows, i, row) {
        const char *name = json_string_value(json_object_get(row, "name")), *id = json_string_value(json_object_get(row, "id"));
        json_object_set_new(row, "session", json_boolean(name && clo_session_has_name(clo_str_from(name))));
        json_object_set_new(row, "current", json_boolean(id && strcmp(id, c->who.id) == 0));
    }
    clo_hub_json(c, 200, rows);
}

/* {"name", "role": "read"|"write", "scope"?, "expires"?: "90d"}. The token is told once. */
void clo_hub_token_create(clo_hub_call *c)
{
    json_t *body;
    clo_err err = {0};
    char text[CLO_KEY_TEXT_MAX], id[CLO_KEY_ID_LEN + 1];
    if (!needs_session(c) || !clo_hub_body(&body, c)) return;
    const char *name = json_string_value(json_object_get(body, "name")), *scope = json_string_value(json_object_get(body, "scope"));
    const char *expires = json_string_value(json_object_get(body, "expires"));
    clo_str role = clo_json_str(body, "role", CLO_STR("read"));
    clo_token_opts o = {.account = c->who.account,
                        .name = name && *name ? name : NULL,
                        .may_write = clo_str_eq(role, CLO_STR("write")),
                        .scope = scope && *scope ? scope : NULL};
    if (!o.may_write && !clo_str_eq(role, CLO_STR("read"))) clo_hub_fail(c, 400, NULL, "role: read or write is expected");
    else if (expires && *expires && !clo_key_parse_expiry(&o.expires_s, expires, clo_hub_now(), &err)) clo_hub_fail_err(c, &err);
    else if (!clo_db_begin(c->db, &err)) clo_hub_fail_err(c, &err);
    else if (!clo_token_add(text, c->db, &o, clo_hub_now(), &err) || !clo_db_commit(c->db, &err)) clo_hub_undo(c, &err);
    else {
        snprintf(id, sizeof id, "%.*s", CLO_KEY_ID_LEN, text + 3);
        if (clo_hub_note(c, "token-added", id, &err)) clo_hub_json(c, 200, json_pack("{s:s, s:s}", "token", text, "id", id));
        else clo_hub_fail_err(c, &err);
    }
    json_decref(body);
}

/* Whether the token is of who asks. */
static bool is_own(bool *own, clo_hub_call *c, clo_err *err)
{
    json_t *rows, *row;
    size_t i;
    *own = false;
    if (!clo_token_list(&rows, c->db, c->who.account, false, clo_hub_now(), err)) return false;
    json_array_foreach (rows, i, row) *own = *own || clo_str_eq(clo_json_str(row, "id", CLO_STR("")), c->a.x);
    json_decref(rows);
    return true;
}

void clo_hub_token_revoke(clo_hub_call *c)
{
    clo_err err = {0};
    bool own = false;
    char id[CLO_KEY_ID_LEN + 1];
    if (!needs_session(c)) return;
    if (!is_own(&own, c, &err)) {
        clo_hub_fail_err(c, &err);
        return;
    }
    if (!own) {
        clo_hub_fail(c, 404, NULL, "no such token");
        return;
    }
    snprintf(id, sizeof id, "%.*s", CLO_KEY_ID_LEN, c->a.x.ptr);
    if (!clo_db_begin(c->db, &err)) clo_hub_fail_err(c, &err);
    else if (!clo_token_revoke(NULL, c->db, c->a.x, clo_hub_now(), &err) || !clo_db_commit(c->db, &err)) clo_hub_undo(c, &err);
    else if (!clo_hub_note(c, "token-revoked", id, &err)) clo_hub_fail_err(c, &err);
    else clo_reply(c->r, 200, CLO_TYPE_TEXT, CLO_STR("OK"));
}
