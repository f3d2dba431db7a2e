/* Tokens: what a user's clients send in place of a password. A token is a key of the book (keys.h) that belongs to an
 * account: `hf_` and 51 letters and digits, shown once.
 *
 * It reads what its user may read; with `may_write` it also changes what its user may change. One with a scope is for one
 * repository alone (the clients' "fineGrained"), also when that is renamed: elsewhere it sees what everyone sees, and it opens no
 * model. Where there is no repository of the name yet, it is for the one that will be made.
 *
 *   char text[CLO_KEY_TEXT_MAX];
 *   clo_token_opts o = {.account = anna.id, .name = "laptop", .may_write = true};
 *   if (clo_db_begin(db, &err) && clo_token_add(text, db, &o, now_s, &err) && clo_db_commit(db, &err)) show_once(text);
 *
 *   clo_bearer who;                                          // of a request
 *   clo_denial no;
 *   if (!clo_token_who(&who, keys, authorization, now_s, &no)) answer(no);
 *   if (who.account == 0) ... nobody in particular ...
 *
 * Functions that change something stand in a transaction of the caller's. */
#ifndef CLO_HUB_TOKEN_H
#define CLO_HUB_TOKEN_H

#include "hub/account.h"
#include "hub/denial.h"
#include "hub/keys.h"

#define CLO_TOKEN_SCOPE_MAX 192 /* bytes of "datasets/namespace/name", with the NUL */

typedef struct {
    int64_t account;   /* a user's */
    const char *name;  /* by which people know it, 1 to 63 bytes of one line, not twice in an account; NULL: its id */
    bool may_write;
    const char *scope; /* as clo_token_parse_scope makes it; NULL: everything of the user */
    int64_t expires_s; /* 0: never */
    bool is_session;   /* session.h: no other token may have such a name */
} clo_token_opts;

/* CLO_ERR_DENIED when the user has a token of that name, CLO_ERR_NOT_FOUND when there is no such user. */
CLO_CHECK bool clo_token_add(char text[CLO_KEY_TEXT_MAX], clo_db *db, const clo_token_opts *o, int64_t now_s, clo_err *err);
/* By its id, the 8 characters after `hf_`. CLO_ERR_NOT_FOUND when none of that id is valid. *user (may be NULL): whose it was. */
CLO_CHECK bool clo_token_revoke(char user[CLO_ACCOUNT_NAME_MAX], clo_db *db, clo_str id, int64_t now_s, clo_err *err);
/* All of an account. */
CLO_CHECK bool clo_token_revoke_all(clo_db *db, int64_t account, int64_t now_s, clo_err *err);
/* An array of objects: id, user, name, role ("read", "write", "fineGrained"), may_write, scope, created, expires, revoked, used (the
 * last time, roughly), state ("valid", "expired", "revoked"). account 0: everyone's. Revoked ones too when `all`. */
CLO_CHECK bool clo_token_list(json_t **out, clo_db *db, int64_t account, bool all, int64_t now_s, clo_err *err);

/* "lab/m" or "models/lab/m", "datasets/lab/d", "spaces/lab/s"; out always has the kind. CLO_ERR_USAGE. */
CLO_CHECK bool clo_token_parse_scope(char out[CLO_TOKEN_SCOPE_MAX], clo_str text, clo_err *err);

/* For a repository that was made or renamed: tokens for it are called by its id, "lab/m", and those that were made before there was
 * a repository of that name are for this one from now on. */
CLO_CHECK bool clo_token_follow(clo_db *db, int64_t repo, const char *type, const char *id, clo_err *err);

/* --- of a request -------------------------------------------------------------------------------------------------*/

typedef struct {
    int64_t account;                 /* 0: nobody in particular: no token, or a key that belongs to no account */
    char user[CLO_ACCOUNT_NAME_MAX];
    char oid[CLO_ACCOUNT_OID_LEN + 1];
    bool admin;                      /* of the whole hub */
    bool may_write;                  /* the token */
    char scope[CLO_TOKEN_SCOPE_MAX]; /* "": none */
    int64_t repo;                    /* of the scope; 0: not yet made */
    char id[CLO_KEY_ID_LEN + 1];
    char name[CLO_KEY_NAME_MAX];     /* the token's */
    int64_t created_s, expires_s;
} clo_bearer;

/* authorization: the header's value, or NULL: "Bearer TOKEN", or "Basic ..." with any user and the token as password, as git
 * sends it. 401 for what is no valid token. Any thread; waits for nothing but a lock, reads no disk. */
bool clo_token_who(clo_bearer *out, clo_keys *k, const char *authorization, int64_t now_s, clo_denial *no);
/* "read", "write", or "fineGrained" with a scope. */
const char *clo_token_role(const clo_bearer *b);
/* Whether the token is for this repository too. */
bool clo_token_in_scope(const clo_bearer *b, int64_t repo);
/* The same for one that is to be made; type "model", "dataset" or "space". */
bool clo_token_in_scope_new(const clo_bearer *b, const char *type, clo_str namespace_name, clo_str name);

#endif
