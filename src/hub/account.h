/* Accounts of the hub: users, who have a password and tokens (token.h), and organisations, which have members (member.h).
 * Either is a namespace: the part of a repository's id before the slash.
 *
 *   clo_account_info anna;
 *   clo_account_opts o = {.name = "anna", .password = CLO_STR("correct horse")};
 *   if (clo_db_begin(db, &err) && clo_account_add(&anna, db, &o, now_s, &err) && clo_db_commit(db, &err)) ...
 *   bool right = false;
 *   if (clo_account_check_password(&right, &anna, db, name, password, &err) && right) let_in(&anna);
 *
 * Names go by the rule of clo_account_name_check; upper and lower case are the same account. A password is kept as
 * yescrypt's hash (libxcrypt), which costs a guesser memory and time: checking one takes some tens of milliseconds.
 *
 * Functions that change something stand in a transaction of the caller's. Times are seconds since 1970. */
#ifndef CLO_HUB_ACCOUNT_H
#define CLO_HUB_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "store/db.h"

#define CLO_ACCOUNT_NAME_MAX 64       /* bytes, with the NUL; as CLO_KEY_NAME_MAX, since use is counted by it */
#define CLO_ACCOUNT_TEXT_MAX 256      /* of a full name or an e-mail address, with the NUL */
#define CLO_ACCOUNT_OID_LEN 24        /* hex digits of the id that clients see */
#define CLO_ACCOUNT_PASSWORD_MIN 8    /* bytes */
#define CLO_ACCOUNT_PASSWORD_MAX 500  /* bytes */

typedef struct {
    int64_t id;                          /* never given twice */
    char oid[CLO_ACCOUNT_OID_LEN + 1];
    char name[CLO_ACCOUNT_NAME_MAX];     /* as it was given */
    char fullname[CLO_ACCOUNT_TEXT_MAX]; /* the name where none was given */
    char email[CLO_ACCOUNT_TEXT_MAX];    /* "": none */
    bool is_org;
    bool admin;                          /* of the whole hub; a user's */
    int64_t created_s;
} clo_account_info;

typedef struct {
    const char *name;
    const char *fullname, *email; /* NULL: none */
    clo_str password;             /* NULL pointer: none, the user comes in by tokens alone */
    bool is_org;
    bool admin;
    int64_t tokens_per_day;       /* of the model-serving routes, by all tokens of a user; 0: no limit */
    int64_t concurrent;           /* requests at once; 0: no limit */
    const char *models;           /* that it may use, as clo_key_opts has them; NULL: all */
} clo_account_opts;

/* 1 to 63 letters, digits, `_`, `-` and `.`; the first and the last a letter, a digit or `_`; no "--", no "..", not ending
 * in ".git", and no word that begins an address of the hub. CLO_ERR_USAGE says which. */
CLO_CHECK bool clo_account_name_check(clo_str name, clo_err *err);
/* The same rule for up to max_len bytes, the reserved words allowed: for names of repositories. */
bool clo_account_name_fits(clo_str name, size_t max_len);

/* CLO_ERR_USAGE for what cannot be an account's, CLO_ERR_DENIED when the name is taken. */
CLO_CHECK bool clo_account_add(clo_account_info *out, clo_db *db, const clo_account_opts *o, int64_t now_s, clo_err *err);
/* Removes it with its memberships and revokes its tokens. CLO_ERR_NOT_FOUND; CLO_ERR_DENIED while it has repositories. */
CLO_CHECK bool clo_account_remove(clo_db *db, clo_str name, bool is_org, int64_t now_s, clo_err *err);

/* CLO_ERR_NOT_FOUND when there is none. */
CLO_CHECK bool clo_account_find(clo_account_info *out, clo_db *db, clo_str name, clo_err *err);
CLO_CHECK bool clo_account_get(clo_account_info *out, clo_db *db, int64_t id, clo_err *err);
/* An array by name: name, id, type ("user" or "org"), fullname, email, created; admin, tokens_per_day, concurrent and models of a
 * user, members (how many) of an organisation. */
CLO_CHECK bool clo_account_list(json_t **out, clo_db *db, bool orgs, clo_err *err);

CLO_CHECK bool clo_account_set_password(clo_db *db, int64_t id, clo_str password, clo_err *err);
/* *right: whether it is the user's password; *out is then the user. A name that is nobody's, an organisation's and a user
 * without a password take as long as a wrong one, so that time tells nothing. */
CLO_CHECK bool clo_account_check_password(bool *right, clo_account_info *out, clo_db *db, clo_str name, clo_str password,
                                          clo_err *err);

#endif
