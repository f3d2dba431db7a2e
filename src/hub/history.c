/* History: lists of commits, the last change of each path, squashing. See revision.h and tree.h. */
#include <stdio.h>
#include <stdlib.h>

#include "hub/git_impl.h"
#include "hub/revision.h"
#include "hub/tree.h"

#define LAST_COMMITS_MAX 10000 /* commits that the search for last changes looks at */

static bool tell(clo_git *g, const git_oid *id, clo_commit_fn *fn, void *ctx, clo_err *err)
{
    git_commit *c = NULL;
    int rc = git_commit_lookup(&c, g->git, id);
    if (rc < 0) return clo_git_fail(err, rc, "commit");
    const char *message = git_commit_message(c);
    size_t n = strcspn(message, "\n");
    const git_signature *by = git_commit_author(c);
    clo_buf title = {.max = CLO_GIT_OBJECT_MAX};
    clo_buf_add(&title, (clo_str){message, n});
    message += n;
    while (*message == '\n') message++;
    clo_commit_info info = {.id = clo_oid_of(id),
                            .tree = clo_oid_of(git_commit_tree_id(c)),
                            .title = title.ptr ? title.ptr : "",
                            .message = message,
                            .author = by->name,
                            .email = by->email,
                            .time_s = (int64_t)git_commit_time(c)};
    bool ok = clo_buf_ok(&title, err) && fn(ctx, &info, err);
    clo_buf_free(&title);
    git_commit_free(c);
    return ok;
}

bool clo_history_get(clo_git *g, const clo_oid *commit, clo_commit_fn *fn, void *ctx, clo_err *err)
{
    git_oid id = clo_git_oid(commit);
    return tell(g, &id, fn, ctx, err);
}

static bool start_walk(git_revwalk **out, clo_git *g, const clo_oid *from, clo_err *err)
{
    git_oid id = clo_git_oid(from);
    int rc = git_revwalk_new(out, g->git);
    if (rc == 0) rc = git_revwalk_sorting(*out, GIT_SORT_TOPOLOGICAL | GIT_SORT_TIME);
    if (rc == 0) rc = git_revwalk_push(*out, &id);
    return rc == 0 || clo_git_fail(err, rc, "history");
}

bool clo_history_each(size_t *total, clo_git *g, const clo_oid *from, size_t skip, size_t limit, clo_commit_fn *fn,
                      void *ctx, clo_err *err)
{
    git_revwalk *w = NULL;
    git_oid id;
    int rc = 0;
    *total = 0;
    bool ok = start_walk(&w, g, from, err);
    for (; ok && (rc = git_revwalk_next(&id, w)) == 0; ++*total)
        if (*total >= skip && *total - skip < limit) ok = tell(g, &id, fn, ctx, err);
    git_revwalk_free(w);
    return ok && (rc == GIT_ITEROVER || clo_git_fail(err, rc, "history"));
}

/* --- last changes -------------------------------------------------------------------------------------------------*/

/* Where the search stands for one path: the oldest commit known to have the path as it is now. */
typedef struct {
    clo_oid at, object;
    bool done;
    char *path; /* owned, with a NUL */
} trail;

/* The object of a path in a tree; the zero oid when it is not there. */
static clo_oid object_at(const git_tree *tree, const char *path)
{
    git_tree_entry *t = NULL;
    clo_oid none = {{0}};
    if (git_tree_entry_bypath(&t, tree, path) < 0) return none;
    clo_oid oid = clo_oid_of(git_tree_entry_id(t));
    git_tree_entry_free(t);
    return oid;
}

/* Trails that stand at a commit go on to the first parent that has the same object; where none has, they end. */
static bool follow(trail *t, size_t n, const git_commit *c, clo_err *err)
{
    clo_oid here = clo_oid_of(git_commit_id(c));
    unsigned n_parents = git_commit_parentcount(c);
    bool ok = true, *moved = calloc(n ? n : 1, sizeof *moved);
    if (!moved) return clo_fail(err, CLO_ERR_MEMORY, "history");
    for (unsigned p = 0; ok && p < n_parents; p++) {
        git_commit *parent = NULL;
        git_tree *tree = NULL;
        int rc = git_commit_parent(&parent, c, p);
        if (rc == 0) rc = git_commit_tree(&tree, parent);
        ok = rc == 0 || clo_git_fail(err, rc, "history");
        for (size_t i = 0; ok && i < n; i++) {
            if (t[i].done || moved[i] || !clo_oid_eq(&t[i].at, &here)) continue;
            clo_oid object = object_at(tree, t[i].path);
            if (!clo_oid_eq(&object, &t[i].object)) continue;
            t[i].at = clo_oid_of(git_commit_id(parent));
            moved[i] = true;
        }
        git_tree_free(tree);
        git_commit_free(parent);
    }
    for (size_t i = 0; ok && i < n; i++)
        if (!t[i].done && !moved[i] && clo_oid_eq(&t[i].at, &here)) t[i].done = true;
    free(moved);
    return ok;
}

