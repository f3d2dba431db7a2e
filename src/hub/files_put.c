/* See files.h: whole files and xorbs come in. Bytes go to a file without a name, which gets one after it was checked, in the
 * transaction that makes its row. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "hub/files_impl.h"
#include "hub/reader.h"

#define COPY_STEP ((size_t)1 << 20)
#define WRITE_STEP ((uint64_t)8 << 20) /* that the disk begins to write while more comes */

static bool make_folder_of(const char *path, clo_err *err)
{
    char folder[4096];
    size_t n = (size_t)(strrchr(path, '/') - path);
    memcpy(folder, path, n);
    folder[n] = 0;
    return clo_mkdir_p(folder, err);
}

/* Making folders waits for the disk, and who opens a writer must not: others' bytes come in on its thread. So the file gets its
 * folder at the end (finish_writer), where the file system lets it be without a name until then. */
static bool open_writer(clo_writer *w, const clo_files *f, const char *kind, const char *path, clo_err *err)
{
    char folder[4096];
    if (!clo_path_join(folder, err, "%s/%s", f->data_dir, kind) || !clo_mkdir_p(folder, err)) return false;
    return clo_writer_open_in(w, folder, path, NULL) || (make_folder_of(path, err) && clo_writer_open(w, path, err));
}

/* The disk is given what came while more comes, so that the wait at the end is short. A disk that fails says so there. */
static bool put_bytes(clo_writer *w, clo_bytes bytes, clo_err *err)
{
    uint64_t before = w->n_written / WRITE_STEP * WRITE_STEP;
    if (!clo_writer_put(w, bytes.ptr, bytes.len, err)) return false;
    uint64_t after = w->n_written / WRITE_STEP * WRITE_STEP;
    if (after > before) (void)sync_file_range(w->fd, (off_t)before, (off_t)(after - before), SYNC_FILE_RANGE_WRITE);
    return true;
}

/* Ahead of the transaction, in which others would wait for it. */
static bool finish_writer(const clo_writer *w, clo_err *err)
{
    if (fsync(w->fd)) return clo_fail_sys(err, errno, "sync '%s'", w->path);
    return make_folder_of(w->path, err);
}

/* --- whole files --------------------------------------------------------------------------------------------------*/

struct clo_file_put {
    clo_files files;
    clo_sha256 promised;
    uint64_t size;
    clo_writer file;
    clo_sha256_ctx sum;
    bool file_open, sum_open;
    bool again; /* its name was there when the put began */
    bool kept;  /* under a name that stays when it is not committed */
};

/* A put without a file yet, and the path that it is to have. */
static bool open_put(clo_file_put **out, char path[4096], const clo_files *f, const clo_sha256 *sha256, uint64_t size,
                     clo_err *err)
{
    char hex[65];
    *out = NULL;
    if (size > CLO_FILE_BYTES_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "file of %llu bytes, limit %llu", (unsigned long long)size,
                        (unsigned long long)CLO_FILE_BYTES_MAX);
    clo_file_put *p = (clo_file_put *)calloc(1, sizeof *p);
    if (!p) return clo_fail(err, CLO_ERR_MEMORY, "upload");
    *p = (clo_file_put){.files = *f, .promised = *sha256, .size = size};
    clo_sha256_hex(hex, sha256);
    if (!clo_files_path(path, f, "lfs", hex, err)) {
        free(p);
        return false;
    }
    p->again = clo_path_exists(path);
    p->sum_open = true;
    clo_sha256_begin(&p->sum);
    *out = p;
    return true;
}

static bool or_close(clo_file_put **out, bool ok)
{
    if (ok) return true;
    clo_file_put_close(*out);
    *out = NULL;
    return false;
}

bool clo_file_put_open(clo_file_put **out, const clo_files *f, const clo_sha256 *sha256, uint64_t size, clo_err *err)
{
    char path[4096];
    if (!open_put(out, path, f, sha256, size, err)) return false;
    (*out)->file_open = open_writer(&(*out)->file, f, "lfs", path, err);
    return or_close(out, (*out)->file_open);
}

void clo_parts_ending(char out[CLO_PART_ENDING_MAX], int64_t repo)
{
    snprintf(out, CLO_PART_ENDING_MAX, ".tmp-parts-%lld", (long long)repo);
}

