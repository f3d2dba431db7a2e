/* The hub's Xet endpoints: tokens, and what comes in. What goes out is in hub_xet_read.c.
 *
 * A client asks the hub for a token of one repository, for reading or for writing, and shows it under BASE/xet instead of its
 * account's. A token names the repository by row and by id, for a row's number may come again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/hub_handlers.h"
#include "serve/hub_xet.h"

#define TOKEN_S 1200 /* clients ask for a new one half a minute before its end */

/* --- tokens -------------------------------------------------------------------------------------------------------*/

static void reply_token(clo_hub_call *c, char kind)
{
    char fields[CLO_SIGNED_FIELDS_MAX], token[CLO_SIGNED_MAX], url[CLO_HUB_BASE_MAX + 8], until[24];
    int64_t exp = clo_hub_now() + TOKEN_S;
    snprintf(fields, sizeof fields, "%c-%lld-%s", kind, (long long)c->repo.id, c->repo.oid);
    if (!clo_sign(token, clo_hub_sign_key(c), "xet", fields, exp)) {
        clo_hub_fail(c, 500, NULL, "internal error");
        return;
    }
    snprintf(url, sizeof url, "%s/xet", c->base);
    snprintf(until, sizeof until, "%lld", (long long)exp);
    /* Older clients read the headers, newer ones the body. */
    clo_reply_header(c->r, "X-Xet-Cas-Url", url);
    clo_reply_header(c->r, "X-Xet-Access-Token", token);
    clo_reply_header(c->r, "X-Xet-Token-Expiration", until);
    clo_reply_header(c->r, "Cache-Control", "no-store");
    clo_hub_json(c, 200, json_pack("{s:s, s:I, s:s}", "accessToken", token, "exp", (json_int_t)exp, "casUrl", url));
}

void clo_hub_xet_write_token(clo_hub_call *c)
{
    if (clo_hub_may_upload(c)) reply_token(c, 'w');
}

void clo_hub_xet_read_token(clo_hub_call *c)
{
    reply_token(c, 'r');
}

bool clo_hub_signed_repo(clo_hub_call *c, clo_str fields)
{
    clo_err err = {0};
    char id[24] = "";
    size_t dash = clo_str_find(fields, 0, '-');
    if (dash >= sizeof id) return clo_hub_fail(c, 404, "RepoNotFound", "Repository not found");
    memcpy(id, fields.ptr, dash);
    bool found = clo_repo_get(&c->repo, c->db, strtoll(id, NULL, 10), &err);
    if (!found && err.code != CLO_ERR_NOT_FOUND) return clo_hub_fail_err(c, &err);
    if (!found || !clo_str_eq(clo_str_from_off(fields, dash + 1), clo_str_from(c->repo.oid)))
        return clo_hub_fail(c, 404, "RepoNotFound", "Repository not found");
    return !c->repo.disabled || clo_hub_fail(c, 403, NULL, "Access to this resource is disabled.");
}

bool clo_hub_xet_scope(clo_hub_call *c, bool write)
{
    const clo_str bearer = CLO_STR("Bearer ");
    clo_str given = clo_request_header(c->r, "Authorization"), fields;
    if (!clo_str_starts_with(given, bearer) ||
        !clo_signed(&fields, clo_hub_sign_key(c), "xet", clo_str_from_off(given, bearer.len), clo_hub_now()))
        return clo_hub_fail(c, 401, NULL, "a valid Xet token is expected");
    if (write && fields.ptr[0] != 'w') return clo_hub_fail(c, 403, NULL, "this Xet token is for reading");
    return clo_hub_signed_repo(c, clo_str_from_off(fields, 2));
}

bool clo_hub_xet_hash(clo_xet_hash *out, clo_hub_call *c, clo_str text)
{
    return clo_xet_hash_parse(out, text) || clo_hub_fail(c, 400, NULL, "64 lower-case hex digits are expected as hash");
}

/* --- xorbs --------------------------------------------------------------------------------------------------------*/

