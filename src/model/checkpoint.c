/* Opening a checkpoint: mapping its files, parsing each, and one sorted table of tensors over all.
 *
 *   a GGUF file                     itself; when split ("x-00001-of-00003.gguf") all its parts
 *   a folder                        model.safetensors, else model.safetensors.index.json and its shards, else the only
 *                                   .gguf file in it
 *   a .safetensors file             that one, with config.json beside it */
#include "model/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/json.h"
#include "model/gguf.h"
#include "model/safetensors.h"

#define CHECKPOINT_FILES_MAX 4096u
#define CHECKPOINT_TENSORS_MAX 1048576u
#define CHECKPOINT_ARENA_BYTES_MAX (1ull << 30)
#define INDEX_BYTES_MAX (64u << 20)
#define SPLIT_TAIL_BYTES 20u /* "-00001-of-00003.gguf" */

/* --- the table ----------------------------------------------------------------------------------------------------- */

static int cmp_tensor(const void *a, const void *b)
{
    return clo_str_cmp(((const clo_tensor *)a)->name, ((const clo_tensor *)b)->name);
}

static bool sort_tensors(clo_checkpoint *ck, clo_err *err)
{
    if (ck->n_tensors > 1) qsort(ck->tensors, ck->n_tensors, sizeof *ck->tensors, cmp_tensor);
    for (size_t i = 1; i < ck->n_tensors; i++) {
        clo_str name = ck->tensors[i].name;
        if (clo_str_eq(ck->tensors[i - 1].name, name)) {
            return clo_fail(err, CLO_ERR_FORMAT, "tensor '" CLO_STR_FMT "' occurs in two files", CLO_STR_ARG(name));
        }
    }
    return true;
}

/* Appends the tensors of file i_file. The table is copied to a larger one: files are few. */
static bool add_tensors(clo_checkpoint *ck, const clo_tensor *t, size_t n, uint32_t i_file, clo_err *err)
{
    if (n > CHECKPOINT_TENSORS_MAX - ck->n_tensors) {
        return clo_fail(err, CLO_ERR_LIMIT, "more than %u tensors", CHECKPOINT_TENSORS_MAX);
    }
    clo_tensor *all = CLO_NEW(&ck->arena, clo_tensor, ck->n_tensors + n);
    if (!all) return clo_arena_full(&ck->arena, err);
    if (ck->n_tensors) memcpy(all, ck->tensors, ck->n_tensors * sizeof *all);
    if (n) memcpy(all + ck->n_tensors, t, n * sizeof *all);
    for (size_t i = 0; i < n; i++)
        all[ck->n_tensors + i].i_file = i_file;
    ck->tensors = all;
    ck->n_tensors += n;
    return true;
}

static bool reserve_files(clo_checkpoint *ck, size_t n, clo_err *err)
{
    if (n == 0 || n > CHECKPOINT_FILES_MAX) {
        return clo_fail(err, CLO_ERR_LIMIT, "%zu files, expected 1 to %u", n, CHECKPOINT_FILES_MAX);
    }
    ck->files = CLO_NEW(&ck->arena, clo_map, n);
    ck->paths = CLO_NEW(&ck->arena, char *, n);
    return (ck->files && ck->paths) || clo_arena_full(&ck->arena, err);
}

/* Maps path as the next file. */
static bool map_next(clo_checkpoint *ck, const char *path, clo_err *err)
{
    clo_str copy = clo_arena_copy_str(&ck->arena, clo_str_from(path));
    if (!copy.ptr) return clo_arena_full(&ck->arena, err);
    if (!clo_map_open(&ck->files[ck->n_files], path, err)) return false;
    ck->paths[ck->n_files++] = (char *)(uintptr_t)copy.ptr;
    return true;
}

/* --- GGUF ---------------------------------------------------------------------------------------------------------- */

/* Five digits at p, or -1. */
static int five_digits(const char *p)
{
    int n = 0;
    for (int i = 0; i < 5; i++) {
        if (p[i] < '0' || p[i] > '9') return -1;
        n = n * 10 + (p[i] - '0');
    }
    return n;
}

