/* See token.h: who a request comes from. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "hub/keys_impl.h"
#include "hub/token.h"

#define BASIC_BYTES_MAX 1024 /* of "user:token", decoded */

/* The clients look for these words. */
static bool deny_401(clo_denial *no)
{
    return clo_deny(no, 401, NULL, "Invalid credentials in Authorization header");
}

/* --- the header ---------------------------------------------------------------------------------------------------*/

static int digit64(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* RFC 4648 section 4, with its padding or without. False for anything else, and for more than BASIC_BYTES_MAX. */
static bool decode64(char out[BASIC_BYTES_MAX], size_t *n, clo_str in)
{
    uint32_t bits = 0;
    *n = 0;
    if (in.len % 4 == 0)
        for (int i = 0; i < 2 && in.len > 0 && in.ptr[in.len - 1] == '='; i++) in.len--;
    if (in.len % 4 == 1) return false;
    for (size_t i = 0; i < in.len; i++) {
        int d = digit64(in.ptr[i]);
        if (d < 0) return false;
        bits = bits << 6 | (uint32_t)d;
        if (i % 4 == 0) continue;
        if (*n == BASIC_BYTES_MAX) return false;
        out[(*n)++] = (char)(bits >> (6 - 2 * (i % 4)) & 0xff);
    }
    return true;
}

/* What follows the scheme's name and spaces, or NULL when it is another scheme. */
static const char *after_scheme(const char *header, const char *scheme)
{
    size_t n = strlen(scheme);
    header += strspn(header, " ");
    if (strncasecmp(header, scheme, n) != 0 || header[n] != ' ') return NULL;
    return header + n + strspn(header + n, " ");
}

/* The token in the header; `room` has it when it came encoded. NULL: there is none. */
static clo_str token_of(const char *header, char room[BASIC_BYTES_MAX])
{
    size_t n;
    const char *bearer = after_scheme(header, "bearer"), *basic = after_scheme(header, "basic");
    if (bearer) return clo_str_from(bearer);
    if (!basic) return (clo_str){0};
    clo_str in = clo_str_from(basic);
    while (in.len > 0 && in.ptr[in.len - 1] == ' ') in.len--;
    if (!decode64(room, &n, in)) return (clo_str){0};
    clo_str pair = {room, n};
    return clo_str_from_off(pair, clo_str_find(pair, 0, ':') + 1);
}

/* --- who ----------------------------------------------------------------------------------------------------------*/

static void fill(clo_bearer *out, const clo_key_row *r)
{
    *out = (clo_bearer){.account = r->account, .admin = r->account_admin, .may_write = r->may_write,
                        .created_s = r->created_s, .expires_s = r->expires_s};
    memcpy(out->id, r->id, sizeof out->id);
    memcpy(out->name, r->title, sizeof out->name);
    if (r->account == 0) return;
    memcpy(out->user, r->name, sizeof out->user);
    memcpy(out->oid, r->oid, sizeof out->oid);
    if (r->scope) snprintf(out->scope, sizeof out->scope, "%s", r->scope);
    out->repo = r->repo;
}

bool clo_token_who(clo_bearer *out, clo_keys *k, const char *authorization, int64_t now_s, clo_denial *no)
{
    char room[BASIC_BYTES_MAX];
    *out = (clo_bearer){0};
    if (!authorization) return true;
    clo_str text = token_of(authorization, room);
    if (text.len == 0) return deny_401(no);
    pthread_mutex_lock(&k->lock);
    bool readable = clo_keys_refresh(k, NULL);
    clo_key_row *found = readable ? clo_keys_of_text(k, text) : NULL;
    bool valid = found && !found->revoked && (found->expires_s == 0 || found->expires_s > now_s);
    if (valid) {
        fill(out, found);
        found->used_s = now_s;
    }
    pthread_mutex_unlock(&k->lock);
    if (!readable) return clo_deny(no, 500, NULL, "the tokens cannot be read");
    return valid || deny_401(no);
}

const char *clo_token_role(const clo_bearer *b)
{
    return b->scope[0] ? "fineGrained" : b->may_write ? "write" : "read";
}

static bool same_name(clo_str a, clo_str b)
{
    return a.len == b.len && strncasecmp(a.ptr, b.ptr, a.len) == 0;
}

bool clo_token_in_scope(const clo_bearer *b, int64_t repo)
{
    return !b->scope[0] || b->repo == repo;
}

bool clo_token_in_scope_new(const clo_bearer *b, const char *type, clo_str namespace_name, clo_str name)
{
    if (!b->scope[0]) return true;
    if (b->repo) return false;
    clo_str scope = clo_str_from(b->scope);
    size_t kind = clo_str_find(scope, 0, '/'), slash = clo_str_find(scope, kind + 1, '/');
    size_t n = strlen(type); /* "model" is in "models/..." */
    return kind == n + 1 && memcmp(scope.ptr, type, n) == 0 && slash < scope.len &&
           same_name((clo_str){scope.ptr + kind + 1, slash - kind - 1}, namespace_name) &&
           same_name(clo_str_from_off(scope, slash + 1), name);
}
