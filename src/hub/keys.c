/* See keys.h: the book. keys_snapshot.c and keys_live.c have the server's side. */
#include "hub/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/entropy.h"
#include "hub/keys_impl.h"

_Static_assert(CLO_KEY_TEXT_MAX == sizeof KEY_PREFIX + CLO_KEY_ID_LEN + KEY_SECRET_LEN, "the parts of a key");
_Static_assert(sizeof KEY_PREFIX == sizeof KEY_PREFIX_TOKEN, "one length for both");

clo_sha256 clo_key_hash(const uint8_t salt[KEY_SALT_BYTES], const char *text)
{
    clo_sha256_ctx c;
    clo_sha256_begin(&c);
    clo_sha256_add(&c, salt, KEY_SALT_BYTES);
    clo_sha256_add(&c, text, CLO_KEY_TEXT_MAX - 1);
    return clo_sha256_end(&c);
}

/* --- what may stand in a key --------------------------------------------------------------------------------------*/

bool clo_key_name_ok(const char *name)
{
    size_t n = strlen(name);
    if (n == 0 || n >= CLO_KEY_NAME_MAX) return false;
    for (size_t i = 0; i < n; i++) {
        char c = name[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alnum && (i == 0 || !strchr("._-@", c))) return false;
    }
    return true;
}

/* A model's name, or the beginning of names with a star: "org/" "*", "smol" "*", "*". A tag (":q4_0") may follow. */
static bool model_ok(clo_str s)
{
    if (s.len == 0 || s.len >= CLO_KEYS_MODEL_MAX) return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        bool star = c == '*' && i + 1 == s.len;
        if (!alnum && !star && (c == 0 || !strchr("._-/:", c))) return false;
    }
    return true;
}

bool clo_keys_spell_models(clo_buf *out, const char *list, clo_err *err)
{
    clo_str s = clo_str_from(list);
    size_t n = 0;
    for (size_t at = 0; at <= s.len;) {
        size_t end = clo_str_find(s, at, ',');
        clo_str one = {s.ptr + at, end - at};
        if (!model_ok(one))
            return clo_fail(err, CLO_ERR_USAGE, "'" CLO_STR_FMT "' is no name of a model (in a list with commas)",
                            CLO_STR_ARG(one));
        if (++n > CLO_KEY_MODELS_MAX)
            return clo_fail(err, CLO_ERR_LIMIT, "more than %d names of models", CLO_KEY_MODELS_MAX);
        clo_buf_add(out, one);
        clo_buf_add_char(out, '\n');
        at = end + 1;
    }
    return clo_buf_ok(out, err);
}

static bool parse_date(int64_t *out_s, const char *text)
{
    struct tm t = {0}, back;
    char end;
    if (strlen(text) != 10 || sscanf(text, "%4d-%2d-%2d%c", &t.tm_year, &t.tm_mon, &t.tm_mday, &end) != 3) return false;
    t.tm_year -= 1900;
    t.tm_mon -= 1;
    int year = t.tm_year, month = t.tm_mon, day = t.tm_mday;
    time_t s = timegm(&t);
    if (!gmtime_r(&s, &back) || back.tm_year != year || back.tm_mon != month || back.tm_mday != day) return false;
    *out_s = (int64_t)s + KEY_DAY_S;
    return true;
}

bool clo_key_parse_expiry(int64_t *out_s, const char *text, int64_t now_s, clo_err *err)
{
    char *end = NULL;
    bool digit = text[0] >= '0' && text[0] <= '9';
    long long n = digit ? strtoll(text, &end, 10) : 0;
    bool ok = false;
    if (digit && n > 0 && n <= 100000 && (strcmp(end, "d") == 0 || strcmp(end, "h") == 0)) {
        *out_s = now_s + n * (*end == 'd' ? KEY_DAY_S : 3600);
        ok = true;
    } else {
        ok = digit && parse_date(out_s, text);
    }
    if (!ok) return clo_fail(err, CLO_ERR_USAGE, "'%s': 90d, 12h or a date like 2027-01-31 is expected", text);
    return *out_s > now_s || clo_fail(err, CLO_ERR_USAGE, "'%s' has passed", text);
}

/* --- making -------------------------------------------------------------------------------------------------------*/

bool clo_keys_make_text(char text[CLO_KEY_TEXT_MAX], const char *prefix, clo_err *err)
{
    memcpy(text, prefix, strlen(prefix) + 1);
    return clo_entropy_text(text + strlen(prefix), CLO_KEY_ID_LEN + KEY_SECRET_LEN, err);
}

