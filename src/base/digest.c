#include "base/digest.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

/* libcrypto fails here only without memory; a digest that is silently wrong would be worse than a stop. */
static void must(int ok)
{
    if (ok != 1) abort();
}

void clo_sha256_begin(clo_sha256_ctx *c)
{
    c->ctx = EVP_MD_CTX_new();
    must(c->ctx && EVP_DigestInit_ex(c->ctx, EVP_sha256(), NULL));
}

void clo_sha256_add(clo_sha256_ctx *c, const void *p, size_t n)
{
    must(EVP_DigestUpdate(c->ctx, p, n));
}

void clo_sha256_copy(clo_sha256_ctx *out, const clo_sha256_ctx *c)
{
    out->ctx = EVP_MD_CTX_new();
    must(out->ctx && EVP_MD_CTX_copy_ex(out->ctx, c->ctx));
}

clo_sha256 clo_sha256_end(clo_sha256_ctx *c)
{
    clo_sha256 d;
    must(EVP_DigestFinal_ex(c->ctx, d.b, NULL));
    EVP_MD_CTX_free(c->ctx);
    c->ctx = NULL;
    return d;
}

clo_sha256 clo_sha256_of(const void *p, size_t n)
{
    clo_sha256_ctx c;
    clo_sha256_begin(&c);
    clo_sha256_add(&c, p, n);
    return clo_sha256_end(&c);
}

bool clo_sha256_eq(const clo_sha256 *a, const clo_sha256 *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}

void clo_sha256_hex(char out[65], const clo_sha256 *d)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < 32; i++) {
        out[2 * i] = hex[d->b[i] >> 4];
        out[2 * i + 1] = hex[d->b[i] & 15];
    }
    out[64] = 0;
}

static int nibble(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

bool clo_sha256_parse(clo_sha256 *out, const char *hex, size_t len)
{
    if (len != 64) return false;
    for (size_t i = 0; i < 32; i++) {
        int hi = nibble(hex[2 * i]), lo = nibble(hex[2 * i + 1]);
        if (hi < 0 || lo < 0) return false;
        out->b[i] = (uint8_t)(hi << 4 | lo);
    }
    return true;
}
