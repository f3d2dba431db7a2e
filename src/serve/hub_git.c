/* git over smart HTTP: clone, fetch, push. Source: git's gitprotocol-http. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "base/file.h"
#include "hub/discussion.h"
#include "hub/fetch.h"
#include "hub/push.h"
#include "hub/spool.h"
#include "serve/hub_handlers.h"
#include "serve/server_impl.h"

#define INFLATE_PIECE 65536

/* --- bodies that git has compressed -------------------------------------------------------------------------------*/

typedef struct {
    z_stream z;
    bool on, ended;
} gunzip;

static bool open_gunzip(gunzip *g, clo_hub_call *c)
{
    clo_str coding = clo_request_header(c->r, "Content-Encoding");
    *g = (gunzip){0};
    if (coding.len == 0 || (coding.len == 8 && strncasecmp(coding.ptr, "identity", 8) == 0)) return true;
    bool known = (coding.len == 4 && strncasecmp(coding.ptr, "gzip", 4) == 0) ||
                 (coding.len == 6 && strncasecmp(coding.ptr, "x-gzip", 6) == 0);
    if (!known) return clo_hub_fail(c, 415, NULL, "Content-Encoding: gzip or identity is expected");
    g->on = inflateInit2(&g->z, 15 + 16) == Z_OK;
    return g->on || clo_hub_fail(c, 503, NULL, "server busy, please try again.  no memory is left");
}

static void close_gunzip(gunzip *g)
{
    if (g->on) inflateEnd(&g->z);
}

/* Gives what a piece stands for to fn. */
static bool add_piece(gunzip *g, clo_bytes piece, clo_out_fn *fn, void *ctx, clo_err *err)
{
    uint8_t out[INFLATE_PIECE];
    if (!g->on) return fn(ctx, piece, err);
    g->z.next_in = (uint8_t *)(uintptr_t)piece.ptr;
    g->z.avail_in = (uInt)piece.len;
    do {
        if (g->ended) return clo_fail(err, CLO_ERR_FORMAT, "body: bytes after the end of its gzip stream");
        g->z.next_out = out;
        g->z.avail_out = sizeof out;
        int rc = inflate(&g->z, Z_NO_FLUSH);
        if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR) return clo_fail(err, CLO_ERR_FORMAT, "body: no gzip stream");
        g->ended = rc == Z_STREAM_END;
        size_t n = sizeof out - g->z.avail_out;
        if (n > 0 && !fn(ctx, (clo_bytes){out, n}, err)) return false;
    } while (g->z.avail_in > 0 || g->z.avail_out == 0);
    return true;
}

/* --- answers ------------------------------------------------------------------------------------------------------*/

static bool add_to_buf(void *ctx, clo_bytes bytes, clo_err *err)
{
    clo_buf *b = (clo_buf *)ctx;
    clo_buf_add(b, (clo_str){(const char *)bytes.ptr, bytes.len});
    return !b->failed || clo_fail(err, CLO_ERR_MEMORY, "answer of git");
}

static bool tmp_folder(char out[4096], clo_hub_call *c, clo_err *err)
{
    return clo_path_join(out, err, "%s/tmp", c->s->o.data_dir) && clo_mkdir_p(out, err);
}

static void no_cache(clo_hub_call *c)
{
    clo_reply_header(c->r, "Cache-Control", "no-cache, max-age=0, must-revalidate");
}

/* --- refs and fetch -----------------------------------------------------------------------------------------------*/

void clo_hub_git_refs(clo_hub_call *c)
{
    clo_buf b = {0};
    clo_err err = {0};
    clo_str service = clo_hub_param(c, "service");
    bool push = clo_str_eq(service, CLO_STR("git-receive-pack"));
    if (!push && !clo_str_eq(service, CLO_STR("git-upload-pack"))) {
        clo_hub_fail(c, 403, NULL, "the dumb protocol of git is not served: use a git that speaks smart HTTP");
        return;
    }
    if ((push && !clo_hub_may(c, CLO_MAY_PROPOSE)) || !clo_hub_git(c)) return;
    bool ok = push ? clo_push_advertise(c->git, add_to_buf, &b, &err)
                   : clo_fetch_advertise(c->git, clo_git_protocol(clo_request_header(c->r, "Git-Protocol")), add_to_buf, &b, &err);
    no_cache(c);
    if (ok) clo_reply_buf(c->r, 200, push ? "application/x-git-receive-pack-advertisement" : "application/x-git-upload-pack-advertisement", &b);
    else clo_hub_fail_err(c, &err);
    clo_buf_free(&b);
}

