/* Bringing a model into the library: from files outside, from uploads, or under a second name. See library.h.
 *
 * Order of writing, so that a crash at any point leaves the model whole or absent:
 *   1. each file is copied to tmp/import-<pid>/, synced, read back from disk and hashed;
 *   2. it gets its name among the blobs (a hard link, and the folder is synced);
 *   3. a folder with links to the blobs and the manifest is made in tmp/import-<pid>/ and synced;
 *   4. one rename puts that folder under models/, whose folder is synced. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "infer/library_impl.h"
#include "infer/upload.h"
#include "model/checkpoint.h"
#include "model/spec.h"

#define FILES_MAX 4096
#define COPY_STEP ((size_t)4 << 20)

typedef struct {
    const char *data;
    clo_import_opts opts;
    char source[4096];   /* the folder that the files lie in */
    char **names;        /* [n_files] owned, sorted bytewise */
    size_t n_files;
    bool gguf;           /* a GGUF file, else a folder */
    char stage[4096];    /* tmp/import-<pid> */
    json_t *files;       /* owned */
    uint64_t bytes;
    clo_sha256_ctx root; /* the model's digest, as receipts have it */
    bool root_open;
} job;

/* --- which files --------------------------------------------------------------------------------------------------*/

static bool add_file(job *j, const char *name, clo_err *err)
{
    if (j->n_files == FILES_MAX) return clo_fail(err, CLO_ERR_LIMIT, "a model of more than %d files", FILES_MAX);
    char *copy = strdup(name);
    if (!copy) return clo_fail(err, CLO_ERR_MEMORY, "list of files");
    j->names[j->n_files++] = copy;
    return true;
}

static void free_names(job *j)
{
    for (size_t i = 0; j->names && i < j->n_files; i++) free(j->names[i]);
    free(j->names);
    j->names = NULL;
    j->n_files = 0;
}

/* "name-00001-of-00003.gguf": true, and how many parts there are and the length of "name". */
static bool split_name(const char *name, size_t *head, unsigned *n_parts)
{
    int no = 0, n = 0;
    if (!clo_gguf_split_name(name, head, &no, &n) || n > FILES_MAX) return false;
    *n_parts = (unsigned)n;
    return true;
}

static bool collect_gguf(job *j, const char *name, clo_err *err)
{
    size_t head = 0;
    unsigned n_parts = 0;
    if (!split_name(name, &head, &n_parts)) return add_file(j, name, err);
    for (unsigned i = 1; i <= n_parts; i++) {
        char part[4096];
        if (!clo_path_join(part, err, "%.*s-%05u-of-%05u.gguf", (int)head, name, i, n_parts)) return false;
        if (!add_file(j, part, err)) return false;
    }
    return true;
}

/* Weights as pickles are code and stay outside. */
bool clo_library_takes(const char *path)
{
    static const char *const ends[] = {".safetensors", ".json", ".jinja", ".txt", ".model", ".md"};
    static const char *const begins[] = {"LICENSE", "NOTICE", "LICENCE"};
    clo_str name = clo_str_from(path);
    if (name.ptr[0] == '.' || strcmp(path, CLO_LIBRARY_MANIFEST) == 0) return false;
    if (memchr(name.ptr, '/', name.len)) return clo_library_file_ok(name);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (clo_str_ends_with(name, clo_str_from(ends[i]))) return true;
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
        if (clo_str_starts_with(name, clo_str_from(begins[i]))) return true;
    return false;
}

static int belongs(const struct dirent *e)
{
    return clo_library_takes(e->d_name);
}

static int is_pooling(const struct dirent *e)
{
    return clo_pooling_folder_name(clo_str_from(e->d_name));
}

