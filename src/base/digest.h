/* SHA-256 (FIPS 180-4), by OpenSSL's libcrypto. */
#ifndef CLO_BASE_DIGEST_H
#define CLO_BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint8_t b[32];
} clo_sha256;

typedef struct {
    void *ctx; /* owned EVP_MD_CTX */
} clo_sha256_ctx;

void clo_sha256_begin(clo_sha256_ctx *c);
void clo_sha256_add(clo_sha256_ctx *c, const void *p, size_t n);
/* Another that has had the same bytes. */
void clo_sha256_copy(clo_sha256_ctx *out, const clo_sha256_ctx *c);
clo_sha256 clo_sha256_end(clo_sha256_ctx *c);
clo_sha256 clo_sha256_of(const void *p, size_t n);
bool clo_sha256_eq(const clo_sha256 *a, const clo_sha256 *b);
/* 64 lower-case hex digits and a NUL. */
void clo_sha256_hex(char out[65], const clo_sha256 *d);
/* False unless exactly 64 lower-case hex digits. */
bool clo_sha256_parse(clo_sha256 *out, const char *hex, size_t len);

#endif