void clo_hub_git_fetch(clo_hub_call *c)
{
    gunzip g;
    char folder[4096];
    clo_err err = {0};
    clo_buf body = {.max = CLO_FETCH_BODY_MAX};
    clo_spool s = {0}; /* a pack may be larger than memory: the kernel sends it */
    if (!clo_hub_git(c) || !open_gunzip(&g, c)) return;
    bool ok = add_piece(&g, clo_bytes_of(clo_request_body(c->r)), add_to_buf, &body, &err) && tmp_folder(folder, c, &err);
    ok = ok && clo_spool_open(&s, folder, &err) &&
         clo_fetch_answer(c->git, clo_git_protocol(clo_request_header(c->r, "Git-Protocol")), clo_bytes_of(clo_buf_str(&body)),
                          clo_spool_add, &s, &err);
    no_cache(c);
    if (ok) {
        clo_reply_file(c->r, 200, "application/x-git-upload-pack-result", s.fd, 0, s.n);
        s.open = false; /* the reply's now */
    } else clo_hub_fail_err(c, &err);
    clo_spool_close(&s);
    close_gunzip(&g);
    clo_buf_free(&body);
}

/* --- push ---------------------------------------------------------------------------------------------------------*/

typedef struct {
    clo_hub_call *c;
    gunzip g;
    clo_push *push; /* owned */
    clo_err err;
    char tmp[4096];
} pushing;

static void free_pushing(void *data)
{
    pushing *p = (pushing *)data;
    clo_push_close(p->push);
    close_gunzip(&p->g);
    free(p);
}

static bool add_to_push(void *ctx, clo_bytes bytes, clo_err *err)
{
    return clo_push_add(((pushing *)ctx)->push, bytes, err);
}

static bool take_push(void *data, clo_str bytes)
{
    pushing *p = (pushing *)data;
    return add_piece(&p->g, clo_bytes_of(bytes), add_to_push, p, &p->err);
}

/* refs/pr/N gets what its author or a writer pushes, and says so in its discussion; all else is the writers'. */
static bool may_update(void *ctx, clo_git *g, const clo_push_update *u, clo_err *err)
{
    clo_hub_call *c = ((pushing *)ctx)->c;
    clo_denial no = {0};
    clo_discussion d;
    clo_oid at;
    bool found = false;
    clo_str ref = clo_str_from(u->name);
    if (!clo_str_starts_with(ref, CLO_STR("refs/pr/")))
        return clo_access(&no, &c->caller, &c->seen, CLO_MAY_WRITE) || clo_fail(err, CLO_ERR_DENIED, "%s", no.message);
    if (!clo_hub_may_pull(c, ref, err) || !clo_ref_get(&at, &found, g, ref, err)) return false;
    if (!found || !clo_oid_eq(&at, &u->old)) return true; /* refused for that */
    return clo_discussion_of_ref(&d, c->db, c->repo.id, ref, err) &&
           clo_discussion_add_commits(&d, g, c->who.account, &u->old, &u->now, clo_hub_now(), err);
}

static bool may_link(void *ctx, const clo_sha256 *sha256, int64_t *size, clo_err *err)
{
    return clo_hub_may_link(((pushing *)ctx)->c, sha256, size, err);
}

void clo_hub_git_push_begin(clo_hub_call *c)
{
    clo_err err = {0};
    if (!clo_hub_git(c)) return;
    pushing *p = (pushing *)calloc(1, sizeof *p);
    if (!p) {
        clo_hub_fail(c, 503, NULL, "server busy, please try again.  no memory is left");
        return;
    }
    p->c = c;
    c->data = p;
    c->free_data = free_pushing;
    if (!open_gunzip(&p->g, c)) return;
    bool ok = tmp_folder(p->tmp, c, &err);
    clo_push_opts o = {.tmp_dir = p->tmp, .may_link = may_link, .may_update = may_update, .ctx = p};
    if (ok && clo_push_open(&p->push, c->git, &o, &err)) clo_hub_sink(c, take_push);
    else clo_hub_fail_err(c, &err);
}

void clo_hub_git_push(clo_hub_call *c)
{
    pushing *p = (pushing *)c->data;
    clo_buf b = {0};
    if (clo_request_body_fault(c->r) == CLO_BODY_REFUSED) {
        clo_hub_fail_err(c, &p->err);
        return;
    }
    no_cache(c);
    if (clo_push_end(p->push, add_to_buf, &b, &p->err)) clo_reply_buf(c->r, 200, "application/x-git-receive-pack-result", &b);
    else clo_hub_fail_err(c, &p->err);
    clo_buf_free(&b);
}