int clo_part_file_open(const char *path, int flags, int lock, clo_err *err)
{
    struct stat mine, named; /* who held the lock may have given the file its own name meanwhile */
    if (!make_folder_of(path, err)) return -1;
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0666);
    if (fd < 0) {
        (void)clo_fail_sys(err, errno, "open '%s'", path);
        return -1;
    }
    if (flock(fd, lock | LOCK_NB) == 0 && fstat(fd, &mine) == 0 && stat(path, &named) == 0 && mine.st_ino == named.st_ino) return fd;
    close(fd);
    (void)clo_fail(err, CLO_ERR_DENIED, "somebody else is bringing this file");
    return -1;
}

/* A writer to what is there of a file, under its name with this ending; the sweep knows ".tmp-". */
static bool open_part(clo_writer *w, const char *path, const char *ending, int flags, clo_err *err)
{
    *w = (clo_writer){.fd = -1};
    snprintf(w->path, sizeof w->path, "%s", path);
    snprintf(w->tmp, sizeof w->tmp, "%s%s", path, ending);
    w->fd = clo_part_file_open(w->tmp, flags, LOCK_EX, err);
    return w->fd >= 0;
}

/* What is there already is hashed, up to what was promised. */
static bool read_part(clo_file_put *p, clo_err *err)
{
    uint8_t *buf = (uint8_t *)malloc(COPY_STEP);
    ssize_t n = 1;
    if (!buf) return clo_fail(err, CLO_ERR_MEMORY, "buffer");
    while (n > 0 && p->file.n_written < p->size) {
        uint64_t left = p->size - p->file.n_written;
        n = read(p->file.fd, buf, left < COPY_STEP ? (size_t)left : COPY_STEP);
        if (n < 0) break;
        clo_sha256_add(&p->sum, buf, (size_t)n);
        p->file.n_written += (uint64_t)n;
    }
    free(buf);
    return (n >= 0 && ftruncate(p->file.fd, (off_t)p->file.n_written) == 0) || clo_fail_sys(err, errno, "read '%s'", p->file.tmp);
}

bool clo_file_put_resume(clo_file_put **out, uint64_t *have, const clo_files *f, const clo_sha256 *sha256, uint64_t size,
                         clo_err *err)
{
    char path[4096];
    if (!open_put(out, path, f, sha256, size, err)) return false;
    (*out)->kept = (*out)->file_open = open_part(&(*out)->file, path, ".tmp-part", O_CREAT, err);
    if (!or_close(out, (*out)->kept && read_part(*out, err))) return false;
    *have = (*out)->file.n_written;
    return true;
}

bool clo_file_put_of_parts(clo_file_put **out, const clo_files *f, int64_t repo, const clo_sha256 *sha256, uint64_t size,
                           clo_err *err)
{
    char path[4096], ending[CLO_PART_ENDING_MAX];
    clo_parts_ending(ending, repo);
    if (!open_put(out, path, f, sha256, size, err)) return false;
    (*out)->file_open = open_part(&(*out)->file, path, ending, 0, err);
    if (!(*out)->file_open && err->code == CLO_ERR_NOT_FOUND) (void)clo_fail(err, CLO_ERR_MISMATCH, "no part of the file came");
    return or_close(out, (*out)->file_open && read_part(*out, err));
}

bool clo_file_put_restart(clo_file_put *p, clo_err *err)
{
    (void)clo_sha256_end(&p->sum);
    clo_sha256_begin(&p->sum);
    p->file.n_written = 0;
    return (ftruncate(p->file.fd, 0) == 0 && lseek(p->file.fd, 0, SEEK_SET) == 0) || clo_fail_sys(err, errno, "'%s'", p->file.tmp);
}

bool clo_file_put_add(clo_file_put *p, clo_bytes bytes, clo_err *err)
{
    if (bytes.len > p->size - p->file.n_written) p->kept = false; /* no rest would make it right */
    if (bytes.len > p->size - p->file.n_written)
        return clo_fail(err, CLO_ERR_MISMATCH, "more bytes than the %llu promised", (unsigned long long)p->size);
    clo_sha256_add(&p->sum, bytes.ptr, bytes.len);
    return put_bytes(&p->file, bytes, err);
}

