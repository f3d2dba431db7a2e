/* See revision.h: revisions, branches, tags. */
#include "hub/revision.h"

#include <stdio.h>

#include "hub/commit.h"
#include "hub/git_impl.h"

#define PREFIX_DIGITS_MIN 5
#define PEEL_MAX 16 /* tags of tags */

static bool no_revision(clo_err *err, clo_str rev)
{
    return clo_fail(err, CLO_ERR_NOT_FOUND, "Invalid rev id: %.*s", (int)(rev.len < 200 ? rev.len : 200),
                    rev.ptr ? rev.ptr : "");
}

/* "refs/heads/" and a name; false when it is too long. */
static bool full_name(char out[CLO_REF_NAME_MAX], const char *folder, clo_str name)
{
    if (name.len == 0 || strlen(folder) + name.len >= CLO_REF_NAME_MAX) return false;
    snprintf(out, CLO_REF_NAME_MAX, "%s%.*s", folder, (int)name.len, name.ptr);
    return clo_ref_name_ok(clo_str_from(out));
}

bool clo_revision_peel(clo_oid *out, clo_git *g, const clo_oid *oid, clo_err *err)
{
    clo_oid at = *oid;
    clo_git_kind kind;
    uint64_t size;
    for (int i = 0; i < PEEL_MAX; i++) {
        git_tag *tag = NULL;
        git_oid id = clo_git_oid(&at);
        if (!clo_git_head(&kind, &size, g, &at, err)) return false;
        if (kind == CLO_GIT_COMMIT) {
            *out = at;
            return true;
        }
        if (kind != CLO_GIT_TAG) break;
        int rc = git_tag_lookup(&tag, g->git, &id);
        if (rc < 0) return clo_git_fail(err, rc, "tag");
        at = clo_oid_of(git_tag_target_id(tag));
        git_tag_free(tag);
    }
    return clo_fail(err, CLO_ERR_NOT_FOUND, "the object is no commit");
}

/* *found: whether there is such a ref, and its commit. */
static bool by_ref(clo_oid *out, bool *found, clo_git *g, const char *folder, clo_str name, clo_err *err)
{
    char full[CLO_REF_NAME_MAX];
    clo_oid target;
    *found = false;
    if (!full_name(full, folder, name)) return true;
    if (!clo_ref_get(&target, found, g, clo_str_from(full), err)) return false;
    return !*found || clo_revision_peel(out, g, &target, err);
}

static bool all_hex(clo_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!((s.ptr[i] >= '0' && s.ptr[i] <= '9') || ((s.ptr[i] | 0x20) >= 'a' && (s.ptr[i] | 0x20) <= 'f')))
            return false;
    return true;
}

static bool by_prefix(clo_oid *out, clo_git *g, clo_str rev)
{
    clo_oid oid;
    if (rev.len < PREFIX_DIGITS_MIN || rev.len >= 40 || !all_hex(rev)) return false;
    return clo_git_find_prefix(&oid, g, rev, NULL) && clo_revision_peel(out, g, &oid, NULL);
}

bool clo_revision_find(clo_oid *out, clo_git *g, clo_str rev, clo_err *err)
{
    clo_oid oid;
    bool found = false;
    if (clo_oid_parse(&oid, rev) && clo_git_has(g, &oid))
        return clo_revision_peel(out, g, &oid, NULL) || no_revision(err, rev);
    if (clo_str_eq(rev, CLO_STR("HEAD"))) rev = CLO_STR("refs/heads/main");
    if (clo_str_starts_with(rev, CLO_STR("refs/"))) {
        if (!by_ref(out, &found, g, "", rev, err)) return false;
        return found || no_revision(err, rev);
    }
    if (!by_ref(out, &found, g, "refs/heads/", rev, err)) return false;
    if (!found && !by_ref(out, &found, g, "refs/tags/", rev, err)) return false;
    return found || by_prefix(out, g, rev) || no_revision(err, rev);
}

/* "refs/pr/" and a number. */
static bool is_pull(clo_str ref)
{
    clo_str n = clo_str_from_off(ref, 8);
    if (!clo_str_starts_with(ref, CLO_STR("refs/pr/")) || n.len == 0 || n.len > 18 || n.ptr[0] == '0') return false;
    for (size_t i = 0; i < n.len; i++)
        if (n.ptr[i] < '0' || n.ptr[i] > '9') return false;
    return true;
}

bool clo_revision_branch(char ref[CLO_REF_NAME_MAX], clo_oid *head, clo_git *g, clo_str rev, clo_err *err)
{
    bool is_full = clo_str_starts_with(rev, CLO_STR("refs/heads/")) || is_pull(rev), found = false;
    if (!full_name(ref, is_full ? "" : "refs/heads/", rev)) return no_revision(err, rev);
    if (!clo_ref_get(head, &found, g, clo_str_from(ref), err)) return false;
    return found || no_revision(err, rev);
}

/* --- branches, tags, pull requests ---------------------------------------------------------------------------------*/

static bool new_name(char full[CLO_REF_NAME_MAX], const char *folder, clo_str name, clo_err *err)
{
    bool ok = full_name(full, folder, name) && !clo_ref_reads_as_id(clo_str_from(full));
    return ok || clo_fail(err, CLO_ERR_USAGE, "Invalid reference name: %.*s", (int)(name.len < 200 ? name.len : 200),
                          name.ptr ? name.ptr : "");
}

static bool is_free(clo_git *g, const char *full, clo_err *err)
{
    clo_oid oid;
    bool found = false;
    if (!clo_ref_get(&oid, &found, g, clo_str_from(full), err)) return false;
    return !found || clo_fail(err, CLO_ERR_DENIED, "Reference %s already exists", full);
}

