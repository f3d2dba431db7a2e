/* See edit.h. */
#include "hub/edit.h"

#include <stdlib.h>

#include "base/arena.h"
#include "hub/commit.h"
#include "hub/git_impl.h"

typedef struct node node;
struct node {
    clo_str name; /* in the arena */
    uint32_t mode;
    clo_oid oid; /* as it was; of a folder that was looked into: valid once written */
    bool loaded; /* folders: kids are here */
    node **kids; /* owned [n]: by name, bytewise */
    size_t n, cap;
};

struct clo_edit {
    clo_git *g; /* borrowed */
    clo_arena arena;
    node root;
};

static node *new_node(clo_edit *e, clo_str name, uint32_t mode, const clo_oid *oid)
{
    node *k = CLO_NEW(&e->arena, node, 1);
    if (!k) return NULL;
    k->name = clo_arena_copy_str(&e->arena, name);
    k->mode = mode;
    k->oid = *oid;
    return k->name.ptr ? k : NULL;
}

/* Where a name is among the kids, or would be. */
static size_t place_of(const node *f, clo_str name, bool *there)
{
    size_t low = 0, high = f->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (clo_str_cmp(f->kids[mid]->name, name) < 0) low = mid + 1;
        else high = mid;
    }
    *there = low < f->n && clo_str_eq(f->kids[low]->name, name);
    return low;
}

static bool insert_at(clo_edit *e, node *f, size_t i, node *kid, clo_err *err)
{
    if (!kid) return clo_arena_full(&e->arena, err);
    if (f->n == f->cap) {
        size_t cap = f->cap ? 2 * f->cap : 16;
        node **kids = realloc(f->kids, cap * sizeof *kids);
        if (!kids) return clo_fail(err, CLO_ERR_MEMORY, "folder");
        f->kids = kids;
        f->cap = cap;
    }
    memmove(f->kids + i + 1, f->kids + i, (f->n - i) * sizeof *f->kids);
    f->kids[i] = kid;
    f->n++;
    return true;
}

static bool load(clo_edit *e, node *f, clo_err *err)
{
    git_tree *tree = NULL;
    git_oid id = clo_git_oid(&f->oid);
    bool ok = true, there;
    if (f->loaded) return true;
    int rc = git_tree_lookup(&tree, e->g->git, &id);
    if (rc < 0) return clo_git_fail(err, rc, "folder");
    for (size_t i = 0; ok && i < git_tree_entrycount(tree); i++) {
        const git_tree_entry *t = git_tree_entry_byindex(tree, i);
        clo_oid oid = clo_oid_of(git_tree_entry_id(t));
        clo_str name = clo_str_from(git_tree_entry_name(t));
        size_t at = place_of(f, name, &there);
        ok = insert_at(e, f, at, new_node(e, name, (uint32_t)git_tree_entry_filemode_raw(t), &oid), err);
    }
    git_tree_free(tree);
    f->loaded = ok;
    return ok;
}

bool clo_edit_open(clo_edit **out, clo_git *g, const clo_oid *tree, clo_err *err)
{
    clo_edit *e = calloc(1, sizeof *e);
    *out = NULL;
    if (!e) return clo_fail(err, CLO_ERR_MEMORY, "tree");
    e->g = g;
    e->root.mode = CLO_MODE_FOLDER;
    if (tree) e->root.oid = *tree;
    else e->root.loaded = true;
    *out = e;
    return true;
}

static void free_kids(node *f)
{
    for (size_t i = 0; i < f->n; i++) free_kids(f->kids[i]);
    free(f->kids);
    f->kids = NULL;
    f->n = f->cap = 0;
}

void clo_edit_close(clo_edit *e)
{
    if (!e) return;
    free_kids(&e->root);
    clo_arena_free(&e->arena);
    free(e);
}

/* --- paths --------------------------------------------------------------------------------------------------------*/

/* The folder that a path's last name stands in; NULL when there is none. Made, with those above, when `make`. */
static bool walk(node **out, clo_str *last, clo_edit *e, clo_str path, bool make, clo_err *err)
{
    static const clo_oid none = {{0}};
    node *f = &e->root;
    *out = NULL;
    for (size_t at = 0;;) {
        bool there = false;
        if (!load(e, f, err)) return false;
        size_t end = clo_str_find(path, at, '/');
        clo_str name = {path.ptr + at, end - at};
        if (end == path.len) {
            *out = f;
            *last = name;
            return true;
        }
        size_t i = place_of(f, name, &there);
        if (there && f->kids[i]->mode != CLO_MODE_FOLDER)
            return !make || clo_fail(err, CLO_ERR_USAGE, "'%.*s' is a file, not a folder", (int)(end < 200 ? end : 200),
                                     path.ptr);
        if (!there && !make) return true;
        if (!there) {
            node *kid = new_node(e, name, CLO_MODE_FOLDER, &none);
            if (!insert_at(e, f, i, kid, err)) return false;
            kid->loaded = true;
        }
        f = f->kids[i];
        at = end + 1;
    }
}