bool clo_keys_turn_page(clo_db *db, clo_err *err)
{
    clo_stmt q = {0};
    bool row;
    bool ok = clo_stmt_open(&q, db, "UPDATE books SET value = value + 1 WHERE name = 'keys'", err) &&
              clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    return ok;
}

static bool bind_limit(clo_stmt *q, int i, int64_t v, clo_err *err)
{
    return v > 0 ? clo_stmt_int(q, i, v, err) : clo_stmt_null(q, i, err);
}

static bool bind_text(clo_stmt *q, int i, clo_str s, clo_err *err)
{
    return s.len ? clo_stmt_text(q, i, s, err) : clo_stmt_null(q, i, err);
}

static clo_str text_or_none(const char *s)
{
    return s ? clo_str_from(s) : (clo_str){0};
}

bool clo_keys_insert(clo_db *db, const clo_key_entry *e, const char *text, int64_t now_s, clo_err *err)
{
    uint8_t salt[KEY_SALT_BYTES];
    clo_stmt q = {0};
    bool row;
    if (!clo_entropy_bytes(salt, sizeof salt, err)) return false;
    clo_sha256 hash = clo_key_hash(salt, text);
    bool ok = clo_stmt_open(&q, db,
                            "INSERT INTO keys (id, name, salt, hash, created, expires, tokens_per_day, concurrent, models, admin, account,"
                            " repo, role, scope) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
                            err) &&
              clo_stmt_text(&q, 1, (clo_str){text + strlen(KEY_PREFIX), CLO_KEY_ID_LEN}, err) &&
              clo_stmt_text(&q, 2, clo_str_from(e->name), err) && clo_stmt_blob(&q, 3, (clo_bytes){salt, sizeof salt}, err) &&
              clo_stmt_blob(&q, 4, (clo_bytes){hash.b, sizeof hash.b}, err) && clo_stmt_int(&q, 5, now_s, err) &&
              bind_limit(&q, 6, e->expires_s, err) && bind_limit(&q, 7, e->tokens_per_day, err) &&
              bind_limit(&q, 8, e->concurrent, err) && bind_text(&q, 9, e->models, err) && clo_stmt_int(&q, 10, e->admin, err) &&
              bind_limit(&q, 11, e->account, err) && bind_limit(&q, 12, e->repo, err) &&
              bind_text(&q, 13, text_or_none(e->role), err) && bind_text(&q, 14, text_or_none(e->scope), err) &&
              clo_stmt_step(&q, &row, err) && clo_keys_turn_page(db, err);
    clo_stmt_close(&q);
    return ok;
}

static bool name_is_free(clo_db *db, const char *name, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    bool ok = clo_stmt_open(&q, db, "SELECT 1 FROM keys WHERE name = ?1 AND role IS NULL AND revoked IS NULL", err) &&
              clo_stmt_text(&q, 1, clo_str_from(name), err) && clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    return ok && (!row || clo_fail(err, CLO_ERR_DENIED, "there is a key '%s' ('cloche key revoke %s' ends it)", name, name));
}

bool clo_key_add(char text[CLO_KEY_TEXT_MAX], clo_db *db, const clo_key_opts *o, int64_t now_s, clo_err *err)
{
    clo_buf models = {.max = CLO_KEYS_MODELS_BYTES_MAX};
    if (!clo_key_name_ok(o->name))
        return clo_fail(err, CLO_ERR_USAGE, "'%.80s' is no name for a key: up to %d letters, digits, . _ - @", o->name,
                        CLO_KEY_NAME_MAX - 1);
    bool ok = !o->models || clo_keys_spell_models(&models, o->models, err);
    const clo_key_entry e = {.name = o->name, .expires_s = o->expires_s, .tokens_per_day = o->tokens_per_day, .concurrent = o->concurrent,
                             .models = clo_buf_str(&models), .admin = o->admin};
    ok = ok && clo_keys_make_text(text, KEY_PREFIX, err) && name_is_free(db, o->name, err) && clo_keys_insert(db, &e, text, now_s, err);
    clo_buf_free(&models);
    return ok;
}

bool clo_key_revoke(clo_db *db, const char *name, int64_t now_s, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    bool ok = clo_stmt_open(&q, db, "UPDATE keys SET revoked = ?2 WHERE name = ?1 AND role IS NULL AND revoked IS NULL"
                                      " RETURNING id", err) &&
              clo_stmt_text(&q, 1, clo_str_from(name), err) && clo_stmt_int(&q, 2, now_s, err) &&
              clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    if (ok && !row) ok = clo_fail(err, CLO_ERR_NOT_FOUND, "no valid key '%.80s' ('cloche key list' shows them)", name);
    return ok && clo_keys_turn_page(db, err);
}