bool clo_branch_create(clo_git *g, clo_str name, clo_str start, clo_err *err)
{
    char full[CLO_REF_NAME_MAX];
    clo_oid at;
    return new_name(full, "refs/heads/", name, err) && is_free(g, full, err) &&
           clo_revision_find(&at, g, start.len ? start : CLO_STR("main"), err) &&
           clo_ref_set(g, clo_str_from(full), &at, NULL, err);
}

bool clo_branch_create_empty(clo_git *g, clo_str name, const clo_author *by, int64_t now_s, clo_err *err)
{
    char full[CLO_REF_NAME_MAX];
    clo_commit *c = NULL;
    clo_commit_result r;
    if (!new_name(full, "refs/heads/", name, err) || !is_free(g, full, err) || !clo_commit_open(&c, g, err)) return false;
    clo_commit_opts o = {
        .ref = clo_str_from(full), .is_first = true, .summary = CLO_STR("initial commit"), .author = *by, .now_s = now_s};
    bool ok = clo_commit_write(&r, c, &o, err);
    clo_commit_close(c);
    return ok;
}

bool clo_branch_delete(clo_git *g, clo_str name, clo_err *err)
{
    char full[CLO_REF_NAME_MAX];
    clo_oid at;
    bool found = false;
    if (clo_str_eq(name, CLO_STR("main"))) return clo_fail(err, CLO_ERR_DENIED, "Cannot delete refs/heads/main");
    if (!full_name(full, "refs/heads/", name)) return no_revision(err, name);
    if (!clo_ref_get(&at, &found, g, clo_str_from(full), err)) return false;
    if (!found) return no_revision(err, name);
    return clo_ref_delete(g, clo_str_from(full), NULL, err);
}

static bool put_tag(clo_oid *out, clo_git *g, const clo_oid *at, clo_str name, clo_str message, const clo_author *by,
                    int64_t now_s, clo_err *err)
{
    clo_buf text = {.max = (size_t)1 << 20};
    char hex[CLO_OID_HEX];
    clo_oid_hex(hex, at);
    clo_buf_addf(&text, "object %s\ntype commit\ntag %.*s\n", hex, (int)name.len, name.ptr);
    bool ok = clo_git_add_signature(&text, "tagger", by, now_s, err);
    clo_buf_add_char(&text, '\n');
    for (size_t i = 0; i < message.len; i++)
        if (message.ptr[i]) clo_buf_add_char(&text, message.ptr[i]);
    if (text.len && text.ptr[text.len - 1] != '\n') clo_buf_add_char(&text, '\n');
    ok = ok && clo_buf_ok(&text, err) && clo_git_put(out, g, CLO_GIT_TAG, clo_bytes_of(clo_buf_str(&text)), err) &&
         clo_git_flush(g, err);
    clo_buf_free(&text);
    return ok;
}

bool clo_tag_create(clo_git *g, clo_str name, clo_str rev, clo_str message, const clo_author *by, int64_t now_s,
                    clo_err *err)
{
    char full[CLO_REF_NAME_MAX];
    clo_oid at;
    if (!new_name(full, "refs/tags/", name, err) || !is_free(g, full, err) ||
        !clo_revision_find(&at, g, rev.len ? rev : CLO_STR("main"), err))
        return false;
    if (message.len && !put_tag(&at, g, &at, name, message, by, now_s, err)) return false;
    return clo_ref_set(g, clo_str_from(full), &at, NULL, err);
}

bool clo_tag_delete(clo_git *g, clo_str name, clo_err *err)
{
    char full[CLO_REF_NAME_MAX];
    clo_oid at;
    bool found = false;
    if (!full_name(full, "refs/tags/", name)) return no_revision(err, name);
    if (!clo_ref_get(&at, &found, g, clo_str_from(full), err)) return false;
    return found ? clo_ref_delete(g, clo_str_from(full), NULL, err) : no_revision(err, name);
}

bool clo_pull_create(clo_git *g, int64_t n, clo_err *err)
{
    char full[CLO_REF_NAME_MAX];
    clo_oid at;
    snprintf(full, sizeof full, "refs/pr/%lld", (long long)n);
    if (!is_pull(clo_str_from(full))) return clo_fail(err, CLO_ERR_USAGE, "no pull request %lld", (long long)n);
    return is_free(g, full, err) && clo_revision_find(&at, g, CLO_STR("main"), err) &&
           clo_ref_set(g, clo_str_from(full), &at, NULL, err);
}

typedef struct {
    clo_git *g;
    clo_revision_fn *fn;
    void *ctx;
} peeling;

static bool peel_one(void *ctx, const clo_ref *ref, clo_err *err)
{
    peeling *p = ctx;
    clo_oid commit;
    return clo_revision_peel(&commit, p->g, &ref->target, err) && p->fn(p->ctx, ref, &commit, err);
}

bool clo_revision_each(clo_git *g, clo_str prefix, clo_revision_fn *fn, void *ctx, clo_err *err)
{
    peeling p = {g, fn, ctx};
    return clo_ref_each(g, prefix, peel_one, &p, err);
}

bool clo_revision_has(bool *yes, clo_git *g, const clo_oid *head, const clo_oid *from, clo_err *err)
{
    git_oid a = clo_git_oid(head), b = clo_git_oid(from);
    int rc = git_oid_equal(&a, &b) ? 1 : git_graph_descendant_of(g->git, &a, &b);
    *yes = rc == 1;
    return rc >= 0 || clo_git_fail(err, rc, "history");
}
