/* See push_check.h. What a repository has is whole, always: so it is enough that each new object leads only to
 * objects that are there, new or old. */
#include "hub/push_check.h"

#include <stdio.h>

#include "hub/edit.h"
#include "hub/git_impl.h"
#include "hub/tree.h"

#define MODE_SUBMODULE 0160000u
#define PARENTS_MAX 64

typedef struct {
    clo_git *g;
    const clo_push_opts *o;
    clo_buf bytes; /* of the object in hand */
} checking;

static bool bad(clo_err *err, const clo_oid *oid, const char *what)
{
    char hex[CLO_OID_HEX];
    clo_oid_hex(hex, oid);
    return clo_fail(err, CLO_ERR_FORMAT, "object %s: %s", hex, what);
}

static bool leads_to(checking *c, const clo_oid *from, const clo_oid *to, clo_git_kind want, clo_err *err)
{
    clo_git_kind kind;
    uint64_t size;
    char a[CLO_OID_HEX], b[CLO_OID_HEX];
    if (clo_git_head(&kind, &size, c->g, to, NULL) && kind == want) return true;
    clo_oid_hex(a, from);
    clo_oid_hex(b, to);
    return clo_fail(err, CLO_ERR_FORMAT, "object %s: leads to %s, which is not there or of another kind", a, b);
}

/* --- trees --------------------------------------------------------------------------------------------------------*/

typedef struct {
    uint32_t mode;
    clo_str name;
    clo_oid oid;
} row;

/* "100644 name\0" and 20 bytes; modes as git writes them now. */
static bool cut_row(row *out, clo_str *s)
{
    size_t space = clo_str_find(*s, 0, ' '), nul = clo_str_find(*s, 0, '\0');
    uint32_t mode = 0;
    if (space == 0 || space > 6 || nul >= s->len || nul < space || s->len - nul - 1 < CLO_OID_BYTES || s->ptr[0] == '0')
        return false;
    for (size_t i = 0; i < space; i++) {
        if (s->ptr[i] < '0' || s->ptr[i] > '7') return false;
        mode = mode << 3 | (uint32_t)(s->ptr[i] - '0');
    }
    out->mode = mode;
    out->name = (clo_str){s->ptr + space + 1, nul - space - 1};
    memcpy(out->oid.b, s->ptr + nul + 1, CLO_OID_BYTES);
    *s = clo_str_from_off(*s, nul + 1 + CLO_OID_BYTES);
    return true;
}

/* git's order; equal names are in none. */
static bool in_order(const row *a, const row *b)
{
    size_t n = a->name.len < b->name.len ? a->name.len : b->name.len;
    int c = memcmp(a->name.ptr, b->name.ptr, n);
    if (c) return c < 0;
    unsigned char ca = n < a->name.len ? (unsigned char)a->name.ptr[n] : a->mode == CLO_MODE_FOLDER ? '/' : 0;
    unsigned char cb = n < b->name.len ? (unsigned char)b->name.ptr[n] : b->mode == CLO_MODE_FOLDER ? '/' : 0;
    return ca < cb;
}

static bool check_row(checking *c, const clo_oid *tree, const row *r, clo_err *err)
{
    bool ok = clo_str_find(r->name, 0, '/') == r->name.len ? clo_path_check(r->name, err)
                                                           : bad(err, tree, "a slash in a name");
    if (!ok) return false;
    switch (r->mode) {
    case CLO_MODE_FOLDER: return leads_to(c, tree, &r->oid, CLO_GIT_TREE, err);
    case CLO_MODE_FILE:
    case CLO_MODE_PROGRAM:
    case CLO_MODE_LINK: return leads_to(c, tree, &r->oid, CLO_GIT_BLOB, err);
    case MODE_SUBMODULE:
        return c->o->submodules || clo_fail(err, CLO_ERR_DENIED, "submodule '" CLO_STR_FMT "': it cannot be downloaded from a hub, add its files instead",
                                            CLO_STR_ARG(r->name));
    default: return bad(err, tree, "an entry of an unknown mode");
    }
}

