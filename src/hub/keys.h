/* The book of keys: who may ask, how much, and what they have used. API keys of the model-serving routes are `ck_...` and
 * stand alone; tokens of the hub are `hf_...`, belong to a user's account (token.h) and open the same routes, with the
 * account's limits. They are made, stored and looked up alike, so what is said of keys below holds for both.
 *
 * A key is `ck_`, 8 characters of public id, 43 of secret: letters and digits, 256 bits of the secret from the system's
 * random source. It is shown once. Stored are the id, a random salt and SHA-256(salt, key). A slow password hash would
 * add nothing: it makes guessing words costly, and 2^256 secrets are out of reach at any speed, while it would cost every
 * request a tenth of a second. The salt keeps equal hashes of two stores from telling anything. The id finds the row;
 * the hash is compared in constant time. A server has all keys in memory: a request costs one hash and reads no disk.
 *
 * A name is what quotas, use and the audit log go by: a key that is revoked and made again under its name goes on with
 * the same count; the tokens of a user all count for the user's name. While no key was ever made, everyone may ask; once one was, also after it is revoked, a key is needed.
 *
 * Server:
 *   clo_keys *keys = NULL;
 *   if (!clo_keys_open(&keys, data_dir, &err)) ...
 *   if (!clo_keys_check_listen(url, is_local, clo_keys_needed(keys), opts.no_keys, &err)) ...
 *   for each request: clo_caller who;  clo_refusal no;  clo_grant *g = NULL;
 *       if (!clo_keys_who(&who, keys, authorization, x_api_key, now_s, &no)) answer(no);    // 401
 *       if (!clo_keys_begin(&g, keys, &who, model, n_prompt, now_s, &no)) answer(no);       // 403, 429
 *       ... at most g's output limit ...
 *       clo_keys_end(keys, g, n_prompt, n_output, now_s);           // always; a ledger (ledger.h) brings the use to disk
 *
 * Another process may add and revoke keys meanwhile: the next request sees it. Days are those of UTC. All functions of
 * clo_keys may be called from any thread and wait for nothing but a lock. */
#ifndef CLO_HUB_KEYS_H
#define CLO_HUB_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "store/db.h"

#define CLO_KEY_NAME_MAX 64  /* bytes, with the NUL: letters, digits, . _ - @; the same as CLO_TASK_KEY_MAX */
#define CLO_KEY_TEXT_MAX 55  /* of a key, with the NUL */
#define CLO_KEY_ID_LEN 8
#define CLO_KEY_MODELS_MAX 64 /* names in a key's list */

/* --- the book. Adding and revoking stand in a transaction of the caller's, with their line in the audit log ----------*/

typedef struct {
    const char *name;
    int64_t tokens_per_day; /* prompt and output; 0: no limit */
    int64_t concurrent;     /* requests at once; 0: no limit */
    const char *models;     /* names with commas between, `org/` + `*` for all of org's; NULL: all */
    int64_t expires_s;      /* seconds since 1970; 0: never */
    bool admin;             /* it may change models */
} clo_key_opts;

/* *text is the key, to be shown once. CLO_ERR_USAGE for a name or list that cannot be one, CLO_ERR_DENIED when a key of
 * that name is there. */
CLO_CHECK bool clo_key_add(char text[CLO_KEY_TEXT_MAX], clo_db *db, const clo_key_opts *o, int64_t now_s, clo_err *err);
/* CLO_ERR_NOT_FOUND when no key of that name is valid. */
CLO_CHECK bool clo_key_revoke(clo_db *db, const char *name, int64_t now_s, clo_err *err);
/* An array of objects: name, id, created, expires, revoked, tokens_per_day, concurrent, models, admin, state ("valid", "expired"
 * or "revoked"), and `used`: prompt, output, requests, of today and in all. Revoked ones too when `all`. */
CLO_CHECK bool clo_key_list(json_t **out, clo_db *db, bool all, int64_t now_s, clo_err *err);
/* "90d", "12h", or a date 2027-01-31, whose end it is; seconds since 1970. */
CLO_CHECK bool clo_key_parse_expiry(int64_t *out_s, const char *text, int64_t now_s, clo_err *err);
bool clo_key_name_ok(const char *name);

/* --- the server's side --------------------------------------------------------------------------------------------*/

typedef struct clo_keys clo_keys;

CLO_CHECK bool clo_keys_open(clo_keys **out, const char *data_dir, clo_err *err);
void clo_keys_close(clo_keys *k);
/* Whether a request needs a key: one was made at any time. */
bool clo_keys_needed(clo_keys *k);
/* From here on nobody is asked for a key (--no-keys); the hub still asks who someone is. */
void clo_keys_ask_nobody(clo_keys *k);

/* Whether a server may answer at an address: always when only this machine reaches it, else when keys are needed, or with
 * no_keys. CLO_ERR_DENIED says what to do. */
CLO_CHECK bool clo_keys_check_listen(const char *address, bool is_local, bool keys_needed, bool no_keys, clo_err *err);

/* Why a request is refused, in the terms of the OpenAI interface. */
typedef struct {
    int status;             /* 401, 403, 429, 500 */
    const char *type, *code; /* static */
    char message[256];      /* for people; names no other key */
    int64_t retry_after_s;  /* -1: not told */
    bool no_retry;          /* "x-should-retry: false" */
} clo_refusal;

typedef struct {
    char name[CLO_KEY_NAME_MAX]; /* the key's, or the user's whose token it is; "" when no key is needed */
    char id[CLO_KEY_ID_LEN + 1]; /* of the key */
    bool admin;                  /* it may change models: never without a key */
} clo_caller;

/* authorization: the header's value ("Bearer ck_..."), x_api_key: that header's; either may be NULL. A token for one
 * repository alone opens no model: 403. */
bool clo_keys_who(clo_caller *out, clo_keys *k, const char *authorization, const char *x_api_key, int64_t now_s,
                  clo_refusal *no);

typedef struct clo_grant clo_grant;

/* The name of a model without Ollama's ":latest", which says nothing. */
clo_str clo_model_without_latest(clo_str name);
/* Whether the caller may have this model: for lists. */
bool clo_keys_may_use(clo_keys *k, const clo_caller *who, const char *model);

/* Before an answer starts, with the prompt's length known. Refused: a model that the key may not use (403), too many
 * requests at once (429, to be tried again), the day's tokens used up (429, not before the day ends). What runs already
 * counts with its prompt. */
bool clo_keys_begin(clo_grant **out, clo_keys *k, const clo_caller *who, const char *model, int64_t n_prompt,
                    int64_t now_s, clo_refusal *no);
/* Output tokens that the day has left for it; INT64_MAX without a limit. The answer's own limit is the smaller one: it
 * then ends as one that reached its length. */
int64_t clo_grant_output_max(const clo_grant *g);
const char *clo_grant_name(const clo_grant *g);

/* Ends the grant and counts what was used; owned memory goes. Also for an answer that failed (0, 0). NULL is accepted. */
void clo_keys_end(clo_keys *k, clo_grant *g, int64_t n_prompt, int64_t n_output, int64_t now_s);

/* When keys were last used is kept in memory and brought to disk now and then, in one transaction of db's: of those whose
 * time on disk is older by more than step_s. clo_keys_close does it too. */
CLO_CHECK bool clo_keys_write_used(clo_keys *k, clo_db *db, int64_t step_s, clo_err *err);

/* Adds the use of answers to the tables, inside a transaction of the caller's (ledger.h). */
CLO_CHECK bool clo_key_usage_add(clo_db *db, const char *name, int64_t now_s, int64_t n_prompt, int64_t n_output,
                                 clo_err *err);

#endif
