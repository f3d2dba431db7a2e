/* See sweep.h. Rows go in one transaction; names on disk go after it, each in a writing transaction that finds no row for it,
 * so that no put can have made one in between. */
#include "hub/sweep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "hub/files_impl.h"
#include "hub/snapshot_impl.h"
#include "hub/terms.h"

typedef struct {
    const clo_files *f;
    clo_sweep_opts o;
    clo_sweep_counts n;
    clo_sweep_report *report;
    void *ctx;
} sweep;

/* The two folders. */
enum { LFS = 0, XORBS = 1 };
static const char *const folders[] = {"lfs", "xorbs"};
static const char *const row_of_name[] = {"SELECT 1 FROM files WHERE sha256 = ?1 AND whole = 1",
                                          "SELECT 1 FROM xorbs WHERE hash = ?1"};

static void tell(sweep *s, const char *kind, const char *name, uint64_t bytes)
{
    s->n.bytes += bytes;
    if (s->report) s->report(s->ctx, kind, name, bytes);
}

/* --- names on disk ------------------------------------------------------------------------------------------------*/

static bool has_row(bool *out, sweep *s, int folder, const uint8_t key[32], clo_err *err)
{
    clo_stmt q = {0};
    bool ok = clo_stmt_open(&q, s->f->db, row_of_name[folder], err) && clo_bind_hash(&q, 1, key, err) &&
              clo_stmt_step(&q, out, err);
    clo_stmt_close(&q);
    return ok;
}

/* The library's name for a file that only this name holds. Its lock keeps an import from linking to it meanwhile; when
 * another holds it, the library's own sweep will do this. */
static void remove_blob(const clo_files *f, const char *hex)
{
    char path[4096];
    struct stat st;
    if (!clo_path_join(path, NULL, "%s/library.lock", f->data_dir)) return;
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (lock < 0) return;
    if (flock(lock, LOCK_EX | LOCK_NB) == 0 && clo_files_path(path, f, "blobs/sha256", hex, NULL) &&
        lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1)
        (void)unlink(path);
    close(lock);
}

/* Removes a name that has no row. */
static bool remove_name(sweep *s, int folder, const uint8_t key[32], const char *hex, clo_err *err)
{
    char path[4096];
    bool row = false;
    if (!clo_files_path(path, s->f, folders[folder], hex, err) || !clo_db_begin(s->f->db, err)) return false;
    bool ok = has_row(&row, s, folder, key, err);
    if (ok && !row && unlink(path) != 0 && errno != ENOENT) ok = clo_fail_sys(err, errno, "remove '%s'", path);
    if (!ok) clo_db_rollback(s->f->db);
    ok = ok && clo_db_commit(s->f->db, err);
    if (ok && !row && folder == LFS) remove_blob(s->f, hex);
    return ok;
}

/* Bytes that removing path gives back: none while others link to it. */
static uint64_t bytes_freed(const sweep *s, int folder, const char *hex)
{
    char path[4096];
    struct stat st, blob;
    if (!clo_files_path(path, s->f, folders[folder], hex, NULL) || stat(path, &st) != 0) return 0;
    nlink_t ours = 1;
    if (folder == LFS && clo_files_path(path, s->f, "blobs/sha256", hex, NULL) && stat(path, &blob) == 0 &&
        blob.st_ino == st.st_ino)
        ours = 2;
    return st.st_nlink <= ours ? (uint64_t)st.st_size : 0;
}

static bool look_at_name(sweep *s, int folder, const char *dir, const char *name, clo_err *err)
{
    char path[4096];
    clo_sha256 key;
    struct stat st;
    bool row = false;
    if (!clo_path_join(path, err, "%s/%s", dir, name)) return false;
    if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode)) return true;
    if (!clo_sha256_parse(&key, name, strlen(name))) { /* a temporary name of a file system without unnamed files */
        if (!strstr(name, ".tmp-") || s->o.now_s - st.st_mtime < CLO_SWEEP_FILE_AGE_S) return true;
        s->n.n_strays++;
        tell(s, "stray", path, (uint64_t)st.st_size);
        return s->o.dry_run || unlink(path) == 0 || clo_fail_sys(err, errno, "remove '%s'", path);
    }
    if (folder == XORBS) key = clo_xet_to_sha256(key.b);
    if (!has_row(&row, s, folder, key.b, err)) return false;
    if (row) return true;
    s->n.n_strays++;
    tell(s, "stray", path, bytes_freed(s, folder, name));
    return s->o.dry_run || remove_name(s, folder, key.b, name, err);
}

