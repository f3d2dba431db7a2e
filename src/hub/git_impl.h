/* What the hub's own files share about a repository's handle: libgit2's view of it. */
#ifndef CLO_HUB_GIT_IMPL_H
#define CLO_HUB_GIT_IMPL_H

#include <git2.h>
#include <git2/sys/odb_backend.h>

#include "hub/author.h"
#include "hub/git_db.h"

/* An object that is no row yet. */
typedef struct {
    clo_oid oid;
    clo_git_kind kind;
    size_t size;     /* bytes */
    uint8_t *data;   /* owned: zlib stream */
    size_t data_len; /* bytes */
} clo_staged;

struct clo_git {
    clo_db *db; /* borrowed */
    int64_t repo;
    git_repository *git; /* owned: no folder, an empty configuration, objects from here */
    git_odb *odb;        /* owned */
    clo_stmt read, head, prefix;
    clo_staged *staged; /* owned [n_staged] */
    size_t n_staged, cap_staged, staged_bytes;
    uint32_t *slots; /* owned [n_slots]: a hash table of indexes into staged, plus 1 */
    size_t n_slots;
};

/* The backend that reads and writes rows; libgit2 owns what it gives. */
git_odb_backend *clo_git_backend(clo_git *g);

/* The staged object, or NULL. */
const clo_staged *clo_git_find_staged(const clo_git *g, const clo_oid *oid);
/* Stages bytes whose name is known. */
CLO_CHECK bool clo_git_stage(clo_git *g, const clo_oid *oid, clo_git_kind kind, clo_bytes bytes, clo_err *err);
/* The same for an object of `size` bytes that is a zlib stream already, which the caller has inflated and named. */
CLO_CHECK bool clo_git_stage_deflated(clo_git *g, const clo_oid *oid, clo_git_kind kind, size_t size,
                                      clo_bytes deflated, clo_err *err);

/* An object as it is stored. The bytes are borrowed until the next call on g. */
typedef struct {
    clo_git_kind kind;
    uint64_t size;
    clo_bytes deflated;
} clo_git_row;
CLO_CHECK bool clo_git_row_get(clo_git_row *out, clo_git *g, const clo_oid *oid, clo_err *err);
void clo_git_row_done(clo_git *g);
/* Inflates exactly row->size bytes into out. */
CLO_CHECK bool clo_git_inflate(void *out, const clo_git_row *row, const clo_oid *oid, clo_err *err);

/* Sets err to what libgit2 said, after a call that gave rc < 0, and returns false. */
bool clo_git_fail(clo_err *err, int rc, const char *doing);

/* The tree of a commit; the caller frees it (git_tree_free). */
CLO_CHECK bool clo_git_commit_tree(git_tree **out, clo_git *g, const clo_oid *commit, clo_err *err);

static inline git_oid clo_git_oid(const clo_oid *o)
{
    git_oid out;
    memcpy(out.id, o->b, CLO_OID_BYTES);
    return out;
}

static inline clo_oid clo_oid_of(const git_oid *o)
{
    clo_oid out;
    memcpy(out.b, o->id, CLO_OID_BYTES);
    return out;
}

/* Adds the line "author Alice <a@x.test> 1700000000 +0000". */
CLO_CHECK bool clo_git_add_signature(clo_buf *out, const char *role, const clo_author *by, int64_t now_s, clo_err *err);

/* Makes the bytes of a commit and stages it. */
struct clo_commit_parts {
    clo_oid tree;
    const clo_oid *parents; /* [n_parents] */
    size_t n_parents;
    const clo_author *by;
    int64_t now_s;
    clo_str message;
};
CLO_CHECK bool clo_git_put_commit(clo_oid *out, clo_git *g, const struct clo_commit_parts *p, clo_err *err);

#endif