typedef struct {
    clo_xorb_put *put; /* owned */
    clo_err err;       /* once a piece was refused */
} xorb_upload;

static void free_xorb(void *data)
{
    xorb_upload *u = (xorb_upload *)data;
    clo_xorb_put_close(u->put);
    free(u);
}

static bool take_xorb(void *data, clo_str bytes)
{
    xorb_upload *u = (xorb_upload *)data;
    return clo_xorb_put_add(u->put, clo_bytes_of(bytes), &u->err);
}

void clo_hub_xorb_begin(clo_hub_call *c)
{
    clo_xet_hash hash;
    clo_err err = {0};
    if (!clo_hub_xet_scope(c, true) || !clo_hub_xet_hash(&hash, c, c->a.rest)) return;
    xorb_upload *u = (xorb_upload *)calloc(1, sizeof *u);
    if (!u) {
        clo_hub_fail(c, 503, NULL, "server busy, please try again.  no memory is left");
        return;
    }
    c->data = u;
    c->free_data = free_xorb;
    if (clo_xorb_put_open(&u->put, &c->files, &hash, &err)) clo_hub_sink(c, take_xorb);
    else clo_hub_fail_err(c, &err);
}

void clo_hub_xorb_run(clo_hub_call *c)
{
    xorb_upload *u = (xorb_upload *)c->data;
    bool inserted = false;
    if (clo_request_body_fault(c->r) == CLO_BODY_REFUSED || !clo_xorb_put_commit(u->put, &inserted, clo_hub_now(), &u->err))
        clo_hub_fail_err(c, &u->err);
    else clo_hub_json(c, 200, json_pack("{s:b}", "was_inserted", inserted));
}

void clo_hub_xorb_head(clo_hub_call *c)
{
    clo_xet_hash hash;
    clo_err err = {0};
    bool has = false;
    if (!clo_hub_xet_scope(c, true) || !clo_hub_xet_hash(&hash, c, c->a.rest)) return;
    if (!clo_files_has_xorb(&has, &c->files, &hash, &err)) clo_hub_fail_err(c, &err);
    else if (has) clo_reply(c->r, 200, NULL, CLO_STR(""));
    else clo_hub_fail(c, 404, NULL, "no such xorb is here");
}

/* --- shards -------------------------------------------------------------------------------------------------------*/

static void free_shard(void *data)
{
    clo_buf_free((clo_buf *)data);
    free(data);
}

static bool take_shard(void *data, clo_str bytes)
{
    clo_buf *b = (clo_buf *)data;
    clo_buf_add(b, bytes);
    return !b->failed;
}

void clo_hub_shard_begin(clo_hub_call *c)
{
    if (!clo_hub_xet_scope(c, true)) return;
    clo_buf *b = (clo_buf *)calloc(1, sizeof *b);
    if (!b) {
        clo_hub_fail(c, 503, NULL, "server busy, please try again.  no memory is left");
        return;
    }
    b->max = CLO_SHARD_BYTES_MAX;
    c->data = b;
    c->free_data = free_shard;
    clo_hub_sink(c, take_shard);
}

void clo_hub_shard_run(clo_hub_call *c)
{
    const clo_buf *b = (const clo_buf *)c->data;
    bool inserted = false;
    clo_err err = {0};
    if (clo_request_body_fault(c->r) == CLO_BODY_REFUSED)
        clo_hub_fail(c, 413, NULL, "shard of more than %zu bytes", CLO_SHARD_BYTES_MAX);
    else if (clo_files_commit_shard(&inserted, &c->files, clo_bytes_of(clo_buf_str(b)), c->repo.id, clo_hub_now(), NULL, NULL, &err))
        clo_hub_json(c, 200, json_pack("{s:i}", "result", inserted ? 1 : 0));
    else if (err.code == CLO_ERR_NOT_FOUND) clo_hub_fail(c, 400, NULL, "%s", err.text);
    else clo_hub_fail_err(c, &err);
}

void clo_hub_telemetry(clo_hub_call *c)
{
    clo_reply(c->r, 204, NULL, CLO_STR(""));
}