bool clo_gguf_split_name(const char *path, size_t *stem_len, int *no, int *count)
{
    size_t len = strlen(path);
    if (len <= SPLIT_TAIL_BYTES) return false;
    const char *tail = path + len - SPLIT_TAIL_BYTES;
    *stem_len = len - SPLIT_TAIL_BYTES;
    *no = five_digits(tail + 1);
    *count = five_digits(tail + 10);
    return tail[0] == '-' && memcmp(tail + 6, "-of-", 4) == 0 && strcmp(tail + 15, ".gguf") == 0 && *no > 0 &&
           *count > 0;
}

/* Parses the file that was mapped last. Part 0's metadata is kept in ck->gguf. */
static bool parse_gguf(clo_checkpoint *ck, clo_err *err)
{
    size_t i = ck->n_files - 1;
    clo_gguf *g = CLO_NEW(&ck->arena, clo_gguf, 1);
    if (!g) return clo_arena_full(&ck->arena, err);
    if (!clo_gguf_parse(g, ck->files[i].bytes, &ck->arena, err)) return false;
    int64_t no = clo_gguf_int(g, "split.no", 0);
    if (no != (int64_t)i) {
        return clo_fail(err, CLO_ERR_FORMAT, "split.no is %lld, expected %zu: open the first part", (long long)no, i);
    }
    if (i == 0) ck->gguf = g;
    return add_tensors(ck, g->tensors, g->n_tensors, (uint32_t)i, err);
}

static bool open_parts(clo_checkpoint *ck, const char *path, int64_t count, clo_err *err)
{
    size_t stem_len = 0;
    int no = 0, named = 0;
    char part[4096];
    if (!clo_gguf_split_name(path, &stem_len, &no, &named) || no != 1 || named != count) {
        return clo_fail(err, CLO_ERR_FORMAT, "split.count is %lld and the name does not end in -00001-of-%05lld.gguf",
                        (long long)count, (long long)count);
    }
    for (int64_t i = 2; i <= count; i++) {
        if (!clo_path_join(part, err, "%.*s-%05lld-of-%05lld.gguf", (int)stem_len, path, (long long)i,
                           (long long)count) ||
            !map_next(ck, part, err))
            return false;
        if (!parse_gguf(ck, err)) {
            clo_err_context(err, "part %lld", (long long)i);
            return false;
        }
    }
    int64_t want = clo_gguf_int(ck->gguf, "split.tensors.count", -1);
    if (want != (int64_t)ck->n_tensors) {
        return clo_fail(err, CLO_ERR_FORMAT, "%zu tensors in all parts, split.tensors.count is %lld", ck->n_tensors,
                        (long long)want);
    }
    return true;
}

static bool open_gguf(clo_checkpoint *ck, const char *path, clo_err *err)
{
    size_t stem_len = 0;
    int no = 0, count = 1;
    if (!clo_gguf_split_name(path, &stem_len, &no, &count)) count = 1;
    ck->container = CLO_CONTAINER_GGUF;
    if (!reserve_files(ck, (size_t)count, err) || !map_next(ck, path, err) || !parse_gguf(ck, err)) return false;
    int64_t split = clo_gguf_int(ck->gguf, "split.count", 0);
    return split <= 1 || open_parts(ck, path, split, err);
}

/* --- safetensors --------------------------------------------------------------------------------------------------- */

static bool add_safetensors(clo_checkpoint *ck, const char *path, clo_err *err)
{
    clo_safetensors st;
    if (!map_next(ck, path, err)) return false;
    if (!clo_safetensors_parse(&st, ck->files[ck->n_files - 1].bytes, &ck->arena, err)) {
        clo_err_context(err, "'%s'", path);
        return false;
    }
    return add_tensors(ck, st.tensors, st.n_tensors, (uint32_t)(ck->n_files - 1), err);
}

static bool open_single(clo_checkpoint *ck, const char *path, clo_err *err)
{
    return reserve_files(ck, 1, err) && add_safetensors(ck, path, err);
}