static bool check_promise(clo_file_put *p, clo_err *err)
{
    char hex[65];
    if (p->file.n_written != p->size)
        return clo_fail(err, CLO_ERR_MISMATCH, "%llu bytes came, %llu were promised",
                        (unsigned long long)p->file.n_written, (unsigned long long)p->size);
    clo_sha256 found = clo_sha256_end(&p->sum);
    p->sum_open = false;
    clo_sha256_hex(hex, &found);
    if (!clo_sha256_eq(&found, &p->promised)) p->kept = false;
    return clo_sha256_eq(&found, &p->promised) || clo_fail(err, CLO_ERR_MISMATCH, "the bytes have sha256 %s", hex);
}

/* `to` becomes another name of the file `from`, in place of what it named. */
static bool link_over(const char *from, const char *to, clo_err *err)
{
    char tmp[4160];
    snprintf(tmp, sizeof tmp, "%s.tmp-%ld", to, (long)getpid());
    unlink(tmp);
    if (link(from, tmp)) return clo_fail_sys(err, errno, "link '%s'", tmp);
    bool ok = rename(tmp, to) == 0 || clo_fail_sys(err, errno, "rename '%s'", tmp);
    unlink(tmp); /* it stays when both names were the same file's */
    return ok;
}

static bool sync_folder(const char *path, clo_err *err)
{
    char folder[4096];
    size_t n = (size_t)(strrchr(path, '/') - path);
    memcpy(folder, path, n);
    folder[n] = 0;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return clo_fail_sys(err, errno, "open folder '%s'", folder);
    bool ok = fsync(fd) == 0 || clo_fail_sys(err, errno, "sync folder '%s'", folder);
    close(fd);
    return ok;
}

/* The library's name for the same bytes. When the library has them already, its file becomes ours too, so that they lie on
 * the disk once; when the put was to heal, the new bytes become the library's. */
