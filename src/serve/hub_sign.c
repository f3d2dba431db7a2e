/* See hub_sign.h. */
#include "serve/hub_sign.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/entropy.h"
#include "base/file.h"

#define CODE 32

/* --- the key ------------------------------------------------------------------------------------------------------*/

/* *found false: there is none. */
static bool read_key(clo_sign_key *out, bool *found, const char *path, clo_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    *found = fd >= 0;
    if (fd < 0) return errno == ENOENT || clo_fail_sys(err, errno, "open '%s'", path);
    ssize_t n = read(fd, out->b, sizeof out->b);
    int sys = errno;
    close(fd);
    if (n < 0) return clo_fail_sys(err, sys, "read '%s'", path);
    return n == (ssize_t)sizeof out->b || clo_fail(err, CLO_ERR_DAMAGED, "'%s': %zd bytes, %zu expected", path, n, sizeof out->b);
}

/* The whole key gets its name at once, unless another process was first. */
static bool write_key(const char *tmp, const char *path, const char *folder, clo_err *err)
{
    clo_sign_key k;
    if (!clo_entropy_bytes(k.b, sizeof k.b, err)) return false;
    int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return clo_fail_sys(err, errno, "open '%s'", tmp);
    clo_file_give_to_owner(fd, folder);
    bool ok = write(fd, k.b, sizeof k.b) == (ssize_t)sizeof k.b && fsync(fd) == 0 && (link(tmp, path) == 0 || errno == EEXIST);
    int sys = errno;
    close(fd);
    unlink(tmp);
    return ok || clo_fail_sys(err, sys, "write '%s'", path);
}

bool clo_sign_key_open(clo_sign_key *out, const char *data_dir, clo_err *err)
{
    char path[4096], tmp[4096];
    bool found = false;
    if (!clo_mkdir_p(data_dir, err) || !clo_path_join(path, err, "%s/hub.key", data_dir) ||
        !clo_path_join(tmp, err, "%s/hub.key.tmp-%ld", data_dir, (long)getpid()) || !read_key(out, &found, path, err))
        return false;
    if (found) return true;
    if (!write_key(tmp, path, data_dir, err) || !read_key(out, &found, path, err)) return false;
    return found || clo_fail(err, CLO_ERR_IO, "'%s' was removed again", path);
}

/* --- texts --------------------------------------------------------------------------------------------------------*/

static bool code_of(uint8_t out[CODE], const clo_sign_key *k, const char *purpose, clo_str said)
{
    char in[CLO_SIGNED_MAX + 64];
    size_t n = strlen(purpose) + 1;
    unsigned got = 0;
    if (n + said.len > sizeof in) return false;
    memcpy(in, purpose, n);
    memcpy(in + n, said.ptr, said.len);
    return HMAC(EVP_sha256(), k->b, (int)sizeof k->b, (const uint8_t *)in, n + said.len, out, &got) && got == CODE;
}

static void hex_of(char out[2 * CODE + 1], const uint8_t code[CODE])
{
    for (size_t i = 0; i < CODE; i++) snprintf(out + 2 * i, 3, "%02x", code[i]);
}

bool clo_sign(char out[CLO_SIGNED_MAX], const clo_sign_key *k, const char *purpose, const char *fields, int64_t expires_s)
{
    uint8_t code[CODE];
    char hex[2 * CODE + 1];
    if (strlen(fields) >= CLO_SIGNED_FIELDS_MAX) return false;
    int n = snprintf(out, CLO_SIGNED_MAX, "%s.%lld", fields, (long long)expires_s);
    if (!code_of(code, k, purpose, (clo_str){out, (size_t)n})) return false;
    hex_of(hex, code);
    snprintf(out + n, CLO_SIGNED_MAX - (size_t)n, ".%s", hex);
    return true;
}

static bool read_time(int64_t *out, clo_str s)
{
    *out = 0;
    if (s.len == 0 || s.len > 12) return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9') return false;
        *out = *out * 10 + (s.ptr[i] - '0');
    }
    return true;
}

bool clo_signed(clo_str *fields, const clo_sign_key *k, const char *purpose, clo_str text, int64_t now_s)
{
    uint8_t code[CODE];
    char hex[2 * CODE + 1];
    int64_t expires_s;
    *fields = (clo_str){0};
    if (text.len >= CLO_SIGNED_MAX || text.len < 2 * CODE + 1 || text.ptr[text.len - 2 * CODE - 1] != '.') return false;
    clo_str said = {text.ptr, text.len - 2 * CODE - 1};
    if (!code_of(code, k, purpose, said)) return false;
    hex_of(hex, code);
    if (CRYPTO_memcmp(hex, said.ptr + said.len + 1, 2 * CODE) != 0) return false;
    size_t dot = clo_str_find(said, 0, '.');
    if (!read_time(&expires_s, clo_str_from_off(said, dot + 1)) || expires_s <= now_s) return false;
    *fields = (clo_str){said.ptr, dot};
    return true;
}
