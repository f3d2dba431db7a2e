/* See account.h. */
#include "hub/account.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/entropy.h"
#include "base/utf8.h"
#include "hub/keys_impl.h"
#include "hub/token.h"

#define PASSWORD_METHOD "$y$" /* yescrypt, with libxcrypt's own cost */

_Static_assert(CLO_ACCOUNT_NAME_MAX == CLO_KEY_NAME_MAX, "use is counted by the account's name");
_Static_assert(CLO_ACCOUNT_PASSWORD_MAX < CRYPT_MAX_PASSPHRASE_SIZE, "a password is never cut off");

/* --- names --------------------------------------------------------------------------------------------------------*/

/* First words of addresses, of the hub's clients and of this server. */
static const char *const reserved[] = {
    "api", "assets", "avatars", "blobs", "blog", "buckets", "chat", "collections", "dashboard", "datasets", "docs", "favicon.ico",
    "front", "health", "healthz", "info", "join", "kernels", "livez", "login", "logout", "metrics", "models", "new",
    "notifications", "oauth", "organizations", "papers", "ping", "readyz", "resolve-cache", "robots.txt", "search", "security",
    "settings", "share", "spaces", "static", "tasks", "tree", "ui", "users", "v1", "v2", "version", "webhooks", "xet",
    ".well-known",
};

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool ends_in_git(clo_str s)
{
    return s.len >= 4 && strncasecmp(s.ptr + s.len - 4, ".git", 4) == 0;
}

bool clo_account_name_fits(clo_str name, size_t max_len)
{
    if (name.len == 0 || name.len > max_len || !is_word(name.ptr[0]) || !is_word(name.ptr[name.len - 1])) return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (!is_word(c) && c != '-' && c != '.') return false;
        if (i > 0 && c == name.ptr[i - 1] && (c == '-' || c == '.')) return false;
    }
    return !ends_in_git(name);
}

static bool is_reserved(clo_str name)
{
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
        if (strlen(reserved[i]) == name.len && strncasecmp(reserved[i], name.ptr, name.len) == 0) return true;
    return false;
}

bool clo_account_name_check(clo_str name, clo_err *err)
{
    if (!clo_account_name_fits(name, CLO_ACCOUNT_NAME_MAX - 1))
        return clo_fail(err, CLO_ERR_USAGE,
                        "'%.*s' is no name for an account: 1 to %d letters, digits, - . _ (no --, no .., no .git at the end)",
                        (int)(name.len > 80 ? 80 : name.len), name.ptr, CLO_ACCOUNT_NAME_MAX - 1);
    return !is_reserved(name) ||
           clo_fail(err, CLO_ERR_USAGE, "'" CLO_STR_FMT "' begins an address of the hub: no account may have it",
                    CLO_STR_ARG(name));
}

/* A line of UTF-8 without control characters. */
static bool text_check(const char *what, const char *text, clo_err *err)
{
    clo_str s = clo_str_from(text);
    if (s.len >= CLO_ACCOUNT_TEXT_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "%s of %zu bytes, at most %d", what, s.len, CLO_ACCOUNT_TEXT_MAX - 1);
    bool ok = clo_utf8_valid(s);
    for (size_t i = 0; i < s.len; i++) ok = ok && (unsigned char)s.ptr[i] >= ' ' && s.ptr[i] != 0x7f;
    return ok || clo_fail(err, CLO_ERR_USAGE, "%s is no line of UTF-8", what);
}

/* --- passwords ----------------------------------------------------------------------------------------------------*/

static bool password_check(clo_str p, clo_err *err)
{
    if (p.len < CLO_ACCOUNT_PASSWORD_MIN || p.len > CLO_ACCOUNT_PASSWORD_MAX)
        return clo_fail(err, CLO_ERR_USAGE, "a password of %zu bytes: %d to %d are expected", p.len, CLO_ACCOUNT_PASSWORD_MIN,
                        CLO_ACCOUNT_PASSWORD_MAX);
    return memchr(p.ptr, 0, p.len) == NULL || clo_fail(err, CLO_ERR_USAGE, "a password with a NUL");
}

