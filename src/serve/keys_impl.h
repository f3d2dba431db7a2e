/* What keys.c (the book) and keys_live.c (the server's side) share. */
#ifndef CLO_SERVE_KEYS_IMPL_H
#define CLO_SERVE_KEYS_IMPL_H

#include "base/digest.h"
#include "serve/keys.h"

#define KEY_PREFIX "ck_"
#define KEY_SECRET_LEN 43 /* characters of 62: 256.03 bits */
#define KEY_SALT_BYTES 16
#define KEY_DAY_S 86400

/* SHA-256(salt, key). Lengths are fixed, so nothing can be moved between the two. */
clo_sha256 clo_key_hash(const uint8_t salt[KEY_SALT_BYTES], const char *text);

#endif
