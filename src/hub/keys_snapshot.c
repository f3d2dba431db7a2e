/* See keys_impl.h: the book in memory. The keys lie sorted by id and are read again when another process changed them. */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "hub/keys_impl.h"
#include "hub/session.h"

#define KEYS_MAX 100000        /* of one store */

/* --- reading ------------------------------------------------------------------------------------------------------*/

static void free_keys(clo_key_row *keys, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(keys[i].models);
        free(keys[i].scope);
    }
    free(keys);
}

/* A text of a row in a field of n bytes with its NUL; longer ones are damage. */
static bool take(char *out, size_t n, clo_str s)
{
    if (s.len >= n) return false;
    memcpy(out, s.ptr, s.len);
    out[s.len] = 0;
    return true;
}

static bool take_owned(char **out, clo_stmt *q, int i, clo_err *err)
{
    clo_str s = clo_stmt_get_str(q, i);
    *out = clo_stmt_is_null(q, i) ? NULL : strndup(s.ptr, s.len);
    return *out || clo_stmt_is_null(q, i) || clo_fail(err, CLO_ERR_MEMORY, "keys");
}

enum { ID, NAME, SALT, HASH, DAY, CONCURRENT, MODELS, CREATED, EXPIRES, REVOKED, ADMIN, USED, ROLE, SCOPE, REPO,
       ACCOUNT, A_NAME, A_OID, A_ADMIN, A_DAY, A_CONCURRENT, A_MODELS };
#define ROWS_SQL \
    "SELECT k.id, k.name, k.salt, k.hash, k.tokens_per_day, k.concurrent, k.models, k.created, k.expires, k.revoked, k.admin," \
    " k.last_used, k.role, k.scope, k.repo, a.id, a.name, a.oid, a.admin, a.tokens_per_day, a.concurrent, a.models" \
    " FROM keys k LEFT JOIN accounts a ON a.id = k.account ORDER BY k.id"

/* A token has the limits and the rights of its account; without the account it is over. */
static bool read_token(clo_key_row *out, clo_stmt *q)
{
    out->account = clo_stmt_get_int(q, ACCOUNT);
    out->repo = clo_stmt_get_int(q, REPO);
    out->revoked = out->revoked || out->account == 0;
    out->may_write = clo_str_eq(clo_stmt_get_str(q, ROLE), CLO_STR("write"));
    out->account_admin = clo_stmt_get_int(q, A_ADMIN) != 0;
    out->admin = out->account_admin && out->may_write;
    out->tokens_per_day = clo_stmt_get_int(q, A_DAY);
    out->concurrent = clo_stmt_get_int(q, A_CONCURRENT);
    return take(out->name, sizeof out->name, clo_stmt_get_str(q, A_NAME)) &&
           take(out->oid, sizeof out->oid, clo_stmt_get_str(q, A_OID));
}

static bool read_key(clo_key_row *out, clo_stmt *q, clo_err *err)
{
    clo_bytes salt = clo_stmt_get_blob(q, SALT), hash = clo_stmt_get_blob(q, HASH);
    bool token = !clo_stmt_is_null(q, ROLE);
    *out = (clo_key_row){.tokens_per_day = clo_stmt_get_int(q, DAY), .concurrent = clo_stmt_get_int(q, CONCURRENT),
                         .created_s = clo_stmt_get_int(q, CREATED), .expires_s = clo_stmt_get_int(q, EXPIRES),
                         .revoked = !clo_stmt_is_null(q, REVOKED), .admin = clo_stmt_get_int(q, ADMIN) != 0,
                         .used_s = clo_stmt_get_int(q, USED)};
    out->used_stored_s = out->used_s;
    bool ok = clo_stmt_get_str(q, ID).len == CLO_KEY_ID_LEN && take(out->id, sizeof out->id, clo_stmt_get_str(q, ID)) &&
              take(out->title, sizeof out->title, clo_stmt_get_str(q, NAME)) && salt.len == sizeof out->salt &&
              hash.len == sizeof out->hash.b;
    if (!ok || (token && !read_token(out, q))) return clo_fail(err, CLO_ERR_DAMAGED, "database: a key of the wrong shape");
    memcpy(out->salt, salt.ptr, salt.len);
    memcpy(out->hash.b, hash.ptr, hash.len);
    if (!token) memcpy(out->name, out->title, sizeof out->name);
    return take_owned(&out->models, q, token ? A_MODELS : MODELS, err) && take_owned(&out->scope, q, SCOPE, err);
}

static bool read_keys(clo_keys *k, clo_err *err)
{
    clo_stmt q = {0};
    clo_key_row *keys = NULL;
    size_t n = 0, cap = 0;
    bool row = false;
    bool ok = clo_stmt_open(&q, k->db, ROWS_SQL, err);
    while (ok && (ok = clo_stmt_step(&q, &row, err)) && row) {
        if (n == cap) {
            clo_key_row *more = n < KEYS_MAX ? realloc(keys, (cap = 2 * cap + 16) * sizeof *keys) : NULL;
            if (!(ok = more || clo_fail(err, CLO_ERR_LIMIT, "%zu keys", n))) break;
            keys = more;
        }
        ok = read_key(&keys[n++], &q, err);
    }
    clo_stmt_close(&q);
    if (!ok) {
        free_keys(keys, n);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        const clo_key_row *old = clo_keys_of_id(k, keys[i].id);
        if (old && old->used_s > keys[i].used_s) keys[i].used_s = old->used_s;
    }
    free_keys(k->keys, k->n_keys);
    k->keys = keys;
    k->n_keys = n;
    k->n_given = 0;
    for (size_t i = 0; i < n; i++) k->n_given += !clo_session_has_name(clo_str_from(keys[i].title));
    return true;
}

