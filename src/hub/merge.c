/* See merge.h. */
#include "hub/merge.h"

#include "hub/git_impl.h"
#include "hub/refs.h"
#include "hub/revision.h"

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
