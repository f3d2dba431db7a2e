/* See library.h: names, listing, showing, removing. library_import.c brings models in. */
#include "infer/library.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "infer/library_impl.h"
#include "model/spec.h"

#define MANIFEST_BYTES_MAX ((size_t)16 << 20)

/* --- names --------------------------------------------------------------------------------------------------------*/

bool clo_library_name_ok(const char *name)
{
    size_t n = strlen(name);
    bool part_begins = true;
    size_t n_slashes = 0;
    if (n == 0 || n >= CLO_MODEL_NAME_MAX) return false;
    for (size_t i = 0; i < n; i++) {
        char c = name[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (c == '/') {
            if (part_begins || ++n_slashes > 1) return false;
            part_begins = true;
            continue;
        }
        if (part_begins ? !alnum : !(alnum || c == '.' || c == '_' || c == '-')) return false;
        part_begins = false;
    }
    return !part_begins;
}

static bool check_name(const char *name, clo_err *err)
{
    return clo_library_name_ok(name) ||
           clo_fail(err, CLO_ERR_USAGE, "'%.200s' is no name for a model: name or org/name of letters, digits, . _ -",
                    name);
}

/* --- manifests ----------------------------------------------------------------------------------------------------*/

bool clo_library_file_ok(clo_str name)
{
    const char *slash = name.len > 0 ? (const char *)memchr(name.ptr, '/', name.len) : NULL;
    if (name.len == 0 || name.ptr[0] == '.') return false;
    if (!slash) return true;
    size_t at = (size_t)(slash - name.ptr);
    return clo_pooling_folder_name((clo_str){name.ptr, at}) &&
           clo_str_eq(clo_str_from_off(name, at), CLO_STR("/config.json"));
}

/* Names and digests of a manifest are used in paths, so they are checked like any bytes from outside. */
static bool check_manifest(const json_t *m, clo_err *err)
{
    const json_t *files = json_object_get(m, "files"), *f;
    size_t i;
    if (!json_is_object(m) || !json_is_array(files) || json_array_size(files) == 0)
        return clo_fail(err, CLO_ERR_FORMAT, "no list of files");
    json_array_foreach (files, i, f) {
        clo_str name = clo_json_str(f, "name", CLO_STR("")), hex = clo_json_str(f, "sha256", CLO_STR(""));
        clo_sha256 d;
        if (!clo_library_file_ok(name) || clo_json_int(f, "bytes", -1) < 0)
            return clo_fail(err, CLO_ERR_FORMAT, "file %zu: its name or size", i);
        if (!clo_sha256_parse(&d, hex.ptr, hex.len)) return clo_fail(err, CLO_ERR_FORMAT, "file %zu: its digest", i);
    }
    return true;
}

bool clo_library_read_manifest(json_t **out, const char *folder, clo_err *err)
{
    char path[4096];
    clo_str text;
    clo_arena arena = clo_arena_make(2 * MANIFEST_BYTES_MAX);
    json_t *m = NULL;
    bool ok = clo_path_join(path, err, "%s/%s", folder, CLO_LIBRARY_MANIFEST) &&
              clo_file_read(&text, path, MANIFEST_BYTES_MAX, &arena, err) &&
              clo_json_parse(&m, text, MANIFEST_BYTES_MAX, err) && check_manifest(m, err);
    clo_arena_free(&arena);
    if (ok) {
        *out = m;
        return true;
    }
    json_decref(m);
    if (err && err->code == CLO_ERR_FORMAT) err->code = CLO_ERR_DAMAGED;
    clo_err_context(err, "model in '%s'", folder);
    return false;
}

/* The path of a file of a model, which must have the size that it came in with. */
static bool file_path(char out[4096], const char *folder, const json_t *file, clo_err *err)
{
    struct stat st;
    if (!clo_path_join(out, err, "%s/%s", folder, clo_json_str(file, "name", CLO_STR("")).ptr)) return false;
    long long bytes = (long long)clo_json_int(file, "bytes", -1);
    if (stat(out, &st) != 0) return clo_fail(err, CLO_ERR_DAMAGED, "'%s' is gone from the data folder", out);
    if (st.st_size == bytes) return true;
    return clo_fail(err, CLO_ERR_DAMAGED, "'%s' is damaged: %lld bytes came in, %lld are there", out, bytes,
                    (long long)st.st_size);
}

static bool model_folder(char out[4096], const char *data_dir, const char *name, clo_err *err)
{
    if (!check_name(name, err)) return false;
    if (!clo_path_join(out, err, "%s/models/%s", data_dir, name)) return false;
    char manifest[4096];
    if (!clo_path_join(manifest, err, "%s/%s", out, CLO_LIBRARY_MANIFEST)) return false;
    if (clo_path_exists(manifest)) return true;
    return clo_fail(err, CLO_ERR_NOT_FOUND, "no model '%s' in '%s' ('cloche list' shows them)", name, data_dir);
}

bool clo_library_show(json_t **out, const char *data_dir, const char *name, clo_err *err)
{
    char folder[4096];
    return model_folder(folder, data_dir, name, err) && clo_library_read_manifest(out, folder, err);
}

bool clo_library_path(char out[4096], const char *data_dir, const char *name, clo_err *err)
{
    char folder[4096];
    json_t *m = NULL;
    if (!model_folder(folder, data_dir, name, err) || !clo_library_read_manifest(&m, folder, err)) return false;
    bool is_file = clo_str_eq(clo_json_str(m, "format", CLO_STR("")), CLO_STR("gguf")), ok = true;
    const json_t *files = json_object_get(m, "files");
    for (size_t i = json_array_size(files); ok && i-- > 0;) /* backwards: the first file's path stays */
        ok = file_path(out, folder, json_array_get(files, i), err);
    if (ok && !is_file) ok = clo_path_join(out, err, "%s", folder);
    json_decref(m);
    return ok;
}

/* --- listing ------------------------------------------------------------------------------------------------------*/

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int not_hidden(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

/* Appends the models in <data>/models/<prefix>; a folder without a manifest is an organisation, one level deep. */
static bool list_in(json_t *out, const char *data_dir, const char *prefix, bool deeper, clo_err *err)
{
    char folder[4096], path[4096], name[4096];
    struct dirent **entries = NULL;
    if (!clo_path_join(folder, err, "%s/models/%s", data_dir, prefix)) return false;
    int n = scandir(folder, &entries, not_hidden, by_name);
    if (n < 0) return errno == ENOENT || clo_fail_sys(err, errno, "list '%s'", folder);
    bool ok = true;
    for (int i = 0; i < n; i++) {
        json_t *m = NULL;
        clo_err fault = {0};
        ok = ok && clo_path_join(name, err, "%s%s", prefix, entries[i]->d_name) &&
             clo_path_join(path, err, "%s/models/%s/%s", data_dir, name, CLO_LIBRARY_MANIFEST);
        if (ok && clo_path_exists(path)) {
            if (!clo_library_show(&m, data_dir, name, &fault))
                m = json_pack("{s:s, s:s}", "name", name, "fault", fault.text);
            ok = m && json_array_append_new(out, m) == 0;
            if (!ok) clo_fail(err, CLO_ERR_MEMORY, "list of models");
        } else if (ok && deeper) {
            ok = clo_path_join(path, err, "%s/", name) && list_in(out, data_dir, path, false, err);
        }
        free(entries[i]);
    }
    free(entries);
    return ok;
}

bool clo_library_list(json_t **out, const char *data_dir, clo_err *err)
{
    json_t *list = json_array();
    if (!list) return clo_fail(err, CLO_ERR_MEMORY, "list of models");
    if (list_in(list, data_dir, "", true, err)) {
        *out = list;
        return true;
    }
    json_decref(list);
    return false;
}

bool clo_library_find(char name[CLO_MODEL_NAME_MAX], const char *data_dir, const clo_sha256 *digest, clo_err *err)
{
    json_t *list = NULL, *m;
    char hex[65];
    size_t i;
    bool found = false;
    clo_sha256_hex(hex, digest);
    if (!clo_library_list(&list, data_dir, err)) return false;
    json_array_foreach (list, i, m) {
        if (found || !clo_str_eq(clo_json_str(m, "digest", CLO_STR("")), clo_str_from(hex))) continue;
        clo_str s = clo_json_str(m, "name", CLO_STR(""));
        found = s.len > 0 && s.len < CLO_MODEL_NAME_MAX;
        if (found) snprintf(name, CLO_MODEL_NAME_MAX, CLO_STR_FMT, CLO_STR_ARG(s));
    }
    json_decref(list);
    return found || clo_fail(err, CLO_ERR_NOT_FOUND, "no model with digest %s in '%s'", hex, data_dir);
}

/* --- checking -----------------------------------------------------------------------------------------------------*/

bool clo_library_hash_file(clo_sha256 *out, uint64_t *bytes, const char *path, bool from_disk, clo_err *err)
{
    enum { STEP = 1 << 20 };
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return clo_fail_sys(err, errno, "open '%s'", path);
    uint8_t *buf = (uint8_t *)malloc(STEP);
    ssize_t n = buf ? 1 : -1;
    clo_sha256_ctx c;
    clo_sha256_begin(&c);
    *bytes = 0;
    /* What was written is on disk by now; dropping the cache makes this a reading of the disk. */
    if (from_disk) (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    while (n > 0) {
        n = read(fd, buf, STEP);
        if (n < 0 && errno == EINTR) {
            n = 1;
            continue;
        }
        if (n > 0) {
            clo_sha256_add(&c, buf, (size_t)n);
            *bytes += (uint64_t)n;
        }
    }
    int sys = errno;
    *out = clo_sha256_end(&c);
    free(buf);
    close(fd);
    return n == 0 || clo_fail_sys(err, buf ? sys : ENOMEM, "read '%s'", path);
}

bool clo_library_verify(const char *data_dir, const char *name, clo_err *err)
{
    char folder[4096], path[4096];
    json_t *m = NULL, *f;
    size_t i;
    bool ok = model_folder(folder, data_dir, name, err) && clo_library_read_manifest(&m, folder, err);
    json_array_foreach (json_object_get(m, "files"), i, f) {
        clo_str hex = clo_json_str(f, "sha256", CLO_STR(""));
        clo_sha256 want, got;
        uint64_t bytes;
        ok = ok && file_path(path, folder, f, err) && clo_library_hash_file(&got, &bytes, path, true, err);
        if (ok && (!clo_sha256_parse(&want, hex.ptr, hex.len) || !clo_sha256_eq(&want, &got)))
            ok = clo_fail(err, CLO_ERR_DAMAGED, "'%s' is damaged: it does not have the digest it was imported with",
                          path);
    }
    json_decref(m);
    return ok;
}

/* --- removing -----------------------------------------------------------------------------------------------------*/

bool clo_library_lock(int *fd, const char *data_dir, clo_err *err)
{
    char path[4096];
    if (!clo_mkdir_p(data_dir, err) || !clo_path_join(path, err, "%s/library.lock", data_dir)) return false;
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (*fd < 0) return clo_fail_sys(err, errno, "open '%s'", path);
    int rc;
    do rc = flock(*fd, LOCK_EX);
    while (rc != 0 && errno == EINTR);
    if (rc == 0) return true;
    int sys = errno;
    close(*fd);
    return clo_fail_sys(err, sys, "lock '%s'", path);
}

bool clo_library_sync_folder(const char *path, clo_err *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return clo_fail_sys(err, errno, "open '%s'", path);
    bool ok = fsync(fd) == 0 || clo_fail_sys(err, errno, "sync '%s'", path);
    close(fd);
    return ok;
}

/* Removes a folder and what is in it, as far as it can; links are not followed. */
static void remove_folder(const char *path)
{
    DIR *d = opendir(path);
    if (d) {
        for (struct dirent *e; (e = readdir(d));) {
            char inside[4096];
            if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
            if (!clo_path_join(inside, NULL, "%s/%s", path, e->d_name)) continue;
            struct stat st;
            if (lstat(inside, &st) == 0 && S_ISDIR(st.st_mode))
                remove_folder(inside);
            else
                unlink(inside);
        }
        closedir(d);
    }
    rmdir(path);
}

/* Removes blobs that no model links to, below one folder of the store; depth 2 is a folder of blobs. */
static uint64_t sweep_blobs_in(const char *folder, int depth)
{
    uint64_t freed = 0;
    DIR *d = opendir(folder);
    if (!d) return 0;
    for (struct dirent *e; (e = readdir(d));) {
        char path[4096];
        struct stat st;
        if (e->d_name[0] == '.' || !clo_path_join(path, NULL, "%s/%s", folder, e->d_name)) continue;
        if (depth < 2)
            freed += sweep_blobs_in(path, depth + 1);
        else if (lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 && unlink(path) == 0)
            freed += (uint64_t)st.st_size;
    }
    closedir(d);
    return freed;
}

static uint64_t sweep_blobs(const char *data_dir)
{
    char blobs[4096];
    return clo_path_join(blobs, NULL, "%s/blobs/sha256", data_dir) ? sweep_blobs_in(blobs, 0) : 0;
}

void clo_library_sweep(const char *data_dir)
{
    char tmp[4096], path[4096];
    bool found = false;
    DIR *d = clo_path_join(tmp, NULL, "%s/tmp", data_dir) ? opendir(tmp) : NULL;
    if (!d) return;
    for (struct dirent *e; (e = readdir(d));) {
        bool ours = strncmp(e->d_name, "import-", 7) == 0 || strncmp(e->d_name, "rm-", 3) == 0;
        if (!ours || !clo_path_join(path, NULL, "%s/%s", tmp, e->d_name)) continue;
        remove_folder(path);
        found = true;
    }
    closedir(d);
    if (found) (void)sweep_blobs(data_dir);
}

bool clo_library_remove(const char *data_dir, const char *name, uint64_t *freed_bytes, clo_err *err)
{
    char folder[4096], gone[4096], tmp[4096];
    int lock = -1;
    bool ok = false;
    if (!model_folder(folder, data_dir, name, err) || !clo_library_lock(&lock, data_dir, err)) return false;
    clo_library_sweep(data_dir);
    if (!clo_path_join(tmp, err, "%s/tmp", data_dir) || !clo_mkdir_p(tmp, err)) goto done;
    if (!clo_path_join(gone, err, "%s/rm-%d", tmp, (int)getpid())) goto done;
    if (rename(folder, gone) != 0) {
        clo_fail_sys(err, errno, "remove '%s'", folder);
        goto done;
    }
    char *slash = strrchr(folder, '/');
    *slash = '\0';
    if (!clo_library_sync_folder(folder, err)) goto done;
    if (strchr(name, '/')) rmdir(folder); /* the organisation, when it has no model left */
    remove_folder(gone);
    uint64_t freed = sweep_blobs(data_dir);
    if (freed_bytes) *freed_bytes = freed;
    ok = true;
done:
    close(lock);
    return ok;
}
