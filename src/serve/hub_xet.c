/* The hub's Xet endpoints: tokens, and what comes in. What goes out is in hub_xet_read.c.
 *
 * A client asks the hub for a token of one repository, for reading or for writing, and shows it under BASE/xet instead of its
 * account's. A token names the repository by row and by id, for a row's number may come again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/ahead.h"
#include "serve/hub_handlers.h"
#include "serve/hub_xet.h"

#define TOKEN_S 1200 /* clients ask for a new one half a minute before its end */

/* --- tokens -------------------------------------------------------------------------------------------------------*/

bool clo_hub_xet_token(clo_xet_token *out, clo_hub_call *c, bool write)
{
    char fields[CLO_SIGNED_FIELDS_MAX];
    out->expires_s = clo_hub_now() + TOKEN_S;
    snprintf(fields, sizeof fields, "%c-%lld-%s", write ? 'w' : 'r', (long long)c->repo.id, c->repo.oid);
    snprintf(out->url, sizeof out->url, "%s/xet", c->base);
    snprintf(out->until, sizeof out->until, "%lld", (long long)out->expires_s);
    return clo_sign(out->text, clo_hub_sign_key(c), "xet", fields, out->expires_s) || clo_hub_fail(c, 500, NULL, "internal error");
}

static void reply_token(clo_hub_call *c, bool write)
{
    clo_xet_token t;
    if (!clo_hub_xet_token(&t, c, write)) return;
    /* Older clients read the headers, newer ones the body. */
    clo_reply_header(c->r, "X-Xet-Cas-Url", t.url);
    clo_reply_header(c->r, "X-Xet-Access-Token", t.text);
    clo_reply_header(c->r, "X-Xet-Token-Expiration", t.until);
    clo_reply_header(c->r, "Cache-Control", "no-store");
    clo_hub_json(c, 200, json_pack("{s:s, s:I, s:s}", "accessToken", t.text, "exp", (json_int_t)t.expires_s, "casUrl", t.url));
}

void clo_hub_xet_write_token(clo_hub_call *c)
{
    if (clo_hub_may_upload(c)) reply_token(c, true);
}

void clo_hub_xet_read_token(clo_hub_call *c)
{
    reply_token(c, false);
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
    clo_ahead *ahead;
    int64_t repo;
    clo_xet_hash hash;
    bool ok, inserted;
    clo_err err;       /* once a piece was refused */
} xorb_upload;

static void free_xorb(void *data)
{
    xorb_upload *u = (xorb_upload *)data;
    if (!u->ok) clo_ahead_fails(u->ahead, u->repo, &u->hash);
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
    u->ahead = c->files.ahead;
    u->repo = c->repo.id;
    u->hash = hash;
    clo_ahead_begins(u->ahead, u->repo, &hash);
    if (clo_xorb_put_open(&u->put, &c->files, &hash, &err)) clo_hub_sink(c, take_xorb);
    else clo_hub_fail_err(c, &err);
}

static void commit_xorb(clo_hub_call *c)
{
    xorb_upload *u = (xorb_upload *)c->data;
    u->ok = clo_xorb_put_commit(u->put, &u->inserted, clo_hub_now(), &u->err);
    if (u->ok) clo_ahead_is_here(u->ahead, u->repo, &u->hash, clo_xorb_put_raw_bytes(u->put));
}

static void reply_xorb(clo_hub_call *c)
{
    const xorb_upload *u = (const xorb_upload *)c->data;
    if (u->ok) clo_hub_json(c, 200, json_pack("{s:b}", "was_inserted", u->inserted));
    else clo_hub_fail_err(c, &u->err);
}

void clo_hub_xorb_run(clo_hub_call *c)
{
    if (clo_request_body_fault(c->r) == CLO_BODY_REFUSED) reply_xorb(c);
    else clo_hub_aside(c, commit_xorb, reply_xorb);
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

typedef struct {
    clo_buf body;
    bool ok, inserted;
    clo_err err;
} shard_upload;

static void free_shard(void *data)
{
    clo_buf_free(&((shard_upload *)data)->body);
    free(data);
}

static bool take_shard(void *data, clo_str bytes)
{
    clo_buf *b = &((shard_upload *)data)->body;
    clo_buf_add(b, bytes);
    return !b->failed;
}

void clo_hub_shard_begin(clo_hub_call *c)
{
    if (!clo_hub_xet_scope(c, true)) return;
    shard_upload *u = (shard_upload *)calloc(1, sizeof *u);
    if (!u) {
        clo_hub_fail(c, 503, NULL, "server busy, please try again.  no memory is left");
        return;
    }
    u->body.max = CLO_SHARD_BYTES_MAX;
    c->data = u;
    c->free_data = free_shard;
    clo_hub_sink(c, take_shard);
}

static bool go_on(void *ctx, uint64_t done, uint64_t total)
{
    (void)done;
    (void)total;
    return !clo_request_is_gone(((clo_hub_call *)ctx)->r);
}

static void commit_shard(clo_hub_call *c)
{
    shard_upload *u = (shard_upload *)c->data;
    u->ok = clo_files_commit_shard(&u->inserted, &c->files, clo_bytes_of(clo_buf_str(&u->body)), c->repo.id, clo_hub_now(), go_on, c,
                                   &u->err);
}

static void reply_shard(clo_hub_call *c)
{
    const shard_upload *u = (const shard_upload *)c->data;
    if (u->ok) clo_hub_json(c, 200, json_pack("{s:i}", "result", u->inserted ? 1 : 0));
    else if (u->err.code == CLO_ERR_NOT_FOUND || u->err.code == CLO_ERR_UNSUPPORTED) clo_hub_fail(c, 400, NULL, "%s", u->err.text);
    else clo_hub_fail_err(c, &u->err);
}

void clo_hub_shard_run(clo_hub_call *c)
{
    if (clo_request_body_fault(c->r) == CLO_BODY_REFUSED)
        clo_hub_fail(c, 413, NULL, "shard of more than %zu bytes", CLO_SHARD_BYTES_MAX);
    else clo_hub_aside(c, commit_shard, reply_shard);
}