/* The hash of a password with the method, cost and salt of `setting`. */
static bool hash_password(char out[CRYPT_OUTPUT_SIZE], clo_str password, const char *setting, clo_err *err)
{
    char text[CLO_ACCOUNT_PASSWORD_MAX + 1];
    struct crypt_data *d = calloc(1, sizeof *d);
    if (!d) return clo_fail(err, CLO_ERR_MEMORY, "password");
    memcpy(text, password.ptr, password.len);
    text[password.len] = 0;
    const char *hash = crypt_rn(text, setting, d, (int)sizeof *d);
    bool ok = hash && hash[0] != '*' && strlen(hash) < CRYPT_OUTPUT_SIZE;
    if (ok) memcpy(out, hash, strlen(hash) + 1);
    OPENSSL_cleanse(text, sizeof text);
    OPENSSL_cleanse(d, sizeof *d);
    free(d);
    return ok || clo_fail(err, CLO_ERR_UNSUPPORTED, "the password cannot be hashed (libcrypt without yescrypt?)");
}

static bool make_setting(char out[CRYPT_GENSALT_OUTPUT_SIZE], clo_err *err)
{
    char salt[32];
    if (!clo_entropy_bytes(salt, sizeof salt, err)) return false;
    return crypt_gensalt_rn(PASSWORD_METHOD, 0, salt, (int)sizeof salt, out, CRYPT_GENSALT_OUTPUT_SIZE) ||
           clo_fail(err, CLO_ERR_UNSUPPORTED, "libcrypt has no yescrypt");
}

static bool make_hash(char out[CRYPT_OUTPUT_SIZE], clo_str password, clo_err *err)
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    return password_check(password, err) && make_setting(setting, err) && hash_password(out, password, setting, err);
}

/* --- rows ---------------------------------------------------------------------------------------------------------*/

#define INFO_SQL "SELECT id, oid, name, coalesce(fullname, name), coalesce(email, ''), kind = 'org', admin, created, password"

static void copy(char *out, size_t n, clo_str s)
{
    size_t len = s.len < n ? s.len : n - 1;
    memcpy(out, s.ptr, len);
    out[len] = 0;
}

static void read_info(clo_account_info *out, clo_stmt *q)
{
    *out = (clo_account_info){.id = clo_stmt_get_int(q, 0), .is_org = clo_stmt_get_int(q, 5) != 0,
                              .admin = clo_stmt_get_int(q, 6) != 0, .created_s = clo_stmt_get_int(q, 7)};
    copy(out->oid, sizeof out->oid, clo_stmt_get_str(q, 1));
    copy(out->name, sizeof out->name, clo_stmt_get_str(q, 2));
    copy(out->fullname, sizeof out->fullname, clo_stmt_get_str(q, 3));
    copy(out->email, sizeof out->email, clo_stmt_get_str(q, 4));
}

bool clo_account_find(clo_account_info *out, clo_db *db, clo_str name, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    bool ok = clo_stmt_open(&q, db, INFO_SQL " FROM accounts WHERE name = ?1", err) && clo_stmt_text(&q, 1, name, err) &&
              clo_stmt_step(&q, &row, err);
    if (ok && row) read_info(out, &q);
    clo_stmt_close(&q);
    return ok && (row || clo_fail(err, CLO_ERR_NOT_FOUND, "no account '%.*s'", (int)(name.len > 80 ? 80 : name.len), name.ptr));
}

bool clo_account_get(clo_account_info *out, clo_db *db, int64_t id, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    bool ok = clo_stmt_open(&q, db, INFO_SQL " FROM accounts WHERE id = ?1", err) && clo_stmt_int(&q, 1, id, err) &&
              clo_stmt_step(&q, &row, err);
    if (ok && row) read_info(out, &q);
    clo_stmt_close(&q);
    return ok && (row || clo_fail(err, CLO_ERR_NOT_FOUND, "no account of the number %lld", (long long)id));
}

/* --- making and removing ------------------------------------------------------------------------------------------*/

static bool check_opts(const clo_account_opts *o, clo_err *err)
{
    if (!clo_account_name_check(clo_str_from(o->name), err)) return false;
    if (o->fullname && !text_check("a full name", o->fullname, err)) return false;
    if (o->email && !text_check("an e-mail address", o->email, err)) return false;
    if (o->tokens_per_day < 0 || o->concurrent < 0) return clo_fail(err, CLO_ERR_USAGE, "a limit is 1 or more (0: none)");
    if (o->is_org && (o->password.ptr || o->admin || o->tokens_per_day || o->concurrent || o->models))
        return clo_fail(err, CLO_ERR_USAGE, "an organisation has neither password nor rights nor limits");
    return true;
}

static bool bind_text(clo_stmt *q, int i, const char *text, clo_err *err)
{
    return text && *text ? clo_stmt_text(q, i, clo_str_from(text), err) : clo_stmt_null(q, i, err);
}

static bool bind_limit(clo_stmt *q, int i, int64_t v, clo_err *err)
{
    return v > 0 ? clo_stmt_int(q, i, v, err) : clo_stmt_null(q, i, err);
}

