/* Git objects and refs of a repository, as rows of the database.
 *
 *   git_objects    every object of every repository once: kind, size, its bytes as a zlib stream
 *   repo_objects   which of them a repository has: a repository sees these and no others, so that a hash alone opens
 *                  nothing
 *   refs           name -> object, of a repository
 *
 * The zlib stream is what a pack has after an object's header, so a fetch copies rows to the wire and deflates nothing.
 * Measured on 3,139 objects of a source tree, 13.3 MB: zlib 4.96 MB (19 MB/s in, 180 MB/s out), zstd at level 3 5.23 MB
 * (93 and 299 MB/s): objects are written once and a fetch would have to deflate what zstd has. git_objects has rowids:
 * without them reading took 2.3 times as long and the file was 30% larger.
 *
 * A new object is staged first: hashed, deflated, kept in memory, seen by this handle alone. A flush makes rows of what
 * is staged; it stands in the transaction that also moves the ref, so a commit or a push appears whole or not at all.
 *
 *   clo_git *g = NULL;
 *   clo_oid blob;
 *   if (!clo_git_open(&g, db, repo.id, &err)) ...
 *   if (!clo_git_put(&blob, g, CLO_GIT_BLOB, bytes, &err)) ...         // no transaction is needed yet
 *   if (!clo_db_begin(db, &err)) ...
 *   if (!clo_git_flush(g, &err) || !clo_ref_set(g, name, &commit, &old, &err)) clo_db_rollback(db);
 *   else if (!clo_db_commit(db, &err)) ...
 *   clo_git_close(g);
 *
 * A handle belongs to the thread of its db. After a rollback it is closed, for it may remember objects that are gone. */
#ifndef CLO_HUB_GIT_DB_H
#define CLO_HUB_GIT_DB_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "hub/oid.h"
#include "store/db.h"

#define CLO_GIT_STAGED_MAX ((size_t)512 << 20) /* bytes of one commit or push, deflated */
#define CLO_GIT_OBJECT_MAX ((size_t)64 << 20)  /* bytes of one object */

typedef struct clo_git clo_git;

typedef enum { /* git's own numbers in a pack */
               CLO_GIT_COMMIT = 1,
               CLO_GIT_TREE = 2,
               CLO_GIT_BLOB = 3,
               CLO_GIT_TAG = 4,
} clo_git_kind;

/* `repo` is the row of a repository (clo_repo.id); `db` outlives the handle. */
CLO_CHECK bool clo_git_open(clo_git **out, clo_db *db, int64_t repo, clo_err *err);
/* For a repository that is still to be made, which has nothing: opened with row 0, the handle becomes that of `repo`. */
void clo_git_become(clo_git *g, int64_t repo);
void clo_git_close(clo_git *g);
clo_db *clo_git_store(clo_git *g);
int64_t clo_git_repo(const clo_git *g);

/* Stages an object. One that the repository has already is not staged again. CLO_ERR_LIMIT. */
CLO_CHECK bool clo_git_put(clo_oid *out, clo_git *g, clo_git_kind kind, clo_bytes bytes, clo_err *err);
/* What is staged becomes rows of the repository. Stands in a transaction. */
CLO_CHECK bool clo_git_flush(clo_git *g, clo_err *err);
size_t clo_git_staged_bytes(const clo_git *g);

/* Kind and size of an object. CLO_ERR_NOT_FOUND when the repository does not have it. */
CLO_CHECK bool clo_git_head(clo_git_kind *kind, uint64_t *size, clo_git *g, const clo_oid *oid, clo_err *err);
bool clo_git_has(clo_git *g, const clo_oid *oid);
/* Appends the bytes of an object; checked against their digest. CLO_ERR_DAMAGED when they are not what was stored. */
CLO_CHECK bool clo_git_read(clo_buf *out, clo_git_kind *kind, clo_git *g, const clo_oid *oid, clo_err *err);
/* The object whose name begins with `hex` (4 to 40 digits). CLO_ERR_NOT_FOUND, CLO_ERR_USAGE when there are several. */
CLO_CHECK bool clo_git_find_prefix(clo_oid *out, clo_git *g, clo_str hex, clo_err *err);
/* Rows of git_objects that no repository has any more, in one transaction of its own; the number that went. */
CLO_CHECK bool clo_git_sweep(int64_t *n, clo_db *db, clo_err *err);
/* How many would go. */
CLO_CHECK bool clo_git_count_unneeded(int64_t *n, clo_db *db, clo_err *err);

#endif
