/* See commit.h. */
#include "hub/commit.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "hub/attributes.h"
#include "hub/edit.h"
#include "hub/git_impl.h"
#include "hub/refs.h"
#include "hub/revision.h"
#include "hub/tree.h"

#define NAMES_BYTES_MAX ((size_t)64 << 20) /* of all paths */

/* An operation as it is kept: its bytes are a staged blob. */
typedef struct {
    clo_op_kind kind;
    clo_str path, from, from_rev; /* in the arena */
    clo_oid blob;                 /* FILE; LFS: the pointer, once it is made */
    clo_sha256 sha256;
    int64_t size;
} operation;

struct clo_commit {
    clo_git *g; /* borrowed */
    clo_arena names;
    operation *ops; /* owned [n] */
    size_t n, cap;
    clo_commit_fault why;
};

bool clo_commit_open(clo_commit **out, clo_git *g, clo_err *err)
{
    clo_commit *c = calloc(1, sizeof *c);
    *out = c;
    if (!c) return clo_fail(err, CLO_ERR_MEMORY, "commit");
    c->g = g;
    c->names = clo_arena_make(NAMES_BYTES_MAX);
    return true;
}

void clo_commit_close(clo_commit *c)
{
    if (!c) return;
    clo_arena_free(&c->names);
    free(c->ops);
    free(c);
}

clo_commit_fault clo_commit_why(const clo_commit *c)
{
    return c->why;
}

/* Remembers why, and returns false. */
static bool refused(clo_commit *c, clo_commit_fault why)
{
    c->why = why;
    return false;
}

/* --- operations ---------------------------------------------------------------------------------------------------*/

/* A folder may be named with a slash at its end. */
static clo_str without_slash(clo_op_kind kind, clo_str path)
{
    bool may = kind == CLO_OP_DELETE_FILE || kind == CLO_OP_DELETE_FOLDER;
    while (may && path.len > 1 && path.ptr[path.len - 1] == '/') path.len--;
    return path;
}

static bool room_for_one(clo_commit *c, clo_err *err)
{
    if (c->n >= CLO_COMMIT_OPS_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "more than %d operations in a commit", CLO_COMMIT_OPS_MAX);
    if (c->n < c->cap) return true;
    size_t cap = c->cap ? 2 * c->cap : 64;
    operation *ops = realloc(c->ops, cap * sizeof *ops);
    if (!ops) return clo_fail(err, CLO_ERR_MEMORY, "commit");
    c->ops = ops;
    c->cap = cap;
    return true;
}

static bool copy_texts(operation *k, clo_commit *c, const clo_op *op, clo_err *err)
{
    k->path = clo_arena_copy_str(&c->names, without_slash(op->kind, op->path));
    k->from = clo_arena_copy_str(&c->names, op->from);
    k->from_rev = clo_arena_copy_str(&c->names, op->from_rev);
    return (k->path.ptr && k->from.ptr && k->from_rev.ptr) || clo_arena_full(&c->names, err);
}

bool clo_commit_add(clo_commit *c, const clo_op *op, clo_err *err)
{
    operation k = {.kind = op->kind, .sha256 = op->sha256, .size = op->size};
    bool renames = op->kind == CLO_OP_FILE || op->kind == CLO_OP_LFS;
    if (!room_for_one(c, err)) return refused(c, CLO_COMMIT_TOO_LARGE);
    if (!clo_path_check(without_slash(op->kind, op->path), err)) return refused(c, CLO_COMMIT_BAD_PATH);
    if ((op->kind == CLO_OP_COPY || (renames && op->from.len)) && !clo_path_check(op->from, err))
        return refused(c, CLO_COMMIT_BAD_PATH);
    if (!copy_texts(&k, c, op, err)) return refused(c, CLO_COMMIT_TOO_LARGE);
    if (op->kind == CLO_OP_FILE) {
        if (op->content.len > CLO_COMMIT_FILE_MAX) {
            clo_fail(err, CLO_ERR_LIMIT, "'%.*s': %zu bytes; files over %zu bytes are uploaded with git-lfs",
                     (int)(op->path.len < 200 ? op->path.len : 200), op->path.ptr, op->content.len,
                     CLO_COMMIT_FILE_MAX);
            return refused(c, CLO_COMMIT_TOO_LARGE);
        }
        if (!clo_git_put(&k.blob, c->g, CLO_GIT_BLOB, op->content, err)) return refused(c, CLO_COMMIT_TOO_LARGE);
    }
    c->ops[c->n++] = k;
    return true;
}

