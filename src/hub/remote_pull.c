/* See remote_pull.h. */
#include "hub/remote_pull.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "hub/pack.h"
#include "hub/remote_crew.h"
#include "hub/revision.h"

#define JOBS 4
#define COUNT_STEP ((uint64_t)1 << 20) /* bytes between two words of progress */

/* --- large files --------------------------------------------------------------------------------------------------*/

/* A file on its way in. */
typedef struct {
    clo_crew *crew;
    clo_file_put *put; /* owned */
    uint64_t uncounted;
    uint64_t have;
    bool came; /* something, in this attempt */
} incoming;

static bool take_bytes(void *ctx, clo_bytes piece, clo_err *err)
{
    incoming *in = ctx;
    if (!clo_file_put_add(in->put, piece, err)) return false;
    in->came = true;
    in->have += piece.len;
    in->uncounted += piece.len;
    if (in->uncounted < COUNT_STEP) return true;
    clo_crew_count(in->crew, (int64_t)in->uncounted);
    in->uncounted = 0;
    return true;
}

/* One attempt: what is not there yet. */
static bool get_rest(clo_net_reply *got, incoming *in, clo_crew_hand *h, const clo_remote_action *a, uint64_t size, clo_err *err)
{
    clo_net_request q = {.url = a->href, .auth = CLO_NET_BEARER, .may_leave = true, .from = in->have, .take = take_bytes, .ctx = in};
    memcpy(q.headers, a->headers, sizeof q.headers);
    in->came = false;
    *got = (clo_net_reply){0};
    if (in->have == size) return true;
    bool ok = clo_net_call(got, h->net, &q, err);
    if (ok && (got->status < 200 || got->status > 299)) ok = clo_net_refused(got, &q, err);
    clo_crew_count(in->crew, (int64_t)in->uncounted);
    in->uncounted = 0;
    if (ok && in->have < size) return clo_fail(err, CLO_ERR_IO, "a large file ends early");
    return ok;
}

/* A server that does not send the rest of a file sends it again. */
static bool begin_again(incoming *in, clo_err *err)
{
    clo_crew_count(in->crew, -(int64_t)in->have);
    in->have = 0;
    return clo_file_put_restart(in->put, err);
}

static bool bring_one(clo_crew_hand *h, const clo_lfs_pointer *f, const json_t *row, clo_err *err)
{
    clo_remote_action a;
    clo_net_reply got;
    incoming in = {.crew = h->crew};
    clo_err why = {0};
    int tries = 0;
    bool ok, again = true;
    if (!clo_remote_action_of(&a, h->crew->remote, row, "download", err)) return false;
    ok = clo_file_put_resume(&in.put, &in.have, &h->files, &f->sha256, f->size, err);
    if (ok) clo_crew_count(h->crew, (int64_t)in.have);
    while (ok && again) {
        why = (clo_err){0};
        if (get_rest(&got, &in, h, &a, f->size, &why)) break;
        if (in.came) tries = 0; /* it goes on */
        if (why.code == CLO_ERR_UNSUPPORTED && in.have) ok = begin_again(&in, err);
        else again = clo_remote_try_again(&tries, &why, &got, h->crew->remote->stop);
    }
    if (ok && !again) {
        ok = false;
        if (err) *err = why;
    }
    ok = ok && clo_file_put_commit_for_later(in.put, h->crew->now_s, err);
    clo_file_put_close(in.put);
    clo_remote_action_free(&a);
    return ok;
}

static bool bring(clo_crew_hand *h, const clo_lfs_pointer *files, size_t n, clo_err *err)
{
    char transfer[16] = "basic", hex[65];
    json_t *rows = NULL;
    bool ok = clo_remote_batch(&rows, transfer, h->crew->remote, h->net, false, files, n, err);
    if (ok && strcmp(transfer, "basic") != 0) ok = clo_fail(err, CLO_ERR_UNSUPPORTED, "the far hub sends large files in another way");
    for (size_t i = 0; ok && i < n; i++) {
        ok = bring_one(h, &files[i], json_array_get(rows, i), err);
        clo_sha256_hex(hex, &files[i].sha256);
        if (!ok) clo_err_context(err, "large file %.12s", hex);
    }
    json_decref(rows);
    return ok;
}

