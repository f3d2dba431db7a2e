/* Signed texts: what this server gives out and, for a while, believes when it comes back. They stand in addresses and
 * tokens of large files, where no account's token is sent.
 *
 *   char text[CLO_SIGNED_MAX];
 *   if (!clo_sign(text, key, "lfs-put", "9-3fb2...", now_s + 3600)) ...
 *   clo_str fields;
 *   if (!clo_signed(&fields, key, "lfs-put", text, now_s)) refuse();          // fields is "9-3fb2..."
 *
 *   text = fields "." expires "." HMAC-SHA256(key, purpose NUL fields "." expires)
 *
 * fields, expires in decimal, the code in hex. A text signed for one purpose is worth nothing for another. The key is drawn
 * once and lies in <data>/hub.key, readable by its owner alone; removing it ends all that was signed.
 * Source: RFC 2104. */
#ifndef CLO_SERVE_HUB_SIGN_H
#define CLO_SERVE_HUB_SIGN_H

#include "base/err.h"
#include "base/slice.h"

#define CLO_SIGNED_FIELDS_MAX 256
#define CLO_SIGNED_MAX (CLO_SIGNED_FIELDS_MAX + 96)

typedef struct {
    uint8_t b[32];
} clo_sign_key;

/* The key of a data folder; makes folder and key when they are not there. Several processes get the same one. */
CLO_CHECK bool clo_sign_key_open(clo_sign_key *out, const char *data_dir, clo_err *err);

/* fields: plain ASCII that may stand in an address, without a dot. False when they are too long. */
CLO_CHECK bool clo_sign(char out[CLO_SIGNED_MAX], const clo_sign_key *k, const char *purpose, const char *fields, int64_t expires_s);
/* False for what was not signed here for this purpose, was changed, or has expired. *fields is a view into text. Takes the
 * same time wherever the code differs. */
CLO_CHECK bool clo_signed(clo_str *fields, const clo_sign_key *k, const char *purpose, clo_str text, int64_t now_s);

#endif