static bool share_blob(const clo_file_put *p, clo_err *err)
{
    char blob[4096], folder[4096], hex[65];
    const char *mine = p->file.path;
    struct stat st;
    clo_sha256_hex(hex, &p->promised);
    if (!clo_path_join(folder, err, "%s/blobs/sha256/%.2s/%.2s", p->files.data_dir, hex, hex + 2) ||
        !clo_path_join(blob, err, "%s/%s", folder, hex) || !clo_mkdir_p(folder, err))
        return false;
    if (link(mine, blob) == 0) return sync_folder(blob, err);
    if (errno != EEXIST) return clo_fail_sys(err, errno, "link '%s'", blob);
    if (!p->again && stat(blob, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == p->size)
        return link_over(blob, mine, err) && sync_folder(mine, err);
    return link_over(mine, blob, err) && sync_folder(blob, err);
}

static bool insert_file(const clo_file_put *p, int64_t now_s, clo_err *err)
{
    clo_stmt q = {0};
    bool row;
    bool ok = clo_stmt_open(&q, p->files.db,
                            "INSERT INTO files (sha256, size, whole, xet, created) VALUES (?1, ?2, 1, NULL, ?3)"
                            " ON CONFLICT DO UPDATE SET whole = 1",
                            err) &&
              clo_bind_hash(&q, 1, p->promised.b, err) && clo_stmt_int(&q, 2, (int64_t)p->size, err) &&
              clo_stmt_int(&q, 3, now_s, err) && clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    return ok;
}

/* repo NULL: no repository may name it that could not before. */
static bool commit(clo_file_put *p, const int64_t *repo, int64_t now_s, clo_err *err)
{
    if (!check_promise(p, err) || !finish_writer(&p->file, err) || !clo_db_begin(p->files.db, err)) return false;
    p->file_open = false;
    bool ok = clo_writer_commit(&p->file, err) && share_blob(p, err) && insert_file(p, now_s, err) &&
              (!repo || clo_files_link(&p->files, *repo, &p->promised, err));
    if (ok) return clo_db_commit(p->files.db, err);
    clo_db_rollback(p->files.db);
    return false;
}

bool clo_file_put_commit(clo_file_put *p, int64_t repo, int64_t now_s, clo_err *err)
{
    return commit(p, &repo, now_s, err);
}

bool clo_file_put_commit_for_later(clo_file_put *p, int64_t now_s, clo_err *err)
{
    return commit(p, NULL, now_s, err);
}

void clo_file_put_close(clo_file_put *p)
{
    if (!p) return;
    if (p->sum_open) (void)clo_sha256_end(&p->sum);
    if (p->file_open && p->kept) close(p->file.fd);
    else if (p->file_open) clo_writer_abandon(&p->file);
    free(p);
}

static bool copy_all(clo_file_put *p, clo_reader *r, uint64_t size, clo_files_progress *progress, void *ctx,
                     clo_err *err)
{
    uint8_t *buf = (uint8_t *)malloc(COPY_STEP);
    size_t got = 1;
    bool ok = buf || clo_fail(err, CLO_ERR_MEMORY, "buffer");
    while (ok && got) {
        ok = clo_reader_read(r, buf, COPY_STEP, &got, err) && clo_file_put_add(p, (clo_bytes){buf, got}, err);
        if (ok && progress && !progress(ctx, p->file.n_written, size)) ok = clo_fail(err, CLO_ERR_CANCELLED, "stopped");
    }
    free(buf);
    return ok;
}

bool clo_files_make_whole(const clo_files *f, const clo_sha256 *sha256, int64_t now_s, clo_files_progress *progress,
                          void *ctx, clo_err *err)
{
    clo_file_info info;
    clo_file_put *p = NULL;
    clo_reader *r = NULL;
    bool found;
    char hex[65];
    clo_sha256_hex(hex, sha256);
    if (!clo_files_find(&info, &found, f, sha256, err)) return false;
    if (!found) return clo_fail(err, CLO_ERR_NOT_FOUND, "no file with sha256 %s is here", hex);
    if (info.whole) return true;
    bool ok = clo_reader_open(&r, f, sha256, 0, info.size, err) && clo_file_put_open(&p, f, sha256, info.size, err) &&
              copy_all(p, r, info.size, progress, ctx, err) && commit(p, NULL, now_s, err);
    clo_file_put_close(p);
    clo_reader_close(r);
    return ok;
}

/* --- xorbs --------------------------------------------------------------------------------------------------------*/

struct clo_xorb_put {
    clo_files files;
    clo_xet_hash promised;
    clo_writer file;
    bool file_open;
    uint64_t raw_bytes; /* once it was verified */
};

bool clo_xorb_put_open(clo_xorb_put **out, const clo_files *f, const clo_xet_hash *hash, clo_err *err)
{
    char path[4096], hex[65];
    clo_xorb_put *p = (clo_xorb_put *)calloc(1, sizeof *p);
    *out = NULL;
    if (!p) return clo_fail(err, CLO_ERR_MEMORY, "upload of a xorb");
    *p = (clo_xorb_put){.files = *f, .promised = *hash};
    clo_xet_hash_text(hex, hash);
    if (!clo_files_path(path, f, "xorbs", hex, err) || !open_writer(&p->file, f, "xorbs", path, err)) {
        free(p);
        return false;
    }
    p->file_open = true;
    *out = p;
    return true;
}

bool clo_xorb_put_add(clo_xorb_put *p, clo_bytes bytes, clo_err *err)
{
    if (bytes.len > CLO_XORB_BYTES_MAX - p->file.n_written)
        return clo_fail(err, CLO_ERR_LIMIT, "xorb of more than %zu bytes", CLO_XORB_BYTES_MAX);
    return put_bytes(&p->file, bytes, err);
}

/* The chunks of what was written, which must have the promised hash; a footer is cut off. */
static bool verify_xorb(clo_xorb *out, clo_xorb_put *p, clo_err *err)
{
    char hex[65];
    size_t n = (size_t)p->file.n_written;
    void *m = n ? mmap(NULL, n, PROT_READ, MAP_SHARED, p->file.fd, 0) : NULL;
    if (m == MAP_FAILED) return clo_fail_sys(err, errno, "map a xorb");
    bool ok = clo_xorb_parse(out, (clo_bytes){(const uint8_t *)m, n}, err);
    if (m) munmap(m, n);
    if (!ok) return false;
    clo_xet_hash_text(hex, &out->hash);
    ok = clo_xet_hash_eq(&out->hash, &p->promised) || clo_fail(err, CLO_ERR_MISMATCH, "the chunks' xorb is %s", hex);
    if (ok && out->stored_bytes < n && ftruncate(p->file.fd, out->stored_bytes))
        ok = clo_fail_sys(err, errno, "cut a xorb's footer");
    if (!ok) clo_xorb_free(out);
    return ok;
}

/* Whether the xorb of an open file is the promised one. It is read, not mapped: a disk may fail here. */
static bool is_promised(const clo_xorb_put *p, int fd, size_t n)
{
    clo_xorb x = {0};
    uint8_t *body = (uint8_t *)malloc(n + 1);
    size_t got = 0;
    ssize_t k = 1;
    while (body && got < n && k > 0) {
        k = read(fd, body + got, n - got);
        if (k > 0) got += (size_t)k;
    }
    bool ok =
        body && got == n && clo_xorb_parse(&x, (clo_bytes){body, n}, NULL) && clo_xet_hash_eq(&x.hash, &p->promised);
    clo_xorb_free(&x);
    free(body);
    return ok;
}

/* Whether the xorb is here, row and file, and undamaged: then it stays as it is, for it may be stored otherwise than the one
 * that came. */
static bool is_whole(bool *out, const clo_xorb_put *p, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    uint64_t bytes = 0;
    int fd = -1;
    bool ok = clo_stmt_open(&q, p->files.db, "SELECT stored FROM xorbs WHERE hash = ?1", err) &&
              clo_bind_hash(&q, 1, p->promised.b, err) && clo_stmt_step(&q, &row, err);
    *out = ok && row && clo_files_open_xorb(&fd, &bytes, &p->files, &p->promised, NULL) &&
           (int64_t)bytes == clo_stmt_get_int(&q, 0) && is_promised(p, fd, (size_t)bytes);
    if (fd >= 0) close(fd);
    clo_stmt_close(&q);
    return ok;
}

static bool insert_xorb(const clo_xorb_put *p, const clo_xorb *x, int64_t now_s, clo_err *err)
{
    clo_stmt q = {0};
    bool row;
    size_t n = (size_t)x->n_chunks * CLO_XORB_ROW;
    uint8_t *rows = (uint8_t *)malloc(n);
    if (!rows) return clo_fail(err, CLO_ERR_MEMORY, "list of chunks");
    clo_xorb_pack_chunks(rows, x);
    bool ok = clo_stmt_open(&q, p->files.db,
                            "INSERT OR REPLACE INTO xorbs (hash, n_chunks, raw, stored, chunks, created)"
                            " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                            err) &&
              clo_bind_hash(&q, 1, x->hash.b, err) && clo_stmt_int(&q, 2, x->n_chunks, err) &&
              clo_stmt_int(&q, 3, (int64_t)x->raw_bytes, err) && clo_stmt_int(&q, 4, x->stored_bytes, err) &&
              clo_stmt_blob(&q, 5, (clo_bytes){rows, n}, err) && clo_stmt_int(&q, 6, now_s, err) &&
              clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    free(rows);
    return ok;
}

/* *there false: a sweep took it meanwhile. */
static bool renew_xorb(bool *there, const clo_xorb_put *p, int64_t now_s, clo_err *err)
{
    clo_stmt q = {0};
    bool ok = clo_stmt_open(&q, p->files.db, "UPDATE xorbs SET created = max(created, ?2) WHERE hash = ?1 RETURNING 1",
                            err) &&
              clo_bind_hash(&q, 1, p->promised.b, err) && clo_stmt_int(&q, 2, now_s, err) &&
              clo_stmt_step(&q, there, err);
    clo_stmt_close(&q);
    return ok;
}

static bool store_xorb(clo_xorb_put *p, const clo_xorb *x, bool *here, int64_t now_s, clo_err *err)
{
    if (*here && !renew_xorb(here, p, now_s, err)) return false;
    if (*here) return true;
    p->file_open = false;
    return clo_writer_commit(&p->file, err) && insert_xorb(p, x, now_s, err);
}

bool clo_xorb_put_commit(clo_xorb_put *p, bool *inserted, int64_t now_s, clo_err *err)
{
    clo_xorb x = {0};
    bool here = false;
    *inserted = false;
    if (!verify_xorb(&x, p, err)) return false;
    p->raw_bytes = x.raw_bytes;
    bool ok = is_whole(&here, p, err) && finish_writer(&p->file, err) && clo_db_begin(p->files.db, err);
    if (ok) {
        ok = store_xorb(p, &x, &here, now_s, err);
        if (ok)
            ok = clo_db_commit(p->files.db, err);
        else
            clo_db_rollback(p->files.db);
    }
    *inserted = ok && !here;
    clo_xorb_free(&x);
    return ok;
}

uint64_t clo_xorb_put_raw_bytes(const clo_xorb_put *p)
{
    return p->raw_bytes;
}

void clo_xorb_put_close(clo_xorb_put *p)
{
    if (!p) return;
    if (p->file_open) clo_writer_abandon(&p->file);
    free(p);
}
