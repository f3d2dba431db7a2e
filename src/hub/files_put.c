/* See files.h: whole files come in. Bytes go to a file without a name, which gets one after it was checked, in the
 * transaction that makes its row. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "hub/files_impl.h"
#include "hub/reader.h"

#define COPY_STEP ((size_t)1 << 20)
#define WRITE_STEP ((uint64_t)8 << 20) /* that the disk begins to write while more comes */

bool clo_put_open(clo_writer *w, const clo_files *f, const char *kind, const char *path, clo_err *err)
{
    char folder[4096];
    if (!clo_path_join(folder, err, "%s/%s", f->data_dir, kind) || !clo_mkdir_p(folder, err)) return false;
    return clo_writer_open_in(w, folder, path, NULL) || (clo_mkdir_of(path, err) && clo_writer_open(w, path, err));
}

bool clo_put_bytes(clo_writer *w, clo_bytes bytes, clo_err *err)
{
    uint64_t before = w->n_written / WRITE_STEP * WRITE_STEP;
    if (!clo_writer_put(w, bytes.ptr, bytes.len, err)) return false;
    uint64_t after = w->n_written / WRITE_STEP * WRITE_STEP;
    if (after > before) (void)sync_file_range(w->fd, (off_t)before, (off_t)(after - before), SYNC_FILE_RANGE_WRITE);
    return true;
}

bool clo_put_finish(const clo_writer *w, clo_err *err)
{
    if (fsync(w->fd)) return clo_fail_sys(err, errno, "sync '%s'", w->path);
    return clo_mkdir_of(w->path, err);
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
    (*out)->file_open = clo_put_open(&(*out)->file, f, "lfs", path, err);
    return or_close(out, (*out)->file_open);
}

void clo_parts_ending(char out[CLO_PART_ENDING_MAX], int64_t repo)
{
    snprintf(out, CLO_PART_ENDING_MAX, ".tmp-parts-%lld", (long long)repo);
}

int clo_part_file_open(const char *path, int flags, int lock, clo_err *err)
{
    struct stat mine, named; /* who held the lock may have given the file its own name meanwhile */
    if (!clo_mkdir_of(path, err)) return -1;
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
    return clo_put_bytes(&p->file, bytes, err);
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
    if (link(mine, blob) == 0) return clo_sync_folder_of(blob, err);
    if (errno != EEXIST) return clo_fail_sys(err, errno, "link '%s'", blob);
    if (!p->again && stat(blob, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == p->size)
        return link_over(blob, mine, err) && clo_sync_folder_of(mine, err);
    return link_over(mine, blob, err) && clo_sync_folder_of(blob, err);
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
    if (!check_promise(p, err) || !clo_put_finish(&p->file, err) || !clo_db_begin(p->files.db, err)) return false;
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
