/* See tree.h. */
#include "hub/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/git_impl.h"

#define DEPTH_MAX 256 /* folders in each other that a listing follows */

/* --- pointers -----------------------------------------------------------------------------------------------------*/

#define LINE_1 "version https://git-lfs.github.com/spec/v1\n"
#define LINE_2 "oid sha256:"
#define LINE_3 "size "

static bool take(clo_str *s, clo_str head)
{
    if (!clo_str_starts_with(*s, head)) return false;
    *s = clo_str_from_off(*s, head.len);
    return true;
}

bool clo_lfs_parse(clo_lfs_pointer *out, clo_bytes blob)
{
    clo_str s = clo_str_of(blob);
    clo_lfs_pointer p = {0};
    uint64_t n = 0;
    if (s.len >= CLO_LFS_POINTER_MAX || !take(&s, CLO_STR(LINE_1)) || !take(&s, CLO_STR(LINE_2))) return false;
    if (s.len < 65 || !clo_sha256_parse(&p.sha256, s.ptr, 64)) return false;
    s = clo_str_from_off(s, 64);
    if (!take(&s, CLO_STR("\n" LINE_3)) || s.len < 2 || s.ptr[s.len - 1] != '\n') return false;
    if (s.ptr[0] == '0' && s.len > 2) return false;
    for (size_t i = 0; i + 1 < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9') return false;
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, (uint64_t)(s.ptr[i] - '0'), &n))
            return false;
    }
    if (n > INT64_MAX) return false;
    p.size = n;
    *out = p;
    return true;
}

size_t clo_lfs_format(char out[CLO_LFS_POINTER_MAX], const clo_lfs_pointer *p)
{
    char hex[65];
    clo_sha256_hex(hex, &p->sha256);
    return (size_t)snprintf(out, CLO_LFS_POINTER_MAX, LINE_1 LINE_2 "%s\n" LINE_3 "%llu\n", hex,
                            (unsigned long long)p->size);
}

/* --- entries ------------------------------------------------------------------------------------------------------*/

bool clo_blob_read(clo_buf *out, clo_git *g, const clo_oid *oid, clo_err *err)
{
    clo_git_kind kind;
    if (!clo_git_read(out, &kind, g, oid, err)) return false;
    return kind == CLO_GIT_BLOB || clo_fail(err, CLO_ERR_NOT_FOUND, "the object is no file");
}

/* Size of a file, and what it stands for when it is a pointer. */
static bool look_into(clo_entry *e, clo_git *g, clo_err *err)
{
    clo_git_row row;
    clo_lfs_pointer p;
    uint8_t bytes[CLO_LFS_POINTER_MAX];
    clo_git_kind kind;
    if (!clo_git_head(&kind, &e->size, g, &e->oid, err)) return false;
    if (e->size >= sizeof bytes || e->size < sizeof LINE_1 + sizeof LINE_2 + 64 || e->is_link) return true;
    if (!clo_git_row_get(&row, g, &e->oid, err)) return false;
    bool ok = clo_git_inflate(bytes, &row, &e->oid, err);
    clo_git_row_done(g);
    if (!ok || !clo_lfs_parse(&p, (clo_bytes){bytes, (size_t)row.size})) return ok;
    e->is_lfs = true;
    e->pointer_size = row.size;
    e->size = p.size;
    e->sha256 = p.sha256;
    return true;
}

/* Fills in everything but the path. */
static bool describe(clo_entry *e, clo_git *g, const git_tree_entry *t, clo_err *err)
{
    git_filemode_t mode = git_tree_entry_filemode(t);
    e->oid = clo_oid_of(git_tree_entry_id(t));
    e->is_lfs = false;
    e->is_link = mode == GIT_FILEMODE_LINK;
    e->size = e->pointer_size = 0;
    e->kind = mode == GIT_FILEMODE_TREE     ? CLO_ENTRY_FOLDER
              : mode == GIT_FILEMODE_COMMIT ? CLO_ENTRY_SUBMODULE
                                            : CLO_ENTRY_FILE;
    return e->kind != CLO_ENTRY_FILE || look_into(e, g, err);
}

/* Text with a NUL, for libgit2. */
static bool copy_path(char out[CLO_PATH_MAX], clo_str path)
{
    if (path.len >= CLO_PATH_MAX || memchr(path.ptr ? path.ptr : "", 0, path.len)) return false;
    if (path.len && path.ptr[path.len - 1] == '/') return false; /* libgit2 would overlook it */
    if (path.len) memcpy(out, path.ptr, path.len);
    out[path.len] = '\0';
    return true;
}

static bool no_entry(clo_err *err, clo_str path)
{
    return clo_fail(err, CLO_ERR_NOT_FOUND, "no entry '%.*s'", (int)(path.len < 200 ? path.len : 200),
                    path.ptr ? path.ptr : "");
}