/* A file and a folder of one name stand apart in git's order: "a", "a.b", "a/". */
static bool no_pair(checking *c, const clo_oid *oid, clo_str whole, clo_err *err)
{
    clo_oid_map folders = {0};
    bool ok = true, is_new;
    row r;
    (void)c;
    for (int pass = 0; ok && pass < 2; pass++) {
        clo_str s = whole;
        while (ok && s.len && cut_row(&r, &s)) {
            clo_oid key = {{0}};
            uint64_t h = clo_str_hash(r.name);
            memcpy(key.b, &h, sizeof h);
            if (pass == 0 && r.mode == CLO_MODE_FOLDER)
                ok = clo_oid_map_put(&folders, &key, &is_new) != NULL || clo_fail(err, CLO_ERR_MEMORY, "tree");
            if (pass == 1 && r.mode != CLO_MODE_FOLDER && clo_oid_map_find(&folders, &key))
                ok = bad(err, oid, "a file and a folder of one name");
        }
    }
    clo_oid_map_free(&folders);
    return ok;
}

static bool check_tree(checking *c, const clo_oid *oid, clo_err *err)
{
    clo_str s = clo_buf_str(&c->bytes);
    row last = {0}, r;
    size_t n = 0;
    while (s.len) {
        if (!cut_row(&r, &s)) return bad(err, oid, "a tree that is cut");
        if (n++ && !in_order(&last, &r)) return bad(err, oid, "a tree out of order, or with a name twice");
        if (n > CLO_FOLDER_ENTRIES_MAX)
            return clo_fail(err, CLO_ERR_LIMIT, "a folder has at most %d entries", CLO_FOLDER_ENTRIES_MAX);
        if (!check_row(c, oid, &r, err)) return false;
        last = r;
    }
    return no_pair(c, oid, clo_buf_str(&c->bytes), err);
}

/* --- commits and tags ---------------------------------------------------------------------------------------------*/

static bool take_line(clo_str *value, clo_str *s, const char *name)
{
    clo_str head = clo_str_from(name);
    size_t end = clo_str_find(*s, 0, '\n');
    if (end == s->len || !clo_str_starts_with(*s, head)) return false;
    *value = (clo_str){s->ptr + head.len, end - head.len};
    *s = clo_str_from_off(*s, end + 1);
    return true;
}

static bool digits(clo_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] < '0' || s.ptr[i] > '9') return false;
    return s.len > 0 && s.len < 16 && (s.len == 1 || s.ptr[0] != '0');
}

/* Name <address> seconds +hhmm */
static bool is_person(clo_str s)
{
    size_t open = clo_str_find(s, 0, '<'), close = clo_str_find(s, 0, '>');
    if (close == s.len || open >= close || (open > 0 && s.ptr[open - 1] != ' ') || close + 2 >= s.len ||
        s.ptr[close + 1] != ' ')
        return false;
    if (clo_str_find(s, 0, '\0') < s.len) return false;
    clo_str time = clo_str_from_off(s, close + 2);
    size_t space = clo_str_find(time, 0, ' ');
    clo_str zone = clo_str_from_off(time, space + 1);
    return digits((clo_str){time.ptr, space}) && zone.len == 5 && (zone.ptr[0] == '+' || zone.ptr[0] == '-') &&
           strspn(zone.ptr + 1, "0123456789") >= 4;
}

