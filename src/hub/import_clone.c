/* See import.h: a clone of git. libgit2 reads it and packs what is new; from there it is taken in like what comes from a hub. */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "hub/git_impl.h"
#include "hub/import_impl.h"
#include "hub/intake.h"
#include "hub/spool.h"

typedef struct {
    const clo_import_repo_opts *o;
    git_repository *from; /* owned */
    git_packbuilder *pack; /* owned */
    git_revwalk *walk;     /* owned */
    clo_intake *in;        /* owned */
} cloning;

/* "refs/remotes/origin/x" counts as refs/heads/x; other names as they are. */
static bool name_here(char out[CLO_REF_NAME_MAX], const char *name)
{
    static const char remote[] = "refs/remotes/origin/";
    bool is_remote = strncmp(name, remote, sizeof remote - 1) == 0;
    const char *rest = is_remote ? name + sizeof remote - 1 : name;
    if (is_remote && strcmp(rest, "HEAD") == 0) return false;
    if (!is_remote && strncmp(name, "refs/heads/", 11) != 0 && strncmp(name, "refs/tags/", 10) != 0) return false;
    if (strlen(rest) + 12 > CLO_REF_NAME_MAX) return false;
    snprintf(out, CLO_REF_NAME_MAX, "%s%.240s", is_remote ? "refs/heads/" : "", rest);
    return true;
}

static bool is_taken(const cloning *c, const char *name)
{
    const clo_intake_ref *refs;
    size_t n = clo_intake_refs(c->in, &refs);
    for (size_t i = 0; i < n; i++)
        if (strcmp(refs[i].ref.name, name) == 0) return true;
    return false;
}

static bool add_ref(cloning *c, const char *full, clo_err *err)
{
    char name[CLO_REF_NAME_MAX];
    git_oid id;
    if (!name_here(name, full) || is_taken(c, name)) return true;
    int rc = git_reference_name_to_id(&id, c->from, full);
    if (rc < 0) return clo_git_fail(err, rc, full);
    clo_oid target = clo_oid_of(&id);
    if (!clo_intake_add_ref(c->in, clo_str_from(name), &target, err)) return false;
    if (clo_git_has(clo_intake_git(c->in), &target)) return true;
    git_object *o = NULL;
    rc = git_object_lookup(&o, c->from, &id, GIT_OBJECT_ANY);
    if (rc == 0 && git_object_type(o) == GIT_OBJECT_TAG) rc = git_packbuilder_insert(c->pack, &id, NULL); /* the tag itself */
    git_object_free(o);
    if (rc == 0) rc = git_revwalk_push(c->walk, &id);
    return rc == 0 || clo_git_fail(err, rc, full);
}

/* What HEAD is at first: a clone without main gets one there. Local branches before those of origin. */
static bool add_refs(cloning *c, clo_err *err)
{
    git_reference *head = NULL;
    git_strarray all = {0};
    bool ok = true;
    if (git_repository_head(&head, c->from) == 0 && git_reference_is_branch(head)) ok = add_ref(c, git_reference_name(head), err);
    git_reference_free(head);
    int rc = ok ? git_reference_list(&all, c->from) : 0;
    if (rc < 0) ok = clo_git_fail(err, rc, "list of refs");
    for (int remote = 0; ok && remote < 2; remote++)
        for (size_t i = 0; ok && i < all.count; i++)
            if ((strncmp(all.strings[i], "refs/remotes/", 13) == 0) == remote) ok = add_ref(c, all.strings[i], err);
    git_strarray_dispose(&all);
    return ok;
}

/* What is here already need not be packed. */
static bool hide(void *ctx, const clo_ref *ref, clo_err *err)
{
    cloning *c = ctx;
    git_oid id = clo_git_oid(&ref->target);
    (void)err;
    (void)git_revwalk_hide(c->walk, &id); /* one that the clone does not have */
    return true;
}

static int to_spool(void *buf, size_t size, void *ctx)
{
    return clo_spool_add(ctx, (clo_bytes){buf, size}, NULL) ? 0 : -1;
}