/* --- refs and objects ---------------------------------------------------------------------------------------------*/

typedef struct {
    const clo_pull_opts *o;
    clo_remote remote;
    clo_remote_info info;
    clo_net *net;
    clo_db *db;
    clo_intake *in;
    clo_oid *wants; /* owned [n_wants] */
    size_t n_wants;
} pulling;

static bool add_want(pulling *p, const clo_oid *oid, clo_err *err)
{
    if (clo_git_has(clo_intake_git(p->in), oid)) return true;
    clo_oid *more = realloc(p->wants, (p->n_wants + 1) * sizeof *more);
    if (!more) return clo_fail(err, CLO_ERR_MEMORY, "list of commits");
    p->wants = more;
    more[p->n_wants++] = *oid;
    return true;
}

/* "main", "v1.0", or the full name of a ref. */
static bool is_named(const char *ref, const char *revision)
{
    return strcmp(ref, revision) == 0 || (strncmp(ref, "refs/heads/", 11) == 0 && strcmp(ref + 11, revision) == 0) ||
           (strncmp(ref, "refs/tags/", 10) == 0 && strcmp(ref + 10, revision) == 0);
}

/* A commit by its id moves no branch; a new repository begins there. */
static bool choose_commit(pulling *p, const clo_oid *commit, clo_err *err)
{
    return add_want(p, commit, err) && (!clo_intake_is_new(p->in) || clo_intake_add_ref(p->in, CLO_STR("refs/heads/main"), commit, err));
}

static bool choose_refs(pulling *p, const clo_remote_refs *refs, clo_err *err)
{
    const char *revision = p->o->revision;
    bool any = false;
    clo_oid commit;
    for (size_t i = 0; i < refs->n; i++) {
        const clo_ref *r = &refs->rows[i];
        if (revision && !is_named(r->name, revision)) continue;
        any = true;
        if (!clo_intake_add_ref(p->in, clo_str_from(r->name), &r->target, err) || !add_want(p, &r->target, err)) return false;
    }
    if (any) return true;
    if (revision && clo_oid_parse(&commit, clo_str_from(revision))) return choose_commit(p, &commit, err);
    return revision ? clo_fail(err, CLO_ERR_NOT_FOUND, "%s has no branch or tag '%.100s'", p->remote.id, revision)
                    : clo_fail(err, CLO_ERR_NOT_FOUND, "%s has no commits", p->remote.id);
}

/* What the far side can leave out: the newest commits of every branch here. */
typedef struct {
    pulling *p;
    clo_oid rows[CLO_REMOTE_HAVES_MAX];
    size_t n;
} haves;

static bool add_have(void *ctx, const clo_commit_info *c, clo_err *err)
{
    haves *h = ctx;
    (void)err;
    if (h->n < CLO_REMOTE_HAVES_MAX) h->rows[h->n++] = c->id;
    return true;
}

static bool add_haves_of(void *ctx, const clo_ref *ref, const clo_oid *commit, clo_err *err)
{
    haves *h = ctx;
    size_t total;
    (void)ref;
    return h->n >= CLO_REMOTE_HAVES_MAX / 2 || clo_history_each(&total, clo_intake_git(h->p->in), commit, 0, 128, add_have, h, err);
}

static bool bring_pack(pulling *p, clo_err *err)
{
    char tmp[4096];
    clo_spool pack = {0};
    clo_bytes bytes;
    if (p->n_wants == 0) return true;
    haves *h = calloc(1, sizeof *h);
    if (!h) return clo_fail(err, CLO_ERR_MEMORY, "list of commits");
    h->p = p;
    if (p->o->progress) p->o->progress(p->o->progress_ctx, "history", 0, 1);
    clo_git *g = clo_intake_git(p->in);
    bool ok = clo_revision_each(g, CLO_STR("refs/heads/"), add_haves_of, h, err) &&
              clo_path_join(tmp, err, "%s/tmp", p->o->data_dir) && clo_mkdir_p(tmp, err) && clo_spool_open(&pack, tmp, err) &&
              clo_remote_fetch(&pack, &p->remote, p->net, p->wants, p->n_wants, h->rows, h->n, err) &&
              clo_spool_map(&pack, &bytes, err) && clo_intake_pack(p->in, bytes, err);
    clo_spool_close(&pack);
    free(h);
    if (p->o->progress) p->o->progress(p->o->progress_ctx, "history", 1, 1);
    return ok;
}