bool clo_edit_find(bool *found, clo_oid *oid, uint32_t *mode, clo_edit *e, clo_str path, clo_err *err)
{
    node *f;
    clo_str name;
    *found = false;
    if (!walk(&f, &name, e, path, false, err)) return false;
    if (!f) return true;
    size_t i = place_of(f, name, found);
    if (!*found) return true;
    *oid = f->kids[i]->oid;
    *mode = f->kids[i]->mode;
    return true;
}

/* Whether anything is left in a folder, files that were taken out of the folders in it not counted. */
static bool is_empty(const node *f)
{
    if (f->mode != CLO_MODE_FOLDER || !f->loaded) return false;
    for (size_t i = 0; i < f->n; i++)
        if (!is_empty(f->kids[i])) return false;
    return true;
}

bool clo_edit_put(clo_edit *e, clo_str path, const clo_oid *oid, uint32_t mode, clo_err *err)
{
    node *f;
    clo_str name;
    bool there = false;
    if (!walk(&f, &name, e, path, true, err)) return false;
    size_t i = place_of(f, name, &there);
    if (there && f->kids[i]->mode == CLO_MODE_FOLDER) {
        if (!is_empty(f->kids[i]))
            return clo_fail(err, CLO_ERR_USAGE, "'" CLO_STR_FMT "' is a folder", CLO_STR_ARG(path));
        free_kids(f->kids[i]);
    }
    if (there) {
        f->kids[i]->oid = *oid;
        f->kids[i]->mode = mode;
        return true;
    }
    if (f->n >= CLO_FOLDER_ENTRIES_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "a folder has at most %d entries: no room for '%.*s'",
                        CLO_FOLDER_ENTRIES_MAX, (int)(path.len < 200 ? path.len : 200), path.ptr);
    return insert_at(e, f, i, new_node(e, name, mode, oid), err);
}

bool clo_edit_remove(clo_edit *e, clo_str path, bool *found, clo_err *err)
{
    node *f;
    clo_str name;
    clo_oid oid;
    uint32_t mode;
    if (!clo_edit_find(found, &oid, &mode, e, path, err)) return false;
    if (!*found) return true;
    if (!walk(&f, &name, e, path, true, err)) return false;
    size_t i = place_of(f, name, found);
    free_kids(f->kids[i]);
    memmove(f->kids + i, f->kids + i + 1, (f->n - i - 1) * sizeof *f->kids);
    f->n--;
    return true;
}

/* --- writing ------------------------------------------------------------------------------------------------------*/

/* git's order: bytewise, a folder's name with a slash behind it. */
static int by_git(const void *pa, const void *pb)
{
    const node *a = *(node *const *)pa, *b = *(node *const *)pb;
    size_t n = a->name.len < b->name.len ? a->name.len : b->name.len;
    int c = memcmp(a->name.ptr, b->name.ptr, n);
    if (c) return c;
    unsigned char ca = n < a->name.len ? (unsigned char)a->name.ptr[n] : a->mode == CLO_MODE_FOLDER ? '/' : 0;
    unsigned char cb = n < b->name.len ? (unsigned char)b->name.ptr[n] : b->mode == CLO_MODE_FOLDER ? '/' : 0;
    return (ca > cb) - (ca < cb);
}

static bool write_folder(clo_edit *e, node *f, clo_err *err)
{
    clo_buf text = {.max = CLO_GIT_OBJECT_MAX};
    bool ok = true;
    if (!f->loaded) return true; /* nobody looked into it */
    if (f->n > 1) qsort(f->kids, f->n, sizeof *f->kids, by_git);
    for (size_t i = 0; ok && i < f->n; i++) {
        node *k = f->kids[i];
        if (k->mode == CLO_MODE_FOLDER) {
            if (is_empty(k)) continue;
            ok = write_folder(e, k, err);
        }
        clo_buf_addf(&text, "%o ", (unsigned)k->mode);
        clo_buf_add(&text, k->name);
        clo_buf_add_char(&text, '\0');
        clo_buf_add(&text, (clo_str){(const char *)k->oid.b, CLO_OID_BYTES});
    }
    ok =
        ok && clo_buf_ok(&text, err) && clo_git_put(&f->oid, e->g, CLO_GIT_TREE, clo_bytes_of(clo_buf_str(&text)), err);
    clo_buf_free(&text);
    return ok;
}

bool clo_edit_write(clo_oid *tree, clo_edit *e, clo_err *err)
{
    if (!write_folder(e, &e->root, err)) return false;
    *tree = e->root.oid;
    return true;
}
