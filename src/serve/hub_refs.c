/* Branches, tags and history. */
#include <stdio.h>
#include <string.h>

#include "hub/revision.h"
#include "hub/stamp.h"
#include "serve/hub_handlers.h"

/* --- lists --------------------------------------------------------------------------------------------------------*/

typedef struct {
    json_t *rows;
    size_t n_prefix; /* what of a ref's name is left out of its short one */
} ref_list;

static bool add_ref(void *ctx, const clo_ref *ref, const clo_oid *commit, clo_err *err)
{
    ref_list *l = (ref_list *)ctx;
    char id[CLO_OID_HEX];
    clo_oid_hex(id, commit);
    json_t *o = json_pack("{s:s, s:s, s:s}", "name", ref->name + l->n_prefix, "ref", ref->name, "targetCommit", id);
    return json_array_append_new(l->rows, o) == 0 || clo_fail(err, CLO_ERR_MEMORY, "refs");
}

static bool add_refs(json_t *out, clo_hub_call *c, const char *key, const char *prefix, bool whole_names, clo_err *err)
{
    ref_list l = {.rows = json_array(), .n_prefix = whole_names ? 0 : strlen(prefix)};
    json_object_set_new(out, key, l.rows);
    return clo_revision_each(c->git, clo_str_from(prefix), add_ref, &l, err);
}

void clo_hub_refs(clo_hub_call *c)
{
    clo_err err = {0};
    bool pulls = clo_hub_flag(c, "include_prs");
    if (!clo_hub_git(c)) return;
    json_t *out = json_object();
    if (add_refs(out, c, "branches", "refs/heads/", false, &err) && add_refs(out, c, "converts", "refs/convert/", false, &err) &&
        add_refs(out, c, "tags", "refs/tags/", false, &err) &&
        (!pulls || add_refs(out, c, "pullRequests", "refs/pr/", true, &err))) {
        clo_hub_json(c, 200, out);
        return;
    }
    json_decref(out);
    clo_hub_fail_err(c, &err);
}

/* --- changes ------------------------------------------------------------------------------------------------------*/

/* Ends a change that began: on disk and 200, or undone and what err says. `missing` is the code of CLO_ERR_NOT_FOUND. */
static void end_change(clo_hub_call *c, bool ok, const clo_err *err)
{
    clo_err e = *err;
    if (ok && clo_db_commit(c->db, &e)) {
        clo_reply(c->r, 200, "text/plain; charset=utf-8", CLO_STR("OK"));
        return;
    }
    clo_db_rollback(c->db);
    clo_git_close(c->git);
    c->git = NULL;
    if (e.code == CLO_ERR_NOT_FOUND) clo_hub_fail(c, 404, "RevisionNotFound", "%s", e.text);
    else clo_hub_fail_err(c, &e);
}

static bool begin_change(clo_hub_call *c)
{
    clo_err err = {0};
    return clo_hub_git(c) && (clo_db_begin(c->db, &err) || clo_hub_fail_err(c, &err));
}

/* `overwrite` puts the new branch in the place of one that is there; without a word on where it begins it lets that one be. */
static bool make_branch(clo_hub_call *c, const json_t *body, clo_err *err)
{
    char ref[CLO_REF_NAME_MAX];
    clo_oid head;
    clo_author by = clo_hub_author(c);
    clo_str start = clo_json_str(body, "startingPoint", CLO_STR(""));
    bool empty = clo_json_bool(body, "emptyBranch", false);
    if (clo_json_bool(body, "overwrite", false) && clo_revision_branch(ref, &head, c->git, c->a.rest, NULL)) {
        if (!empty && start.len == 0) return true;
        if (!clo_branch_delete(c->git, c->a.rest, err)) return false;
    }
    return empty ? clo_branch_create_empty(c->git, c->a.rest, &by, clo_hub_now(), err) : clo_branch_create(c->git, c->a.rest, start, err);
}

void clo_hub_branch_create(clo_hub_call *c)
{
    json_t *body = NULL;
    clo_err err = {0};
    if (clo_request_body(c->r).len > 0 && !clo_hub_body(&body, c)) return;
    if (begin_change(c)) end_change(c, make_branch(c, body, &err), &err);
    json_decref(body);
}

void clo_hub_branch_delete(clo_hub_call *c)
{
    clo_err err = {0};
    if (!begin_change(c)) return;
    bool ok = clo_branch_delete(c->git, c->a.rest, &err);
    end_change(c, ok, &err);
}

