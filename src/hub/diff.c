/* See diff.h. */
#include "hub/diff.h"

#include "base/utf8.h"
#include "hub/git_impl.h"
#include "hub/tree.h"

#define CUT_LINE "... the rest is left out: it is too long\n"

/* --- commits ------------------------------------------------------------------------------------------------------*/

bool clo_diff_base(clo_oid *out, bool *found, clo_git *g, const clo_oid *commit, clo_err *err)
{
    git_commit *c = NULL;
    git_oid id = clo_git_oid(commit);
    int rc = git_commit_lookup(&c, g->git, &id);
    if (rc < 0) return clo_git_fail(err, rc, "commit");
    *found = git_commit_parentcount(c) > 0;
    if (*found) *out = clo_oid_of(git_commit_parent_id(c, 0));
    git_commit_free(c);
    return true;
}

bool clo_diff_common(clo_oid *out, clo_git *g, const clo_oid *a, const clo_oid *b, clo_err *err)
{
    git_oid one = clo_git_oid(a), two = clo_git_oid(b), common;
    int rc = git_merge_base(&common, g->git, &one, &two);
    *out = rc == 0 ? clo_oid_of(&common) : *a;
    return rc == 0 || rc == GIT_ENOTFOUND || clo_git_fail(err, rc, "history");
}

static bool open_diff(git_diff **out, clo_git *g, const clo_oid *base, const clo_oid *commit, clo_err *err)
{
    git_tree *old = NULL, *now = NULL;
    git_diff_options o;
    git_diff_find_options f;
    git_diff_options_init(&o, GIT_DIFF_OPTIONS_VERSION); /* these fail only for versions that there are not */
    git_diff_find_options_init(&f, GIT_DIFF_FIND_OPTIONS_VERSION);
    o.max_size = (git_off_t)CLO_DIFF_FILE_BYTES_MAX;
    f.rename_limit = CLO_DIFF_LIKENESS_FILES_MAX;
    bool ok = (!base || clo_git_commit_tree(&old, g, base, err)) && clo_git_commit_tree(&now, g, commit, err);
    if (ok) {
        int rc = git_diff_tree_to_tree(out, g->git, old, now, &o);
        size_t n = rc == 0 ? git_diff_num_deltas(*out) : 0;
        f.flags = GIT_DIFF_FIND_RENAMES | (n > CLO_DIFF_LIKENESS_FILES_MAX ? GIT_DIFF_FIND_EXACT_MATCH_ONLY : 0);
        if (n > CLO_DIFF_CHANGES_MAX) f.flags = 0;
        if (rc == 0 && f.flags) rc = git_diff_find_similar(*out, &f);
        ok = rc == 0 || clo_git_fail(err, rc, "difference");
    }
    git_tree_free(old);
    git_tree_free(now);
    return ok;
}

/* --- text ---------------------------------------------------------------------------------------------------------*/

typedef struct {
    clo_buf *out;
    size_t max; /* bytes of text */
    bool cut;
} printing;

static int print_line(const git_diff_delta *d, const git_diff_hunk *h, const git_diff_line *l, void *ctx)
{
    printing *p = ctx;
    bool marked = l->origin == GIT_DIFF_LINE_CONTEXT || l->origin == GIT_DIFF_LINE_ADDITION || l->origin == GIT_DIFF_LINE_DELETION;
    (void)d, (void)h;
    if (p->out->len + l->content_len + 1 > p->max) {
        p->cut = true;
        return GIT_EUSER;
    }
    if (marked) clo_buf_add_char(p->out, l->origin);
    clo_buf_add(p->out, (clo_str){l->content, l->content_len});
    return 0;
}

bool clo_diff_text(clo_buf *out, clo_git *g, const clo_oid *base, const clo_oid *commit, clo_err *err)
{
    git_diff *diff = NULL;
    size_t max = out->max ? out->max : (size_t)1 << 30;
    printing p = {out, max > sizeof CUT_LINE ? max - sizeof CUT_LINE : 0, false};
    bool ok = open_diff(&diff, g, base, commit, err);
    if (ok) {
        int rc = git_diff_print(diff, GIT_DIFF_FORMAT_PATCH, print_line, &p);
        ok = rc == 0 || p.cut || clo_git_fail(err, rc, "difference");
    }
    if (ok && p.cut) clo_buf_add(out, CLO_STR(CUT_LINE));
    git_diff_free(diff);
    return ok && clo_buf_ok(out, err);
}