/* Files of <data>/<folder>/ab/cd; depth 2 is a folder of files. */
static bool walk(sweep *s, int folder, const char *dir, int depth, clo_err *err)
{
    DIR *d = opendir(dir);
    bool ok = true;
    if (!d) return errno == ENOENT || errno == ENOTDIR || clo_fail_sys(err, errno, "list '%s'", dir);
    for (struct dirent *e; ok && (e = readdir(d));) {
        char path[4096];
        if (e->d_name[0] == '.') continue;
        if (depth == 2)
            ok = look_at_name(s, folder, dir, e->d_name, err);
        else
            ok = clo_path_join(path, err, "%s/%s", dir, e->d_name) && walk(s, folder, path, depth + 1, err);
    }
    closedir(d);
    return ok;
}

static bool sweep_strays(sweep *s, clo_err *err)
{
    for (int folder = LFS; folder <= XORBS; folder++) {
        char dir[4096];
        if (!clo_path_join(dir, err, "%s/%s", s->f->data_dir, folders[folder]) || !walk(s, folder, dir, 0, err))
            return false;
    }
    return true;
}

/* --- rows ---------------------------------------------------------------------------------------------------------*/

typedef struct {
    uint8_t *keys; /* owned: n times 32 bytes */
    size_t n, cap;
} key_list;

static bool add_key(key_list *l, clo_bytes key, clo_err *err)
{
    if (key.len != 32) return clo_fail(err, CLO_ERR_DAMAGED, "a key of %zu bytes", key.len);
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 64;
        uint8_t *p = (uint8_t *)realloc(l->keys, cap * 32);
        if (!p) return clo_fail(err, CLO_ERR_MEMORY, "%zu names", cap);
        l->keys = p;
        l->cap = cap;
    }
    memcpy(l->keys + 32 * l->n++, key.ptr, 32);
    return true;
}

/* Runs a statement that removes rows older than ?1 and returns their keys. */
static bool remove_rows(key_list *gone, sweep *s, const char *sql, int64_t before_s, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    bool ok = clo_stmt_open(&q, s->f->db, sql, err) && clo_stmt_int(&q, 1, before_s, err);
    while (ok && (ok = clo_stmt_step(&q, &row, err)) && row)
        ok = add_key(gone, clo_stmt_get_blob(&q, 0), err);
    clo_stmt_close(&q);
    return ok;
}

static bool run(sweep *s, const char *sql, clo_err *err)
{
    clo_stmt q = {0};
    bool row;
    bool ok = clo_stmt_open(&q, s->f->db, sql, err) && clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    return ok;
}

/* temp.needed_xorbs: those that terms name. */
static bool list_needed_xorbs(sweep *s, clo_err *err)
{
    clo_stmt q = {0}, add = {0};
    bool row = false, unused;
    bool ok =
        run(s, "CREATE TEMP TABLE IF NOT EXISTS needed_xorbs (hash BLOB PRIMARY KEY NOT NULL) WITHOUT ROWID", err) &&
        run(s, "DELETE FROM temp.needed_xorbs", err) &&
        clo_stmt_open(&add, s->f->db, "INSERT OR IGNORE INTO temp.needed_xorbs VALUES (?1)", err) &&
        clo_stmt_open(&q, s->f->db, "SELECT terms FROM xet_files", err);
    while (ok && (ok = clo_stmt_step(&q, &row, err)) && row) {
        clo_bytes terms = clo_stmt_get_blob(&q, 0);
        for (size_t i = 0; ok && i + CLO_FILE_TERM <= terms.len; i += CLO_FILE_TERM) {
            ok = clo_bind_hash(&add, 1, terms.ptr + i, err) && clo_stmt_step(&add, &unused, err);
            clo_stmt_reset(&add);
        }
    }
    clo_stmt_close(&q);
    clo_stmt_close(&add);
    return ok;
}

#define OLD_FILES                                                                                                      \
    "DELETE FROM files WHERE created <= ?1 AND NOT EXISTS (SELECT 1 FROM repo_files r WHERE r.sha256 = files.sha256)"  \
    " RETURNING sha256"
#define OLD_TERMS                                                                                                      \
    "DELETE FROM xet_files WHERE created <= ?1 AND NOT EXISTS (SELECT 1 FROM files f WHERE f.xet = xet_files.hash)"    \
    " RETURNING hash"
#define OLD_XORBS                                                                                                      \
    "DELETE FROM xorbs WHERE created <= ?1 AND hash NOT IN (SELECT hash FROM temp.needed_xorbs) RETURNING hash"

/* Reports the rows that went and, unless it is a dry run, removes their names. */
static bool remove_names(sweep *s, const key_list *l, const char *kind, int folder, clo_err *err)
{
    for (size_t i = 0; i < l->n; i++) {
        char hex[65];
        const uint8_t *key = l->keys + 32 * i;
        clo_sha256 text;
        memcpy(text.b, key, 32);
        if (strcmp(kind, "file") != 0) text = clo_xet_to_sha256(key);
        clo_sha256_hex(hex, &text);
        tell(s, kind, hex, folder < 0 ? 0 : bytes_freed(s, folder, hex));
        if (!s->o.dry_run && folder >= 0 && !remove_name(s, folder, key, hex, err)) return false;
    }
    return true;
}

