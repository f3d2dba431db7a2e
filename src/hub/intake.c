/* See intake.h. */
#include "hub/intake.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>

#include "hub/pack.h"
#include "hub/push_check.h"
#include "hub/revision.h"

typedef struct {
    clo_lfs_pointer *rows; /* owned [n] */
    size_t n;
} pointers;

struct clo_intake {
    clo_intake_opts o;
    clo_repo repo;
    bool found;
    clo_git *g;           /* owned */
    clo_oid_map names;    /* objects that came */
    clo_oid_map tips;     /* commits */
    clo_intake_ref *refs; /* owned [n] */
    size_t n;
    pointers seen;    /* that new objects are, and that tips have */
    pointers brought; /* whose bytes came */
};

static bool add_pointer(pointers *p, const clo_lfs_pointer *row, clo_err *err)
{
    if ((p->n & (p->n - 1)) == 0) { /* a power of two is full */
        clo_lfs_pointer *more = realloc(p->rows, (p->n ? 2 * p->n : 1) * sizeof *more);
        if (!more) return clo_fail(err, CLO_ERR_MEMORY, "list of large files");
        p->rows = more;
    }
    p->rows[p->n++] = *row;
    return true;
}

bool clo_intake_open(clo_intake **out, const clo_intake_opts *o, clo_err *err)
{
    clo_intake *in = calloc(1, sizeof *in);
    *out = NULL;
    if (!in) return clo_fail(err, CLO_ERR_MEMORY, "repository");
    in->o = *o;
    if (clo_home_find(&in->repo, &in->found, o->files.db, &o->home, err) &&
        clo_git_open(&in->g, o->files.db, in->found ? in->repo.id : 0, err)) {
        *out = in;
        return true;
    }
    clo_intake_close(in);
    return false;
}

void clo_intake_close(clo_intake *in)
{
    if (!in) return;
    clo_git_close(in->g);
    clo_oid_map_free(&in->names);
    clo_oid_map_free(&in->tips);
    free(in->refs);
    free(in->seen.rows);
    free(in->brought.rows);
    free(in);
}

bool clo_intake_is_new(const clo_intake *in)
{
    return !in->found;
}

clo_git *clo_intake_git(clo_intake *in)
{
    return in->g;
}

size_t clo_intake_refs(const clo_intake *in, const clo_intake_ref **out)
{
    *out = in->refs;
    return in->n;
}

/* --- what comes ---------------------------------------------------------------------------------------------------*/

bool clo_intake_add_ref(clo_intake *in, clo_str name, const clo_oid *target, clo_err *err)
{
    bool ours = clo_str_starts_with(name, CLO_STR("refs/heads/")) || clo_str_starts_with(name, CLO_STR("refs/tags/"));
    if (!ours) return true;
    if (!clo_ref_name_ok(name)) return clo_fail(err, CLO_ERR_FORMAT, "a ref with a name that is none");
    clo_intake_ref *more = realloc(in->refs, (in->n + 1) * sizeof *more);
    if (!more) return clo_fail(err, CLO_ERR_MEMORY, "list of refs");
    in->refs = more;
    more[in->n] = (clo_intake_ref){.ref.target = *target};
    memcpy(more[in->n].ref.name, name.ptr, name.len);
    in->n++;
    return true;
}

bool clo_intake_add_tip(clo_intake *in, const clo_oid *commit, clo_err *err)
{
    bool is_new;
    return clo_oid_map_put(&in->tips, commit, &is_new) != NULL || clo_fail(err, CLO_ERR_MEMORY, "list of commits");
}

bool clo_intake_pack(clo_intake *in, clo_bytes pack, clo_err *err)
{
    return clo_pack_read(&in->names, in->g, pack, err);
}

static bool note_pointer(clo_intake *in, const clo_sha256 *sha256, uint64_t size, clo_err *err)
{
    return add_pointer(&in->seen, &(clo_lfs_pointer){.sha256 = *sha256, .size = size}, err);
}

/* --- what is to become of it --------------------------------------------------------------------------------------*/

/* The check of a push asks for each pointer of the new objects: all may come, and are noted. */
static bool note_link(void *ctx, const clo_sha256 *sha256, int64_t *size, clo_err *err)
{
    clo_intake *in = ctx;
    clo_file_info info;
    bool found = false;
    if (!clo_files_find(&info, &found, &in->o.files, sha256, err)) return false;
    if (found) *size = (int64_t)info.size;
    return note_pointer(in, sha256, (uint64_t)*size, err);
}

static bool refuse(const clo_intake_ref *r, clo_err *err)
{
    return clo_fail(err, CLO_ERR_DENIED, "%s went another way here than there: nothing was changed", r->ref.name);
}

