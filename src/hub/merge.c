/* See merge.h. */
#include "hub/merge.h"

#include "hub/git_impl.h"
#include "hub/refs.h"
#include "hub/revision.h"

#define CUT_LINE "... the rest is left out: it is too long\n"

static bool open_commit(git_commit **out, clo_git *g, const clo_oid *oid, clo_err *err)
{
    git_oid id = clo_git_oid(oid);
    int rc = git_commit_lookup(out, g->git, &id);
    return rc == 0 || clo_git_fail(err, rc, "commit");
}

/* The merged files, and the conflicts. */
static bool merge_trees(git_index **out, clo_git *g, const clo_oid *into, const clo_oid *from, clo_err *err)
{
    git_commit *a = NULL, *b = NULL;
    git_index *index = NULL;
    git_merge_options o;
    git_merge_options_init(&o, GIT_MERGE_OPTIONS_VERSION); /* fails only for versions that there are not */
    o.flags = GIT_MERGE_FIND_RENAMES | GIT_MERGE_NO_RECURSIVE;
    bool ok = open_commit(&a, g, into, err) && open_commit(&b, g, from, err);
    if (ok) {
        int rc = git_merge_commits(&index, g->git, a, b, &o);
        ok = rc == 0 || clo_git_fail(err, rc, "merge");
    }
    git_commit_free(a);
    git_commit_free(b);
    *out = index;
    return ok;
}

bool clo_merge_check(bool *conflicts, clo_git *g, const clo_oid *into, const clo_oid *from, clo_err *err)
{
    git_index *index = NULL;
    *conflicts = false;
    if (!merge_trees(&index, g, into, from, err)) return false;
    *conflicts = git_index_has_conflicts(index);
    git_index_free(index);
    return true;
}

static bool each_conflict(git_index *index, clo_conflict_fn *fn, void *ctx, clo_err *err)
{
    git_index_conflict_iterator *it = NULL;
    const git_index_entry *base, *ours, *theirs;
    int rc = git_index_conflict_iterator_new(&it, index);
    bool ok = true;
    while (ok && rc == 0 && (rc = git_index_conflict_next(&base, &ours, &theirs, it)) == 0)
        ok = fn(ctx, clo_str_from(ours ? ours->path : theirs ? theirs->path : base->path), err);
    git_index_conflict_iterator_free(it);
    return ok && (rc == GIT_ITEROVER || clo_git_fail(err, rc, "conflicts"));
}

bool clo_merge_conflicts(clo_git *g, const clo_oid *into, const clo_oid *from, clo_conflict_fn *fn, void *ctx,
                         clo_err *err)
{
    git_index *index = NULL;
    bool ok = merge_trees(&index, g, into, from, err) && each_conflict(index, fn, ctx, err);
    git_index_free(index);
    return ok;
}

/* Paths after a comma, as many as fit. */
static bool add_path(void *ctx, clo_str path, clo_err *err)
{
    clo_buf *b = ctx;
    (void)err;
    if (b->len + path.len + 2 <= b->max) clo_buf_addf(b, "%s%.*s", b->len ? ", " : "", (int)path.len, path.ptr);
    return true;
}

static bool fail_conflicts(git_index *index, clo_str ref, clo_err *err)
{
    clo_buf names = {.max = 300};
    if (each_conflict(index, add_path, &names, err))
        clo_fail(err, CLO_ERR_MISMATCH, "the changes are in conflict with " CLO_STR_FMT ": %s", CLO_STR_ARG(ref),
                 names.len ? names.ptr : "long paths");
    clo_buf_free(&names);
    return false;
}

bool clo_merge_into(clo_oid *out, clo_git *g, clo_str ref, const clo_oid *from, clo_str message, const clo_author *by,
                    int64_t now_s, clo_err *err)
{
    clo_oid head;
    git_index *index = NULL;
    git_oid tree;
    bool found = false, yes = false;
    if (!clo_ref_get(&head, &found, g, ref, err)) return false;
    if (!found) return clo_fail(err, CLO_ERR_NOT_FOUND, "Invalid rev id: " CLO_STR_FMT, CLO_STR_ARG(ref));
    *out = head;
    if (!clo_revision_has(&yes, g, &head, from, err) || yes) return yes;
    if (!merge_trees(&index, g, &head, from, err)) return false;
    if (git_index_has_conflicts(index)) {
        fail_conflicts(index, ref, err);
        git_index_free(index);
        return false;
    }
    int rc = git_index_write_tree_to(&tree, index, g->git);
    git_index_free(index);
    if (rc < 0) return clo_git_fail(err, rc, "merge");
    clo_oid parents[] = {head, *from};
    struct clo_commit_parts p = {
        .tree = clo_oid_of(&tree), .parents = parents, .n_parents = 2, .by = by, .now_s = now_s, .message = message};
    return clo_git_put_commit(out, g, &p, err) && clo_git_flush(g, err) && clo_ref_set(g, ref, out, &head, err);
}

/* --- differences --------------------------------------------------------------------------------------------------*/

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

static bool tree_of(git_tree **out, clo_git *g, const git_oid *commit, clo_err *err)
{
    git_commit *c = NULL;
    int rc = git_commit_lookup(&c, g->git, commit);
    if (rc == 0) rc = git_commit_tree(out, c);
    git_commit_free(c);
    return rc == 0 || clo_git_fail(err, rc, "commit");
}

bool clo_diff_text(clo_buf *out, clo_git *g, const clo_oid *base, const clo_oid *head, clo_err *err)
{
    git_oid a = clo_git_oid(base), b = clo_git_oid(head), common;
    git_tree *old = NULL, *now = NULL;
    git_diff *diff = NULL;
    size_t max = out->max ? out->max : (size_t)1 << 30;
    printing p = {out, max > sizeof CUT_LINE ? max - sizeof CUT_LINE : 0, false};
    int rc = git_merge_base(&common, g->git, &a, &b);
    if (rc == GIT_ENOTFOUND) common = a; /* no common history: all that differs */
    else if (rc < 0) return clo_git_fail(err, rc, "history");
    bool ok = tree_of(&old, g, &common, err) && tree_of(&now, g, &b, err);
    if (ok) {
        rc = git_diff_tree_to_tree(&diff, g->git, old, now, NULL);
        if (rc == 0) rc = git_diff_find_similar(diff, NULL);
        if (rc == 0) rc = git_diff_print(diff, GIT_DIFF_FORMAT_PATCH, print_line, &p);
        ok = rc == 0 || p.cut || clo_git_fail(err, rc, "difference");
    }
    if (ok && p.cut) clo_buf_add(out, CLO_STR(CUT_LINE));
    git_diff_free(diff);
    git_tree_free(old);
    git_tree_free(now);
    return ok && clo_buf_ok(out, err);
}