static bool sweep_rows(sweep *s, clo_err *err)
{
    key_list files = {0}, terms = {0}, xorbs = {0};
    int64_t file_age = s->o.file_age_s ? s->o.file_age_s : CLO_SWEEP_FILE_AGE_S;
    int64_t xorb_age = s->o.xorb_age_s ? s->o.xorb_age_s : CLO_SWEEP_XORB_AGE_S;
    bool ok = clo_db_begin(s->f->db, err);
    if (ok) {
        ok = remove_rows(&files, s, OLD_FILES, s->o.now_s - file_age, err) &&
             remove_rows(&terms, s, OLD_TERMS, s->o.now_s - file_age, err) && list_needed_xorbs(s, err) &&
             remove_rows(&xorbs, s, OLD_XORBS, s->o.now_s - xorb_age, err) &&
             run(s, "DELETE FROM xet_chunks WHERE xorb NOT IN (SELECT hash FROM xorbs)", err);
        if (ok && !s->o.dry_run)
            ok = clo_db_commit(s->f->db, err);
        else
            clo_db_rollback(s->f->db);
    }
    s->n.n_files += files.n;
    s->n.n_xet_files += terms.n;
    s->n.n_xorbs += xorbs.n;
    ok = ok && remove_names(s, &files, "file", LFS, err) && remove_names(s, &terms, "xet file", -1, err) &&
         remove_names(s, &xorbs, "xorb", XORBS, err);
    free(files.keys);
    free(terms.keys);
    free(xorbs.keys);
    return ok;
}

/* --- whole forms --------------------------------------------------------------------------------------------------*/

/* Whether nothing but the two names that every whole file has holds it any more, and it is old. */
static bool is_spare(const sweep *s, const char *hex)
{
    char path[4096];
    struct stat st;
    int64_t age = s->o.model_age_s ? s->o.model_age_s : CLO_SWEEP_MODEL_AGE_S;
    return clo_files_path(path, s->f, folders[LFS], hex, NULL) && stat(path, &st) == 0 && s->o.now_s - st.st_mtime >= age &&
           bytes_freed(s, LFS, hex) > 0;
}

static bool forget_whole(sweep *s, const uint8_t key[32], clo_err *err)
{
    clo_stmt q = {0};
    bool row;
    bool ok = clo_stmt_open(&q, s->f->db, "UPDATE files SET whole = 0 WHERE sha256 = ?1 AND xet IS NOT NULL", err) &&
              clo_bind_hash(&q, 1, key, err) && clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    return ok;
}

/* Files that lie whole and are here by their terms too: they were put together for a model that was run. */
static bool sweep_whole(sweep *s, clo_err *err)
{
    clo_stmt q = {0};
    key_list l = {0};
    bool row = false;
    bool ok = clo_stmt_open(&q, s->f->db, "SELECT sha256 FROM files WHERE whole = 1 AND xet IN (SELECT hash FROM xet_files)", err);
    while (ok && (ok = clo_stmt_step(&q, &row, err)) && row)
        ok = add_key(&l, clo_stmt_get_blob(&q, 0), err);
    clo_stmt_close(&q);
    for (size_t i = 0; ok && i < l.n; i++) {
        char hex[65];
        clo_sha256 text;
        memcpy(text.b, l.keys + 32 * i, 32);
        clo_sha256_hex(hex, &text);
        if (!is_spare(s, hex)) continue;
        s->n.n_whole++;
        tell(s, "whole", hex, bytes_freed(s, LFS, hex));
        ok = s->o.dry_run || (forget_whole(s, text.b, err) && remove_name(s, LFS, text.b, hex, err));
    }
    free(l.keys);
    return ok;
}

static bool sweep_snapshots(sweep *s, clo_err *err)
{
    clo_snapshot_sweep p = {.now_s = s->o.now_s,
                            .age_s = s->o.model_age_s ? s->o.model_age_s : CLO_SWEEP_MODEL_AGE_S,
                            .dry_run = s->o.dry_run,
                            .report = s->report,
                            .ctx = s->ctx};
    bool ok = clo_snapshots_sweep(&p, s->f, err);
    s->n.n_snapshots += p.n;
    s->n.bytes += p.bytes;
    return ok;
}

bool clo_files_sweep(clo_sweep_counts *out, const clo_files *f, const clo_sweep_opts *o, clo_sweep_report *report,
                     void *ctx, clo_err *err)
{
    sweep s = {.f = f, .o = *o, .report = report, .ctx = ctx};
    bool ok = sweep_snapshots(&s, err) && sweep_strays(&s, err) && sweep_rows(&s, err) && sweep_whole(&s, err);
    *out = s.n;
    return ok;
}
