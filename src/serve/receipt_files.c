/* See receipt_files.h. */
#include "serve/receipt_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"

#define TOGETHER_MIN 3  /* as many texts are worth syncs of the whole file system */
#define TOGETHER_MAX 64 /* files that are open at once */

static bool path_of(char out[4096], const char *data_dir, const clo_sha256 *digest, bool make, clo_err *err)
{
    char folder[4096], hex[65];
    clo_sha256_hex(hex, digest);
    if (!clo_path_join(folder, err, "%s/receipts/%.2s", data_dir, hex)) return false;
    if (make && !clo_mkdir_p(folder, err)) return false;
    return clo_path_join(out, err, "%s/%s.json", folder, hex);
}

static bool put_one(const char *data_dir, const clo_receipt_file *f, clo_err *err)
{
    char path[4096];
    return path_of(path, data_dir, &f->digest, true, err) && clo_file_write_atomic(path, clo_bytes_of(f->text), err);
}

static bool sync_all(const char *data_dir, clo_err *err)
{
    int fd = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return clo_fail_sys(err, errno, "open '%s'", data_dir);
    bool ok = syncfs(fd) == 0 || clo_fail_sys(err, errno, "sync '%s'", data_dir);
    close(fd);
    return ok;
}

/* At most TOGETHER_MAX. Until the first sync is done no text has its name, so that a crash leaves whole ones or none. */
static bool put_together(const char *data_dir, const clo_receipt_file *files, size_t n, clo_err *err)
{
    clo_writer *w = (clo_writer *)calloc(n, sizeof *w);
    bool ok = w || clo_fail(err, CLO_ERR_MEMORY, "receipts");
    for (size_t i = 0; ok && i < n; i++) {
        char path[4096];
        ok = path_of(path, data_dir, &files[i].digest, true, err) && clo_writer_open(&w[i], path, err) &&
             clo_writer_put(&w[i], files[i].text.ptr, files[i].text.len, err);
    }
    ok = ok && sync_all(data_dir, err);
    for (size_t i = 0; ok && i < n; i++)
        ok = clo_writer_name(&w[i], err);
    ok = ok && sync_all(data_dir, err);
    for (size_t i = 0; w && i < n; i++)
        clo_writer_abandon(&w[i]);
    free(w);
    return ok;
}

bool clo_receipt_files_put(const char *data_dir, const clo_receipt_file *files, size_t n, clo_err *err)
{
    bool ok = true;
    while (ok && n >= TOGETHER_MIN) {
        size_t some = clo_min(n, TOGETHER_MAX);
        ok = put_together(data_dir, files, some, err);
        files += some;
        n -= some;
    }
    for (size_t i = 0; ok && i < n; i++)
        ok = put_one(data_dir, &files[i], err);
    return ok;
}

bool clo_receipt_file_open(clo_map *out, const char *data_dir, const clo_sha256 *digest, clo_err *err)
{
    char path[4096];
    if (!path_of(path, data_dir, digest, false, err)) return false;
    if (!clo_path_exists(path)) return clo_fail(err, CLO_ERR_NOT_FOUND, "no such receipt here");
    if (!clo_map_open(out, path, err)) return false;
    clo_sha256 found = clo_sha256_of(out->bytes.ptr, out->bytes.len);
    if (clo_sha256_eq(digest, &found)) return true;
    clo_map_close(out);
    return clo_fail(err, CLO_ERR_DAMAGED, "the stored receipt is damaged: it has another digest");
}

/* --- sweeping -----------------------------------------------------------------------------------------------------*/

typedef struct {
    clo_sha256 digest; /* its name */
    struct timespec at;
} stored;

typedef struct {
    stored *rows; /* owned */
    size_t n, cap;
} stored_list;

static bool add(stored_list *l, const clo_sha256 *digest, struct timespec at, clo_err *err)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 1024;
        stored *more = (stored *)realloc(l->rows, cap * sizeof *more);
        if (!more) return clo_fail(err, CLO_ERR_MEMORY, "list of receipts");
        l->rows = more;
        l->cap = cap;
    }
    l->rows[l->n++] = (stored){*digest, at};
    return true;
}

/* Files of other names are not ours. */
static bool list_folder(stored_list *l, const char *folder, clo_err *err)
{
    DIR *d = opendir(folder);
    bool ok = true;
    if (!d) return true;
    for (struct dirent *e; ok && (e = readdir(d));) {
        clo_str name = clo_str_from(e->d_name);
        clo_sha256 digest;
        struct stat st;
        if (name.len != 64 + 5 || !clo_str_ends_with(name, CLO_STR(".json")) ||
            !clo_sha256_parse(&digest, name.ptr, 64))
            continue;
        if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
            ok = add(l, &digest, st.st_mtim, err);
    }
    closedir(d);
    return ok;
}

static bool list_all(stored_list *l, const char *data_dir, clo_err *err)
{
    for (unsigned i = 0; i < 256; i++) {
        char folder[4096];
        if (!clo_path_join(folder, err, "%s/receipts/%02x", data_dir, i) || !list_folder(l, folder, err)) return false;
    }
    return true;
}

static int oldest_first(const void *a, const void *b)
{
    const stored *x = (const stored *)a, *y = (const stored *)b;
    if (x->at.tv_sec != y->at.tv_sec) return x->at.tv_sec < y->at.tv_sec ? -1 : 1;
    if (x->at.tv_nsec != y->at.tv_nsec) return x->at.tv_nsec < y->at.tv_nsec ? -1 : 1;
    return memcmp(x->digest.b, y->digest.b, sizeof x->digest.b);
}

static double age_s(const stored *f)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)(now.tv_sec - f->at.tv_sec) + (double)(now.tv_nsec - f->at.tv_nsec) * 1e-9;
}

bool clo_receipt_files_sweep(const char *data_dir, clo_receipt_limits limits, uint64_t *n_removed, clo_err *err)
{
    stored_list l = {0};
    uint64_t n = 0;
    bool ok = list_all(&l, data_dir, err);
    if (ok && l.n > 0) qsort(l.rows, l.n, sizeof *l.rows, oldest_first);
    for (size_t i = 0; ok && i < l.n; i++) {
        bool over = limits.n_max > 0 && l.n - i > limits.n_max;
        bool old = limits.age_max_s > 0 && age_s(&l.rows[i]) > limits.age_max_s;
        char path[4096];
        if (!over && !old) break;
        if (path_of(path, data_dir, &l.rows[i].digest, false, NULL) && unlink(path) == 0) n++;
    }
    free(l.rows);
    if (n_removed) *n_removed = n;
    return ok;
}
