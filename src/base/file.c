#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"

bool clo_map_open(clo_map *out, const char *path, clo_err *err)
{
    *out = (clo_map){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return clo_fail_sys(err, errno, "open '%s'", path);
    struct stat st;
    bool ok = false;
    if (fstat(fd, &st)) {
        clo_fail_sys(err, errno, "stat '%s'", path);
    } else if (!S_ISREG(st.st_mode)) {
        clo_fail(err, CLO_ERR_USAGE, "'%s' is not a regular file", path);
    } else if (st.st_size == 0) {
        ok = true;
    } else {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        ok = p != MAP_FAILED;
        if (ok)
            *out = (clo_map){.bytes = {p, (size_t)st.st_size}, .mapped = true};
        else
            clo_fail_sys(err, errno, "map '%s'", path);
    }
    close(fd);
    return ok;
}

void clo_map_close(clo_map *m)
{
    if (m->mapped) munmap((void *)(uintptr_t)m->bytes.ptr, m->bytes.len);
    *m = (clo_map){0};
}

static bool read_all(clo_str *out, int fd, const char *name, size_t max_bytes, clo_arena *keep, clo_err *err)
{
    size_t cap = 1 << 16, len = 0;
    char *buf = malloc(cap);
    bool ok = false;
    while (buf) {
        ssize_t n = read(fd, buf + len, cap - len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            clo_fail_sys(err, errno, "read '%s'", name);
            goto done;
        }
        if (n == 0) break;
        len += (size_t)n;
        if (len > max_bytes) {
            clo_fail(err, CLO_ERR_LIMIT, "'%s' is larger than %zu bytes", name, max_bytes);
            goto done;
        }
        if (len < cap) continue;
        char *more = realloc(buf, cap *= 2);
        if (!more) break;
        buf = more;
    }
    if (!buf || len == cap) {
        clo_fail(err, CLO_ERR_MEMORY, "read '%s': no memory", name);
        goto done;
    }
    *out = clo_arena_copy_str(keep, (clo_str){buf, len});
    ok = out->ptr || clo_arena_full(keep, err);
done:
    free(buf);
    return ok;
}

bool clo_file_read(clo_str *out, const char *path, size_t max_bytes, clo_arena *keep, clo_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return clo_fail_sys(err, errno, "open '%s'", path);
    bool ok = read_all(out, fd, path, max_bytes, keep, err);
    close(fd);
    return ok;
}

bool clo_file_read_beside(clo_str *out, const char *folder, const char *name, size_t max_bytes, clo_arena *keep,
                          clo_err *err)
{
    char path[4096];
    *out = (clo_str){0};
    if (!clo_path_join(path, err, "%s/%s", folder, name)) return false;
    return !clo_path_exists(path) || clo_file_read(out, path, max_bytes, keep, err);
}

bool clo_stdin_read(clo_str *out, size_t max_bytes, clo_arena *keep, clo_err *err)
{
    return read_all(out, STDIN_FILENO, "standard input", max_bytes, keep, err);
}

/* The folder that path lies in. */
static void folder_of(char out[4096], const char *path)
{
    snprintf(out, 4096, "%s", path);
    char *slash = strrchr(out, '/');
    if (!slash) snprintf(out, 4096, ".");
    else slash[slash == out] = 0;
}

/* Writers that this process has opened: no two of its threads share a temporary name. */
static atomic_uint n_opened;

static bool begin_writer(clo_writer *w, const char *path, clo_err *err)
{
    *w = (clo_writer){.fd = -1};
    if (strlen(path) >= sizeof w->path) return clo_fail(err, CLO_ERR_LIMIT, "path of %zu bytes", strlen(path));
    memcpy(w->path, path, strlen(path) + 1);
    snprintf(w->tmp, sizeof w->tmp, "%s.tmp-%ld-%u", path, (long)getpid(), atomic_fetch_add(&n_opened, 1));
    return true;
}

static bool open_unnamed(clo_writer *w, const char *folder)
{
    if (access("/proc/self/fd", F_OK) == 0) w->fd = open(folder, O_RDWR | O_TMPFILE | O_CLOEXEC, 0666);
    w->unnamed = w->fd >= 0;
    return w->unnamed;
}

bool clo_writer_open(clo_writer *w, const char *path, clo_err *err)
{
    char folder[4096];
    if (!begin_writer(w, path, err)) return false;
    folder_of(folder, path);
    if (!open_unnamed(w, folder)) w->fd = open(w->tmp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (w->fd >= 0) return true;
    clo_fail_sys(err, errno, "create '%s'", w->tmp);
    w->tmp[0] = 0;
    return false;
}

bool clo_writer_open_in(clo_writer *w, const char *folder, const char *path, clo_err *err)
{
    if (!begin_writer(w, path, err)) return false;
    if (open_unnamed(w, folder)) return true;
    w->tmp[0] = 0;
    return clo_fail(err, CLO_ERR_UNSUPPORTED, "no file without a name in '%s'", folder);
}

bool clo_writer_put(clo_writer *w, const void *bytes, size_t n, clo_err *err)
{
    const uint8_t *p = bytes;
    while (n) {
        ssize_t k = write(w->fd, p, clo_min(n, (size_t)1 << 30));
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return clo_fail_sys(err, errno, "write '%s'", w->tmp);
        p += k;
        n -= (size_t)k;
        w->n_written += (uint64_t)k;
    }
    return true;
}

bool clo_writer_align(clo_writer *w, size_t to, clo_err *err)
{
    static const uint8_t zeros[4096];
    size_t pad = (size_t)(-w->n_written & (to - 1));
    for (; pad > sizeof zeros; pad -= sizeof zeros)
        if (!clo_writer_put(w, zeros, sizeof zeros, err)) return false;
    return clo_writer_put(w, zeros, pad, err);
}

bool clo_writer_patch(clo_writer *w, uint64_t off, const void *bytes, size_t n, clo_err *err)
{
    const uint8_t *p = bytes;
    while (n) {
        ssize_t k = pwrite(w->fd, p, n, (off_t)off);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return clo_fail_sys(err, errno, "write '%s'", w->tmp);
        p += k;
        off += (uint64_t)k;
        n -= (size_t)k;
    }
    return true;
}

bool clo_sync_folder_of(const char *path, clo_err *err)
{
    char dir[4096];
    folder_of(dir, path);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return clo_fail_sys(err, errno, "open folder '%s'", dir);
    bool ok = fsync(fd) == 0 || clo_fail_sys(err, errno, "sync folder '%s'", dir);
    close(fd);
    return ok;
}

/* Gives the file its temporary name; one that a killed process of the same id left makes way. */
static bool give_name(clo_writer *w, clo_err *err)
{
    char self[64];
    if (!w->unnamed) return true;
    snprintf(self, sizeof self, "/proc/self/fd/%d", w->fd);
    unlink(w->tmp);
    if (linkat(AT_FDCWD, self, AT_FDCWD, w->tmp, AT_SYMLINK_FOLLOW)) return clo_fail_sys(err, errno, "name '%s'", w->tmp);
    w->unnamed = false;
    return true;
}

bool clo_writer_name(clo_writer *w, clo_err *err)
{
    bool ok = give_name(w, err);
    if (ok && rename(w->tmp, w->path)) ok = clo_fail_sys(err, errno, "rename '%s'", w->tmp);
    if (!ok) {
        clo_writer_abandon(w);
        return false;
    }
    close(w->fd);
    w->fd = -1;
    w->tmp[0] = 0;
    return true;
}

bool clo_writer_commit(clo_writer *w, clo_err *err)
{
    if (fsync(w->fd) != 0) {
        clo_fail_sys(err, errno, "sync '%s'", w->tmp);
        clo_writer_abandon(w);
        return false;
    }
    return clo_writer_name(w, err) && clo_sync_folder_of(w->path, err);
}

void clo_writer_abandon(clo_writer *w)
{
    if (!w->tmp[0]) return;
    if (w->fd >= 0) close(w->fd);
    w->fd = -1;
    if (!w->unnamed) unlink(w->tmp);
    w->tmp[0] = 0;
}

bool clo_file_write_atomic(const char *path, clo_bytes bytes, clo_err *err)
{
    clo_writer w;
    if (!clo_writer_open(&w, path, err)) return false;
    if (!clo_writer_put(&w, bytes.ptr, bytes.len, err)) {
        clo_writer_abandon(&w);
        return false;
    }
    return clo_writer_commit(&w, err);
}

bool clo_path_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

bool clo_path_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool clo_mkdir_p(const char *path, clo_err *err)
{
    char part[4096];
    size_t len = strlen(path);
    if (len >= sizeof part) return clo_fail(err, CLO_ERR_LIMIT, "path of %zu bytes", len);
    memcpy(part, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (part[i] != '/' && part[i] != 0) continue;
        char keep = part[i];
        part[i] = 0;
        bool made = mkdir(part, 0777) == 0;
        if (!made && errno != EEXIST) return clo_fail_sys(err, errno, "make folder '%s'", part);
        if (made && !clo_sync_folder_of(part, err)) return false;
        part[i] = keep;
    }
    return clo_path_is_dir(path) || clo_fail(err, CLO_ERR_USAGE, "'%s' is not a folder", path);
}

bool clo_mkdir_of(const char *path, clo_err *err)
{
    char folder[4096];
    folder_of(folder, path);
    return clo_mkdir_p(folder, err);
}

void clo_file_give_to_owner(int fd, const char *folder)
{
    struct stat st;
    if (geteuid() != 0 || stat(folder, &st) != 0 || (st.st_uid == 0 && st.st_gid == 0)) return;
    if (fchown(fd, st.st_uid, st.st_gid) != 0) errno = 0; /* a sealed process may not: the file stays root's */
}

bool clo_path_join(char out[4096], clo_err *err, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(out, 4096, fmt, args);
    va_end(args);
    if (n < 0 || n >= 4096) return clo_fail(err, CLO_ERR_LIMIT, "path of %d bytes, limit 4095", n);
    return true;
}

bool clo_data_dir(char out[4096], clo_err *err)
{
    const char *data = getenv("CLOCHE_DATA"), *xdg = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (data && *data) return clo_path_join(out, err, "%s", data);
    if (xdg && *xdg) return clo_path_join(out, err, "%s/cloche", xdg);
    if (home && *home) return clo_path_join(out, err, "%s/.local/share/cloche", home);
    return clo_fail(err, CLO_ERR_USAGE, "no data folder: set CLOCHE_DATA or HOME");
}