static bool any_at(const trail *t, size_t n, const git_oid *id, bool *left)
{
    bool here = false;
    clo_oid oid = clo_oid_of(id);
    *left = false;
    for (size_t i = 0; i < n; i++) {
        if (t[i].done) continue;
        *left = true;
        here = here || clo_oid_eq(&t[i].at, &oid);
    }
    return here;
}

/* The walk gives a commit after all of its children, so a trail has come to rest at it when it is its turn. */
static bool walk_back(trail *t, size_t n, clo_git *g, const clo_oid *commit, clo_err *err)
{
    git_revwalk *w = NULL;
    git_oid id;
    int rc = 0;
    bool left = true;
    bool ok = start_walk(&w, g, commit, err);
    for (size_t seen = 0; ok && left && seen < LAST_COMMITS_MAX && (rc = git_revwalk_next(&id, w)) == 0; seen++) {
        git_commit *c = NULL;
        if (!any_at(t, n, &id, &left)) continue;
        rc = git_commit_lookup(&c, g->git, &id);
        ok = rc == 0 ? follow(t, n, c, err) : clo_git_fail(err, rc, "history");
        git_commit_free(c);
    }
    git_revwalk_free(w);
    return ok && (rc == 0 || rc == GIT_ITEROVER || clo_git_fail(err, rc, "history"));
}

bool clo_tree_last_commits(clo_oid *out, clo_git *g, const clo_oid *commit, const clo_str *paths, size_t n,
                           clo_err *err)
{
    trail *t = calloc(n ? n : 1, sizeof *t);
    git_commit *c = NULL;
    git_tree *tree = NULL;
    git_oid id = clo_git_oid(commit);
    int rc = git_commit_lookup(&c, g->git, &id);
    if (rc == 0) rc = git_commit_tree(&tree, c);
    bool ok = t != NULL || clo_fail(err, CLO_ERR_MEMORY, "history");
    if (ok && rc < 0) ok = clo_git_fail(err, rc, "commit");
    for (size_t i = 0; ok && i < n; i++) {
        t[i].path = strndup(paths[i].ptr, paths[i].len);
        if (!t[i].path) ok = clo_fail(err, CLO_ERR_MEMORY, "history");
        else t[i].object = object_at(tree, t[i].path);
        t[i].at = *commit;
        t[i].done = clo_oid_is_zero(&t[i].object);
    }
    ok = ok && walk_back(t, n, g, commit, err);
    for (size_t i = 0; ok && i < n; i++) out[i] = clo_oid_is_zero(&t[i].object) ? t[i].object : t[i].at;
    for (size_t i = 0; t && i < n; i++) free(t[i].path);
    free(t);
    git_tree_free(tree);
    git_commit_free(c);
    return ok;
}

/* --- squashing ----------------------------------------------------------------------------------------------------*/

bool clo_history_squash(clo_oid *out, clo_git *g, clo_str branch, clo_str message, const clo_author *by, int64_t now_s,
                        clo_err *err)
{
    char ref[CLO_REF_NAME_MAX];
    clo_oid head;
    git_commit *c = NULL;
    if (!clo_revision_branch(ref, &head, g, branch, err)) return false;
    git_oid id = clo_git_oid(&head);
    int rc = git_commit_lookup(&c, g->git, &id);
    if (rc < 0) return clo_git_fail(err, rc, "commit");
    clo_buf text = {.max = (size_t)1 << 20};
    clo_buf_add(&text, message.len ? message : CLO_STR("Super-squash branch"));
    if (text.len && text.ptr[text.len - 1] != '\n') clo_buf_add_char(&text, '\n');
    struct clo_commit_parts p = {
        .tree = clo_oid_of(git_commit_tree_id(c)), .by = by, .now_s = now_s, .message = clo_buf_str(&text)};
    git_commit_free(c);
    bool ok = clo_buf_ok(&text, err) && clo_git_put_commit(out, g, &p, err) && clo_git_flush(g, err) &&
              clo_ref_set(g, clo_str_from(ref), out, &head, err);
    clo_buf_free(&text);
    return ok;
}