/* --- listing ------------------------------------------------------------------------------------------------------*/

static json_t *limit_json(clo_stmt *q, int i)
{
    return clo_stmt_is_null(q, i) ? json_null() : json_integer((json_int_t)clo_stmt_get_int(q, i));
}

static json_t *str_json(clo_str s)
{
    return json_stringn(s.ptr, s.len);
}

json_t *clo_keys_models_json(clo_stmt *q, int i)
{
    if (clo_stmt_is_null(q, i)) return json_null();
    json_t *a = json_array();
    clo_str s = clo_stmt_get_str(q, i);
    for (size_t at = 0; at < s.len;) {
        size_t end = clo_str_find(s, at, '\n');
        json_array_append_new(a, str_json((clo_str){s.ptr + at, end - at}));
        at = end + 1;
    }
    return a;
}

static json_t *used_json(clo_stmt *q, int i)
{
    return json_pack("{s:I, s:I, s:I}", "prompt", (json_int_t)clo_stmt_get_int(q, i), "output",
                     (json_int_t)clo_stmt_get_int(q, i + 1), "requests", (json_int_t)clo_stmt_get_int(q, i + 2));
}

static json_t *key_json(clo_stmt *q, int64_t now_s)
{
    bool expired = !clo_stmt_is_null(q, 3) && clo_stmt_get_int(q, 3) <= now_s;
    const char *state = !clo_stmt_is_null(q, 4) ? "revoked" : expired ? "expired" : "valid";
    json_t *used = json_pack("{s:o, s:o}", "today", used_json(q, 8), "all", used_json(q, 11));
    return json_pack("{s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "name", str_json(clo_stmt_get_str(q, 0)),
                     "id", str_json(clo_stmt_get_str(q, 1)), "state", state, "created", limit_json(q, 2), "expires",
                     limit_json(q, 3), "revoked", limit_json(q, 4), "tokens_per_day", limit_json(q, 5), "concurrent",
                     limit_json(q, 6), "models", clo_keys_models_json(q, 7), "used", used, "admin",
                     clo_stmt_get_int(q, 14) != 0);
}

#define LIST_SQL \
    "SELECT k.name, k.id, k.created, k.expires, k.revoked, k.tokens_per_day, k.concurrent, k.models," \
    " t.prompt, t.output, t.requests, sum(u.prompt), sum(u.output), sum(u.requests), k.admin FROM keys k" \
    " LEFT JOIN key_usage t ON t.name = k.name AND t.day = ?1 LEFT JOIN key_usage u ON u.name = k.name" \
    " WHERE k.role IS NULL AND (?2 OR k.revoked IS NULL) GROUP BY k.id ORDER BY k.name, k.created, k.id"

bool clo_key_list(json_t **out, clo_db *db, bool all, int64_t now_s, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    json_t *list = json_array();
    bool ok = list || clo_fail(err, CLO_ERR_MEMORY, "list of keys");
    ok = ok && clo_stmt_open(&q, db, LIST_SQL, err) && clo_stmt_int(&q, 1, now_s / KEY_DAY_S, err) &&
         clo_stmt_int(&q, 2, all, err);
    while (ok && (ok = clo_stmt_step(&q, &row, err)) && row)
        ok = json_array_append_new(list, key_json(&q, now_s)) == 0 || clo_fail(err, CLO_ERR_MEMORY, "list of keys");
    clo_stmt_close(&q);
    if (ok) *out = list;
    else json_decref(list);
    return ok;
}

bool clo_key_usage_add(clo_db *db, const char *name, int64_t now_s, int64_t n_prompt, int64_t n_output, clo_err *err)
{
    clo_stmt q = {0};
    bool row;
    bool ok = clo_stmt_open(&q, db,
                            "INSERT INTO key_usage (name, day, prompt, output, requests) VALUES (?1, ?2, ?3, ?4, 1)"
                            " ON CONFLICT DO UPDATE SET prompt = prompt + ?3, output = output + ?4, requests = requests + 1",
                            err) &&
              clo_stmt_text(&q, 1, clo_str_from(name), err) && clo_stmt_int(&q, 2, now_s / KEY_DAY_S, err) &&
              clo_stmt_int(&q, 3, n_prompt, err) && clo_stmt_int(&q, 4, n_output, err) && clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    return ok;
}
