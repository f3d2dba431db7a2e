/* See git_check.h. */
#include "hub/git_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/refs.h"
#include "hub/repo.h"
#include "hub/select.h"
#include "hub/tree.h"

typedef struct {
    clo_git_check_counts *n;
    const clo_files *files;
    clo_fsck_report *report;
    void *ctx;
    const clo_repo *repo;
    clo_git *g;
} check;

static bool fault(check *k, const char *kind, const char *name, const char *what, clo_err *err)
{
    char full[CLO_REPO_ID_MAX + CLO_REF_NAME_MAX + 16];
    k->n->faults++;
    snprintf(full, sizeof full, "%s%s%s %s", k->repo->type == CLO_REPO_MODEL ? "" : clo_repo_type_name(k->repo->type),
             k->repo->type == CLO_REPO_MODEL ? "" : " ", k->repo->full, name);
    return !k->report || k->report(k->ctx, kind, full, what) || clo_fail(err, CLO_ERR_CANCELLED, "check");
}

/* A failure that says that something is wrong with what is stored; others end the check. */
static bool is_fault(const clo_err *e)
{
    return e->code == CLO_ERR_NOT_FOUND || e->code == CLO_ERR_DAMAGED || e->code == CLO_ERR_FORMAT;
}

static bool check_pointer(check *k, const clo_lfs_pointer *p, clo_err *err)
{
    clo_file_info info;
    bool found = false, absent = false;
    char hex[65];
    clo_sha256_hex(hex, &p->sha256);
    if (!clo_files_find_own(&info, &found, k->files, k->repo->id, &p->sha256, err)) return false;
    if (!found && !clo_files_is_absent(&absent, k->files, k->repo->id, &p->sha256, err)) return false;
    if (absent) return true;
    if (!found) return fault(k, "pointer", hex, "the large file is not here", err);
    return info.size == p->size || fault(k, "pointer", hex, "the large file has another size", err);
}

static bool check_object(check *k, const clo_oid *oid, clo_err *err)
{
    clo_buf b = {0};
    clo_git_kind kind;
    clo_err e = {0};
    clo_lfs_pointer p;
    char hex[CLO_OID_HEX];
    clo_oid_hex(hex, oid);
    k->n->n_objects++;
    bool ok = clo_git_read(&b, &kind, k->g, oid, &e);
    if (!ok && is_fault(&e)) ok = fault(k, "object", hex, e.text, err);
    else if (!ok) *err = e;
    else if (kind == CLO_GIT_BLOB && b.len <= CLO_LFS_POINTER_MAX && clo_lfs_parse(&p, clo_bytes_of(clo_buf_str(&b))))
        ok = check_pointer(k, &p, err);
    k->n->bytes += b.len;
    clo_buf_free(&b);
    return ok;
}

/* The names of a repository's objects are read first: reading objects uses the same connection. */
static bool check_objects(check *k, clo_err *err)
{
    clo_stmt q = {0};
    bool row = true;
    clo_oid *all = NULL;
    size_t n = 0, cap = 0;
    bool ok = clo_stmt_open(&q, k->files->db, "SELECT oid FROM repo_objects WHERE repo = ?1", err) &&
              clo_stmt_int(&q, 1, k->repo->id, err);
    while (ok && row) {
        ok = clo_stmt_step(&q, &row, err);
        clo_bytes b = ok && row ? clo_stmt_get_blob(&q, 0) : (clo_bytes){0};
        if (b.len != CLO_OID_BYTES) continue;
        if (n == cap) {
            cap = cap ? 2 * cap : 1024;
            clo_oid *more = (clo_oid *)realloc(all, cap * sizeof *more);
            if (!more) {
                ok = clo_fail(err, CLO_ERR_MEMORY, "list of objects");
                break;
            }
            all = more;
        }
        memcpy(all[n++].b, b.ptr, CLO_OID_BYTES);
    }
    clo_stmt_close(&q);
    for (size_t i = 0; ok && i < n; i++)
        ok = check_object(k, &all[i], err);
    free(all);
    return ok;
}

/* Everything that a ref leads to. */
static bool check_ref(void *ctx, const clo_ref *ref, clo_err *err)
{
    check *k = (check *)ctx;
    clo_select s = {.g = k->g};
    clo_err e = {0};
    char what[CLO_REF_NAME_MAX + 64];
    k->n->n_refs++;
    bool ok = clo_select_want(&s, &ref->target, &e) && clo_select_run(&s, &e);
    for (size_t i = 0; ok && i < s.objects.n; i++) {
        char hex[CLO_OID_HEX];
        if (clo_git_has(k->g, &s.objects.keys[i])) continue;
        clo_oid_hex(hex, &s.objects.keys[i]);
        snprintf(what, sizeof what, "leads to %s, which is not here", hex);
        ok = fault(k, "ref", ref->name, what, err);
    }
    if (!ok && e.code != CLO_OK) {
        if (is_fault(&e)) ok = fault(k, "ref", ref->name, e.text, err);
        else *err = e;
    }
    clo_select_free(&s);
    return ok;
}

static bool check_repo(void *ctx, const clo_repo *r, clo_err *err)
{
    check *k = (check *)ctx;
    k->repo = r;
    k->n->n_repos++;
    if (!clo_git_open(&k->g, k->files->db, r->id, err)) return false;
    bool ok = check_objects(k, err) && clo_ref_each(k->g, CLO_STR("refs/"), check_ref, k, err);
    clo_git_close(k->g);
    return ok;
}

bool clo_git_check(clo_git_check_counts *out, const clo_files *f, clo_fsck_report *report, void *ctx, clo_err *err)
{
    *out = (clo_git_check_counts){0};
    check k = {.n = out, .files = f, .report = report, .ctx = ctx};
    clo_repo_filter all = {.type = CLO_REPO_TYPES};
    return clo_repo_each(f->db, &all, check_repo, &k, err);
}