static bool check_commit(checking *c, const clo_oid *oid, clo_err *err)
{
    clo_str s = clo_buf_str(&c->bytes), v;
    clo_oid to;
    size_t n = 0;
    if (!take_line(&v, &s, "tree ") || !clo_oid_parse(&to, v)) return bad(err, oid, "a commit without a tree");
    if (!leads_to(c, oid, &to, CLO_GIT_TREE, err)) return false;
    while (take_line(&v, &s, "parent ")) {
        if (++n > PARENTS_MAX) return bad(err, oid, "a commit with too many parents");
        if (!clo_oid_parse(&to, v)) return bad(err, oid, "a parent that is no object id");
        if (!leads_to(c, oid, &to, CLO_GIT_COMMIT, err)) return false;
    }
    if (!take_line(&v, &s, "author ") || !is_person(v)) return bad(err, oid, "a commit without an author");
    if (!take_line(&v, &s, "committer ") || !is_person(v)) return bad(err, oid, "a commit without a committer");
    return clo_str_find(s, 0, '\0') == s.len || bad(err, oid, "a NUL in a commit");
}

static bool check_tag(checking *c, const clo_oid *oid, clo_err *err)
{
    static const char *const kinds[] = {"", "commit", "tree", "blob", "tag"};
    clo_str s = clo_buf_str(&c->bytes), v;
    clo_oid to;
    if (!take_line(&v, &s, "object ") || !clo_oid_parse(&to, v) || !take_line(&v, &s, "type "))
        return bad(err, oid, "a tag of nothing");
    for (unsigned k = CLO_GIT_COMMIT; k <= CLO_GIT_TAG; k++) {
        if (!clo_str_eq(v, clo_str_from(kinds[k]))) continue;
        if (!leads_to(c, oid, &to, (clo_git_kind)k, err)) return false;
        if (!take_line(&v, &s, "tag ") || v.len == 0) return bad(err, oid, "a tag without a name");
        return (take_line(&v, &s, "tagger ") && is_person(v)) || bad(err, oid, "a tag without a tagger");
    }
    return bad(err, oid, "a tag of an unknown kind");
}

/* --- files --------------------------------------------------------------------------------------------------------*/

static bool check_blob(checking *c, clo_err *err)
{
    clo_lfs_pointer p;
    char hex[65];
    clo_err why = {0};
    if (!clo_lfs_parse(&p, clo_bytes_of(clo_buf_str(&c->bytes)))) return true;
    int64_t size = (int64_t)p.size;
    clo_sha256_hex(hex, &p.sha256);
    bool may = c->o->may_link ? c->o->may_link(c->o->ctx, &p.sha256, &size, &why)
                              : clo_fail(&why, CLO_ERR_DENIED, "large files are not kept here");
    if (!may) return clo_fail(err, CLO_ERR_DENIED, "lfs object missing: %s (%.200s)", hex, why.text);
    return (uint64_t)size == p.size || clo_fail(err, CLO_ERR_FORMAT, "lfs object %s: %llu bytes, its pointer says %llu",
                                                hex, (unsigned long long)size, (unsigned long long)p.size);
}

static bool check_one(checking *c, const clo_oid *oid, clo_err *err)
{
    clo_git_kind kind;
    uint64_t size;
    if (!clo_git_head(&kind, &size, c->g, oid, err)) return false;
    if (kind == CLO_GIT_BLOB && size >= CLO_LFS_POINTER_MAX) return true;
    c->bytes.len = 0;
    if (!clo_git_read(&c->bytes, &kind, c->g, oid, err)) return false;
    switch (kind) {
    case CLO_GIT_TREE: return check_tree(c, oid, err);
    case CLO_GIT_COMMIT: return check_commit(c, oid, err);
    case CLO_GIT_TAG: return check_tag(c, oid, err);
    case CLO_GIT_BLOB: break;
    }
    return check_blob(c, err);
}

bool clo_push_check(clo_git *g, const clo_oid_map *names, const clo_push_opts *o, clo_err *err)
{
    checking c = {g, o, {.max = CLO_GIT_OBJECT_MAX + 64}};
    bool ok = true;
    for (size_t i = 0; ok && i < names->n; i++) ok = check_one(&c, &names->keys[i], err);
    clo_buf_free(&c.bytes);
    return ok;
}