/* --- the whole ----------------------------------------------------------------------------------------------------*/

static bool open_all(pulling *p, clo_err *err)
{
    const clo_pull_opts *o = p->o;
    if (!clo_remote_init(&p->remote, &o->remote, err) || !clo_remote_net(&p->net, &p->remote, err) ||
        !clo_remote_look(&p->info, &p->remote, p->net, err) || !clo_db_open(&p->db, o->data_dir, err))
        return false;
    clo_intake_opts in = {.files = {.db = p->db, .data_dir = o->data_dir},
                          .home = {.type = o->remote.type, .id = o->remote.id, .is_private = p->info.is_private && !o->make_public,
                                   .gated = p->info.gated, .note = o->note, .note_ctx = o->note_ctx},
                          .force = o->force, .now_s = o->now_s};
    return clo_intake_open(&p->in, &in, err);
}

static bool bring_objects(pulling *p, clo_err *err)
{
    clo_remote_refs refs = {0};
    clo_oid commit;
    bool ok = clo_remote_refs_get(&refs, &p->remote, p->net, err) && choose_refs(p, &refs, err) && bring_pack(p, err);
    clo_remote_refs_free(&refs);
    if (ok && p->o->revision && clo_oid_parse(&commit, clo_str_from(p->o->revision)) && clo_git_has(clo_intake_git(p->in), &commit))
        ok = clo_intake_add_tip(p->in, &commit, err);
    return ok && clo_intake_plan(p->in, err);
}

static bool bring_files(clo_pull_result *out, pulling *p, clo_err *err)
{
    const clo_pull_opts *o = p->o;
    clo_lfs_pointer *files = NULL;
    size_t n = 0;
    if (!clo_intake_missing(&files, &n, p->in, &o->pick, err)) return false;
    clo_crew c = {.remote = &p->remote, .data_dir = o->data_dir, .files = files, .n = n, .n_jobs = o->n_jobs ? o->n_jobs : JOBS,
                  .work = bring, .what = "large files", .progress = o->progress, .progress_ctx = o->progress_ctx, .now_s = o->now_s};
    if (c.n_jobs > n) c.n_jobs = n;
    bool ok = clo_crew_run(&c, err) && clo_intake_brought(p->in, files, n, err);
    out->n_files_brought = n;
    out->bytes_brought = c.total;
    free(files);
    return ok;
}

static bool tell(clo_pull_result *out, pulling *p, const clo_intake_result *r, clo_err *err)
{
    const clo_intake_ref *refs;
    size_t n = clo_intake_refs(p->in, &refs);
    bool found = false;
    out->repo = r->repo;
    out->is_new = clo_intake_is_new(p->in);
    out->n_objects = r->n_objects;
    out->n_absent = r->n_absent;
    for (size_t i = 0; i < n; i++) {
        if (refs[i].fate == CLO_INTAKE_AHEAD) out->n_refs_ahead++;
        else if (refs[i].fate != CLO_INTAKE_SAME) out->n_refs_changed++;
    }
    return clo_ref_get(&out->main, &found, clo_intake_git(p->in), CLO_STR("refs/heads/main"), err);
}

bool clo_remote_pull(clo_pull_result *out, const clo_pull_opts *o, clo_err *err)
{
    pulling p = {.o = o};
    clo_intake_result r;
    *out = (clo_pull_result){0};
    bool ok = open_all(&p, err) && bring_objects(&p, err) && bring_files(out, &p, err) && clo_intake_commit(&r, p.in, err) &&
              tell(out, &p, &r, err);
    clo_intake_close(p.in);
    clo_db_close(p.db);
    clo_net_close(p.net);
    free(p.wants);
    return ok;
}
