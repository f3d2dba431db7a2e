/* See token.h: the book. token_who.c has the server's side. */
#include "hub/token.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "hub/keys_impl.h"
#include "hub/session.h"

#define REPO_NAME_MAX 96 /* bytes */

/* --- what may stand in a token ------------------------------------------------------------------------------------*/

static bool name_check(const char *name, clo_err *err)
{
    clo_str s = clo_str_from(name);
    bool ok = s.len > 0 && s.len < CLO_KEY_NAME_MAX && clo_utf8_valid(s);
    for (size_t i = 0; ok && i < s.len; i++) ok = (unsigned char)s.ptr[i] >= ' ' && s.ptr[i] != 0x7f;
    return ok || clo_fail(err, CLO_ERR_USAGE, "the name of a token is one line of 1 to %d bytes", CLO_KEY_NAME_MAX - 1);
}

bool clo_token_parse_scope(char out[CLO_TOKEN_SCOPE_MAX], clo_str text, clo_err *err)
{
    static const clo_str kinds[] = {CLO_STR("models/"), CLO_STR("datasets/"), CLO_STR("spaces/")};
    clo_str kind = kinds[0], rest = text;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (clo_str_starts_with(text, kinds[i])) {
            kind = kinds[i];
            rest = clo_str_from_off(text, kind.len);
        }
    size_t slash = clo_str_find(rest, 0, '/');
    clo_str name = clo_str_from_off(rest, slash + 1);
    if (slash >= rest.len || !clo_account_name_check((clo_str){rest.ptr, slash}, NULL) ||
        !clo_account_name_fits(name, REPO_NAME_MAX))
        return clo_fail(err, CLO_ERR_USAGE, "'%.*s' is no repository: 'lab/m', 'datasets/lab/d' or 'spaces/lab/s' is expected",
                        (int)(text.len > 120 ? 120 : text.len), text.ptr);
    int n = snprintf(out, CLO_TOKEN_SCOPE_MAX, CLO_STR_FMT CLO_STR_FMT, CLO_STR_ARG(kind), CLO_STR_ARG(rest));
    return n < CLO_TOKEN_SCOPE_MAX || clo_fail(err, CLO_ERR_LIMIT, "the repository's name is too long");
}

/* --- making and ending --------------------------------------------------------------------------------------------*/

static bool name_is_free(clo_db *db, const clo_token_opts *o, const char *name, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    bool ok = clo_stmt_open(&q, db, "SELECT 1 FROM keys WHERE account = ?1 AND name = ?2 AND revoked IS NULL", err) &&
              clo_stmt_int(&q, 1, o->account, err) && clo_stmt_text(&q, 2, clo_str_from(name), err) &&
              clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    return ok && (!row || clo_fail(err, CLO_ERR_DENIED, "there is a token '%s' of this user", name));
}

/* The repository of a scope; 0: there is none of that name. */
static bool find_repo(int64_t *out, clo_db *db, const char *scope, clo_err *err)
{
    clo_str s = clo_str_from(scope);
    size_t kind = clo_str_find(s, 0, '/'), slash = clo_str_find(s, kind + 1, '/');
    clo_stmt q = {0};
    bool row = false;
    bool ok = clo_stmt_open(&q, db,
                            "SELECT r.id FROM accounts a JOIN repos r ON r.namespace = a.id WHERE r.type = ?1 AND a.name = ?2 AND r.name = ?3",
                            err) &&
              clo_stmt_text(&q, 1, (clo_str){s.ptr, kind - 1}, err) && /* "models" without its s */
              clo_stmt_text(&q, 2, (clo_str){s.ptr + kind + 1, slash - kind - 1}, err) &&
              clo_stmt_text(&q, 3, clo_str_from_off(s, slash + 1), err) && clo_stmt_step(&q, &row, err);
    *out = ok && row ? clo_stmt_get_int(&q, 0) : 0;
    clo_stmt_close(&q);
    return ok;
}

/* Runs a statement on (repo, scope); *changed is set when it gave a row. */
static bool run(bool *changed, clo_db *db, const char *sql, int64_t repo, clo_str scope, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    bool ok = clo_stmt_open(&q, db, sql, err) && clo_stmt_int(&q, 1, repo, err) && clo_stmt_text(&q, 2, scope, err) &&
              clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    *changed = *changed || (ok && row);
    return ok;
}

bool clo_token_follow(clo_db *db, int64_t repo, const char *type, const char *id, clo_err *err)
{
    char scope[CLO_TOKEN_SCOPE_MAX];
    bool changed = false;
    int n = snprintf(scope, sizeof scope, "%ss/%s", type, id);
    if (n >= CLO_TOKEN_SCOPE_MAX) return true; /* no token has a scope so long */
    return run(&changed, db, "UPDATE keys SET scope = ?2 WHERE repo = ?1 RETURNING 1", repo, clo_str_from(scope), err) &&
           run(&changed, db, "UPDATE keys SET repo = ?1 WHERE scope = ?2 COLLATE NOCASE AND scope IS NOT NULL AND repo IS NULL RETURNING 1", repo,
               clo_str_from(scope), err) &&
           (!changed || clo_keys_turn_page(db, err));
}

