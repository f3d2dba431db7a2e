/* See select.h. Commits first: those from the wants down to the limit, less those that the haves lead to. Then the
 * trees of the commits at the edge are marked as known, and the trees of the commits that go are walked, past what is
 * known or gone. */
#include "hub/select.h"

#include <stdlib.h>

#include "hub/git_impl.h"
#include "hub/refs.h"
#include "hub/revision.h"

#define DEPTH_MAX 512 /* folders in each other */
#define FOREVER UINT32_MAX

static bool put(clo_oid_map *m, const clo_oid *oid, bool *is_new, clo_err *err)
{
    return clo_oid_map_put(m, oid, is_new) != NULL || clo_fail(err, CLO_ERR_MEMORY, "selection");
}

bool clo_select_want(clo_select *s, const clo_oid *oid, clo_err *err)
{
    char hex[CLO_OID_HEX];
    bool is_new;
    if (clo_git_has(s->g, oid)) return put(&s->wants, oid, &is_new, err);
    clo_oid_hex(hex, oid);
    return clo_fail(err, CLO_ERR_NOT_FOUND, "upload-pack: not our ref %s", hex);
}

bool clo_select_have(clo_select *s, const clo_oid *oid, bool *common, clo_err *err)
{
    clo_git_kind kind;
    uint64_t size;
    bool is_new;
    *common = clo_git_head(&kind, &size, s->g, oid, NULL) && kind == CLO_GIT_COMMIT;
    return !*common || put(&s->haves, oid, &is_new, err);
}

void clo_select_free(clo_select *s)
{
    clo_oid_map *maps[] = {&s->wants,   &s->haves,   &s->client_shallow, &s->without,
                           &s->objects, &s->shallow, &s->unshallow};
    for (size_t i = 0; i < sizeof maps / sizeof maps[0]; i++) clo_oid_map_free(maps[i]);
}

/* --- commits ------------------------------------------------------------------------------------------------------*/

bool clo_select_deepens(const clo_select *s)
{
    return s->depth || s->since_s || s->without.n;
}

static bool open_commit(git_commit **out, clo_select *s, const clo_oid *oid, clo_err *err)
{
    git_oid id = clo_git_oid(oid);
    int rc = git_commit_lookup(out, s->g->git, &id);
    return rc == 0 || clo_git_fail(err, rc, "commit");
}

/* Adds to `seen` everything that its commits lead to. A grafted commit has no parents. */
static bool close_over(clo_oid_map *seen, clo_select *s, const clo_oid_map *grafts, clo_err *err)
{
    bool ok = true, is_new;
    for (size_t i = 0; ok && i < seen->n; i++) {
        git_commit *c = NULL;
        clo_oid at = seen->keys[i];
        if (grafts && clo_oid_map_find(grafts, &at)) continue;
        if (seen->n > CLO_SELECT_COMMITS_MAX)
            return clo_fail(err, CLO_ERR_LIMIT, "more than %d commits", CLO_SELECT_COMMITS_MAX);
        ok = open_commit(&c, s, &at, err);
        for (unsigned p = 0; ok && p < git_commit_parentcount(c); p++) {
            clo_oid parent = clo_oid_of(git_commit_parent_id(c, p));
            ok = put(seen, &parent, &is_new, err);
        }
        git_commit_free(c);
    }
    return ok;
}

/* The wanted commits; tag objects on the way go among the objects, wanted trees and blobs into `rest`. */
static bool start_commits(clo_oid_map *tips, clo_oid_map *rest, clo_select *s, clo_err *err)
{
    bool ok = true, is_new;
    for (size_t i = 0; ok && i < s->wants.n; i++) {
        clo_oid at = s->wants.keys[i];
        clo_git_kind kind = CLO_GIT_TAG;
        uint64_t size;
        while (ok && (ok = clo_git_head(&kind, &size, s->g, &at, err)) && kind == CLO_GIT_TAG) {
            git_tag *tag = NULL;
            git_oid id = clo_git_oid(&at);
            int rc = git_tag_lookup(&tag, s->g->git, &id);
            ok = rc == 0 ? put(&s->objects, &at, &is_new, err) : clo_git_fail(err, rc, "tag");
            if (ok) at = clo_oid_of(git_tag_target_id(tag));
            git_tag_free(tag);
        }
        if (ok) ok = put(kind == CLO_GIT_COMMIT ? tips : rest, &at, &is_new, err);
    }
    return ok;
}