/* A shard's name is a plain file name: nothing that leads out of the folder, nothing hidden. */
static bool shard_name_ok(clo_str name)
{
    if (name.len == 0 || name.len > 255 || name.ptr[0] == '.') return false;
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] == '/' || name.ptr[i] == '\\' || (unsigned char)name.ptr[i] < ' ') return false;
    }
    return clo_str_ends_with(name, CLO_STR(".safetensors"));
}

static clo_str json_text(const json_t *v)
{
    return json_is_string(v) ? (clo_str){json_string_value(v), json_string_length(v)} : CLO_STR("");
}

static int cmp_str(const void *a, const void *b)
{
    return clo_str_cmp(*(const clo_str *)a, *(const clo_str *)b);
}

/* Distinct shard names of a weight map, sorted: names[0..*n). */
static bool list_shards(clo_str **names, size_t *n, json_t *map, clo_arena *arena, clo_err *err)
{
    const char *key;
    json_t *v;
    size_t n_all = 0;
    clo_str *all = CLO_NEW(arena, clo_str, json_object_size(map));
    if (!all) return clo_arena_full(arena, err);
    json_object_foreach(map, key, v)
    {
        clo_str name = json_text(v);
        if (!shard_name_ok(name)) {
            return clo_fail(err, CLO_ERR_FORMAT, "weight_map of '%.100s': '%.100s' is no plain .safetensors name", key,
                            name.ptr);
        }
        all[n_all++] = name;
    }
    if (n_all > 1) qsort(all, n_all, sizeof *all, cmp_str);
    *n = 0;
    for (size_t i = 0; i < n_all; i++) {
        if (*n == 0 || !clo_str_eq(all[*n - 1], all[i])) all[(*n)++] = all[i];
    }
    *names = all;
    return true;
}

/* The index and the shards must name the same tensors, each in the same file. */
static bool check_map(const clo_checkpoint *ck, const json_t *map, const clo_str *shards, clo_err *err)
{
    if (json_object_size(map) != ck->n_tensors) {
        return clo_fail(err, CLO_ERR_FORMAT, "%zu tensors in weight_map, %zu in the shards", json_object_size(map),
                        ck->n_tensors);
    }
    for (size_t i = 0; i < ck->n_tensors; i++) {
        const clo_tensor *t = &ck->tensors[i];
        const json_t *v = json_object_getn(map, t->name.ptr, t->name.len);
        if (!v || !clo_str_eq(json_text(v), shards[t->i_file])) {
            return clo_fail(err, CLO_ERR_FORMAT,
                            "tensor '" CLO_STR_FMT "' lies in '" CLO_STR_FMT "', weight_map says '%.100s'",
                            CLO_STR_ARG(t->name), CLO_STR_ARG(shards[t->i_file]), v ? json_text(v).ptr : "nothing");
        }
    }
    return true;
}

static bool open_shards(clo_checkpoint *ck, json_t *map, clo_err *err)
{
    clo_str *shards = NULL;
    size_t n = 0;
    char path[4096];
    if (!json_is_object(map)) return clo_fail(err, CLO_ERR_FORMAT, "no weight_map");
    if (!list_shards(&shards, &n, map, &ck->arena, err) || !reserve_files(ck, n, err)) return false;
    for (size_t i = 0; i < n; i++) {
        if (!clo_path_join(path, err, "%s/" CLO_STR_FMT, ck->folder, CLO_STR_ARG(shards[i])) ||
            !add_safetensors(ck, path, err))
            return false;
    }
    return sort_tensors(ck, err) && check_map(ck, map, shards, err);
}

static bool open_index(clo_checkpoint *ck, const char *path, clo_err *err)
{
    clo_map file = {0};
    json_t *root = NULL;
    bool ok = clo_map_open(&file, path, err) && clo_json_parse(&root, clo_str_of(file.bytes), INDEX_BYTES_MAX, err) &&
              open_shards(ck, json_object_get(root, "weight_map"), err);
    if (!ok) clo_err_context(err, "model.safetensors.index.json");
    json_decref(root);
    clo_map_close(&file);
    return ok;
}