static bool take_objects(cloning *c, clo_err *err)
{
    char tmp[4096];
    clo_spool pack = {0};
    clo_bytes bytes;
    if (!clo_ref_each(clo_intake_git(c->in), CLO_STR("refs/heads/"), hide, c, err)) return false;
    int rc = git_packbuilder_insert_walk(c->pack, c->walk);
    if (rc < 0) return clo_git_fail(err, rc, "objects of the clone");
    if (git_packbuilder_object_count(c->pack) == 0) return true;
    bool ok = clo_path_join(tmp, err, "%s/tmp", c->o->files.data_dir) && clo_mkdir_p(tmp, err) && clo_spool_open(&pack, tmp, err);
    if (ok && (rc = git_packbuilder_foreach(c->pack, to_spool, &pack)) < 0) ok = clo_git_fail(err, rc, "objects of the clone");
    ok = ok && clo_spool_map(&pack, &bytes, err) && clo_intake_pack(c->in, bytes, err);
    clo_spool_close(&pack);
    return ok;
}

/* Those that the clone has; a clone need not have all. */
static bool take_large(cloning *c, clo_err *err)
{
    clo_lfs_pointer *files = NULL, got;
    size_t n = 0;
    char path[4096], hex[65];
    if (!clo_intake_missing(&files, &n, c->in, &(clo_intake_pick){.history = true}, err)) return false;
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        clo_sha256_hex(hex, &files[i].sha256);
        ok = clo_path_join(path, err, "%slfs/objects/%.2s/%.2s/%s", git_repository_commondir(c->from), hex, hex + 2, hex);
        if (ok && clo_path_exists(path))
            ok = clo_import_large(&got, c->o, path, &files[i].sha256, err) && clo_intake_brought(c->in, &files[i], 1, err);
    }
    free(files);
    return ok;
}

static bool open_clone(cloning *c, clo_err *err)
{
    const clo_import_repo_opts *o = c->o;
    clo_intake_opts in = {.files = o->files, .home = o->home, .force = o->force, .now_s = o->now_s};
    if (!clo_intake_open(&c->in, &in, err)) return false;
    git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0); /* whoever may read it may import it; nothing of it is run */
    int rc = git_repository_open_ext(&c->from, o->source, GIT_REPOSITORY_OPEN_NO_SEARCH, NULL);
    if (rc == 0 && git_repository_is_shallow(c->from))
        return clo_fail(err, CLO_ERR_UNSUPPORTED, "'%s' has a part of its history alone: 'git fetch --unshallow' brings the rest", o->source);
    if (rc == 0) rc = git_packbuilder_new(&c->pack, c->from);
    if (rc == 0) rc = git_revwalk_new(&c->walk, c->from);
    if (rc < 0) return clo_git_fail(err, rc, o->source);
    git_packbuilder_set_threads(c->pack, 0); /* as many as there are processors */
    return true;
}

bool clo_import_clone(clo_import_result *out, const clo_import_repo_opts *o, clo_err *err)
{
    cloning c = {.o = o};
    clo_intake_result r;
    const clo_intake_ref *refs;
    bool found;
    bool ok = open_clone(&c, err) && add_refs(&c, err) && take_objects(&c, err) && clo_intake_plan(c.in, err) && take_large(&c, err);
    out->is_new = c.in && clo_intake_is_new(c.in);
    ok = ok && clo_intake_commit(&r, c.in, err) &&
         clo_ref_get(&out->main, &found, clo_intake_git(c.in), CLO_STR("refs/heads/main"), err);
    if (ok) {
        size_t n = clo_intake_refs(c.in, &refs);
        for (size_t i = 0; i < n; i++) out->n_refs += refs[i].fate != CLO_INTAKE_SAME && refs[i].fate != CLO_INTAKE_AHEAD;
        out->repo = r.repo;
        out->n_objects = r.n_objects;
        out->n_files = r.n_files;
        out->n_absent = r.n_absent;
    }
    clo_intake_close(c.in);
    git_revwalk_free(c.walk);
    git_packbuilder_free(c.pack);
    git_repository_free(c.from);
    return ok;
}
