/* See files.h: which files are here, and whose. files_put.c takes them in, files_shard.c those of Xet. */
#include "hub/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "hub/files_impl.h"

bool clo_files_path(char out[4096], const clo_files *f, const char *folder, const char *name, clo_err *err)
{
    return clo_path_join(out, err, "%s/%s/%.2s/%.2s/%s", f->data_dir, folder, name, name + 2, name);
}

/* --- files and repositories ---------------------------------------------------------------------------------------*/

#define FILE_COLUMNS "f.sha256, f.size, f.whole, f.xet"

static bool file_of_row(clo_file_info *out, clo_stmt *q, clo_err *err)
{
    clo_bytes sha = clo_stmt_get_blob(q, 0);
    *out = (clo_file_info){.size = (uint64_t)clo_stmt_get_int(q, 1), .whole = clo_stmt_get_int(q, 2) != 0};
    if (sha.len != 32) return clo_fail(err, CLO_ERR_DAMAGED, "row of a file: a digest of %zu bytes", sha.len);
    memcpy(out->sha256.b, sha.ptr, 32);
    clo_bytes xet = clo_stmt_get_blob(q, 3);
    out->has_xet = xet.len == 32;
    if (out->has_xet) memcpy(out->xet.b, xet.ptr, 32);
    return true;
}

static bool step_to_file(clo_file_info *out, bool *found, clo_stmt *q, clo_err *err)
{
    return clo_stmt_step(q, found, err) && (!*found || file_of_row(out, q, err));
}

bool clo_files_find(clo_file_info *out, bool *found, const clo_files *f, const clo_sha256 *sha256, clo_err *err)
{
    clo_stmt q = {0};
    *found = false;
    bool ok = clo_stmt_open(&q, f->db, "SELECT " FILE_COLUMNS " FROM files f WHERE f.sha256 = ?1", err) &&
              clo_bind_hash(&q, 1, sha256->b, err) && step_to_file(out, found, &q, err);
    clo_stmt_close(&q);
    return ok;
}

/* The file with this value in this column, which the repository may name. */
static bool find_named(clo_file_info *out, bool *found, const clo_files *f, int64_t repo, const char *sql, const uint8_t *hash, clo_err *err)
{
    clo_stmt q = {0};
    *found = false;
    bool ok = clo_stmt_open(&q, f->db, sql, err) && clo_bind_hash(&q, 1, hash, err) && clo_stmt_int(&q, 2, repo, err) &&
              step_to_file(out, found, &q, err);
    clo_stmt_close(&q);
    return ok;
}

#define FROM_NAMED "SELECT " FILE_COLUMNS " FROM files f JOIN repo_files r ON r.sha256 = f.sha256 WHERE r.repo = ?2 AND "

bool clo_files_find_own(clo_file_info *out, bool *found, const clo_files *f, int64_t repo, const clo_sha256 *sha256, clo_err *err)
{
    return find_named(out, found, f, repo, FROM_NAMED "f.sha256 = ?1", sha256->b, err);
}

bool clo_files_find_xet(clo_file_info *out, bool *found, const clo_files *f, int64_t repo, const clo_xet_hash *xet, clo_err *err)
{
    return find_named(out, found, f, repo, FROM_NAMED "f.xet = ?1", xet->b, err);
}

/* A statement about a repository (?1) and a file (?2); *row: whether it gave a row. */
static bool ask(bool *row, const clo_files *f, const char *sql, int64_t repo, const clo_sha256 *sha256, clo_err *err)
{
    clo_stmt q = {0};
    *row = false;
    bool ok = clo_stmt_open(&q, f->db, sql, err) && clo_stmt_int(&q, 1, repo, err) &&
              (!sha256 || clo_bind_hash(&q, 2, sha256->b, err)) && clo_stmt_step(&q, row, err);
    clo_stmt_close(&q);
    return ok;
}

bool clo_files_may_link(bool *out, const clo_files *f, int64_t repo, const clo_sha256 *sha256, clo_err *err)
{
    return ask(out, f, "SELECT 1 FROM repo_files WHERE repo = ?1 AND sha256 = ?2", repo, sha256, err);
}

bool clo_files_is_open(bool *out, const clo_files *f, int64_t repo, const clo_sha256 *sha256, clo_err *err)
{
    return ask(out, f,
               "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM repo_files WHERE sha256 = ?2) OR EXISTS (SELECT 1 FROM repo_files x"
               " JOIN repos r ON r.id = x.repo WHERE x.sha256 = ?2 AND (r.id = ?1 OR (r.private = 0 AND r.gated = 'no' AND r.disabled = 0)))",
               repo, sha256, err);
}

