/* See token.h: the book. token_who.c has the server's side. */
#include "hub/token.h"

#include <stdio.h>
#include <string.h>

#include "base/entropy.h"
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

static bool insert(clo_db *db, const clo_token_opts *o, const char *name, const char *text, int64_t now_s, clo_err *err)
{
    uint8_t salt[KEY_SALT_BYTES];
    clo_stmt q = {0};
    bool row;
    if (!clo_entropy_bytes(salt, sizeof salt, err)) return false;
    clo_sha256 hash = clo_key_hash(salt, text);
    bool ok = clo_stmt_open(&q, db,
                            "INSERT INTO keys (id, name, salt, hash, created, expires, account, role, scope)"
                            " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                            err) &&
              clo_stmt_text(&q, 1, (clo_str){text + strlen(KEY_PREFIX_TOKEN), CLO_KEY_ID_LEN}, err) &&
              clo_stmt_text(&q, 2, clo_str_from(name), err) && clo_stmt_blob(&q, 3, (clo_bytes){salt, sizeof salt}, err) &&
              clo_stmt_blob(&q, 4, (clo_bytes){hash.b, sizeof hash.b}, err) && clo_stmt_int(&q, 5, now_s, err) &&
              (o->expires_s ? clo_stmt_int(&q, 6, o->expires_s, err) : clo_stmt_null(&q, 6, err)) &&
              clo_stmt_int(&q, 7, o->account, err) &&
              clo_stmt_text(&q, 8, o->may_write ? CLO_STR("write") : CLO_STR("read"), err) &&
              (o->scope ? clo_stmt_text(&q, 9, clo_str_from(o->scope), err) : clo_stmt_null(&q, 9, err)) &&
              clo_stmt_step(&q, &row, err) && clo_keys_turn_page(db, err);
    clo_stmt_close(&q);
    return ok;
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
    clo_token_opts put = *o;
    put.scope = o->scope ? scope : NULL;
    return name_is_free(db, o, name, err) && insert(db, &put, name, text, now_s, err);
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
