/* See push.h. */
#include "hub/push.h"

#include <stdio.h>
#include <stdlib.h>

#include "hub/pack.h"
#include "hub/push_check.h"
#include "hub/revision.h"
#include "hub/spool.h"

#define COMMANDS_BYTES_MAX ((size_t)1 << 20)

struct clo_push {
    clo_git *g;
    clo_push_opts o;
    clo_buf head; /* the commands, as they come; later: what is left of a pkt-line */
    bool in_pack; /* the commands have ended */
    clo_spool pack;
    clo_push_update *updates; /* owned [n] */
    size_t n;
    bool band, report, atomic, bad;
};

bool clo_push_open(clo_push **out, clo_git *g, const clo_push_opts *o, clo_err *err)
{
    clo_push *p = calloc(1, sizeof *p);
    *out = p;
    if (!p) return clo_fail(err, CLO_ERR_MEMORY, "push");
    *p = (clo_push){.g = g, .o = *o, .head.max = COMMANDS_BYTES_MAX};
    return true;
}

void clo_push_close(clo_push *p)
{
    if (!p) return;
    clo_spool_close(&p->pack);
    clo_buf_free(&p->head);
    free(p->updates);
    free(p);
}

size_t clo_push_updates(const clo_push *p, const clo_push_update **out)
{
    *out = p->updates;
    return p->n;
}

/* --- the request --------------------------------------------------------------------------------------------------*/

static bool add_update(clo_push *p, const clo_oid *old, const clo_oid *now, clo_str name, clo_err *err)
{
    if (p->n >= CLO_PUSH_UPDATES_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "more than %d refs in a push", CLO_PUSH_UPDATES_MAX);
    if (name.len == 0 || name.len >= CLO_REF_NAME_MAX)
        return clo_fail(err, CLO_ERR_FORMAT, "push: a ref with a name of %zu bytes", name.len);
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.ptr[i] < 0x20 || name.ptr[i] == 0x7f)
            return clo_fail(err, CLO_ERR_FORMAT, "push: a control character in a ref's name");
    clo_push_update *more = realloc(p->updates, (p->n + 1) * sizeof *more);
    if (!more) return clo_fail(err, CLO_ERR_MEMORY, "push");
    p->updates = more;
    more[p->n] = (clo_push_update){.old = *old, .now = *now};
    memcpy(more[p->n].name, name.ptr, name.len);
    p->n++;
    return true;
}

/* "old new name", the first with a NUL and capabilities behind it. Lines of a shallow pusher tell nothing: what is
 * not there is found out. */
static bool take_command(clo_push *p, clo_str line, clo_err *err)
{
    clo_oid old, now;
    size_t nul = clo_str_find(line, 0, '\0');
    if (clo_str_starts_with(line, CLO_STR("shallow "))) return true;
    if (p->n == 0 && nul < line.len) {
        clo_str words = clo_str_from_off(line, nul + 1);
        p->band = clo_pkt_has_word(words, "side-band-64k");
        p->report = clo_pkt_has_word(words, "report-status");
        p->atomic = clo_pkt_has_word(words, "atomic");
    }
    line.len = nul;
    if (line.len && line.ptr[line.len - 1] == '\n') line.len--;
    if (line.len < 82 || line.ptr[40] != ' ' || line.ptr[81] != ' ' || !clo_oid_parse(&old, (clo_str){line.ptr, 40}) ||
        !clo_oid_parse(&now, (clo_str){line.ptr + 41, 40}))
        return clo_fail(err, CLO_ERR_FORMAT, "push: a command that is none");
    return add_update(p, &old, &now, clo_str_from_off(line, 82), err);
}

static bool add_pack(clo_push *p, clo_bytes piece, clo_err *err)
{
    if (piece.len == 0) return true;
    if (!p->pack.open && !clo_spool_open(&p->pack, p->o.tmp_dir, err)) return false;
    if (piece.len > CLO_PACK_BYTES_MAX - p->pack.n)
        return clo_fail(err, CLO_ERR_LIMIT, "a push of more than %zu MiB: large files are kept with git-lfs",
                        CLO_PACK_BYTES_MAX >> 20);
    return clo_spool_add(&p->pack, piece, err);
}