bool clo_files_link(const clo_files *f, int64_t repo, const clo_sha256 *sha256, clo_err *err)
{
    clo_file_info info;
    bool found, row;
    char hex[65];
    if (!clo_files_find(&info, &found, f, sha256, err)) return false;
    clo_sha256_hex(hex, sha256);
    if (!found) return clo_fail(err, CLO_ERR_NOT_FOUND, "no file with sha256 %s is here", hex);
    return ask(&row, f, "INSERT OR IGNORE INTO repo_files (repo, sha256) VALUES (?1, ?2)", repo, sha256, err) &&
           ask(&row, f, "DELETE FROM absent_files WHERE repo = ?1 AND sha256 = ?2", repo, sha256, err);
}

bool clo_files_set_absent(const clo_files *f, int64_t repo, const clo_sha256 *sha256, uint64_t size, clo_err *err)
{
    clo_stmt q = {0};
    bool row;
    bool ok = clo_stmt_open(&q, f->db, "INSERT OR IGNORE INTO absent_files (repo, sha256, size) VALUES (?1, ?2, ?3)", err) &&
              clo_stmt_int(&q, 1, repo, err) && clo_bind_hash(&q, 2, sha256->b, err) && clo_stmt_int(&q, 3, (int64_t)size, err) &&
              clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    return ok;
}

bool clo_files_is_absent(bool *out, const clo_files *f, int64_t repo, const clo_sha256 *sha256, clo_err *err)
{
    return ask(out, f, "SELECT 1 FROM absent_files WHERE repo = ?1 AND sha256 = ?2", repo, sha256, err);
}

bool clo_files_unlink(const clo_files *f, int64_t repo, const clo_sha256 *sha256, clo_err *err)
{
    bool row;
    return ask(&row, f, "DELETE FROM repo_files WHERE repo = ?1 AND sha256 = ?2", repo, sha256, err);
}

bool clo_files_unlink_all(const clo_files *f, int64_t repo, clo_err *err)
{
    bool row;
    return ask(&row, f, "DELETE FROM repo_files WHERE repo = ?1", repo, NULL, err);
}

bool clo_files_usage(int64_t *n_files, int64_t *bytes, const clo_files *f, int64_t repo, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    bool ok = clo_stmt_open(&q, f->db,
                            "SELECT count(*), sum(f.size) FROM repo_files r JOIN files f ON f.sha256 = r.sha256"
                            " WHERE r.repo = ?1",
                            err) &&
              clo_stmt_int(&q, 1, repo, err) && clo_stmt_step(&q, &row, err);
    *n_files = row ? clo_stmt_get_int(&q, 0) : 0;
    *bytes = row ? clo_stmt_get_int(&q, 1) : 0;
    clo_stmt_close(&q);
    return ok;
}

/* --- xorbs --------------------------------------------------------------------------------------------------------*/

static bool no_xorb(const clo_xet_hash *hash, clo_err *err)
{
    char hex[65];
    clo_xet_hash_text(hex, hash);
    return clo_fail(err, CLO_ERR_NOT_FOUND, "no xorb %s is here", hex);
}

bool clo_files_has_xorb(bool *out, const clo_files *f, const clo_xet_hash *hash, clo_err *err)
{
    clo_stmt q = {0};
    *out = false;
    bool ok = clo_stmt_open(&q, f->db, "SELECT 1 FROM xorbs WHERE hash = ?1", err) &&
              clo_bind_hash(&q, 1, hash->b, err) && clo_stmt_step(&q, out, err);
    clo_stmt_close(&q);
    return ok;
}

bool clo_files_get_xorb(clo_xorb *out, const clo_files *f, const clo_xet_hash *hash, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    *out = (clo_xorb){0};
    bool ok = clo_stmt_open(&q, f->db, "SELECT chunks FROM xorbs WHERE hash = ?1", err) &&
              clo_bind_hash(&q, 1, hash->b, err) && clo_stmt_step(&q, &row, err);
    ok = ok && (row || no_xorb(hash, err)) && clo_xorb_unpack_chunks(out, hash, clo_stmt_get_blob(&q, 0), err);
    clo_stmt_close(&q);
    return ok;
}

bool clo_files_open_xorb(int *fd, uint64_t *bytes, const clo_files *f, const clo_xet_hash *hash, clo_err *err)
{
    char path[4096], hex[65];
    struct stat st;
    clo_xet_hash_text(hex, hash);
    if (!clo_files_path(path, f, "xorbs", hex, err)) return false;
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0 && errno == ENOENT) return no_xorb(hash, err);
    if (*fd < 0) return clo_fail_sys(err, errno, "open '%s'", path);
    if (fstat(*fd, &st) == 0) {
        *bytes = (uint64_t)st.st_size;
        return true;
    }
    clo_fail_sys(err, errno, "stat '%s'", path);
    close(*fd);
    *fd = -1;
    return false;
}