/* --- one file, as JSON --------------------------------------------------------------------------------------------*/

/* What may still be shown and read. */
typedef struct {
    clo_git *g;
    size_t lines, bytes;
    uint64_t read;
} budget;

static bool no_memory(clo_err *err)
{
    return clo_fail(err, CLO_ERR_MEMORY, "difference");
}

/* One side of a change. */
typedef struct {
    bool is_there, is_lfs;
    uint64_t size;
    clo_lfs_pointer lfs;
} side;

static bool look_at(side *out, clo_git *g, const git_diff_file *f, clo_err *err)
{
    clo_oid oid = clo_oid_of(&f->id);
    clo_git_kind kind;
    clo_buf text = {0};
    *out = (side){.is_there = (f->flags & GIT_DIFF_FLAG_EXISTS) != 0 && !clo_oid_is_zero(&oid) && f->mode != GIT_FILEMODE_COMMIT};
    if (!out->is_there) return true;
    if (!clo_git_head(&kind, &out->size, g, &oid, err)) return false;
    if (out->size >= CLO_LFS_POINTER_MAX || f->mode == GIT_FILEMODE_LINK) return true;
    bool ok = clo_blob_read(&text, g, &oid, err);
    out->is_lfs = ok && clo_lfs_parse(&out->lfs, clo_bytes_of(clo_buf_str(&text)));
    clo_buf_free(&text);
    return ok;
}

static json_t *lfs_json(const side *s)
{
    char hex[65];
    if (!s->is_lfs) return json_null();
    clo_sha256_hex(hex, &s->lfs.sha256);
    return json_pack("{s:s, s:I}", "oid", hex, "size", (json_int_t)s->lfs.size);
}

/* A line without its end, cut at a character where it is too long. */
static clo_str shown(const git_diff_line *l, bool *cut)
{
    clo_str s = {l->content, l->content_len};
    if (s.len > 0 && s.ptr[s.len - 1] == '\n') s.len--;
    if (s.len <= CLO_DIFF_LINE_BYTES_MAX) return s;
    *cut = true;
    s.len = CLO_DIFF_LINE_BYTES_MAX;
    s.len -= clo_utf8_incomplete_tail(s);
    return s;
}

static bool add_line(json_t *lines, const git_diff_line *l, budget *b, bool *cut, clo_err *err)
{
    const char *mark = l->origin == GIT_DIFF_LINE_ADDITION   ? "+"
                       : l->origin == GIT_DIFF_LINE_DELETION ? "-"
                       : l->origin == GIT_DIFF_LINE_CONTEXT  ? " "
                                                             : NULL;
    if (!mark) return true; /* "no newline at end of file" */
    clo_str s = shown(l, cut);
    b->lines--;
    b->bytes -= s.len < b->bytes ? s.len : b->bytes;
    return json_array_append_new(lines, json_pack("[s, o]", mark, clo_json_text(s))) == 0 || no_memory(err);
}

static bool add_hunk(json_t *hunks, git_patch *p, size_t i, size_t *left, budget *b, bool *cut, clo_err *err)
{
    const git_diff_hunk *h;
    const git_diff_line *l;
    size_t n = 0;
    int rc = git_patch_get_hunk(&h, &n, p, i);
    if (rc < 0) return clo_git_fail(err, rc, "difference");
    json_t *lines = json_array();
    bool ok = true;
    for (size_t k = 0; ok && k < n; k++) {
        if (*left == 0 || b->lines == 0 || b->bytes == 0) {
            *cut = true;
            break;
        }
        rc = git_patch_get_line_in_hunk(&l, p, i, k);
        ok = rc == 0 ? add_line(lines, l, b, cut, err) : clo_git_fail(err, rc, "difference");
        --*left;
    }
    json_t *o = json_pack("{s:i, s:i, s:i, s:i, s:o}", "old_start", h->old_start, "old_lines", h->old_lines, "new_start", h->new_start,
                          "new_lines", h->new_lines, "lines", lines);
    return (json_array_append_new(hunks, o) == 0 || no_memory(err)) && ok;
}