/* The versions are set last, so a failure is tried again. */
bool clo_keys_refresh(clo_keys *k, clo_err *err)
{
    int64_t version = 0, book;
    clo_stmt q = {0};
    bool row = false;
    if (!clo_db_version(&version, k->db, err)) return false;
    if (version == k->db_version) return true;
    bool ok = clo_stmt_open(&q, k->db, "SELECT value FROM books WHERE name = 'keys'", err) &&
              clo_stmt_step(&q, &row, err) && (row || clo_fail(err, CLO_ERR_DAMAGED, "database: no book of keys"));
    book = ok ? clo_stmt_get_int(&q, 0) : 0;
    clo_stmt_close(&q);
    if (!ok || (book != k->book && !read_keys(k, err))) return false;
    k->book = book;
    k->db_version = version;
    return true;
}

/* --- finding ------------------------------------------------------------------------------------------------------*/

static int compare_id(const void *id, const void *k)
{
    return memcmp(id, ((const clo_key_row *)k)->id, CLO_KEY_ID_LEN);
}

clo_key_row *clo_keys_of_id(const clo_keys *k, const char *id)
{
    return k->n_keys ? bsearch(id, k->keys, k->n_keys, sizeof *k->keys, compare_id) : NULL;
}

/* An unknown id costs a hash too, so that time tells nothing of ids. */
clo_key_row *clo_keys_of_text(const clo_keys *k, clo_str text)
{
    static const clo_key_row nobody = {.id = ""};
    while (text.len > 0 && text.ptr[text.len - 1] == ' ') text.len--;
    if (text.len != CLO_KEY_TEXT_MAX - 1) return NULL;
    if (!clo_str_starts_with(text, CLO_STR(KEY_PREFIX)) && !clo_str_starts_with(text, CLO_STR(KEY_PREFIX_TOKEN))) return NULL;
    clo_key_row *found = clo_keys_of_id(k, text.ptr + strlen(KEY_PREFIX));
    const clo_key_row *against = found ? found : &nobody;
    clo_sha256 hash = clo_key_hash(against->salt, text.ptr);
    bool same = CRYPTO_memcmp(hash.b, against->hash.b, sizeof hash.b) == 0;
    return same ? found : NULL;
}

/* --- opening ------------------------------------------------------------------------------------------------------*/

bool clo_keys_open(clo_keys **out, const char *data_dir, clo_err *err)
{
    clo_keys *k = calloc(1, sizeof *k);
    *out = NULL;
    if (!k) return clo_fail(err, CLO_ERR_MEMORY, "keys");
    pthread_mutex_init(&k->lock, NULL);
    k->book = k->db_version = -1;
    if (clo_db_open(&k->db, data_dir, err) && clo_keys_refresh(k, err)) {
        *out = k;
        return true;
    }
    clo_keys_close(k);
    return false;
}

void clo_keys_close(clo_keys *k)
{
    if (!k) return;
    if (k->n_keys > 0) (void)!clo_keys_write_used(k, k->db, 0, NULL); /* for people to look at: its loss is none */
    while (k->tallies) {
        clo_key_tally *t = k->tallies;
        k->tallies = t->next;
        free(t);
    }
    free_keys(k->keys, k->n_keys);
    clo_db_close(k->db);
    pthread_mutex_destroy(&k->lock);
    free(k);
}

/* --- last use -----------------------------------------------------------------------------------------------------*/

typedef struct {
    char id[CLO_KEY_ID_LEN + 1];
    int64_t used_s;
} use;

/* Those whose last use on disk is older by `step_s` or more. */
static size_t collect_used(use **out, clo_keys *k, int64_t step_s)
{
    size_t n = 0;
    pthread_mutex_lock(&k->lock);
    for (size_t i = 0; i < k->n_keys; i++) n += k->keys[i].used_s - k->keys[i].used_stored_s > step_s;
    *out = n ? calloc(n, sizeof **out) : NULL;
    n = 0;
    for (size_t i = 0; *out && i < k->n_keys; i++) {
        clo_key_row *key = &k->keys[i];
        if (key->used_s - key->used_stored_s <= step_s) continue;
        memcpy((*out)[n].id, key->id, sizeof key->id);
        (*out)[n++].used_s = key->used_stored_s = key->used_s;
    }
    pthread_mutex_unlock(&k->lock);
    return n;
}

static bool store_used(const use *u, clo_db *db, clo_err *err)
{
    clo_stmt q = {0};
    bool row;
    bool ok = clo_stmt_open(&q, db, "UPDATE keys SET last_used = ?2 WHERE id = ?1 AND coalesce(last_used, 0) < ?2", err) &&
              clo_stmt_text(&q, 1, clo_str_from(u->id), err) && clo_stmt_int(&q, 2, u->used_s, err) &&
              clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    return ok;
}

bool clo_keys_write_used(clo_keys *k, clo_db *db, int64_t step_s, clo_err *err)
{
    use *uses = NULL;
    size_t n = collect_used(&uses, k, step_s);
    bool begun = n > 0 && clo_db_begin(db, err), ok = begun || n == 0;
    for (size_t i = 0; begun && ok && i < n; i++) ok = store_used(&uses[i], db, err);
    if (begun && ok) ok = clo_db_commit(db, err);
    else if (begun) clo_db_rollback(db);
    free(uses);
    return ok;
}
