/* See snapshot.h. Between being linked and being opened a folder is safe from the sweep: its use is noted under a lock that
 * the sweep takes to itself. */
#include "hub/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"
#include "hub/files_impl.h"
#include "hub/snapshot_impl.h"

#define FILES_MAX 4096
#define SPARE_BYTES ((uint64_t)1 << 30)
#define TRIES 3 /* a sweep may take the whole form of a Xet file right after it was made sure of */

bool clo_snapshot_place(clo_snapshot *s, const char *data_dir, const clo_repo *repo, clo_err *err)
{
    clo_sha256_ctx c;
    char hex[65];
    clo_sha256_begin(&c);
    for (size_t i = 0; i < s->n_files; i++) {
        clo_sha256_add(&c, s->files[i].path, strlen(s->files[i].path) + 1);
        clo_sha256_add(&c, s->files[i].oid.b, sizeof s->files[i].oid.b);
    }
    clo_sha256 key = clo_sha256_end(&c);
    clo_sha256_hex(hex, &key);
    return clo_path_join(s->folder, err, "%s/" CLO_SNAPSHOTS "/%s/%s", data_dir, repo->oid, hex);
}

void clo_snapshot_free(clo_snapshot *s)
{
    for (size_t i = 0; i < s->n_files; i++) free(s->files[i].path);
    free(s->files);
    *s = (clo_snapshot){0};
}

bool clo_snapshot_path_ok(const char *path)
{
    bool begins = true;
    for (const char *p = path; *p; p++) {
        if (begins && (*p == '.' || *p == '/')) return false;
        begins = *p == '/';
    }
    return !begins;
}

bool clo_snapshot_add(clo_snapshot *s, const clo_entry *e, clo_err *err)
{
    if (!clo_snapshot_path_ok(e->path)) return clo_fail(err, CLO_ERR_UNSUPPORTED, "'%.200s' can be no file here", e->path);
    if (s->n_files == FILES_MAX) return clo_fail(err, CLO_ERR_LIMIT, "more than %d files", FILES_MAX);
    if (s->n_files == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 32;
        clo_snapshot_file *more = (clo_snapshot_file *)realloc(s->files, cap * sizeof *more);
        if (!more) return clo_fail(err, CLO_ERR_MEMORY, "list of files");
        s->files = more;
        s->cap = cap;
    }
    if (__builtin_add_overflow(s->bytes, e->size, &s->bytes)) return clo_fail(err, CLO_ERR_LIMIT, "files of too many bytes");
    char *path = strdup(e->path);
    if (!path) return clo_fail(err, CLO_ERR_MEMORY, "list of files");
    s->files[s->n_files++] =
        (clo_snapshot_file){.path = path, .is_lfs = e->is_lfs, .oid = e->oid, .sha256 = e->sha256, .size = e->size};
    return true;
}

/* --- large files --------------------------------------------------------------------------------------------------*/

typedef struct {
    const clo_snapshot_opts *o;
    const char *path;
} telling;

static bool tell(void *ctx, uint64_t done, uint64_t total)
{
    const telling *t = (const telling *)ctx;
    return !t->o->progress || t->o->progress(t->o->progress_ctx, t->path, done, total);
}

/* A few chunks may stand for terabytes: what is put together leaves room for what others write. */
static bool has_room(const clo_files *f, const clo_snapshot_file *file, clo_err *err)
{
    struct statvfs fs;
    if (statvfs(f->data_dir, &fs) != 0) return clo_fail_sys(err, errno, "'%s'", f->data_dir);
    uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize, all = (uint64_t)fs.f_blocks * fs.f_frsize;
    uint64_t spare = all / 20 < SPARE_BYTES ? all / 20 : SPARE_BYTES;
    if (free_bytes > spare && file->size <= free_bytes - spare) return true;
    return clo_fail(err, CLO_ERR_LIMIT, "no room for '%.100s': %llu bytes, %llu are free", file->path, (unsigned long long)file->size,
                    (unsigned long long)free_bytes);
}