/* How many commits above the first that ends history; the client's shallow commits when the depth is theirs. */
static uint32_t start_depth(const clo_select *s)
{
    return s->depth == 0 || s->depth > FOREVER - 1 ? FOREVER : (uint32_t)s->depth;
}

/* Depth counts from the wants. When it is relative, nothing is cut above the client's shallow commits, and `depth`
 * below. */
static uint32_t depth_below(const clo_select *s, const clo_oid *at, uint32_t depth)
{
    if (!s->depth_relative) return depth == FOREVER ? FOREVER : depth - 1;
    if (clo_oid_map_find(&s->client_shallow, at)) return start_depth(s);
    return depth == FOREVER ? FOREVER : depth - 1;
}

static bool beyond(clo_select *s, const clo_oid *parent, clo_err *err, bool *yes)
{
    git_commit *c = NULL;
    *yes = clo_oid_map_find(&s->without, parent) != NULL;
    if (*yes || s->since_s == 0) return true;
    if (!open_commit(&c, s, parent, err)) return false;
    *yes = (int64_t)git_commit_time(c) < s->since_s;
    git_commit_free(c);
    return true;
}

/* Visits one commit at a depth: its parents are visited too, unless they are beyond the limit. */
static bool visit(clo_oid_map *seen, clo_select *s, size_t i, clo_oid_map *again, clo_err *err)
{
    git_commit *c = NULL;
    clo_oid at = seen->keys[i];
    uint32_t below = depth_below(s, &at, seen->values[i]);
    bool ok = true, cut = false, is_new;
    if (!clo_select_deepens(s) && clo_oid_map_find(&s->client_shallow, &at))
        return true; /* its history stays as it is */
    ok = open_commit(&c, s, &at, err);
    for (unsigned p = 0; ok && p < git_commit_parentcount(c); p++) {
        clo_oid parent = clo_oid_of(git_commit_parent_id(c, p));
        bool yes = below == 0;
        if (!yes) ok = beyond(s, &parent, err, &yes);
        if (!ok || yes) {
            cut = true;
            continue;
        }
        uint32_t *d = clo_oid_map_put(seen, &parent, &is_new);
        ok = d != NULL || clo_fail(err, CLO_ERR_MEMORY, "selection");
        if (!ok || (!is_new && *d >= below)) continue;
        *d = below;
        if (!is_new) ok = put(again, &parent, &is_new, err);
    }
    git_commit_free(c);
    if (ok && cut) ok = put(&s->shallow, &at, &is_new, err);
    return ok;
}

/* All commits within the limit, with what is left of the depth. A commit that is reached again by a shorter way is
 * visited again; without a limit none is. */
static bool within_limit(clo_oid_map *seen, clo_select *s, clo_err *err)
{
    clo_oid_map again = {0};
    bool ok = true;
    uint32_t depth = s->depth_relative ? FOREVER : start_depth(s);
    for (size_t i = 0; i < seen->n; i++) seen->values[i] = depth;
    for (size_t i = 0; ok && i < seen->n; i++) {
        ok = seen->n <= CLO_SELECT_COMMITS_MAX ||
             clo_fail(err, CLO_ERR_LIMIT, "more than %d commits", CLO_SELECT_COMMITS_MAX);
        ok = ok && visit(seen, s, i, &again, err);
    }
    while (ok && again.n) {
        clo_oid_map now = again;
        again = (clo_oid_map){0};
        for (size_t k = 0; ok && k < now.n; k++)
            ok = visit(seen, s, (size_t)(clo_oid_map_find(seen, &now.keys[k]) - seen->values), &again, err);
        clo_oid_map_free(&now);
    }
    clo_oid_map_free(&again);
    return ok;
}