/* The commands are few and small: they are gathered, and read as far as they are there. */
static bool add_commands(clo_push *p, clo_bytes piece, clo_err *err)
{
    clo_pkt k;
    clo_buf_add(&p->head, clo_str_of(piece));
    if (p->head.failed)
        return clo_fail(err, CLO_ERR_LIMIT, "push: more than %zu bytes of commands", COMMANDS_BYTES_MAX);
    clo_bytes in = clo_bytes_of(clo_buf_str(&p->head));
    clo_pkt_result got = CLO_PKT_MORE;
    bool ok = true;
    while (ok && !p->in_pack && (got = clo_pkt_read(&k, &in, err)) == CLO_PKT_DONE) {
        if (k.kind == CLO_PKT_FLUSH) p->in_pack = true;
        else
            ok = k.kind == CLO_PKT_DATA ? take_command(p, k.text, err)
                                        : clo_fail(err, CLO_ERR_FORMAT, "push: a mark of protocol 2");
    }
    if (!ok || got == CLO_PKT_BAD) return false;
    if (p->in_pack) {
        ok = add_pack(p, in, err);
        p->head.len = 0;
    } else {
        memmove(p->head.ptr, in.ptr, in.len);
        p->head.len = in.len;
    }
    return ok;
}

bool clo_push_add(clo_push *p, clo_bytes piece, clo_err *err)
{
    bool ok = true;
    if (p->bad) return clo_fail(err, CLO_ERR_USAGE, "the push was refused already");
    /* In pieces, so that what is gathered for the commands stays small whatever comes with them. */
    while (ok && piece.len && !p->in_pack) {
        size_t n = piece.len < 65536 ? piece.len : 65536;
        ok = add_commands(p, (clo_bytes){piece.ptr, n}, err);
        piece = (clo_bytes){piece.ptr + n, piece.len - n};
    }
    ok = ok && add_pack(p, piece, err);
    p->bad = !ok;
    return ok;
}

/* --- rules for refs -----------------------------------------------------------------------------------------------*/

static bool refuse(clo_push_update *u, const char *why)
{
    u->ok = false;
    snprintf(u->why, sizeof u->why, "%.*s", (int)strcspn(why, "\n"), why);
    return false;
}

/* A branch is at a commit; a tag too, or at an object that leads to one. */
static bool is_revision(clo_git *g, const clo_oid *oid, bool tag)
{
    clo_oid commit;
    return clo_revision_peel(&commit, g, oid, NULL) && (tag || clo_oid_eq(&commit, oid));
}

static bool allowed(clo_push *p, clo_push_update *u)
{
    clo_str name = clo_str_from(u->name);
    bool branch = clo_str_starts_with(name, CLO_STR("refs/heads/")),
         tag = clo_str_starts_with(name, CLO_STR("refs/tags/"));
    bool pull = clo_str_starts_with(name, CLO_STR("refs/pr/")), deletes = clo_oid_is_zero(&u->now);
    if (!clo_ref_name_ok(name) || (!deletes && clo_ref_reads_as_id(name))) return refuse(u, "no name for a ref");
    if (!branch && !tag && !pull) return refuse(u, "branches, tags and pull requests can be pushed, nothing else");
    if (pull && (deletes || clo_oid_is_zero(&u->old)))
        return refuse(u, "pull requests are opened and closed in the hub");
    if (deletes) return !clo_str_eq(name, CLO_STR("refs/heads/main")) || refuse(u, "Cannot delete refs/heads/main");
    return is_revision(p->g, &u->now, tag) || refuse(u, "its object is not there, or no commit");
}

static bool twice(const clo_push *p, size_t i)
{
    for (size_t k = 0; k < p->n; k++)
        if (k != i && strcmp(p->updates[k].name, p->updates[i].name) == 0) return true;
    return false;
}

/* In the transaction. False: the store failed. */
static bool update_ref(clo_push *p, size_t i, clo_err *err)
{
    clo_push_update *u = &p->updates[i];
    clo_err why = {0};
    clo_str name = clo_str_from(u->name);
    u->ok = true;
    if (twice(p, i)) return refuse(u, "a ref twice in one push") || true;
    if (!allowed(p, u)) return true;
    if (p->o.may_update && !p->o.may_update(p->o.ctx, p->g, u, &why)) return refuse(u, why.text) || true;
    bool ok = clo_oid_is_zero(&u->now) ? clo_ref_delete(p->g, name, &u->old, &why)
                                       : clo_ref_set(p->g, name, &u->now, &u->old, &why);
    if (ok) return true;
    if (why.code == CLO_ERR_MISMATCH) return refuse(u, "fetch first: the ref was changed meanwhile") || true;
    if (why.code == CLO_ERR_NOT_FOUND) return refuse(u, "no such ref") || true;
    if (why.code == CLO_ERR_DENIED || why.code == CLO_ERR_USAGE) return refuse(u, why.text) || true;
    if (err) *err = why;
    return false;
}

