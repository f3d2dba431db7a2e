/* See remote_push.h. */
#include "hub/remote_push.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "hub/pack.h"
#include "hub/push.h"
#include "hub/remote_upload.h"
#include "hub/revision.h"
#include "hub/select.h"

#define JOBS 4

typedef struct {
    const clo_send_opts *o;
    clo_remote remote;
    clo_net *net;
    clo_files files;
    clo_repo repo;
    clo_git *g;
    clo_remote_refs there;
    clo_remote_can can;
    clo_remote_update *updates; /* owned [n] */
    size_t n;
    clo_select select;
    clo_lfs_pointer *large; /* owned [n_large] */
    size_t n_large;
    clo_send_result *out;
} sending;

/* --- refs ---------------------------------------------------------------------------------------------------------*/

static bool other_way(const clo_ref *ref, clo_err *err)
{
    return clo_fail(err, CLO_ERR_DENIED, "%s went another way there than here: nothing was sent", ref->name);
}

/* What is there is not known here: it may be the commit that the hub itself made for a push that ended right after. */
static bool may_replace_unknown(sending *s, const clo_ref *ref, clo_err *err)
{
    bool bare = false;
    if (s->o->create && strcmp(ref->name, "refs/heads/main") == 0 && !clo_remote_is_bare(&bare, &s->remote, s->net, err)) return false;
    return bare || other_way(ref, err);
}

/* Whether a ref is to be sent over what it is there. */
static bool may_replace(bool *yes, sending *s, const clo_ref *ref, const clo_oid *commit, const clo_oid *there, clo_err *err)
{
    bool forward = false, behind = false;
    clo_oid far;
    *yes = true;
    if (s->o->force || s->out->created) return true; /* all that a new one has is the hub's own first commit */
    if (clo_str_starts_with(clo_str_from(ref->name), CLO_STR("refs/tags/"))) return other_way(ref, err);
    if (!clo_git_has(s->g, there)) return may_replace_unknown(s, ref, err);
    if (!clo_revision_peel(&far, s->g, there, err) || !clo_revision_has(&forward, s->g, commit, &far, err) ||
        !clo_revision_has(&behind, s->g, &far, commit, err))
        return false;
    *yes = forward;
    if (behind) s->out->n_refs_behind++;
    return forward || behind || other_way(ref, err);
}

static bool plan_ref(void *ctx, const clo_ref *ref, const clo_oid *commit, clo_err *err)
{
    sending *s = ctx;
    const clo_ref *there = clo_remote_refs_find(&s->there, ref->name);
    bool send = true;
    if (clo_ref_reads_as_id(clo_str_from(ref->name))) return true; /* no hub takes it */
    if (there && clo_oid_eq(&there->target, &ref->target)) return true;
    if (there && !may_replace(&send, s, ref, commit, &there->target, err)) return false;
    if (!send) return true;
    if (s->n >= CLO_PUSH_UPDATES_MAX) return clo_fail(err, CLO_ERR_LIMIT, "more than %d refs in a push", CLO_PUSH_UPDATES_MAX);
    clo_remote_update *more = realloc(s->updates, (s->n + 1) * sizeof *more);
    if (!more) return clo_fail(err, CLO_ERR_MEMORY, "list of refs");
    s->updates = more;
    more[s->n] = (clo_remote_update){.now = ref->target, .old = there ? there->target : (clo_oid){{0}}};
    memcpy(more[s->n++].name, ref->name, sizeof ref->name);
    return true;
}

static bool plan(sending *s, clo_err *err)
{
    return clo_remote_push_refs(&s->there, &s->can, &s->remote, s->net, err) &&
           clo_revision_each(s->g, CLO_STR("refs/heads/"), plan_ref, s, err) &&
           clo_revision_each(s->g, CLO_STR("refs/tags/"), plan_ref, s, err);
}

/* --- objects and large files --------------------------------------------------------------------------------------*/

static bool select_objects(sending *s, clo_err *err)
{
    bool common;
    s->select = (clo_select){.g = s->g};
    for (size_t i = 0; i < s->n; i++)
        if (!clo_select_want(&s->select, &s->updates[i].now, err)) return false;
    for (size_t i = 0; i < s->there.n; i++)
        if (!clo_select_have(&s->select, &s->there.rows[i].target, &common, err)) return false;
    return clo_select_run(&s->select, err);
}

static bool add_large(sending *s, const clo_lfs_pointer *p, size_t *n_absent, clo_err *err)
{
    clo_file_info info;
    bool found = false;
    if (!clo_files_find_own(&info, &found, &s->files, s->repo.id, &p->sha256, err)) return false;
    if (!found) {
        ++*n_absent;
        return true;
    }
    for (size_t i = 0; i < s->n_large; i++)
        if (clo_sha256_eq(&s->large[i].sha256, &p->sha256)) return true;
    clo_lfs_pointer *more = realloc(s->large, (s->n_large + 1) * sizeof *more);
    if (!more) return clo_fail(err, CLO_ERR_MEMORY, "list of large files");
    s->large = more;
    more[s->n_large++] = *p;
    return true;
}