static bool plan_ref(clo_intake *in, clo_intake_ref *r, clo_err *err)
{
    clo_oid there, here;
    bool found = false, forward = false, ahead = false;
    clo_str name = clo_str_from(r->ref.name);
    bool tag = clo_str_starts_with(name, CLO_STR("refs/tags/"));
    if (!clo_revision_peel(&there, in->g, &r->ref.target, NULL) || (!tag && !clo_oid_eq(&there, &r->ref.target)))
        return clo_fail(err, CLO_ERR_FORMAT, "%s leads to no commit", r->ref.name);
    if (!clo_intake_add_tip(in, &there, err) || !clo_ref_get(&r->was, &found, in->g, name, err)) return false;
    r->fate = CLO_INTAKE_NEW;
    if (!found) {
        r->was = (clo_oid){{0}};
        return true;
    }
    r->fate = CLO_INTAKE_SAME;
    if (clo_oid_eq(&r->was, &r->ref.target)) return true;
    r->fate = CLO_INTAKE_FORCED;
    if (tag) return in->o.force || refuse(r, err);
    if (!clo_revision_peel(&here, in->g, &r->was, err) || !clo_revision_has(&forward, in->g, &there, &here, err) ||
        !clo_revision_has(&ahead, in->g, &here, &there, err))
        return false;
    if (forward) r->fate = CLO_INTAKE_FORWARD;
    else if (ahead && !in->o.force) r->fate = CLO_INTAKE_AHEAD;
    return forward || ahead || in->o.force || refuse(r, err);
}

static bool has_main(const clo_intake *in)
{
    for (size_t i = 0; i < in->n; i++)
        if (strcmp(in->refs[i].ref.name, "refs/heads/main") == 0) return true;
    return false;
}

bool clo_intake_plan(clo_intake *in, clo_err *err)
{
    clo_push_opts look = {.may_link = note_link, .ctx = in, .submodules = true};
    clo_oid commit;
    if (!clo_push_check(in->g, &in->names, &look, err)) return false;
    if (!in->found && in->n && !has_main(in) &&
        (!clo_revision_peel(&commit, in->g, &in->refs[0].ref.target, err) ||
         !clo_intake_add_ref(in, CLO_STR("refs/heads/main"), &commit, err)))
        return false;
    for (size_t i = 0; i < in->n; i++)
        if (!plan_ref(in, &in->refs[i], err)) return false;
    return in->found || in->n || clo_fail(err, CLO_ERR_NOT_FOUND, "there is no branch and no tag to take");
}

/* --- large files --------------------------------------------------------------------------------------------------*/

static bool any_matches(const char *const *globs, size_t n, const char *path)
{
    for (size_t i = 0; i < n; i++)
        if (fnmatch(globs[i], path, 0) == 0) return true;
    return false;
}

typedef struct {
    clo_intake *in;
    const clo_intake_pick *pick;
    pointers *out;
} picking;

/* A file that is here and that the repository may come to name. */
static bool is_ours(bool *out, clo_file_info *info, const clo_intake *in, const clo_sha256 *sha256, clo_err *err)
{
    *out = false;
    return clo_files_find(info, out, &in->o.files, sha256, err) &&
           (!*out || clo_files_is_open(out, &in->o.files, in->found ? in->repo.id : 0, sha256, err));
}

static bool add_if_missing(picking *k, const clo_lfs_pointer *p, clo_err *err)
{
    clo_file_info info;
    bool ours;
    return is_ours(&ours, &info, k->in, &p->sha256, err) && (ours || add_pointer(k->out, p, err));
}

static bool look_at_entry(void *ctx, const clo_entry *e, clo_err *err)
{
    picking *k = ctx;
    const clo_intake_pick *pick = k->pick;
    if (e->kind != CLO_ENTRY_FILE || !e->is_lfs) return true;
    if (!note_pointer(k->in, &e->sha256, e->size, err)) return false;
    bool wanted = (pick->n_include == 0 || any_matches(pick->include, pick->n_include, e->path)) &&
                  !any_matches(pick->exclude, pick->n_exclude, e->path);
    return !wanted || add_if_missing(k, &(clo_lfs_pointer){e->sha256, e->size}, err);
}