static bool update_all(clo_push *p, clo_err *err)
{
    clo_db *db = clo_git_store(p->g);
    bool all = true, any = false;
    if (!clo_db_begin(db, err)) return false;
    bool ok = clo_git_flush(p->g, err);
    for (size_t i = 0; ok && i < p->n; i++) {
        ok = update_ref(p, i, err);
        all = all && p->updates[i].ok;
        any = any || p->updates[i].ok;
    }
    bool keep = ok && any && (all || !p->atomic);
    if (keep && clo_db_commit(db, err)) return true;
    if (!keep) clo_db_rollback(db);
    for (size_t i = 0; i < p->n; i++)
        if (p->updates[i].ok)
            refuse(&p->updates[i], ok ? "another ref of an atomic push was refused" : "the store failed");
    return ok && !keep;
}

/* --- the answer ---------------------------------------------------------------------------------------------------*/

/* Maps the pack, reads it and looks at what it holds. */
static bool take_objects(clo_push *p, clo_err *err)
{
    clo_oid_map names = {0};
    bool needed = false;
    clo_bytes pack;
    for (size_t i = 0; i < p->n; i++) needed = needed || !clo_oid_is_zero(&p->updates[i].now);
    if (p->pack.n == 0) return !needed || clo_fail(err, CLO_ERR_FORMAT, "no pack came");
    bool ok = clo_spool_map(&p->pack, &pack, err) && clo_pack_read(&names, p->g, pack, err) &&
              clo_push_check(p->g, &names, &p->o, err);
    clo_oid_map_free(&names);
    return ok;
}

static bool append(void *ctx, clo_bytes bytes, clo_err *err)
{
    clo_buf *b = ctx;
    clo_buf_add(b, clo_str_of(bytes));
    return clo_buf_ok(b, err);
}

static void spell_report(clo_pkt_out *o, const clo_push *p, const char *unpack)
{
    clo_pkt_line(o, "unpack %.1000s\n", unpack);
    for (size_t i = 0; i < p->n; i++) {
        const clo_push_update *u = &p->updates[i];
        if (u->ok) clo_pkt_line(o, "ok %s\n", u->name);
        else clo_pkt_line(o, "ng %s %s\n", u->name, u->why);
    }
    clo_pkt_flush(o);
}

static bool answer(const clo_push *p, const char *unpack, clo_out_fn *fn, void *ctx, clo_err *err)
{
    clo_buf report = {.max = (size_t)1 << 20};
    clo_pkt_out inner = {.fn = append, .ctx = &report}, o = {.fn = fn, .ctx = ctx};
    if (!p->report) return true;
    spell_report(&inner, p, unpack);
    bool ok = clo_pkt_ok(&inner, err);
    if (ok) clo_pkt_band(&o, p->band ? 1 : 0, clo_bytes_of(clo_buf_str(&report)));
    if (ok && p->band) clo_pkt_flush(&o);
    clo_buf_free(&report);
    return ok && clo_pkt_ok(&o, err);
}

/* Faults of the store are not the pusher's. */
static bool is_ours(const clo_err *err)
{
    return err->code == CLO_ERR_IO || err->code == CLO_ERR_MEMORY || err->code == CLO_ERR_DAMAGED;
}

bool clo_push_end(clo_push *p, clo_out_fn *fn, void *ctx, clo_err *err)
{
    clo_err why = {0};
    if (p->bad) return clo_fail(err, CLO_ERR_USAGE, "the push was refused already");
    if (!p->in_pack && (p->head.len || p->n)) return clo_fail(err, CLO_ERR_FORMAT, "push: the request is cut");
    if (p->n == 0) return true;
    if (take_objects(p, &why)) {
        if (update_all(p, &why)) return answer(p, "ok", fn, ctx, err);
        if (err) *err = why;
        return false;
    }
    for (size_t i = 0; i < p->n; i++) refuse(&p->updates[i], "nothing was taken");
    if (is_ours(&why)) {
        if (err) *err = why;
        return false;
    }
    return answer(p, why.text, fn, ctx, err);
}