/* --- upon a tree --------------------------------------------------------------------------------------------------*/

static bool no_entry(clo_commit *c, clo_str path, clo_err *err)
{
    clo_fail(err, CLO_ERR_NOT_FOUND, "A file with this name doesn't exist: %.*s",
             (int)(path.len < 300 ? path.len : 300), path.ptr);
    return refused(c, CLO_COMMIT_NO_ENTRY);
}

static bool edit_failed(clo_commit *c, const clo_err *err)
{
    clo_code code = err ? err->code : CLO_ERR_IO;
    return refused(c, code == CLO_ERR_USAGE   ? CLO_COMMIT_BAD_PATH
                      : code == CLO_ERR_LIMIT ? CLO_COMMIT_TOO_LARGE
                                              : CLO_COMMIT_FAILED);
}

static bool remove_path(clo_commit *c, clo_edit *e, clo_str path, clo_err *err)
{
    bool found = false;
    if (!clo_edit_remove(e, path, &found, err)) return edit_failed(c, err);
    return found || no_entry(c, path, err);
}

/* A program stays one when its bytes change. */
static bool put_file(clo_commit *c, clo_edit *e, clo_str path, const clo_oid *blob, clo_err *err)
{
    bool found = false;
    clo_oid old;
    uint32_t mode = 0;
    if (!clo_edit_find(&found, &old, &mode, e, path, err)) return edit_failed(c, err);
    return clo_edit_put(e, path, blob, found && mode == CLO_MODE_PROGRAM ? mode : CLO_MODE_FILE, err) ||
           edit_failed(c, err);
}

static bool put_pointer(clo_commit *c, clo_edit *e, operation *k, const clo_commit_opts *o, clo_err *err)
{
    char text[CLO_LFS_POINTER_MAX];
    bool may = o->may_link ? o->may_link(o->may_link_ctx, &k->sha256, &k->size, err)
                           : clo_fail(err, CLO_ERR_DENIED, "large files cannot be linked here");
    if (may && k->size < 0) may = clo_fail(err, CLO_ERR_NOT_FOUND, "the size of the file is not known");
    if (!may) {
        clo_err_context(err, "'%.*s'", (int)(k->path.len < 200 ? k->path.len : 200), k->path.ptr);
        return refused(c, CLO_COMMIT_NO_OBJECT);
    }
    clo_lfs_pointer p = {k->sha256, (uint64_t)k->size};
    size_t n = clo_lfs_format(text, &p);
    if (!clo_git_put(&k->blob, c->g, CLO_GIT_BLOB, (clo_bytes){(uint8_t *)text, n}, err))
        return refused(c, CLO_COMMIT_FAILED);
    return put_file(c, e, k->path, &k->blob, err);
}

static bool copy_file(clo_commit *c, clo_edit *e, const operation *k, const clo_oid *head, clo_err *err)
{
    clo_oid at = *head, old;
    clo_entry *from = calloc(1, sizeof *from);
    bool found = false;
    uint32_t mode = CLO_MODE_FILE;
    if (!from) return clo_fail(err, CLO_ERR_MEMORY, "commit") || refused(c, CLO_COMMIT_FAILED);
    if (k->from_rev.len && !clo_revision_find(&at, c->g, k->from_rev, err)) {
        free(from);
        return refused(c, CLO_COMMIT_NO_BRANCH);
    }
    bool ok = clo_tree_entry(from, c->g, &at, k->from, NULL) && from->kind == CLO_ENTRY_FILE && !from->is_link;
    clo_oid blob = from->oid;
    free(from);
    if (!ok) return no_entry(c, k->from, err);
    if (!clo_edit_find(&found, &old, &mode, e, k->path, err)) return edit_failed(c, err);
    return put_file(c, e, k->path, &blob, err);
}

