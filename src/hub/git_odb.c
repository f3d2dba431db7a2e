/* libgit2's object backend over rows: each call is answered from what is staged, else from the tables. */
#include <stdlib.h>
#include <string.h>

#include "hub/git_impl.h"

typedef struct {
    git_odb_backend parent; /* first: libgit2 knows no more of it */
    clo_git *g;             /* borrowed: it outlives the backend */
} backend;

static clo_git *git_of(git_odb_backend *b)
{
    return ((backend *)b)->g;
}

/* libgit2 wants a number and keeps a text of its own. */
static int answer(bool ok, const clo_err *err)
{
    if (ok) return GIT_OK;
    git_error_set_str(GIT_ERROR_ODB, err->text);
    return err->code == CLO_ERR_NOT_FOUND ? GIT_ENOTFOUND : err->code == CLO_ERR_USAGE ? GIT_EAMBIGUOUS : GIT_ERROR;
}

static int read_object(void **data, size_t *size, git_object_t *type, git_odb_backend *b, const git_oid *id)
{
    clo_err err = {0};
    clo_oid oid = clo_oid_of(id);
    clo_git_row row;
    if (!clo_git_row_get(&row, git_of(b), &oid, &err)) return answer(false, &err);
    void *p = git_odb_backend_data_alloc(b, (size_t)row.size + 1);
    bool ok = p ? clo_git_inflate(p, &row, &oid, &err) : clo_fail(&err, CLO_ERR_MEMORY, "object");
    clo_git_row_done(git_of(b));
    if (!ok) {
        git_odb_backend_data_free(b, p);
        return answer(false, &err);
    }
    *data = p;
    *size = (size_t)row.size;
    *type = (git_object_t)row.kind;
    return GIT_OK;
}

static int read_header(size_t *size, git_object_t *type, git_odb_backend *b, const git_oid *id)
{
    clo_err err = {0};
    clo_oid oid = clo_oid_of(id);
    clo_git_kind kind = CLO_GIT_BLOB;
    uint64_t n = 0;
    if (!clo_git_head(&kind, &n, git_of(b), &oid, &err)) return answer(false, &err);
    *size = (size_t)n;
    *type = (git_object_t)kind;
    return GIT_OK;
}

static int exists(git_odb_backend *b, const git_oid *id)
{
    clo_oid oid = clo_oid_of(id);
    return clo_git_has(git_of(b), &oid);
}

static int exists_prefix(git_oid *out, git_odb_backend *b, const git_oid *id, size_t len)
{
    clo_err err = {0};
    char hex[CLO_OID_HEX];
    clo_oid oid = clo_oid_of(id);
    clo_oid_hex(hex, &oid);
    bool ok = clo_git_find_prefix(&oid, git_of(b), (clo_str){hex, len}, &err);
    if (ok) *out = clo_git_oid(&oid);
    return answer(ok, &err);
}

static int read_prefix(git_oid *out, void **data, size_t *size, git_object_t *type, git_odb_backend *b,
                       const git_oid *id, size_t len)
{
    int rc = exists_prefix(out, b, id, len);
    return rc < 0 ? rc : read_object(data, size, type, b, out);
}

static int write_object(git_odb_backend *b, const git_oid *id, const void *data, size_t len, git_object_t type)
{
    clo_err err = {0};
    clo_oid oid = clo_oid_of(id);
    return answer(clo_git_stage(git_of(b), &oid, (clo_git_kind)type, (clo_bytes){data, len}, &err), &err);
}

static int each_object(git_odb_backend *b, git_odb_foreach_cb fn, void *ctx)
{
    clo_git *g = git_of(b);
    clo_err err = {0};
    clo_stmt q = {0};
    bool row = false;
    int rc = 0;
    for (size_t i = 0; i < g->n_staged && rc == 0; i++) {
        git_oid id = clo_git_oid(&g->staged[i].oid);
        rc = fn(&id, ctx);
    }
    bool ok = clo_stmt_open(&q, g->db, "SELECT oid FROM repo_objects WHERE repo = ?1", &err) &&
              clo_stmt_int(&q, 1, g->repo, &err);
    while (ok && rc == 0 && (ok = clo_stmt_step(&q, &row, &err)) && row) {
        clo_bytes oid = clo_stmt_get_blob(&q, 0);
        git_oid id;
        if (oid.len != CLO_OID_BYTES) continue;
        memcpy(id.id, oid.ptr, CLO_OID_BYTES);
        rc = fn(&id, ctx);
    }
    clo_stmt_close(&q);
    return rc ? rc : answer(ok, &err);
}

static void free_backend(git_odb_backend *b)
{
    free(b);
}

git_odb_backend *clo_git_backend(clo_git *g)
{
    backend *b = calloc(1, sizeof *b);
    if (!b) return NULL;
    git_odb_init_backend(&b->parent, GIT_ODB_BACKEND_VERSION);
    b->g = g;
    b->parent.read = read_object;
    b->parent.read_prefix = read_prefix;
    b->parent.read_header = read_header;
    b->parent.write = write_object;
    b->parent.exists = exists;
    b->parent.exists_prefix = exists_prefix;
    b->parent.foreach = each_object;
    b->parent.free = free_backend;
    return &b->parent;
}