/* Pointers among the objects that are to go. */
static bool find_large(sending *s, clo_err *err)
{
    clo_buf b = {.max = CLO_LFS_POINTER_MAX + 64};
    size_t n_absent = 0;
    bool ok = true;
    for (size_t i = 0; ok && i < s->select.objects.n; i++) {
        const clo_oid *oid = &s->select.objects.keys[i];
        clo_git_kind kind;
        uint64_t size;
        clo_lfs_pointer p;
        ok = clo_git_head(&kind, &size, s->g, oid, err);
        if (!ok || kind != CLO_GIT_BLOB || size >= CLO_LFS_POINTER_MAX) continue;
        b.len = 0;
        ok = clo_git_read(&b, &kind, s->g, oid, err);
        if (ok && clo_lfs_parse(&p, clo_bytes_of(clo_buf_str(&b)))) ok = add_large(s, &p, &n_absent, err);
    }
    clo_buf_free(&b);
    return ok && (n_absent == 0 || clo_fail(err, CLO_ERR_NOT_FOUND, "%zu large files that its history names are not here ('cloche pull --history' brings them)", n_absent));
}

static bool send_large(sending *s, clo_err *err)
{
    const clo_send_opts *o = s->o;
    clo_crew c = {.remote = &s->remote, .data_dir = o->data_dir, .files = s->large, .n = s->n_large, .n_jobs = o->n_jobs ? o->n_jobs : JOBS,
                  .work = clo_remote_upload, .what = "large files", .progress = o->progress, .progress_ctx = o->progress_ctx,
                  .now_s = o->now_s};
    if (c.n_jobs > c.n) c.n_jobs = c.n;
    bool ok = clo_crew_run(&c, err);
    s->out->n_files = s->n_large;
    s->out->bytes = c.total;
    return ok;
}

static bool told_all(const sending *s, clo_err *err)
{
    for (size_t i = 0; i < s->n; i++)
        if (!s->updates[i].ok)
            return clo_fail(err, CLO_ERR_DENIED, "the far hub did not take %s: %s", s->updates[i].name,
                            s->updates[i].why[0] ? s->updates[i].why : "it does not say why");
    return true;
}

static bool send_pack(sending *s, clo_err *err)
{
    char tmp[4096];
    clo_spool pack = {0};
    clo_pkt_out out = {.fn = clo_spool_add, .ctx = &pack};
    bool ok = clo_path_join(tmp, err, "%s/tmp", s->o->data_dir) && clo_mkdir_p(tmp, err) && clo_spool_open(&pack, tmp, err) &&
              clo_pack_write(&out, 0, s->g, s->select.objects.keys, s->select.objects.n, err) &&
              clo_remote_push(s->updates, s->n, &s->can, &pack, &s->remote, s->net, err) && told_all(s, err);
    clo_spool_close(&pack);
    s->out->n_objects = s->select.objects.n;
    return ok;
}

/* --- the whole ----------------------------------------------------------------------------------------------------*/

static bool open_here(sending *s, clo_err *err)
{
    bool moved = false;
    s->files.data_dir = s->o->data_dir;
    return (clo_db_exists(s->o->data_dir) || clo_fail(err, CLO_ERR_NOT_FOUND, "nothing was made in '%s'", s->o->data_dir)) &&
           clo_db_open(&s->files.db, s->o->data_dir, err) &&
           clo_repo_find(&s->repo, &moved, s->files.db, s->o->remote.type, clo_str_from(s->o->id), err) &&
           clo_git_open(&s->g, s->files.db, s->repo.id, err);
}

static bool open_there(sending *s, clo_err *err)
{
    clo_remote_info info;
    clo_err why = {0};
    if (!clo_remote_init(&s->remote, &s->o->remote, err) || !clo_remote_net(&s->net, &s->remote, err)) return false;
    if (clo_remote_look(&info, &s->remote, s->net, &why)) return true;
    if (why.code == CLO_ERR_NOT_FOUND && s->o->create) {
        s->out->created = clo_remote_create(&s->remote, s->net, s->repo.is_private, err);
        return s->out->created;
    }
    if (err) *err = why;
    return false;
}

bool clo_remote_send(clo_send_result *out, const clo_send_opts *o, clo_err *err)
{
    sending s = {.o = o, .out = out};
    *out = (clo_send_result){0};
    bool ok = open_here(&s, err) && open_there(&s, err) && plan(&s, err);
    if (ok && s.n) ok = select_objects(&s, err) && find_large(&s, err) && send_large(&s, err) && send_pack(&s, err);
    out->n_refs = s.n;
    clo_select_free(&s.select);
    clo_remote_refs_free(&s.there);
    free(s.updates);
    free(s.large);
    clo_git_close(s.g);
    clo_db_close(s.files.db);
    clo_net_close(s.net);
    return ok;
}