void clo_hub_tag_create(clo_hub_call *c)
{
    json_t *body;
    clo_err err = {0};
    clo_author by = clo_hub_author(c);
    if (!clo_hub_body(&body, c)) return;
    if (begin_change(c)) {
        bool ok = clo_tag_create(c->git, clo_json_str(body, "tag", CLO_STR("")), c->a.rev, clo_json_str(body, "message", CLO_STR("")), &by,
                                 clo_hub_now(), &err);
        end_change(c, ok, &err);
    }
    json_decref(body);
}

void clo_hub_tag_delete(clo_hub_call *c)
{
    clo_err err = {0};
    if (!begin_change(c)) return;
    bool ok = clo_tag_delete(c->git, c->a.rest, &err);
    end_change(c, ok, &err);
}

void clo_hub_squash(clo_hub_call *c)
{
    json_t *body;
    clo_err err = {0};
    clo_oid made;
    clo_author by = clo_hub_author(c);
    if (!clo_hub_body(&body, c)) return;
    if (begin_change(c)) {
        bool ok = clo_history_squash(&made, c->git, c->a.rest, clo_json_str(body, "message", CLO_STR("")), &by, clo_hub_now(), &err);
        end_change(c, ok, &err);
    }
    json_decref(body);
}

/* --- history ------------------------------------------------------------------------------------------------------*/

#define COMMITS_PAGE 50
#define COMMITS_PAGE_MAX 1000

bool clo_hub_add_commit(void *ctx, const clo_commit_info *info, clo_err *err)
{
    char id[CLO_OID_HEX], date[CLO_STAMP_LEN + 1];
    size_t n = strlen(info->message);
    while (n > 0 && info->message[n - 1] == '\n') n--;
    clo_oid_hex(id, &info->id);
    json_t *o = json_pack("{s:s, s:s, s:s%, s:[{s:s, s:s}], s:s}", "id", id, "title", info->title, "message", info->message, n, "authors", "user", info->author, "avatar", "", "date", clo_stamp(date, info->time_s));
    return (o && json_array_append_new((json_t *)ctx, o) == 0) || clo_fail(err, CLO_ERR_MEMORY, "commits");
}

/* `formatted` is HTML: the text with its five special characters escaped. */
static void add_formatted(json_t *row)
{
    json_t *out = json_object();
    const char *keys[] = {"title", "message"};
    for (size_t k = 0; k < 2; k++) {
        clo_buf b = {0};
        const char *text = json_string_value(json_object_get(row, keys[k]));
        clo_buf_add_html(&b, text ? text : "");
        json_object_set_new(out, keys[k], json_stringn(b.ptr ? b.ptr : "", b.len));
        clo_buf_free(&b);
    }
    json_object_set_new(row, "formatted", out);
}

void clo_hub_commits(clo_hub_call *c)
{
    clo_oid head;
    clo_err err = {0};
    size_t total = 0, skip = 0;
    char text[24];
    if (!clo_hub_commit(&head, c)) return;
    size_t limit = (size_t)clo_hub_number(c, "limit", 1, COMMITS_PAGE_MAX, COMMITS_PAGE);
    clo_str cursor = clo_hub_cursor(c), p = clo_hub_param(c, "p");
    for (size_t i = 0; i < cursor.len && i < 9 && cursor.ptr[i] >= '0' && cursor.ptr[i] <= '9'; i++)
        skip = 10 * skip + (size_t)(cursor.ptr[i] - '0');
    if (p.len > 0) skip = (size_t)clo_hub_number(c, "p", 0, 1000000, 0) * limit;
    json_t *rows = json_array();
    if (!clo_history_each(&total, c->git, &head, skip, limit, clo_hub_add_commit, rows, &err)) {
        json_decref(rows);
        clo_hub_fail_err(c, &err);
        return;
    }
    size_t i;
    json_t *row;
    if (clo_hub_flag(c, "expand[]") || clo_str_eq(clo_hub_param(c, "expand[]"), CLO_STR("formatted")))
        json_array_foreach(rows, i, row) add_formatted(row);
    snprintf(text, sizeof text, "%zu", total);
    clo_reply_header(c->r, "X-Total-Count", text);
    snprintf(text, sizeof text, "%zu", skip + json_array_size(rows));
    if (skip + json_array_size(rows) < total) clo_hub_link_next(c, clo_str_from(text));
    clo_hub_json(c, 200, rows);
}
