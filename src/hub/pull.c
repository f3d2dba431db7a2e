/* Pull requests: their branch, their commits, merging. See discussion.h. */
#include <stdio.h>

#include "hub/discussion_impl.h"
#include "hub/git_impl.h"
#include "hub/merge.h"
#include "hub/revision.h"

void clo_pull_ref(char out[CLO_REF_NAME_MAX], const clo_discussion *d)
{
    snprintf(out, CLO_REF_NAME_MAX, "refs/pr/%lld", (long long)d->num);
}

bool clo_pull_begin(const clo_discussion *d, clo_git *g, clo_str start, clo_err *err)
{
    char ref[CLO_REF_NAME_MAX];
    clo_oid at;
    clo_pull_ref(ref, d);
    return clo_revision_find(&at, g, start.len ? start : clo_str_from(d->base), err) &&
           clo_pull_create(g, d->num, err) && clo_ref_set(g, clo_str_from(ref), &at, NULL, err);
}

bool clo_discussion_of_ref(clo_discussion *out, clo_db *db, int64_t repo, clo_str ref, clo_err *err)
{
    clo_str digits = clo_str_from_off(ref, 8);
    int64_t num = 0;
    bool ok =
        clo_str_starts_with(ref, CLO_STR("refs/pr/")) && digits.len > 0 && digits.len <= 18 && digits.ptr[0] != '0';
    for (size_t i = 0; ok && i < digits.len; i++) {
        ok = digits.ptr[i] >= '0' && digits.ptr[i] <= '9';
        num = 10 * num + (digits.ptr[i] - '0');
    }
    clo_err why = {0};
    if (ok && clo_discussion_find(out, db, repo, num, &why) && out->is_pull) return true;
    if (why.code == CLO_OK || why.code == CLO_ERR_NOT_FOUND)
        return clo_fail(err, CLO_ERR_NOT_FOUND, "Invalid rev id: %.*s", (int)(ref.len < 200 ? ref.len : 200), ref.ptr);
    if (err) *err = why;
    return false;
}

/* --- commits ------------------------------------------------------------------------------------------------------*/

typedef struct {
    clo_db *db;
    const clo_discussion *d;
    int64_t by, now_s;
} adding;

static bool add_commit(void *ctx, const clo_commit_info *c, clo_err *err)
{
    adding *a = ctx;
    char hex[CLO_OID_HEX], id[CLO_EVENT_ID_LEN + 1], subject[CLO_DISCUSSION_TITLE_BYTES];
    clo_oid_hex(hex, &c->id);
    clo_discussion_title_of(subject, clo_str_from(c->title));
    return clo_discussion_add_event(id, a->db, a->d, "commit", a->by, clo_str_from(subject), clo_str_from(hex),
                                    a->now_s, err);
}

/* The commits of `now` that neither `old` nor the base has, oldest first. */
static bool start_walk(git_revwalk **out, const clo_discussion *d, clo_git *g, const clo_oid *old, const clo_oid *now,
                       clo_err *err)
{
    git_oid from = clo_git_oid(now), before = clo_git_oid(old);
    clo_oid base;
    bool found = false;
    if (!clo_ref_get(&base, &found, g, clo_str_from(d->base), err)) return false;
    int rc = git_revwalk_new(out, g->git);
    if (rc == 0) rc = git_revwalk_sorting(*out, GIT_SORT_TOPOLOGICAL | GIT_SORT_REVERSE);
    if (rc == 0) rc = git_revwalk_push(*out, &from);
    if (rc == 0) rc = git_revwalk_hide(*out, &before);
    if (rc == 0 && found) {
        git_oid b = clo_git_oid(&base);
        rc = git_revwalk_hide(*out, &b);
    }
    return rc == 0 || clo_git_fail(err, rc, "history");
}

bool clo_discussion_add_commits(const clo_discussion *d, clo_git *g, int64_t by, const clo_oid *old, const clo_oid *now,
                                int64_t now_s, clo_err *err)
{
    adding a = {clo_git_store(g), d, by, now_s};
    git_revwalk *w = NULL;
    git_oid id;
    int rc = 0;
    if (d->status == CLO_DISCUSSION_MERGED)
        return clo_fail(err, CLO_ERR_DENIED, "the pull request was merged: open another one");
    bool ok = start_walk(&w, d, g, old, now, err);
    for (int i = 0; ok && i < CLO_PULL_COMMITS_MAX && (rc = git_revwalk_next(&id, w)) == 0; i++) {
        clo_oid commit = clo_oid_of(&id);
        ok = clo_history_get(g, &commit, add_commit, &a, err);
    }
    git_revwalk_free(w);
    return ok && (rc == 0 || rc == GIT_ITEROVER || clo_git_fail(err, rc, "history"));
}

/* --- merging ------------------------------------------------------------------------------------------------------*/

static bool put_merge(clo_discussion *d, clo_db *db, const clo_oid *before, const clo_oid *merged, clo_err *err)
{
    clo_stmt q = {0};
    bool row;
    bool ok =
        clo_stmt_open(&q, db, "UPDATE discussions SET merged_from = ?3, merge_commit = ?4 WHERE repo = ?1 AND num = ?2",
                      err) &&
        clo_stmt_int(&q, 1, d->repo, err) && clo_stmt_int(&q, 2, d->num, err) &&
        clo_stmt_blob(&q, 3, (clo_bytes){before->b, CLO_OID_BYTES}, err) &&
        clo_stmt_blob(&q, 4, (clo_bytes){merged->b, CLO_OID_BYTES}, err) && clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    d->merged_from = *before;
    d->merge_commit = *merged;
    return ok;
}

bool clo_discussion_merge(char id[CLO_EVENT_ID_LEN + 1], clo_discussion *d, clo_git *g, int64_t by,
                          const clo_author *author, int64_t now_s, clo_err *err)
{
    char ref[CLO_REF_NAME_MAX];
    clo_buf message = {.max = 4096};
    clo_oid head, before, merged;
    bool found = false;
    clo_str base = clo_str_from(d->base);
    if (!d->is_pull) return clo_fail(err, CLO_ERR_USAGE, "discussion %lld is no pull request", (long long)d->num);
    if (d->status != CLO_DISCUSSION_OPEN)
        return clo_fail(err, CLO_ERR_USAGE, "pull request %lld is %s: only an open one is merged", (long long)d->num,
                        clo_discussion_status_name(d->status));
    clo_pull_ref(ref, d);
    if (!clo_revision_find(&head, g, clo_str_from(ref), err) || !clo_ref_get(&before, &found, g, base, err))
        return false;
    if (!found) return clo_fail(err, CLO_ERR_NOT_FOUND, "Invalid rev id: %s", d->base);
    clo_buf_addf(&message, "%s (#%lld)\n", d->title, (long long)d->num);
    bool ok = clo_buf_ok(&message, err) &&
              clo_merge_into(&merged, g, base, &head, clo_buf_str(&message), author, now_s, err) &&
              put_merge(d, clo_git_store(g), &before, &merged, err) &&
              clo_discussion_put_status(id, d, clo_git_store(g), by, CLO_DISCUSSION_MERGED, now_s, err);
    clo_buf_free(&message);
    return ok;
}