bool clo_token_add(char text[CLO_KEY_TEXT_MAX], clo_db *db, const clo_token_opts *o, int64_t now_s, clo_err *err)
{
    clo_account_info user;
    char id[CLO_KEY_ID_LEN + 1] = {0}, scope[CLO_TOKEN_SCOPE_MAX];
    if (!clo_account_get(&user, db, o->account, err)) return false;
    if (user.is_org) return clo_fail(err, CLO_ERR_NOT_FOUND, "'%s' is an organisation: users have tokens", user.name);
    if (o->name && !name_check(o->name, err)) return false;
    if (o->name && !o->is_session && clo_session_has_name(clo_str_from(o->name)))
        return clo_fail(err, CLO_ERR_USAGE, "'%s': names that begin so are those of browsers' sessions", o->name);
    if (o->scope && !clo_token_parse_scope(scope, clo_str_from(o->scope), err)) return false;
    if (!clo_keys_make_text(text, KEY_PREFIX_TOKEN, err)) return false;
    memcpy(id, text + strlen(KEY_PREFIX_TOKEN), CLO_KEY_ID_LEN);
    const char *name = o->name ? o->name : id;
    clo_key_entry e = {.name = name, .expires_s = o->expires_s, .account = o->account, .role = o->may_write ? "write" : "read",
                       .scope = o->scope ? scope : NULL};
    return (!o->scope || find_repo(&e.repo, db, scope, err)) && name_is_free(db, o, name, err) && clo_keys_insert(db, &e, text, now_s, err);
}

bool clo_token_revoke(char user[CLO_ACCOUNT_NAME_MAX], clo_db *db, clo_str id, int64_t now_s, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    bool ok = clo_stmt_open(&q, db,
                            "UPDATE keys SET revoked = ?2 WHERE id = ?1 AND role IS NOT NULL AND revoked IS NULL"
                            " RETURNING (SELECT name FROM accounts WHERE accounts.id = account)",
                            err) &&
              clo_stmt_text(&q, 1, id, err) && clo_stmt_int(&q, 2, now_s, err) && clo_stmt_step(&q, &row, err);
    if (ok && row && user) snprintf(user, CLO_ACCOUNT_NAME_MAX, CLO_STR_FMT, CLO_STR_ARG(clo_stmt_get_str(&q, 0)));
    clo_stmt_close(&q);
    if (ok && !row)
        ok = clo_fail(err, CLO_ERR_NOT_FOUND, "no valid token of the id '%.*s'", (int)(id.len > 40 ? 40 : id.len), id.ptr);
    return ok && clo_keys_turn_page(db, err);
}

bool clo_token_revoke_all(clo_db *db, int64_t account, int64_t now_s, clo_err *err)
{
    clo_stmt q = {0};
    bool row;
    bool ok = clo_stmt_open(&q, db, "UPDATE keys SET revoked = ?2 WHERE account = ?1 AND revoked IS NULL", err) &&
              clo_stmt_int(&q, 1, account, err) && clo_stmt_int(&q, 2, now_s, err) && clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    return ok && clo_keys_turn_page(db, err);
}

/* --- listing ------------------------------------------------------------------------------------------------------*/

static json_t *text_json(clo_stmt *q, int i)
{
    clo_str s = clo_stmt_get_str(q, i);
    return clo_stmt_is_null(q, i) ? json_null() : json_stringn(s.ptr, s.len);
}

static json_t *time_json(clo_stmt *q, int i)
{
    return clo_stmt_is_null(q, i) ? json_null() : json_integer((json_int_t)clo_stmt_get_int(q, i));
}

static json_t *token_json(clo_stmt *q, int64_t now_s)
{
    bool expired = !clo_stmt_is_null(q, 6) && clo_stmt_get_int(q, 6) <= now_s, revoked = !clo_stmt_is_null(q, 7);
    return json_pack("{s:o, s:o, s:o, s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:s}", "id", text_json(q, 0), "user", text_json(q, 1),
                     "name", text_json(q, 2), "role", clo_stmt_is_null(q, 4) ? clo_stmt_get_str(q, 3).ptr : "fineGrained",
                     "may_write", clo_str_eq(clo_stmt_get_str(q, 3), CLO_STR("write")), "scope", text_json(q, 4), "created",
                     time_json(q, 5), "expires", time_json(q, 6), "revoked", time_json(q, 7), "used", time_json(q, 8), "state",
                     revoked ? "revoked" : expired ? "expired" : "valid");
}

bool clo_token_list(json_t **out, clo_db *db, int64_t account, bool all, int64_t now_s, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    json_t *list = json_array();
    bool ok = list || clo_fail(err, CLO_ERR_MEMORY, "list of tokens");
    ok = ok &&
         clo_stmt_open(&q, db,
                       "SELECT k.id, a.name, k.name, k.role, k.scope, k.created, k.expires, k.revoked, k.last_used FROM keys k"
                       " LEFT JOIN accounts a ON a.id = k.account WHERE k.role IS NOT NULL AND (?1 = 0 OR k.account = ?1)"
                       " AND (?2 OR k.revoked IS NULL) ORDER BY a.name, k.created, k.id",
                       err) &&
         clo_stmt_int(&q, 1, account, err) && clo_stmt_int(&q, 2, all, err);
    while (ok && (ok = clo_stmt_step(&q, &row, err)) && row)
        ok = json_array_append_new(list, token_json(&q, now_s)) == 0 || clo_fail(err, CLO_ERR_MEMORY, "list of tokens");
    clo_stmt_close(&q);
    if (ok) *out = list;
    else json_decref(list);
    return ok;
}