static int bytewise(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* How sentence-transformers names where it keeps the pooling of vectors: the one file below the folder. */
static bool collect_pooling(job *j, clo_err *err)
{
    struct dirent **entries = NULL;
    char name[4096], path[4096];
    int n = scandir(j->source, &entries, is_pooling, NULL);
    bool ok = n >= 0 || clo_fail_sys(err, errno, "list '%s'", j->source);
    for (int i = 0; i < n; i++) {
        ok = ok && clo_path_join(name, err, "%s/config.json", entries[i]->d_name) &&
             clo_path_join(path, err, "%s/%s", j->source, name) && (!clo_path_exists(path) || add_file(j, name, err));
        free(entries[i]);
    }
    free(entries);
    return ok;
}

static bool collect_folder(job *j, clo_err *err)
{
    struct dirent **entries = NULL;
    int n = scandir(j->source, &entries, belongs, NULL);
    if (n < 0) return clo_fail_sys(err, errno, "list '%s'", j->source);
    bool ok = true, has_weights = false, has_config = false;
    for (int i = 0; i < n; i++) {
        ok = ok && add_file(j, entries[i]->d_name, err);
        has_weights = has_weights || clo_str_ends_with(clo_str_from(entries[i]->d_name), CLO_STR(".safetensors"));
        has_config = has_config || strcmp(entries[i]->d_name, "config.json") == 0;
        free(entries[i]);
    }
    free(entries);
    if (ok && !(has_weights && has_config))
        return clo_fail(err, CLO_ERR_FORMAT, "'%s' is no model: config.json and *.safetensors are needed", j->source);
    ok = ok && collect_pooling(j, err);
    if (ok) qsort(j->names, j->n_files, sizeof *j->names, bytewise);
    return ok;
}

/* The name that the source suggests: its last part without .gguf and without the number of a part. */
static bool suggest_name(char name[CLO_MODEL_NAME_MAX], const job *j, const char *file, clo_err *err)
{
    const char *base = j->gguf ? file : strrchr(j->source, '/');
    size_t len, head;
    unsigned n_parts;
    if (!base) base = j->source;
    if (*base == '/') base++;
    len = strlen(base);
    if (j->gguf) len = split_name(base, &head, &n_parts) ? head : len - (len > 5 ? 5 : 0);
    if (len == 0 || len >= CLO_MODEL_NAME_MAX) return clo_fail(err, CLO_ERR_USAGE, "give the model a --name");
    memcpy(name, base, len);
    name[len] = '\0';
    return true;
}

/* --- copying ------------------------------------------------------------------------------------------------------*/

/* Copies fd to w; *digest and *n are of what was read. */
static bool copy_bytes(job *j, clo_writer *w, int fd, const char *what, uint64_t total, clo_sha256 *digest, clo_err *err)
{
    uint8_t *buf = (uint8_t *)malloc(COPY_STEP);
    clo_sha256_ctx c;
    uint64_t done = 0;
    if (!buf) return clo_fail(err, CLO_ERR_MEMORY, "copy");
    clo_sha256_begin(&c);
    bool ok = true;
    for (;;) {
        ssize_t n = read(fd, buf, COPY_STEP);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) ok = clo_fail_sys(err, errno, "read '%s'", what);
        if (n <= 0) break;
        clo_sha256_add(&c, buf, (size_t)n);
        ok = clo_writer_put(w, buf, (size_t)n, err);
        if (!ok) break;
        done += (uint64_t)n;
        if (j->opts.progress) j->opts.progress(j->opts.progress_ctx, what, done, total > done ? total : done + 1);
    }
    *digest = clo_sha256_end(&c);
    free(buf);
    return ok;
}