/* Puts hunks, added, removed, binary and truncated into `o`. */
static bool compare(json_t *o, git_diff *diff, size_t i, budget *b, clo_err *err)
{
    git_patch *p = NULL;
    size_t context, added = 0, removed = 0, left = CLO_DIFF_FILE_LINES_MAX;
    bool cut = false, ok = true;
    int rc = git_patch_from_diff(&p, diff, i);
    if (rc < 0) return clo_git_fail(err, rc, "difference");
    json_t *hunks = json_array();
    bool binary = p && (git_patch_get_delta(p)->flags & GIT_DIFF_FLAG_BINARY);
    if (p && !binary) {
        git_patch_line_stats(&context, &added, &removed, p);
        for (size_t k = 0, n = git_patch_num_hunks(p); ok && k < n; k++) {
            if (left == 0 || b->lines == 0 || b->bytes == 0) cut = true;
            else ok = add_hunk(hunks, p, k, &left, b, &cut, err);
        }
    }
    json_object_set_new(o, "hunks", hunks);
    json_object_set_new(o, "added", json_integer((json_int_t)added));
    json_object_set_new(o, "removed", json_integer((json_int_t)removed));
    json_object_set_new(o, "binary", json_boolean(binary));
    json_object_set_new(o, "truncated", json_boolean(cut));
    git_patch_free(p);
    return ok;
}

static const char *status_of(const git_diff_delta *d)
{
    switch (d->status) {
    case GIT_DELTA_ADDED:
    case GIT_DELTA_COPIED:
        return "added";
    case GIT_DELTA_DELETED:
        return "removed";
    case GIT_DELTA_RENAMED:
        return "renamed";
    default:
        return "modified";
    }
}

static bool add_file(json_t *files, git_diff *diff, size_t i, budget *b, clo_err *err)
{
    const git_diff_delta *d = git_diff_get_delta(diff, i);
    side old, now;
    if (!look_at(&old, b->g, &d->old_file, err) || !look_at(&now, b->g, &d->new_file, err)) return false;
    bool lfs = old.is_lfs || now.is_lfs;
    uint64_t size = old.size + now.size;
    bool large = old.size > CLO_DIFF_FILE_BYTES_MAX || now.size > CLO_DIFF_FILE_BYTES_MAX || size > b->read || b->lines == 0 || b->bytes == 0;
    json_t *o = json_pack("{s:o, s:o, s:s, s:b, s:o, s:i, s:i, s:[], s:b}", "path", clo_json_text(clo_str_from(d->new_file.path)), "old_path",
                          d->status == GIT_DELTA_RENAMED ? clo_json_text(clo_str_from(d->old_file.path)) : json_null(), "status",
                          status_of(d), "binary", lfs, "lfs",
                          lfs ? json_pack("{s:o, s:o}", "old", lfs_json(&old), "new", lfs_json(&now)) : json_null(), "added", 0, "removed",
                          0, "hunks", "truncated", large && !lfs);
    if (!o) return no_memory(err);
    bool ok = true;
    if (!lfs && !large) {
        b->read -= size;
        ok = compare(o, diff, i, b, err);
    }
    return (json_array_append_new(files, o) == 0 || no_memory(err)) && ok;
}

bool clo_diff_json(clo_diff *out, clo_git *g, const clo_oid *base, const clo_oid *commit, clo_err *err)
{
    git_diff *diff = NULL;
    budget b = {.g = g, .lines = CLO_DIFF_LINES_MAX, .bytes = CLO_DIFF_BYTES_MAX, .read = CLO_DIFF_READ_BYTES_MAX};
    *out = (clo_diff){0};
    bool ok = open_diff(&diff, g, base, commit, err);
    clo_diff d = {.files = json_array(), .n_files = ok ? git_diff_num_deltas(diff) : 0};
    d.truncated = d.n_files > CLO_DIFF_FILES_MAX;
    for (size_t i = 0; ok && i < d.n_files && i < CLO_DIFF_FILES_MAX; i++) ok = add_file(d.files, diff, i, &b, err);
    git_diff_free(diff);
    if (ok) *out = d;
    else json_decref(d.files);
    return ok;
}
