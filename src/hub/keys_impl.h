/* What the files of the book share: keys.c and token.c write it, keys_snapshot.c holds it in memory for a server, keys_live.c
 * and token_who.c answer from there. */
#ifndef CLO_HUB_KEYS_IMPL_H
#define CLO_HUB_KEYS_IMPL_H

#include <pthread.h>

#include "base/buf.h"
#include "base/digest.h"
#include "hub/keys.h"

#define KEY_PREFIX "ck_"
#define KEY_PREFIX_TOKEN "hf_" /* as long: the two differ in nothing else */
#define KEY_SECRET_LEN 43 /* characters of 62: 256.03 bits */
#define KEY_SALT_BYTES 16
#define KEY_DAY_S 86400

/* SHA-256(salt, key). Lengths are fixed, so nothing can be moved between the two. */
clo_sha256 clo_key_hash(const uint8_t salt[KEY_SALT_BYTES], const char *text);

/* The book's number: a server reads the keys again when it has grown. For every change of keys, and of accounts that have
 * some, in the transaction of the change. */
CLO_CHECK bool clo_keys_turn_page(clo_db *db, clo_err *err);

/* A list of models "a,b" as "a\nb\n", which the tables have. */
CLO_CHECK bool clo_keys_spell_models(clo_buf *out, const char *list, clo_err *err);
#define CLO_KEYS_MODEL_MAX 200 /* bytes of a name in it, with its newline */
#define CLO_KEYS_MODELS_BYTES_MAX ((size_t)CLO_KEY_MODELS_MAX * CLO_KEYS_MODEL_MAX) /* of a list so spelled */
/* Column i of a row, a list so spelled: an array of names, or null. */
json_t *clo_keys_models_json(clo_stmt *q, int i);

/* Makes the text of a key: prefix, id, secret. */
CLO_CHECK bool clo_keys_make_text(char text[CLO_KEY_TEXT_MAX], const char *prefix, clo_err *err);

/* A row to be made; what is 0, NULL or empty is not set. */
typedef struct {
    const char *name;
    int64_t expires_s;
    /* of a key */
    int64_t tokens_per_day, concurrent;
    clo_str models;          /* as clo_keys_spell_models has them */
    bool admin;
    /* of a token */
    int64_t account, repo;
    const char *role, *scope;
} clo_key_entry;
/* Stores the hash of a text with what it stands for, and turns the page. */
CLO_CHECK bool clo_keys_insert(clo_db *db, const clo_key_entry *e, const char *text, int64_t now_s, clo_err *err);

/* --- the snapshot -------------------------------------------------------------------------------------------------*/

/* A key, or a token with its account. */
typedef struct {
    char id[CLO_KEY_ID_LEN + 1];
    char name[CLO_KEY_NAME_MAX];  /* that use is counted by: the key's, or the account's */
    char title[CLO_KEY_NAME_MAX]; /* the key's own name */
    uint8_t salt[KEY_SALT_BYTES];
    clo_sha256 hash;
    int64_t tokens_per_day, concurrent; /* the key's, or the account's; 0: no limit */
    int64_t created_s, expires_s;       /* 0: never */
    int64_t used_s, used_stored_s;      /* last use that was seen, that is on disk; 0: none */
    bool revoked;
    bool admin;                         /* it may change models */
    char *models;                       /* owned: names with a newline after each; NULL: all */
    /* of a token */
    int64_t account;                    /* 0: a key */
    char oid[25];                       /* the account's */
    bool may_write, account_admin;
    char *scope;                        /* owned; NULL: everything of the account */
    int64_t repo;                       /* of the scope; 0: there is none of that name yet */
} clo_key_row;

/* What goes by name. The entries stay where they are as long as the book is open. */
typedef struct clo_key_tally {
    struct clo_key_tally *next;
    char name[CLO_KEY_NAME_MAX];
    int64_t day;        /* that `used` is of */
    int64_t used;       /* tokens of answers that ended */
    int64_t reserved;   /* tokens of prompts that run */
    int64_t n_running;
} clo_key_tally;

struct clo_keys {
    pthread_mutex_t lock; /* guards all below */
    clo_db *db;
    clo_key_row *keys;    /* [n_keys], by id; owned */
    size_t n_keys;
    size_t n_given;       /* of them, those that are no session's (session.h) */
    clo_key_tally *tallies; /* owned */
    int64_t db_version, book;
    bool ask_nobody;
};

/* These three under the lock. Reads the keys again when the book has a new number; a read of shared memory when not. */
CLO_CHECK bool clo_keys_refresh(clo_keys *k, clo_err *err);
clo_key_row *clo_keys_of_id(const clo_keys *k, const char *id);
/* The key whose text this is, to the last character (spaces may follow); revoked and expired ones too. */
clo_key_row *clo_keys_of_text(const clo_keys *k, clo_str text);

#endif