/* --- folders ------------------------------------------------------------------------------------------------------- */

/* Path of the only .gguf file of a folder (a split one counts by its first part). */
static bool find_gguf(char out[4096], const char *folder, clo_err *err)
{
    DIR *d = opendir(folder);
    size_t n = 0, stem_len;
    int no, count;
    bool ok = true;
    if (!d) return clo_fail_sys(err, errno, "open folder");
    for (struct dirent *e = readdir(d); ok && e; e = readdir(d)) {
        if (!clo_str_ends_with(clo_str_from(e->d_name), CLO_STR(".gguf"))) continue;
        if (clo_gguf_split_name(e->d_name, &stem_len, &no, &count) && no != 1) continue;
        if (n++ == 0) ok = clo_path_join(out, err, "%s/%s", folder, e->d_name);
    }
    (void)closedir(d);
    if (ok && n == 0) return clo_fail(err, CLO_ERR_NOT_FOUND, "no model.safetensors, index or GGUF file in it");
    if (ok && n > 1) return clo_fail(err, CLO_ERR_USAGE, "%zu GGUF files in it: name one", n);
    return ok;
}

static bool open_folder(clo_checkpoint *ck, const char *folder, clo_err *err)
{
    char path[4096];
    ck->container = CLO_CONTAINER_SAFETENSORS;
    clo_str copy = clo_arena_copy_str(&ck->arena, clo_str_from(folder));
    if (!copy.ptr) return clo_arena_full(&ck->arena, err);
    ck->folder = (char *)(uintptr_t)copy.ptr;

    if (!clo_path_join(path, err, "%s/model.safetensors", folder)) return false;
    if (clo_path_exists(path)) return open_single(ck, path, err);
    if (!clo_path_join(path, err, "%s/model.safetensors.index.json", folder)) return false;
    if (clo_path_exists(path)) return open_index(ck, path, err);
    ck->folder = NULL;
    return find_gguf(path, folder, err) && open_gguf(ck, path, err);
}

/* A .safetensors file by itself: its folder holds config.json. */
static bool open_safetensors_file(clo_checkpoint *ck, const char *path, clo_err *err)
{
    const char *slash = strrchr(path, '/');
    clo_str folder = slash ? (clo_str){path, slash == path ? 1 : (size_t)(slash - path)} : CLO_STR(".");
    ck->container = CLO_CONTAINER_SAFETENSORS;
    folder = clo_arena_copy_str(&ck->arena, folder);
    if (!folder.ptr) return clo_arena_full(&ck->arena, err);
    ck->folder = (char *)(uintptr_t)folder.ptr;
    return open_single(ck, path, err);
}

bool clo_checkpoint_open(clo_checkpoint *out, const char *path, clo_err *err)
{
    clo_checkpoint ck = {0};
    bool ok;
    ck.arena = clo_arena_make(CHECKPOINT_ARENA_BYTES_MAX);
    if (clo_path_is_dir(path)) {
        ok = open_folder(&ck, path, err);
    } else if (clo_str_ends_with(clo_str_from(path), CLO_STR(".safetensors"))) {
        ok = open_safetensors_file(&ck, path, err);
    } else {
        ok = open_gguf(&ck, path, err);
    }
    ok = ok && sort_tensors(&ck, err);
    if (ok) {
        *out = ck;
    } else {
        clo_checkpoint_close(&ck);
        clo_err_context(err, "open '%s'", path);
    }
    return ok;
}

void clo_checkpoint_close(clo_checkpoint *ck)
{
    for (size_t i = 0; i < ck->n_files; i++)
        clo_map_close(&ck->files[i]);
    clo_arena_free(&ck->arena);
    *ck = (clo_checkpoint){0};
}

const clo_tensor *clo_checkpoint_find(const clo_checkpoint *ck, clo_str name)
{
    clo_tensor key = {.name = name};
    if (ck->n_tensors == 0) return NULL;
    return bsearch(&key, ck->tensors, ck->n_tensors, sizeof key, cmp_tensor);
}