/* What the repository may name comes to lie whole. */
static bool make_whole(const clo_snapshot_file *file, const clo_files *f, int64_t repo, const clo_snapshot_opts *o, clo_err *err)
{
    clo_file_info info;
    bool found = false;
    telling t = {o, file->path};
    if (!clo_files_find_own(&info, &found, f, repo, &file->sha256, err)) return false;
    if (!found)
        return clo_fail(err, CLO_ERR_NOT_FOUND, "the bytes of '%.150s' are not here ('cloche pull --history' brings those of older commits)",
                        file->path);
    if (info.size != file->size)
        return clo_fail(err, CLO_ERR_FORMAT, "the pointer of '%.100s' says %llu bytes, the file has %llu", file->path,
                        (unsigned long long)file->size, (unsigned long long)info.size);
    return info.whole || (has_room(f, file, err) && clo_files_make_whole(f, &file->sha256, o->now_s, tell, &t, err));
}

/* *missing: the file is not whole any more. */
static bool link_large(bool *missing, const char *to, const clo_snapshot_file *file, const clo_files *f, clo_err *err)
{
    char from[4096], hex[65];
    struct stat st;
    *missing = false;
    if (stat(to, &st) == 0 && (uint64_t)st.st_size == file->size) return true;
    if (unlink(to) != 0 && errno != ENOENT) return clo_fail_sys(err, errno, "remove '%s'", to);
    clo_sha256_hex(hex, &file->sha256);
    if (!clo_files_path(from, f, "lfs", hex, err)) return false;
    if (link(from, to) != 0 && errno != EEXIST) {
        *missing = errno == ENOENT;
        return clo_fail_sys(err, errno, "link '%s'", to);
    }
    if (stat(to, &st) == 0 && (uint64_t)st.st_size == file->size) return true;
    return clo_fail(err, CLO_ERR_DAMAGED, "'%s' is damaged: %llu bytes came in ('cloche fsck' tells more)", from,
                    (unsigned long long)file->size);
}

/* --- small files --------------------------------------------------------------------------------------------------*/

static bool write_small(const char *to, const clo_snapshot_file *file, clo_git *g, clo_err *err)
{
    struct stat st;
    clo_buf text = {0};
    if (stat(to, &st) == 0 && (uint64_t)st.st_size == file->size) return true;
    bool ok = clo_blob_read(&text, g, &file->oid, err) &&
              clo_file_write_atomic(to, clo_bytes_of(clo_buf_str(&text)), err);
    clo_buf_free(&text);
    return ok;
}

/* --- the whole ----------------------------------------------------------------------------------------------------*/

/* A sealed process may not set times, but it may write. */
static bool note_use(const char *folder, clo_err *err)
{
    char path[4096];
    if (!clo_path_join(path, err, "%s/" CLO_SNAPSHOT_USED, folder)) return false;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    bool ok = fd >= 0 && pwrite(fd, "\n", 1, 0) == 1;
    int sys = errno;
    if (fd >= 0) close(fd);
    return ok || clo_fail_sys(err, sys, "write '%s'", path);
}

/* With the lock held: notes the use, then puts the files in the folder. */
static bool fill(bool *missing, const clo_snapshot *s, const clo_files *f, clo_git *g, clo_err *err)
{
    char to[4096];
    if (!clo_mkdir_p(s->folder, err) || !note_use(s->folder, err)) return false;
    for (size_t i = 0; i < s->n_files; i++) {
        const clo_snapshot_file *file = &s->files[i];
        if (!clo_path_join(to, err, "%s/%s", s->folder, file->path) || !clo_mkdir_of(to, err)) return false;
        if (!(file->is_lfs ? link_large(missing, to, file, f, err) : write_small(to, file, g, err))) return false;
    }
    return true;
}

/* *missing: what was whole is not any more; to be tried again. */
static bool make(bool *missing, const clo_snapshot *s, const clo_files *f, clo_git *g, const clo_snapshot_opts *o, clo_err *err)
{
    int lock = -1;
    *missing = false;
    for (size_t i = 0; i < s->n_files; i++)
        if (s->files[i].is_lfs && !make_whole(&s->files[i], f, clo_git_repo(g), o, err)) return false;
    if (!clo_snapshots_lock(&lock, f->data_dir, false, err)) return false;
    bool ok = fill(missing, s, f, g, err);
    close(lock);
    return ok;
}

bool clo_snapshot_make(const clo_snapshot *s, const clo_files *f, clo_git *g, const clo_snapshot_opts *o, clo_err *err)
{
    bool ok = false, missing = true;
    for (int i = 0; !ok && missing && i < TRIES; i++) {
        if (err) *err = (clo_err){0};
        ok = make(&missing, s, f, g, o, err);
    }
    return ok;
}