static bool insert(clo_db *db, const clo_account_opts *o, const char *hash, const char *models, int64_t now_s, clo_err *err)
{
    char oid[CLO_ACCOUNT_OID_LEN + 1];
    clo_stmt q = {0};
    bool row;
    bool ok = clo_entropy_hex(oid, CLO_ACCOUNT_OID_LEN, err) &&
              clo_stmt_open(&q, db,
                            "INSERT INTO accounts (oid, name, kind, fullname, email, password, admin, created, tokens_per_day,"
                            " concurrent, models) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                            err) &&
              bind_text(&q, 1, oid, err) && bind_text(&q, 2, o->name, err) &&
              bind_text(&q, 3, o->is_org ? "org" : "user", err) && bind_text(&q, 4, o->fullname, err) &&
              bind_text(&q, 5, o->email, err) && bind_text(&q, 6, hash, err) && clo_stmt_int(&q, 7, o->admin, err) &&
              clo_stmt_int(&q, 8, now_s, err) && bind_limit(&q, 9, o->tokens_per_day, err) &&
              bind_limit(&q, 10, o->concurrent, err) && bind_text(&q, 11, models, err) && clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    return ok;
}

static bool name_is_free(clo_db *db, const char *name, clo_err *err)
{
    clo_account_info taken;
    clo_err why = {0};
    if (clo_account_find(&taken, db, clo_str_from(name), &why))
        return clo_fail(err, CLO_ERR_DENIED, "the name '%s' is taken by %s '%s'", name, taken.is_org ? "the organisation" : "the user",
                        taken.name);
    if (why.code == CLO_ERR_NOT_FOUND) return true;
    if (err) *err = why;
    return false;
}

bool clo_account_add(clo_account_info *out, clo_db *db, const clo_account_opts *o, int64_t now_s, clo_err *err)
{
    char hash[CRYPT_OUTPUT_SIZE];
    clo_buf models = {.max = CLO_KEYS_MODELS_BYTES_MAX};
    bool ok = check_opts(o, err) && name_is_free(db, o->name, err) &&
              (!o->models || clo_keys_spell_models(&models, o->models, err)) &&
              (!o->password.ptr || make_hash(hash, o->password, err)) &&
              insert(db, o, o->password.ptr ? hash : NULL, models.ptr, now_s, err) &&
              clo_account_find(out, db, clo_str_from(o->name), err);
    clo_buf_free(&models);
    return ok;
}

static bool run_on(bool *row, clo_db *db, const char *sql, int64_t id, clo_err *err)
{
    clo_stmt q = {0};
    bool ok = clo_stmt_open(&q, db, sql, err) && clo_stmt_int(&q, 1, id, err) && clo_stmt_step(&q, row, err);
    clo_stmt_close(&q);
    return ok;
}

/* Its likes count no more, and repositories keep it from going. */
static bool leave(clo_db *db, const clo_account_info *a, clo_err *err)
{
    bool row = false;
    if (!run_on(&row, db, "SELECT 1 FROM repos WHERE namespace = ?1 LIMIT 1", a->id, err)) return false;
    if (row) return clo_fail(err, CLO_ERR_DENIED, "'%s' has repositories: remove or move them first", a->name);
    return run_on(&row, db, "UPDATE repos SET likes = likes - 1 WHERE id IN (SELECT repo FROM likes WHERE user = ?1)", a->id, err);
}

bool clo_account_remove(clo_db *db, clo_str name, bool is_org, int64_t now_s, clo_err *err)
{
    clo_account_info a;
    clo_stmt q = {0};
    clo_err why = {0};
    bool row;
    if (!clo_account_find(&a, db, name, err)) return false;
    if (a.is_org != is_org)
        return clo_fail(err, CLO_ERR_NOT_FOUND, "'%s' is %s", a.name, a.is_org ? "an organisation" : "a user");
    if (!leave(db, &a, err) || !clo_token_revoke_all(db, a.id, now_s, err)) return false;
    /* Tables that hold what belongs to an account refer to it, so that the database refuses. */
    bool ok = clo_stmt_open(&q, db, "DELETE FROM accounts WHERE id = ?1", err) && clo_stmt_int(&q, 1, a.id, err);
    bool gone = ok && clo_stmt_step(&q, &row, &why);
    clo_stmt_close(&q);
    if (!ok || gone) return ok;
    if (why.code == CLO_ERR_DENIED) return clo_fail(err, CLO_ERR_DENIED, "'%s' has repositories: remove or move them first", a.name);
    if (err) *err = why;
    return false;
}

/* --- passwords of rows --------------------------------------------------------------------------------------------*/

bool clo_account_set_password(clo_db *db, int64_t id, clo_str password, clo_err *err)
{
    char hash[CRYPT_OUTPUT_SIZE];
    clo_stmt q = {0};
    bool row = false;
    bool ok = make_hash(hash, password, err) &&
              clo_stmt_open(&q, db, "UPDATE accounts SET password = ?2 WHERE id = ?1 AND kind = 'user' RETURNING id", err) &&
              clo_stmt_int(&q, 1, id, err) && bind_text(&q, 2, hash, err) && clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    return ok && (row || clo_fail(err, CLO_ERR_NOT_FOUND, "no user of the number %lld", (long long)id));
}

/* The stored hash, or a setting of nobody's where there is none: *there says which. */
static bool find_hash(char out[CRYPT_OUTPUT_SIZE], bool *there, clo_account_info *a, clo_db *db, clo_str name, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    bool ok = clo_stmt_open(&q, db, INFO_SQL " FROM accounts WHERE name = ?1", err) && clo_stmt_text(&q, 1, name, err) &&
              clo_stmt_step(&q, &row, err);
    *there = ok && row && !clo_stmt_is_null(&q, 8);
    if (*there) {
        read_info(a, &q);
        copy(out, CRYPT_OUTPUT_SIZE, clo_stmt_get_str(&q, 8));
    }
    clo_stmt_close(&q);
    if (!ok || *there) return ok;
    ok = make_setting(setting, err);
    if (ok) memcpy(out, setting, strlen(setting) + 1);
    return ok;
}

bool clo_account_check_password(bool *right, clo_account_info *out, clo_db *db, clo_str name, clo_str password, clo_err *err)
{
    char stored[CRYPT_OUTPUT_SIZE] = {0}, hash[CRYPT_OUTPUT_SIZE] = {0};
    bool there = false;
    *right = false;
    if (!password_check(password, NULL)) return true; /* could never have been set */
    if (!find_hash(stored, &there, out, db, name, err) || !hash_password(hash, password, stored, err)) return false;
    bool same = CRYPTO_memcmp(hash, stored, sizeof hash) == 0;
    *right = there && same;
    return true;
}

/* --- listing ------------------------------------------------------------------------------------------------------*/

static json_t *text_json(clo_stmt *q, int i)
{
    clo_str s = clo_stmt_get_str(q, i);
    return clo_stmt_is_null(q, i) ? json_null() : json_stringn(s.ptr, s.len);
}

static json_t *int_json(clo_stmt *q, int i)
{
    return clo_stmt_is_null(q, i) ? json_null() : json_integer((json_int_t)clo_stmt_get_int(q, i));
}

static json_t *row_json(clo_stmt *q, bool org)
{
    json_t *a = json_pack("{s:o, s:o, s:s, s:o, s:o, s:o}", "name", text_json(q, 0), "id", text_json(q, 1), "type",
                          org ? "org" : "user", "fullname", text_json(q, 2), "email", text_json(q, 3), "created", int_json(q, 4));
    json_t *more = org ? json_pack("{s:o}", "members", int_json(q, 9))
                       : json_pack("{s:b, s:o, s:o, s:o}", "admin", clo_stmt_get_int(q, 5) != 0, "tokens_per_day", int_json(q, 6),
                                   "concurrent", int_json(q, 7), "models", clo_keys_models_json(q, 8));
    bool ok = a && more && json_object_update(a, more) == 0;
    json_decref(more);
    if (ok) return a;
    json_decref(a);
    return NULL;
}

bool clo_account_list(json_t **out, clo_db *db, bool orgs, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    json_t *list = json_array();
    bool ok = list || clo_fail(err, CLO_ERR_MEMORY, "list of accounts");
    ok = ok &&
         clo_stmt_open(&q, db,
                       "SELECT name, oid, coalesce(fullname, name), email, created, admin, tokens_per_day, concurrent, models,"
                       " (SELECT count(*) FROM members WHERE org = id) FROM accounts WHERE kind = ?1 ORDER BY name",
                       err) &&
         clo_stmt_text(&q, 1, orgs ? CLO_STR("org") : CLO_STR("user"), err);
    while (ok && (ok = clo_stmt_step(&q, &row, err)) && row)
        ok = json_array_append_new(list, row_json(&q, orgs)) == 0 || clo_fail(err, CLO_ERR_MEMORY, "list of accounts");
    clo_stmt_close(&q);
    if (ok) *out = list;
    else json_decref(list);
    return ok;
}