/* What earlier intakes left. */
static bool add_absent(picking *k, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    pointers left = {0};
    bool ok = clo_stmt_open(&q, k->in->o.files.db, "SELECT sha256, size FROM absent_files WHERE repo = ?1", err) &&
              clo_stmt_int(&q, 1, k->in->found ? k->in->repo.id : 0, err);
    while (ok && (ok = clo_stmt_step(&q, &row, err)) && row) {
        clo_lfs_pointer p = {.size = (uint64_t)clo_stmt_get_int(&q, 1)};
        clo_bytes b = clo_stmt_get_blob(&q, 0);
        if (b.len != sizeof p.sha256.b) continue;
        memcpy(p.sha256.b, b.ptr, b.len);
        ok = add_pointer(&left, &p, err);
    }
    clo_stmt_close(&q);
    for (size_t i = 0; ok && i < left.n; i++)
        ok = note_pointer(k->in, &left.rows[i].sha256, left.rows[i].size, err) && add_if_missing(k, &left.rows[i], err);
    free(left.rows);
    return ok;
}

static int by_digest(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(clo_sha256)); /* the first field */
}

static void make_unique(pointers *p)
{
    size_t n = 0;
    if (p->n > 1) qsort(p->rows, p->n, sizeof *p->rows, by_digest);
    for (size_t i = 0; i < p->n; i++)
        if (n == 0 || by_digest(&p->rows[n - 1], &p->rows[i]) != 0) p->rows[n++] = p->rows[i];
    p->n = n;
}

bool clo_intake_missing(clo_lfs_pointer **out, size_t *n, clo_intake *in, const clo_intake_pick *pick, clo_err *err)
{
    pointers found = {0};
    picking k = {in, pick, &found};
    clo_tree_opts all = {.recursive = true};
    bool ok = true, more;
    size_t n_new = in->seen.n;
    for (size_t i = 0; ok && i < in->tips.n; i++)
        ok = clo_tree_each(&more, in->g, &in->tips.keys[i], &all, look_at_entry, &k, err);
    for (size_t i = 0; ok && pick->history && i < n_new; i++) {
        clo_lfs_pointer p = in->seen.rows[i];
        ok = add_if_missing(&k, &p, err);
    }
    if (ok && pick->history) ok = add_absent(&k, err);
    make_unique(&found);
    *out = found.rows;
    *n = found.n;
    if (ok) return true;
    free(found.rows);
    *out = NULL;
    return false;
}

bool clo_intake_brought(clo_intake *in, const clo_lfs_pointer *files, size_t n, clo_err *err)
{
    for (size_t i = 0; i < n; i++)
        if (!add_pointer(&in->brought, &files[i], err)) return false;
    return true;
}

/* --- the transaction ----------------------------------------------------------------------------------------------*/

/* Each large file becomes the repository's, or is noted as absent. */
static bool link_files(clo_intake_result *out, clo_intake *in, clo_err *err)
{
    make_unique(&in->seen);
    make_unique(&in->brought);
    for (size_t i = 0; i < in->seen.n; i++) {
        const clo_lfs_pointer *p = &in->seen.rows[i];
        clo_file_info info;
        bool ours;
        if (!is_ours(&ours, &info, in, &p->sha256, err)) return false;
        ours = ours || (in->brought.n && bsearch(p, in->brought.rows, in->brought.n, sizeof *p, by_digest));
        if (ours && info.size != p->size) return clo_fail(err, CLO_ERR_MISMATCH, "a large file has another size than its pointer says");
        if (ours ? !clo_files_link(&in->o.files, in->repo.id, &p->sha256, err)
                 : !clo_files_set_absent(&in->o.files, in->repo.id, &p->sha256, p->size, err))
            return false;
        if (ours) out->n_files++;
        else out->n_absent++;
    }
    return true;
}

static bool move_refs(bool *moved, clo_intake *in, clo_err *err)
{
    for (size_t i = 0; i < in->n; i++) {
        const clo_intake_ref *r = &in->refs[i];
        if (r->fate == CLO_INTAKE_SAME || r->fate == CLO_INTAKE_AHEAD) continue;
        *moved = true;
        if (!clo_ref_set(in->g, clo_str_from(r->ref.name), &r->ref.target, &r->was, err)) return false;
    }
    return true;
}

bool clo_intake_commit(clo_intake_result *out, clo_intake *in, clo_err *err)
{
    clo_db *db = in->o.files.db;
    bool moved = false;
    *out = (clo_intake_result){.n_objects = in->names.n};
    if (!clo_db_begin(db, err)) return false;
    bool ok = in->found || clo_home_make(&in->repo, db, &in->o.home, in->o.now_s, err);
    if (ok) clo_git_become(in->g, in->repo.id);
    ok = ok && clo_git_flush(in->g, err) && link_files(out, in, err) && move_refs(&moved, in, err) &&
         (!moved || clo_repo_touch(db, in->repo.id, in->o.now_s, err));
    out->repo = in->repo;
    if (ok && clo_db_commit(db, err)) return true;
    clo_db_rollback(db);
    return false;
}
