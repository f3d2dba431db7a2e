/* See import_impl.h: a folder as operations of a commit. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "hub/attributes.h"
#include "hub/import_impl.h"

#define DEPTH_MAX 32 /* folders in each other */
#define COPY_STEP ((size_t)1 << 20)
#define SAMPLE_BYTES 512

/* --- large files --------------------------------------------------------------------------------------------------*/

/* Reads a file to its end: hashed, or put. */
static bool read_through(clo_lfs_pointer *out, clo_file_put *put, const clo_import_repo_opts *o, const char *path, clo_err *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return clo_fail_sys(err, errno, "open '%s'", path);
    uint8_t *buf = malloc(COPY_STEP);
    bool ok = buf && fstat(fd, &st) == 0;
    ssize_t n = 1;
    clo_sha256_ctx sum;
    clo_sha256_begin(&sum);
    out->size = 0;
    while (ok && (n = read(fd, buf, COPY_STEP)) > 0) {
        clo_sha256_add(&sum, buf, (size_t)n);
        out->size += (uint64_t)n;
        if (put) ok = clo_file_put_add(put, (clo_bytes){buf, (size_t)n}, err);
        if (o->progress && (uint64_t)st.st_size > out->size)
            o->progress(o->progress_ctx, put ? "copying" : "reading", out->size, (uint64_t)st.st_size);
    }
    int sys = errno;
    if (ok && n < 0) ok = clo_fail_sys(err, sys, "read '%s'", path);
    else if (!ok && !put) clo_fail_sys(err, buf ? sys : ENOMEM, "read '%s'", path);
    out->sha256 = clo_sha256_end(&sum);
    if (o->progress) o->progress(o->progress_ctx, "reading", 1, 1);
    free(buf);
    close(fd);
    return ok;
}

bool clo_import_large(clo_lfs_pointer *out, const clo_import_repo_opts *o, const char *path, const clo_sha256 *expected, clo_err *err)
{
    clo_file_info info;
    clo_file_put *put = NULL;
    clo_lfs_pointer again;
    bool found = false;
    char hex[65];
    if (!read_through(out, NULL, o, path, err)) return false;
    clo_sha256_hex(hex, &out->sha256);
    if (expected && !clo_sha256_eq(expected, &out->sha256))
        return clo_fail(err, CLO_ERR_MISMATCH, "'%s' has sha256 %s, which is not its name", path, hex);
    if (!clo_files_find(&info, &found, &o->files, &out->sha256, err)) return false;
    if (found) return true;
    bool ok = clo_file_put_open(&put, &o->files, &out->sha256, out->size, err) && read_through(&again, put, o, path, err) &&
              clo_file_put_commit_for_later(put, o->now_s, err);
    clo_file_put_close(put);
    return ok;
}

/* --- walking ------------------------------------------------------------------------------------------------------*/

typedef struct {
    clo_import_folder *f;
    const clo_import_repo_opts *o;
    const clo_import_place *place;
    clo_patterns attributes;
    uint64_t small_bytes;
} walk;

/* Left out: what tools keep beside the files. */
static bool is_ours(const char *path)
{
    return strcmp(path, ".git") == 0 || strcmp(path, ".cache") == 0 || strcmp(path, "cloche-model.json") == 0;
}

static bool lies_in(const char *path, const char *folder)
{
    size_t n = folder ? strlen(folder) : 0;
    return n && strncmp(path, folder, n) == 0 && (path[n] == '/' || n == 1);
}

/* The real path, which must lie where links may lead. */
static bool real_path(char out[PATH_MAX], const walk *w, const char *full, clo_err *err)
{
    if (!realpath(full, out)) return clo_fail_sys(err, errno, "'%s'", full);
    return lies_in(out, w->place->inside) || lies_in(out, w->place->also) ||
           clo_fail(err, CLO_ERR_DENIED, "'%s' leads out of '%s'", full, w->place->inside);
}

/* In a Hugging Face cache a file is a link to a name, which for large files is their SHA-256; that may be a link again. */
static bool named_by_digest(clo_sha256 *out, const char *full)
{
    char to[PATH_MAX];
    ssize_t n = readlink(full, to, sizeof to - 1);
    if (n <= 0) return false;
    to[n] = '\0';
    const char *name = strrchr(to, '/');
    return name && clo_sha256_parse(out, name + 1, strlen(name + 1));
}

