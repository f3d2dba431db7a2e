/* What keys.c (the book) and keys_live.c (the server's side) share. */
#ifndef CLO_HUB_KEYS_IMPL_H
#define CLO_HUB_KEYS_IMPL_H

#include "base/buf.h"
#include "base/digest.h"
#include "hub/keys.h"

#define KEY_PREFIX "ck_"
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

#endif