static bool apply(clo_commit *c, clo_edit *e, operation *k, const clo_commit_opts *o, const clo_oid *head, clo_err *err)
{
    switch (k->kind) {
    case CLO_OP_FILE:
        if (k->from.len && !clo_str_eq(k->from, k->path) && !remove_path(c, e, k->from, err)) return false;
        return put_file(c, e, k->path, &k->blob, err);
    case CLO_OP_LFS:
        if (k->from.len && !clo_str_eq(k->from, k->path) && !remove_path(c, e, k->from, err)) return false;
        return put_pointer(c, e, k, o, err);
    case CLO_OP_DELETE_FILE:
    case CLO_OP_DELETE_FOLDER: return remove_path(c, e, k->path, err);
    case CLO_OP_COPY: break;
    }
    return copy_file(c, e, k, head, err);
}

/* --- .gitattributes -----------------------------------------------------------------------------------------------*/

static bool cover(clo_buf *text, clo_commit *c, clo_err *err)
{
    clo_patterns p = {0};
    size_t before = text->len;
    bool ok = clo_attributes_parse(&p, clo_buf_str(text), err);
    for (size_t i = 0; ok && i < c->n; i++) {
        if (c->ops[i].kind != CLO_OP_LFS || clo_attributes_lfs(&p, c->ops[i].path)) continue;
        if (text->len == before && text->len && text->ptr[text->len - 1] != '\n') clo_buf_add_char(text, '\n');
        clo_attributes_add_path(text, c->ops[i].path);
    }
    clo_patterns_free(&p);
    return ok && clo_buf_ok(text, err);
}

/* git would take an LFS file for a text, were it not named there. */
static bool cover_lfs(clo_commit *c, clo_edit *e, clo_err *err)
{
    clo_str path = CLO_STR(".gitattributes");
    clo_buf text = {.max = CLO_ATTRIBUTES_BYTES_MAX};
    clo_oid blob;
    uint32_t mode = 0;
    bool found = false, any = false;
    for (size_t i = 0; i < c->n; i++) any = any || c->ops[i].kind == CLO_OP_LFS;
    if (!any) return true;
    bool ok = clo_edit_find(&found, &blob, &mode, e, path, err);
    if (ok && found && mode != CLO_MODE_FOLDER) ok = clo_blob_read(&text, c->g, &blob, err);
    size_t before = text.len;
    ok = ok && cover(&text, c, err);
    if (ok && text.len != before)
        ok = clo_git_put(&blob, c->g, CLO_GIT_BLOB, clo_bytes_of(clo_buf_str(&text)), err) &&
             clo_edit_put(e, path, &blob, CLO_MODE_FILE, err);
    clo_buf_free(&text);
    return ok || edit_failed(c, err);
}

/* --- writing ------------------------------------------------------------------------------------------------------*/

static bool find_head(clo_oid *head, clo_commit *c, const clo_commit_opts *o, clo_err *err)
{
    char hex[CLO_OID_HEX];
    bool found = false;
    if (!clo_ref_get(head, &found, c->g, o->ref, err)) return refused(c, CLO_COMMIT_FAILED);
    if (o->is_first)
        return !found || clo_fail(err, CLO_ERR_DENIED, "the branch is there") || refused(c, CLO_COMMIT_BAD);
    if (!found) {
        clo_fail(err, CLO_ERR_NOT_FOUND, "Invalid rev id: " CLO_STR_FMT, CLO_STR_ARG(o->ref));
        return refused(c, CLO_COMMIT_NO_BRANCH);
    }
    clo_oid_hex(hex, head);
    bool same = o->parent.len <= 40;
    for (size_t i = 0; same && i < o->parent.len; i++)
        same = hex[i] == (o->parent.ptr[i] >= 'A' ? (o->parent.ptr[i] | 0x20) : o->parent.ptr[i]);
    if (same) return true;
    clo_fail(err, CLO_ERR_MISMATCH, "The branch was updated since you opened this page. Please refresh and try again.");
    return refused(c, CLO_COMMIT_STALE);
}