/* A commit that was cut on one way and whole on another is whole: cut are those whose depth ran out. */
static bool settle_shallow(clo_oid_map *seen, clo_select *s, clo_err *err)
{
    clo_oid_map cut = s->shallow;
    bool ok = true, is_new;
    s->shallow = (clo_oid_map){0};
    for (size_t i = 0; ok && i < cut.n; i++) {
        git_commit *c = NULL;
        bool all = true;
        ok = open_commit(&c, s, &cut.keys[i], err);
        for (unsigned p = 0; ok && p < git_commit_parentcount(c); p++) {
            clo_oid parent = clo_oid_of(git_commit_parent_id(c, p));
            all = all && clo_oid_map_find(seen, &parent);
        }
        git_commit_free(c);
        if (ok && !all) ok = put(&s->shallow, &cut.keys[i], &is_new, err);
    }
    for (size_t i = 0; ok && clo_select_deepens(s) && i < s->client_shallow.n; i++) {
        const clo_oid *at = &s->client_shallow.keys[i];
        if (clo_oid_map_find(seen, at) && !clo_oid_map_find(&s->shallow, at)) ok = put(&s->unshallow, at, &is_new, err);
    }
    clo_oid_map_free(&cut);
    return ok;
}

/* --- trees --------------------------------------------------------------------------------------------------------*/

/* Adds a tree and what is in it to `into`, past what is there or in `known`. */
static bool add_tree(clo_oid_map *into, clo_select *s, const clo_oid_map *known, const clo_oid *oid, size_t depth,
                     bool filtered, clo_err *err);

static bool add_blob(clo_oid_map *into, clo_select *s, const clo_oid_map *known, const clo_oid *oid, bool filtered,
                     clo_err *err)
{
    clo_git_kind kind;
    uint64_t size;
    bool is_new;
    if (known && clo_oid_map_find(known, oid)) return true;
    if (filtered && s->has_blob_limit) {
        if (s->blob_limit == 0) return true;
        if (!clo_git_head(&kind, &size, s->g, oid, err)) return false;
        if (size >= s->blob_limit) return true;
    }
    return put(into, oid, &is_new, err);
}

static bool add_tree(clo_oid_map *into, clo_select *s, const clo_oid_map *known, const clo_oid *oid, size_t depth,
                     bool filtered, clo_err *err)
{
    git_tree *t = NULL;
    git_oid id = clo_git_oid(oid);
    bool is_new, ok = true;
    if (known && clo_oid_map_find(known, oid)) return true;
    if (!put(into, oid, &is_new, err)) return false;
    if (!is_new) return true;
    if (depth > DEPTH_MAX) return clo_fail(err, CLO_ERR_LIMIT, "more than %d folders in each other", DEPTH_MAX);
    if (into->n > CLO_SELECT_OBJECTS_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "more than %d objects", CLO_SELECT_OBJECTS_MAX);
    int rc = git_tree_lookup(&t, s->g->git, &id);
    if (rc < 0) return clo_git_fail(err, rc, "folder");
    for (size_t i = 0; ok && i < git_tree_entrycount(t); i++) {
        const git_tree_entry *e = git_tree_entry_byindex(t, i);
        clo_oid at = clo_oid_of(git_tree_entry_id(e));
        git_filemode_t mode = git_tree_entry_filemode(e);
        if (mode == GIT_FILEMODE_TREE) ok = add_tree(into, s, known, &at, depth + 1, filtered, err);
        else if (mode != GIT_FILEMODE_COMMIT) ok = add_blob(into, s, known, &at, filtered, err);
    }
    git_tree_free(t);
    return ok;
}