static bool copy_file(job *j, const char *from, const char *to, const char *what, clo_sha256 *digest, uint64_t *bytes,
                      clo_err *err)
{
    clo_writer w;
    clo_sha256 again;
    struct stat st;
    int fd = open(from, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return clo_fail_sys(err, errno, "open '%s'", from);
    bool ok = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    if (!ok) clo_fail(err, CLO_ERR_FORMAT, "'%s' is no regular file", from);
    ok = ok && clo_writer_open(&w, to, err);
    if (ok) {
        ok = copy_bytes(j, &w, fd, what, (uint64_t)st.st_size, digest, err);
        if (ok) ok = clo_writer_commit(&w, err);
        else clo_writer_abandon(&w);
    }
    close(fd);
    if (!ok) return false;
    if (!clo_library_hash_file(&again, bytes, to, true, err)) return false;
    if (!clo_sha256_eq(&again, digest))
        return clo_fail(err, CLO_ERR_IO, "'%s' reads back with another digest: the disk may be failing", to);
    return true;
}

/* Gives the copy its name among the blobs. One of that name is read again: where it is damaged, the copy replaces it. */
static bool name_blob(const char *copy, const char *blob, const clo_sha256 *digest, clo_err *err)
{
    clo_sha256 there;
    uint64_t bytes;
    if (link(copy, blob) == 0) return true;
    if (errno != EEXIST) return clo_fail_sys(err, errno, "link '%s'", blob);
    if (clo_library_hash_file(&there, &bytes, blob, true, NULL) && clo_sha256_eq(&there, digest)) return true;
    return rename(copy, blob) == 0 || clo_fail_sys(err, errno, "rename to '%s'", blob);
}

/* Gives a file another name, in the model's folder or in one within it. */
static bool link_in(const job *j, const char *file, const char *name, clo_err *err)
{
    char path[4096];
    const char *slash = strchr(name, '/');
    if (slash && (!clo_path_join(path, err, "%s/model/%.*s", j->stage, (int)(slash - name), name) || !clo_mkdir_p(path, err)))
        return false;
    if (!clo_path_join(path, err, "%s/model/%s", j->stage, name)) return false;
    if (link(file, path) != 0) return clo_fail_sys(err, errno, "link '%s'", path);
    if (!slash) return true;
    *strrchr(path, '/') = '\0'; /* publish does not sync a folder within */
    return clo_library_sync_folder(path, err);
}

/* Puts the copy among the blobs and gives it another name in the model's folder. A sealed process may not change modes: the
 * file stays writable for its owner. */
static bool place_blob(job *j, const char *copy, const clo_sha256 *digest, const char *name, clo_err *err)
{
    char hex[65], folder[4096], blob[4096];
    clo_sha256_hex(hex, digest);
    if (!clo_path_join(folder, err, "%s/blobs/sha256/%.2s/%.2s", j->data, hex, hex + 2)) return false;
    if (!clo_mkdir_p(folder, err) || !clo_path_join(blob, err, "%s/%s", folder, hex)) return false;
    if (chmod(copy, 0444) != 0 && errno != EPERM) return clo_fail_sys(err, errno, "chmod '%s'", copy);
    if (!name_blob(copy, blob, digest, err) || !clo_library_sync_folder(folder, err)) return false;
    if (!link_in(j, blob, name, err)) return false;
    return unlink(copy) == 0 || errno == ENOENT || clo_fail_sys(err, errno, "remove '%s'", copy);
}

bool clo_library_in_digest(const char *path)
{
    clo_str s = clo_str_from(path);
    return clo_str_ends_with(s, CLO_STR(".gguf")) || clo_str_ends_with(s, CLO_STR(".safetensors")) || clo_str_eq(s, CLO_STR("config.json")) ||
           clo_str_ends_with(s, CLO_STR("/config.json"));
}

/* Adds a file that lies in the model's folder to what the manifest says. */
static bool note_file(job *j, const char *name, const clo_sha256 *digest, uint64_t bytes, clo_err *err)
{
    char hex[65];
    clo_sha256_hex(hex, digest);
    if (clo_library_in_digest(name)) clo_sha256_add(&j->root, digest->b, sizeof digest->b);
    j->bytes += bytes;
    json_t *f = json_pack("{s:s, s:I, s:s}", "name", name, "bytes", (json_int_t)bytes, "sha256", hex);
    if (!f || json_array_append_new(j->files, f) != 0)
        return clo_fail(err, CLO_ERR_FORMAT, "the name of the file '%s' is not valid UTF-8", name);
    return true;
}

static bool take_file(job *j, const char *name, clo_err *err)
{
    char from[4096], copy[4096], hex[65];
    clo_sha256 digest;
    uint64_t bytes = 0;
    if (!clo_path_join(from, err, "%s/%s", j->source, name)) return false;
    if (!clo_path_join(copy, err, "%s/copy", j->stage)) return false;
    if (!copy_file(j, from, copy, name, &digest, &bytes, err)) return false;
    clo_sha256_hex(hex, &digest);
    if (j->opts.sha256 && strcasecmp(j->opts.sha256, hex) != 0)
        return clo_fail(err, CLO_ERR_MISMATCH, "'%s' has SHA-256 %s, not the expected %s", from, hex, j->opts.sha256);
    return place_blob(j, copy, &digest, name, err) && note_file(j, name, &digest, bytes, err);
}

/* A file that is here already. One that was uploaded becomes a blob. */
static bool take_stored(job *j, const char *name, const clo_sha256 *digest, clo_err *err)
{
    char path[4096];
    bool in_blobs = false;
    clo_sha256 found;
    uint64_t bytes = 0;
    if (!clo_upload_find(path, &in_blobs, j->data, digest, err)) return false;
    if (!clo_library_hash_file(&found, &bytes, path, true, err)) return false;
    if (!clo_sha256_eq(&found, digest))
        return clo_fail(err, CLO_ERR_DAMAGED, "'%s' is damaged: it has another digest", path);
    if (!(in_blobs ? link_in(j, path, name, err) : place_blob(j, path, digest, name, err))) return false;
    return note_file(j, name, digest, bytes, err);
}

/* A file of another model, which stays there. */
static bool take_shared(job *j, const char *folder, const json_t *file, clo_err *err)
{
    char path[4096];
    const char *name = clo_json_str(file, "name", CLO_STR("")).ptr;
    clo_str hex = clo_json_str(file, "sha256", CLO_STR(""));
    clo_sha256 digest;
    if (!clo_sha256_parse(&digest, hex.ptr, hex.len)) return clo_fail(err, CLO_ERR_DAMAGED, "manifest: a digest");
    return clo_path_join(path, err, "%s/%s", folder, name) && link_in(j, path, name, err) &&
           note_file(j, name, &digest, (uint64_t)clo_json_int(file, "bytes", 0), err);
}

/* --- the model's folder -------------------------------------------------------------------------------------------*/

static bool write_manifest(job *j, const char *name, clo_err *err)
{
    char path[4096], hex[65];
    clo_sha256 root = clo_sha256_end(&j->root);
    j->root_open = false;
    clo_sha256_hex(hex, &root);
    json_t *m = json_pack("{s:s, s:s, s:I, s:s, s:I, s:O}", "name", name, "format", j->gguf ? "gguf" : "safetensors",
                          "bytes", (json_int_t)j->bytes, "digest", hex, "imported_unix", (json_int_t)time(NULL),
                          "files", j->files);
    char *text = m ? json_dumps(m, JSON_INDENT(2)) : NULL;
    json_decref(m);
    if (!text) return clo_fail(err, CLO_ERR_MEMORY, "manifest");
    bool ok = clo_path_join(path, err, "%s/model/%s", j->stage, CLO_LIBRARY_MANIFEST) &&
              clo_file_write_atomic(path, (clo_bytes){(const uint8_t *)text, strlen(text)}, err);
    free(text);
    return ok;
}

/* A model of this name is there already: fine when it is the same one. Its files become those just checked, which mends
 * one that was damaged on disk. */
static bool same_as_present(job *j, const char *name, clo_err *err)
{
    char from[4096], to[4096];
    json_t *old = NULL;
    if (!clo_library_show(&old, j->data, name, err)) return false;
    bool same = json_equal(json_object_get(old, "files"), j->files) == 1;
    json_decref(old);
    if (!same)
        return clo_fail(err, CLO_ERR_DENIED, "another model is named '%s': choose a --name or remove it first", name);
    for (size_t i = 0; i < j->n_files; i++) {
        if (!clo_path_join(from, err, "%s/model/%s", j->stage, j->names[i])) return false;
        if (!clo_path_join(to, err, "%s/models/%s/%s", j->data, name, j->names[i])) return false;
        if (rename(from, to) != 0) return clo_fail_sys(err, errno, "rename to '%s'", to);
    }
    *strrchr(to, '/') = '\0';
    return clo_library_sync_folder(to, err);
}

/* A model that its own reader refuses does not come in. */
static bool opens(const job *j, clo_err *err)
{
    char path[4096];
    clo_checkpoint ck = {0};
    bool ok = clo_path_join(path, err, "%s/model%s%s", j->stage, j->gguf ? "/" : "", j->gguf ? j->names[0] : "") &&
              clo_checkpoint_open(&ck, path, err);
    clo_checkpoint_close(&ck);
    return ok;
}

/* Whether <data>/models/<name, its first len bytes> is a model: has a manifest. */
static bool is_model(const job *j, const char *name, size_t len)
{
    char path[4096];
    return clo_path_join(path, NULL, "%s/models/%.*s/%s", j->data, (int)len, name, CLO_LIBRARY_MANIFEST) &&
           clo_path_exists(path);
}

/* Syncs a folder and those above it, up to the data folder: an import that was killed may have made them just before. */
static bool sync_up(const job *j, char *folder, clo_err *err)
{
    while (strlen(folder) >= strlen(j->data)) {
        if (!clo_library_sync_folder(folder, err)) return false;
        char *slash = strrchr(folder, '/');
        if (!slash) break;
        *slash = '\0';
    }
    return true;
}

static bool publish(job *j, const char *name, clo_err *err)
{
    char staged[4096], folder[4096], to[4096];
    const char *slash = strchr(name, '/');
    int org = slash ? (int)(slash - name) : 0;
    if (is_model(j, name, strlen(name))) return same_as_present(j, name, err);
    if (slash && is_model(j, name, (size_t)org))
        return clo_fail(err, CLO_ERR_DENIED, "'%.*s' is a model, so it cannot hold '%s': choose another --name", org,
                        name, name);
    if (!clo_path_join(staged, err, "%s/model", j->stage) || !clo_library_sync_folder(staged, err)) return false;
    if (!clo_path_join(folder, err, "%s/models/%.*s", j->data, org, name) || !clo_mkdir_p(folder, err)) return false;
    if (!clo_path_join(to, err, "%s/models/%s", j->data, name)) return false;
    if (rename(staged, to) == 0) return sync_up(j, folder, err);
    if (errno == ENOTEMPTY || errno == EEXIST)
        return clo_fail(err, CLO_ERR_DENIED, "'%s' holds other models: choose another --name", name);
    return clo_fail_sys(err, errno, "rename to '%s'", to);
}

/* --- the whole ----------------------------------------------------------------------------------------------------*/

static bool open_source(job *j, const char *path, char file[4096], clo_err *err)
{
    char plain[4096];
    if (!clo_path_join(plain, err, "%s", path)) return false;
    size_t n = strlen(plain);
    while (n > 1 && plain[n - 1] == '/') plain[--n] = '\0';
    if (!clo_path_exists(plain)) return clo_fail(err, CLO_ERR_NOT_FOUND, "no file or folder '%s'", plain);
    if (clo_path_is_dir(plain)) return clo_path_join(j->source, err, "%s", plain);
    j->gguf = true;
    const char *slash = strrchr(plain, '/');
    if (!clo_path_join(file, err, "%s", slash ? slash + 1 : plain)) return false;
    if (!clo_str_ends_with(clo_str_from(file), CLO_STR(".gguf")))
        return clo_fail(err, CLO_ERR_UNSUPPORTED, "'%s' is neither a .gguf file nor a folder", plain);
    return clo_path_join(j->source, err, "%.*s", slash ? (int)(slash == plain ? 1 : slash - plain) : 1,
                         slash ? plain : ".");
}

/* The folder in which the model is put together. */
static bool make_stage(job *j, clo_err *err)
{
    char tmp[4096], model[4096];
    clo_library_sweep(j->data);
    return clo_path_join(tmp, err, "%s/tmp", j->data) && clo_mkdir_p(tmp, err) &&
           clo_path_join(j->stage, err, "%s/import-%d", tmp, (int)getpid()) &&
           clo_path_join(model, err, "%s/model", j->stage) && clo_mkdir_p(model, err);
}

static bool import(job *j, char name[CLO_MODEL_NAME_MAX], const char *path, clo_err *err)
{
    char file[4096] = "";
    if (!open_source(j, path, file, err)) return false;
    if (j->opts.name) snprintf(name, CLO_MODEL_NAME_MAX, "%s", j->opts.name);
    else if (!suggest_name(name, j, file, err)) return false;
    if (!clo_library_name_ok(name) || (j->opts.name && strcmp(name, j->opts.name) != 0))
        return clo_fail(err, CLO_ERR_USAGE, "'%s' is no name for a model: give a --name of letters, digits, . _ -", name);
    if (!(j->gguf ? collect_gguf(j, file, err) : collect_folder(j, err))) return false;
    if (j->opts.sha256 && j->n_files != 1)
        return clo_fail(err, CLO_ERR_USAGE, "--sha256 is for one file, not for %zu", j->n_files);
    if (j->opts.sha256 && (strlen(j->opts.sha256) != 64 || strspn(j->opts.sha256, "0123456789abcdefABCDEF") != 64))
        return clo_fail(err, CLO_ERR_USAGE, "'%s' is no SHA-256: 64 hexadecimal digits are expected", j->opts.sha256);
    if (!make_stage(j, err)) return false;
    for (size_t i = 0; i < j->n_files; i++)
        if (!take_file(j, j->names[i], err)) return false;
    return opens(j, err) && write_manifest(j, name, err) && publish(j, name, err);
}

/* --- models of what is here ---------------------------------------------------------------------------------------*/

/* The parts' names: one file of any name, or all parts of a split one. */
static bool check_parts(const job *j, clo_err *err)
{
    job whole = {.names = (char **)calloc(FILES_MAX, sizeof *whole.names)};
    if (!whole.names) return clo_fail(err, CLO_ERR_MEMORY, "list of files");
    bool ok = collect_gguf(&whole, j->names[0], err), same = ok && whole.n_files == j->n_files;
    for (size_t i = 0; same && i < j->n_files; i++) same = strcmp(whole.names[i], j->names[i]) == 0;
    free_names(&whole);
    return ok && (same || clo_fail(err, CLO_ERR_USAGE, "%zu files that are not the parts of one model", j->n_files));
}

static int by_file_name(const void *a, const void *b)
{
    return strcmp(((const clo_library_file *)a)->name, ((const clo_library_file *)b)->name);
}

static bool create(job *j, const char *name, const clo_library_file *files, size_t n, clo_err *err)
{
    for (size_t i = 0; i < n; i++) {
        clo_str s = clo_str_from(files[i].name);
        if (s.len > 255 || s.ptr[0] == '.' || memchr(s.ptr, '/', s.len) || !clo_str_ends_with(s, CLO_STR(".gguf")))
            return clo_fail(err, CLO_ERR_UNSUPPORTED, "'%.100s': a model is created of .gguf files", files[i].name);
        if (!add_file(j, files[i].name, err)) return false;
    }
    if (!check_parts(j, err) || !make_stage(j, err)) return false;
    for (size_t i = 0; i < n; i++)
        if (!take_stored(j, files[i].name, &files[i].digest, err)) return false;
    return opens(j, err) && write_manifest(j, name, err) && publish(j, name, err);
}

static bool copy_model(job *j, const char *from, const char *to, clo_err *err)
{
    char folder[4096];
    json_t *m = NULL, *f;
    size_t i;
    bool ok = clo_library_show(&m, j->data, from, err) && clo_path_join(folder, err, "%s/models/%s", j->data, from);
    j->gguf = ok && clo_str_eq(clo_json_str(m, "format", CLO_STR("")), CLO_STR("gguf"));
    ok = ok && make_stage(j, err);
    json_array_foreach (json_object_get(m, "files"), i, f)
        ok = ok && add_file(j, clo_json_str(f, "name", CLO_STR("")).ptr, err) && take_shared(j, folder, f, err);
    json_decref(m);
    return ok && write_manifest(j, to, err) && publish(j, to, err);
}

/* --- the three ways in --------------------------------------------------------------------------------------------*/

static bool begin(job *j, int *lock, const char *name, clo_err *err)
{
    j->files = json_array();
    j->names = (char **)calloc(FILES_MAX, sizeof *j->names);
    clo_sha256_begin(&j->root);
    j->root_open = true;
    if (!j->files || !j->names) return clo_fail(err, CLO_ERR_MEMORY, "import");
    if (name && !clo_library_name_ok(name))
        return clo_fail(err, CLO_ERR_USAGE, "'%.200s' is no name for a model: name or org/name of letters, digits, . _ -",
                        name);
    return clo_library_lock(lock, j->data, err);
}

static void end(job *j, int lock)
{
    if (j->stage[0]) clo_library_sweep(j->data);
    if (j->root_open) (void)clo_sha256_end(&j->root);
    if (lock >= 0) close(lock);
    free_names(j);
    json_decref(j->files);
}

bool clo_library_import(char name[CLO_MODEL_NAME_MAX], const char *data_dir, const char *path, clo_import_opts opts,
                        clo_err *err)
{
    job j = {.data = data_dir, .opts = opts};
    int lock = -1;
    bool ok = begin(&j, &lock, NULL, err) && import(&j, name, path, err);
    if (opts.progress) opts.progress(opts.progress_ctx, "", 1, 1);
    end(&j, lock);
    if (!ok) clo_err_context(err, "import '%s'", path);
    return ok;
}

bool clo_library_create(const char *data_dir, const char *name, const clo_library_file *files, size_t n_files, clo_err *err)
{
    job j = {.data = data_dir, .gguf = true};
    int lock = -1;
    if (n_files == 0 || n_files > FILES_MAX)
        return clo_fail(err, CLO_ERR_USAGE, "%zu files, 1 to %d are expected", n_files, FILES_MAX);
    clo_library_file *sorted = (clo_library_file *)calloc(n_files, sizeof *sorted);
    if (!sorted) return clo_fail(err, CLO_ERR_MEMORY, "list of files");
    memcpy(sorted, files, n_files * sizeof *sorted);
    qsort(sorted, n_files, sizeof *sorted, by_file_name);
    bool ok = begin(&j, &lock, name, err) && create(&j, name, sorted, n_files, err);
    end(&j, lock);
    free(sorted);
    if (!ok) clo_err_context(err, "create '%.200s'", name);
    return ok;
}

bool clo_library_copy(const char *data_dir, const char *from, const char *to, clo_err *err)
{
    job j = {.data = data_dir};
    int lock = -1;
    bool ok = begin(&j, &lock, to, err) && copy_model(&j, from, to, err);
    end(&j, lock);
    if (!ok) clo_err_context(err, "copy '%.200s'", from);
    return ok;
}