static bool read_small(clo_buf *out, const char *real, clo_err *err)
{
    int fd = open(real, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return clo_fail_sys(err, errno, "open '%s'", real);
    ssize_t n = 1;
    while (n > 0) {
        char *at = clo_buf_reserve(out, 65536);
        if (!at) break;
        n = read(fd, at, 65536);
        if (n > 0) out->len += (size_t)n;
    }
    int sys = errno;
    close(fd);
    if (n < 0) return clo_fail_sys(err, sys, "read '%s'", real);
    return clo_buf_ok(out, err);
}

static bool add_op(walk *w, clo_import_file *row, const char *real, const char *full, uint64_t size, clo_err *err)
{
    clo_buf bytes = {.max = CLO_COMMIT_FILE_MAX + 65536};
    clo_sha256 digest;
    clo_str path = clo_str_from(row->path);
    bool known = named_by_digest(&digest, full), large = known || size > CLO_UPLOAD_REGULAR_MAX;
    bool ok = large || read_small(&bytes, real, err);
    clo_bytes sample = {(const uint8_t *)clo_buf_str(&bytes).ptr, bytes.len < SAMPLE_BYTES ? bytes.len : SAMPLE_BYTES};
    large = large || (size > 0 && clo_upload_is_lfs(&w->attributes, path, size, sample));
    if (ok && large) ok = clo_import_large(&row->large, w->o, real, known ? &digest : NULL, err);
    row->is_large = large;
    clo_op op = {.kind = large ? CLO_OP_LFS : CLO_OP_FILE, .path = path, .sha256 = row->large.sha256, .size = (int64_t)row->large.size,
                 .content = large ? (clo_bytes){0} : clo_bytes_of(clo_buf_str(&bytes))};
    ok = ok && clo_commit_add(w->f->commit, &op, err);
    clo_buf_free(&bytes);
    return ok;
}

static bool add_file(walk *w, const char *path, const char *full, clo_err *err)
{
    char real[PATH_MAX];
    struct stat st;
    if (!clo_path_check(clo_str_from(path), err) || !real_path(real, w, full, err)) return false;
    if (stat(real, &st) != 0 || !S_ISREG(st.st_mode)) return clo_fail(err, CLO_ERR_USAGE, "'%s' is no file", full);
    if (w->f->n >= CLO_IMPORT_FILES_MAX) return clo_fail(err, CLO_ERR_LIMIT, "more than %d files", CLO_IMPORT_FILES_MAX);
    clo_import_file *more = realloc(w->f->rows, (w->f->n + 1) * sizeof *more);
    char *copy = strdup(path);
    if (more) w->f->rows = more;
    if (!more || !copy) {
        free(copy);
        return clo_fail(err, CLO_ERR_MEMORY, "list of files");
    }
    clo_import_file *row = &more[w->f->n++];
    *row = (clo_import_file){.path = copy};
    return add_op(w, row, real, full, (uint64_t)st.st_size, err);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* `path`: of the folder in the repository, "" for the root. */
static bool walk_folder(walk *w, const char *path, int depth, clo_err *err)
{
    char full[4096], inner[4096];
    struct dirent **entries = NULL;
    struct stat st;
    if (depth > DEPTH_MAX) return clo_fail(err, CLO_ERR_LIMIT, "more than %d folders in each other", DEPTH_MAX);
    if (!clo_path_join(full, err, "%s/%s", w->place->folder, path)) return false;
    int n = scandir(full, &entries, NULL, by_name);
    if (n < 0) return clo_fail_sys(err, errno, "list '%s'", full);
    bool ok = true;
    for (int i = 0; i < n; i++) {
        const char *name = entries[i]->d_name;
        bool skip = !ok || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || (!*path && is_ours(name));
        if (!skip) ok = clo_path_join(inner, err, "%s%s%s", path, *path ? "/" : "", name) && clo_path_join(full, err, "%s/%s", w->place->folder, inner);
        if (!skip && ok && lstat(full, &st) != 0) ok = clo_fail_sys(err, errno, "'%s'", full);
        if (!skip && ok) ok = S_ISDIR(st.st_mode) ? walk_folder(w, inner, depth + 1, err) : add_file(w, inner, full, err);
        free(entries[i]);
    }
    free(entries);
    return ok;
}

/* --- the folder ---------------------------------------------------------------------------------------------------*/

/* The rules of the folder, else those of a new repository, which then come along. */
static bool open_attributes(walk *w, clo_err *err)
{
    char path[4096];
    clo_buf text = {.max = CLO_ATTRIBUTES_BYTES_MAX};
    clo_str standard = clo_repo_attributes(w->o->home.type);
    if (!clo_path_join(path, err, "%s/.gitattributes", w->place->folder)) return false;
    bool own = !w->place->only && access(path, R_OK) == 0;
    bool ok = (!own || read_small(&text, path, err)) && clo_attributes_parse(&w->attributes, own ? clo_buf_str(&text) : standard, err);
    clo_buf_free(&text);
    return ok;
}

bool clo_import_folder_open(clo_import_folder *out, const clo_import_repo_opts *o, clo_git *g, const clo_import_place *place,
                            clo_err *err)
{
    char full[4096];
    walk w = {.f = out, .o = o, .place = place};
    *out = (clo_import_folder){0};
    bool ok = clo_commit_open(&out->commit, g, err) && open_attributes(&w, err);
    if (ok && place->only) ok = clo_path_join(full, err, "%s/%s", place->folder, place->only) && add_file(&w, place->only, full, err);
    else if (ok) ok = walk_folder(&w, "", 0, err);
    clo_patterns_free(&w.attributes);
    if (ok && out->n == 0) ok = clo_fail(err, CLO_ERR_NOT_FOUND, "'%s' has no files", place->folder);
    if (!ok) clo_import_folder_close(out);
    return ok;
}

bool clo_import_folder_has(const clo_import_folder *f, const char *path)
{
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->rows[i].path, path) == 0) return true;
    return false;
}

bool clo_import_folder_drop(clo_import_folder *f, const char *const *paths, size_t n, clo_err *err)
{
    for (size_t i = 0; i < n; i++) {
        clo_op op = {.kind = CLO_OP_DELETE_FILE, .path = clo_str_from(paths[i])};
        if (strcmp(paths[i], ".gitattributes") == 0 || clo_import_folder_has(f, paths[i])) continue;
        if (!clo_commit_add(f->commit, &op, err)) return false;
    }
    return true;
}

bool clo_import_folder_link(const clo_import_folder *f, const clo_files *files, int64_t repo, clo_err *err)
{
    for (size_t i = 0; i < f->n; i++)
        if (f->rows[i].is_large && !clo_files_link(files, repo, &f->rows[i].large.sha256, err)) return false;
    return true;
}

void clo_import_folder_close(clo_import_folder *f)
{
    for (size_t i = 0; i < f->n; i++) free(f->rows[i].path);
    free(f->rows);
    clo_commit_close(f->commit);
    *f = (clo_import_folder){0};
}