static bool add_tree_of(clo_oid_map *into, clo_select *s, const clo_oid_map *known, const clo_oid *commit,
                        bool filtered, clo_err *err)
{
    git_commit *c = NULL;
    if (!open_commit(&c, s, commit, err)) return false;
    clo_oid tree = clo_oid_of(git_commit_tree_id(c));
    git_commit_free(c);
    return add_tree(into, s, known, &tree, 0, filtered, err);
}

/* The trees that the client has beside what goes: of the haves themselves, and of parents of what goes. */
static bool know_edges(clo_oid_map *known, clo_select *s, const clo_oid_map *seen, const clo_oid_map *old, clo_err *err)
{
    bool ok = true;
    for (size_t i = 0; ok && i < s->haves.n; i++) ok = add_tree_of(known, s, NULL, &s->haves.keys[i], false, err);
    for (size_t i = 0; ok && old->n && i < seen->n; i++) {
        git_commit *c = NULL;
        if (clo_oid_map_find(old, &seen->keys[i])) continue;
        ok = open_commit(&c, s, &seen->keys[i], err);
        for (unsigned p = 0; ok && p < git_commit_parentcount(c); p++) {
            clo_oid parent = clo_oid_of(git_commit_parent_id(c, p));
            if (clo_oid_map_find(old, &parent)) ok = add_tree_of(known, s, NULL, &parent, false, err);
        }
        git_commit_free(c);
    }
    return ok;
}

typedef struct {
    clo_select *s;
    const clo_oid_map *seen, *old;
} tagging;

static bool add_tag(void *ctx, const clo_ref *ref, const clo_oid *commit, clo_err *err)
{
    tagging *t = ctx;
    bool is_new;
    if (clo_oid_eq(&ref->target, commit) || !clo_oid_map_find(t->seen, commit) || clo_oid_map_find(t->old, commit))
        return true;
    return put(&t->s->objects, &ref->target, &is_new, err);
}

static bool select_objects(clo_select *s, const clo_oid_map *seen, const clo_oid_map *old, const clo_oid_map *rest,
                           clo_err *err)
{
    clo_oid_map known = {0};
    bool ok = know_edges(&known, s, seen, old, err), is_new;
    for (size_t i = 0; ok && i < seen->n; i++)
        if (!clo_oid_map_find(old, &seen->keys[i])) ok = put(&s->objects, &seen->keys[i], &is_new, err);
    for (size_t i = 0; ok && i < seen->n; i++)
        if (!clo_oid_map_find(old, &seen->keys[i])) ok = add_tree_of(&s->objects, s, &known, &seen->keys[i], true, err);
    for (size_t i = 0; ok && i < rest->n; i++) { /* asked for by name: no filter, and nothing is known to be there */
        clo_git_kind kind;
        uint64_t size;
        ok = clo_git_head(&kind, &size, s->g, &rest->keys[i], err);
        if (ok && kind == CLO_GIT_TREE) ok = add_tree(&s->objects, s, NULL, &rest->keys[i], 0, true, err);
        else if (ok) ok = put(&s->objects, &rest->keys[i], &is_new, err);
    }
    clo_oid_map_free(&known);
    return ok;
}

bool clo_select_run(clo_select *s, clo_err *err)
{
    clo_oid_map seen = {0}, old = {0}, rest = {0};
    bool ok = true, is_new;
    for (size_t i = 0; ok && i < s->haves.n; i++) ok = put(&old, &s->haves.keys[i], &is_new, err);
    ok = ok && start_commits(&seen, &rest, s, err) && close_over(&s->without, s, NULL, err) &&
         within_limit(&seen, s, err) && settle_shallow(&seen, s, err) && close_over(&old, s, &s->client_shallow, err) &&
         select_objects(s, &seen, &old, &rest, err);
    if (ok && s->include_tags) {
        tagging t = {s, &seen, &old};
        ok = clo_revision_each(s->g, CLO_STR("refs/tags/"), add_tag, &t, err);
    }
    clo_oid_map_free(&seen);
    clo_oid_map_free(&old);
    clo_oid_map_free(&rest);
    return ok;
}