bool clo_tree_entry(clo_entry *out, clo_git *g, const clo_oid *commit, clo_str path, clo_err *err)
{
    git_tree *root = NULL;
    git_tree_entry *t = NULL;
    if (!clo_git_commit_tree(&root, g, commit, err)) return false;
    bool ok = true;
    if (path.len == 0) {
        *out = (clo_entry){.kind = CLO_ENTRY_FOLDER, .oid = clo_oid_of(git_tree_id(root))};
    } else {
        ok = copy_path(out->path, path) && git_tree_entry_bypath(&t, root, out->path) == 0;
        ok = ok ? describe(out, g, t, err) : no_entry(err, path);
    }
    git_tree_entry_free(t);
    git_tree_free(root);
    return ok;
}

/* --- listing ------------------------------------------------------------------------------------------------------*/

typedef struct {
    clo_git *g;
    const clo_tree_opts *o;
    clo_entry_fn *fn;
    void *ctx;
    clo_entry e;   /* its path is the way to where the walk stands */
    size_t n_told; /* entries */
    bool more;     /* the limit stopped the walk */
} listing;

static bool list_folder(listing *l, const git_oid *id, size_t len, size_t depth, clo_str after, clo_err *err);

/* One entry, its name put behind path[0, len). `after`: the rest of the path to go on from, relative to its folder,
 * when it leads into this entry; else empty, and the entry is told. */
static bool list_entry(listing *l, const git_tree_entry *t, size_t len, size_t depth, bool told, clo_str after,
                       clo_err *err)
{
    const char *name = git_tree_entry_name(t);
    size_t n = strlen(name), start = len ? len + 1 : 0;
    if (start + n >= CLO_PATH_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "a path of more than %d bytes", CLO_PATH_MAX - 1);
    if (len) l->e.path[len] = '/';
    memcpy(l->e.path + start, name, n + 1);
    if (!told) {
        if (l->o->limit && l->n_told == l->o->limit) {
            l->more = true;
            return true;
        }
        if (!describe(&l->e, l->g, t, err) || !l->fn(l->ctx, &l->e, err)) return false;
        l->n_told++;
    }
    if (!l->o->recursive || git_tree_entry_filemode(t) != GIT_FILEMODE_TREE) return true;
    return list_folder(l, git_tree_entry_id(t), start + n, depth + 1, after, err);
}

/* The first entry that is not before `after` in git's order, which takes a folder's name with a slash. Told is
 * whether that entry, or the folder that leads there, was told already. */
static size_t first_after(const git_tree *tree, clo_str after, bool *told, clo_str *rest)
{
    size_t n = git_tree_entrycount(tree), cut = clo_str_find(after, 0, '/');
    *told = false;
    *rest = (clo_str){0};
    if (after.len == 0) return 0;
    for (size_t i = 0; i < n; i++) {
        const git_tree_entry *t = git_tree_entry_byindex(tree, i);
        clo_str name = clo_str_from(git_tree_entry_name(t));
        if (clo_str_eq(name, (clo_str){after.ptr, cut})) {
            *told = true;
            *rest = clo_str_from_off(after, cut + 1);
            return i;
        }
    }
    /* The entry is gone: go on behind where it would stand. */
    for (size_t i = 0; i < n; i++)
        if (clo_str_cmp(clo_str_from(git_tree_entry_name(git_tree_entry_byindex(tree, i))), (clo_str){after.ptr, cut}) >
            0)
            return i;
    return n;
}

static bool list_folder(listing *l, const git_oid *id, size_t len, size_t depth, clo_str after, clo_err *err)
{
    git_tree *tree = NULL;
    bool told = false, ok = true;
    clo_str rest;
    if (depth > DEPTH_MAX) return clo_fail(err, CLO_ERR_LIMIT, "more than %d folders in each other", DEPTH_MAX);
    int rc = git_tree_lookup(&tree, l->g->git, id);
    if (rc < 0) return clo_git_fail(err, rc, "folder");
    size_t i = first_after(tree, after, &told, &rest), n = git_tree_entrycount(tree);
    for (; ok && i < n && !l->more; i++, told = false, rest = (clo_str){0})
        ok = list_entry(l, git_tree_entry_byindex(tree, i), len, depth, told, rest, err);
    git_tree_free(tree);
    return ok;
}

/* What is behind the folder's own path in `after`. */
static clo_str inside(clo_str folder, clo_str after)
{
    if (folder.len == 0) return after;
    if (!clo_str_starts_with(after, folder) || after.len <= folder.len || after.ptr[folder.len] != '/')
        return (clo_str){0};
    return clo_str_from_off(after, folder.len + 1);
}

bool clo_tree_each(bool *more, clo_git *g, const clo_oid *commit, const clo_tree_opts *o, clo_entry_fn *fn, void *ctx,
                   clo_err *err)
{
    listing *l = calloc(1, sizeof *l);
    *more = false;
    if (!l) return clo_fail(err, CLO_ERR_MEMORY, "listing");
    *l = (listing){.g = g, .o = o, .fn = fn, .ctx = ctx};
    bool ok =
        clo_tree_entry(&l->e, g, commit, o->path, err) && (l->e.kind == CLO_ENTRY_FOLDER || no_entry(err, o->path));
    if (ok) {
        git_oid id = clo_git_oid(&l->e.oid);
        ok = list_folder(l, &id, o->path.len, 0, inside(o->path, o->after), err);
        *more = l->more;
    }
    free(l);
    return ok;
}