static bool tree_of(clo_oid *out, clo_commit *c, const clo_oid *commit, clo_err *err)
{
    clo_entry *e = calloc(1, sizeof *e);
    bool ok = e ? clo_tree_entry(e, c->g, commit, (clo_str){0}, err) : clo_fail(err, CLO_ERR_MEMORY, "commit");
    if (ok) *out = e->oid;
    free(e);
    return ok || refused(c, CLO_COMMIT_FAILED);
}

static bool make_tree(clo_oid *out, clo_commit *c, const clo_commit_opts *o, const clo_oid *head, const clo_oid *tree,
                      clo_err *err)
{
    clo_edit *e = NULL;
    bool ok = clo_edit_open(&e, c->g, o->is_first ? NULL : tree, err) || refused(c, CLO_COMMIT_FAILED);
    for (size_t i = 0; ok && i < c->n; i++) ok = apply(c, e, &c->ops[i], o, head, err);
    ok = ok && cover_lfs(c, e, err);
    if (ok && !clo_edit_write(out, e, err)) ok = refused(c, CLO_COMMIT_FAILED);
    clo_edit_close(e);
    return ok;
}

/* The text as `git commit -m summary -m description` has it. */
static void spell_message(clo_buf *out, const clo_commit_opts *o)
{
    clo_buf_add(out, o->summary);
    clo_buf_add_char(out, '\n');
    if (o->description.len == 0) return;
    clo_buf_add_char(out, '\n');
    clo_buf_add(out, o->description);
    if (o->description.ptr[o->description.len - 1] != '\n') clo_buf_add_char(out, '\n');
}

static bool put_commit(clo_commit_result *r, clo_commit *c, const clo_commit_opts *o, const clo_oid *tree, clo_err *err)
{
    clo_buf message = {.max = (size_t)1 << 20};
    spell_message(&message, o);
    struct clo_commit_parts parts = {.tree = *tree,
                                     .parents = &r->parent,
                                     .n_parents = o->is_first ? 0 : 1,
                                     .by = &o->author,
                                     .now_s = o->now_s,
                                     .message = clo_buf_str(&message)};
    bool ok = clo_buf_ok(&message, err) && clo_git_put_commit(&r->commit, c->g, &parts, err);
    clo_buf_free(&message);
    return ok || refused(c, CLO_COMMIT_BAD);
}

bool clo_commit_write(clo_commit_result *out, clo_commit *c, const clo_commit_opts *o, clo_err *err)
{
    clo_commit_result r = {0};
    clo_oid before = {{0}}, tree;
    clo_err own = {0};
    if (!err) err = &own;
    c->why = CLO_COMMIT_OK;
    if (o->summary.len == 0) {
        clo_fail(err, CLO_ERR_USAGE, "a commit has a summary");
        return refused(c, CLO_COMMIT_BAD);
    }
    if (!clo_db_writing(c->g->db))
        return clo_fail(err, CLO_ERR_USAGE, "a commit is written in a transaction") || refused(c, CLO_COMMIT_FAILED);
    if (!find_head(&r.parent, c, o, err)) return false;
    if (!o->is_first && !tree_of(&before, c, &r.parent, err)) return false;
    if (!make_tree(&tree, c, o, &r.parent, &before, err) || !put_commit(&r, c, o, &tree, err)) return false;
    r.changed = !clo_oid_eq(&tree, &before);
    if (!clo_git_flush(c->g, err) || !clo_ref_set(c->g, o->ref, &r.commit, NULL, err))
        return refused(c, CLO_COMMIT_FAILED);
    *out = r;
    return true;
}

bool clo_commit_make(clo_commit_result *out, clo_commit *c, const clo_commit_opts *o, clo_err *err)
{
    clo_db *db = c->g->db;
    if (!clo_db_begin(db, err)) return refused(c, CLO_COMMIT_FAILED);
    if (!clo_commit_write(out, c, o, err)) {
        clo_db_rollback(db);
        return false;
    }
    return clo_db_commit(db, err) || refused(c, CLO_COMMIT_FAILED);
}
