/* Discussions as the hub's clients read them. See discussion.h. */
#include <stdio.h>

#include "hub/card.h"
#include "hub/diff.h"
#include "hub/discussion_impl.h"
#include "hub/merge.h"
#include "hub/revision.h"
#include "hub/stamp.h"

#define DIFF_BYTES_MAX ((size_t)1 << 20)

static bool no_memory(clo_err *err)
{
    return clo_fail(err, CLO_ERR_MEMORY, "discussion");
}

/* Of an account that is gone there is none: clients show it as deleted. */
static void set_author(json_t *o, const char *name)
{
    if (name && name[0]) json_object_set_new(o, "author", json_pack("{s:s}", "name", name));
}

/* What is too long for HTML has none; its Markdown is there. */
static json_t *html_json(clo_str markdown)
{
    clo_buf html = {0};
    if (!clo_card_html(&html, markdown, NULL, NULL)) html.len = 0;
    json_t *out = clo_json_text(clo_buf_str(&html));
    clo_buf_free(&html);
    return out;
}

static json_t *version_json(clo_str markdown, int64_t time_s, const char *author)
{
    char time[CLO_STAMP_LEN + 1];
    json_t *o = json_pack("{s:o, s:o, s:s}", "raw", clo_json_text(markdown), "html", html_json(markdown), "updatedAt",
                          clo_stamp(time, time_s));
    if (o) set_author(o, author);
    return o;
}

/* --- events -------------------------------------------------------------------------------------------------------*/

static bool add_history(json_t *list, clo_db *db, int64_t event, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    bool ok =
        clo_stmt_open(&q, db,
                      "SELECT x.text, x.time, a.name FROM discussion_edits x LEFT JOIN accounts a ON a.id = x.author"
                      " WHERE x.event = ?1 ORDER BY x.i",
                      err) &&
        clo_stmt_int(&q, 1, event, err);
    while (ok && (ok = clo_stmt_step(&q, &row, err)) && row)
        ok = json_array_append_new(list, version_json(clo_stmt_get_str(&q, 0), clo_stmt_get_int(&q, 1),
                                                      clo_stmt_get_str(&q, 2).ptr)) == 0 ||
             no_memory(err);
    clo_stmt_close(&q);
    return ok;
}

#define EVENT_ROWS                                                                                                     \
    "SELECT e.oid, e.kind, a.name, e.time, e.text, e.other, e.hidden, e.edited, coalesce(b.name, ''), e.id, e.edited " \
    "IS NULL"                                                                                                          \
    " FROM discussion_events e LEFT JOIN accounts a ON a.id = e.author LEFT JOIN accounts b ON b.id = e.editor"        \
    " WHERE e.repo = ?1 AND e.num = ?2"

static json_t *comment_json(clo_db *db, clo_stmt *q, clo_err *err)
{
    bool fresh = clo_stmt_get_int(q, 10) != 0, hidden = clo_stmt_get_int(q, 6) != 0;
    json_t *history = json_array();
    json_t *latest = version_json(clo_stmt_get_str(q, 4), clo_stmt_get_int(q, fresh ? 3 : 7),
                                  clo_stmt_get_str(q, fresh ? 2 : 8).ptr);
    if (!fresh && !add_history(history, db, clo_stmt_get_int(q, 9), err)) {
        json_decref(history);
        json_decref(latest);
        return NULL;
    }
    return json_pack("{s:b, s:b, s:o, s:I, s:o}", "edited", !fresh && !hidden, "hidden", hidden, "latest", latest,
                     "numEdits", (json_int_t)json_array_size(history), "history", history);
}

static json_t *data_json(clo_db *db, clo_stmt *q, clo_err *err)
{
    clo_str kind = clo_stmt_get_str(q, 1), text = clo_stmt_get_str(q, 4), other = clo_stmt_get_str(q, 5);
    if (clo_str_eq(kind, CLO_STR("comment"))) return comment_json(db, q, err);
    if (clo_str_eq(kind, CLO_STR("status-change"))) return json_pack("{s:o}", "status", clo_json_text(text));
    if (clo_str_eq(kind, CLO_STR("commit")))
        return json_pack("{s:o, s:o}", "subject", clo_json_text(text), "oid", clo_json_text(other));
    return json_pack("{s:o, s:o}", "from", clo_json_text(other), "to", clo_json_text(text));
}

static json_t *event_json(clo_db *db, clo_stmt *q, clo_err *err)
{
    char time[CLO_STAMP_LEN + 1];
    json_t *o = json_pack("{s:o, s:o, s:s, s:o}", "id", clo_json_text(clo_stmt_get_str(q, 0)), "type",
                          clo_json_text(clo_stmt_get_str(q, 1)), "createdAt", clo_stamp(time, clo_stmt_get_int(q, 3)),
                          "data", data_json(db, q, err));
    if (o)
        set_author(o, clo_stmt_get_str(q, 2).ptr);
    else if (!err || err->code == CLO_OK)
        no_memory(err);
    return o;
}

bool clo_discussion_event(json_t **out, clo_db *db, const clo_discussion *d, clo_str id, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    *out = NULL;
    bool ok = clo_stmt_open(&q, db, EVENT_ROWS " AND e.oid = ?3", err) && clo_stmt_int(&q, 1, d->repo, err) &&
              clo_stmt_int(&q, 2, d->num, err) && clo_stmt_text(&q, 3, id, err) && clo_stmt_step(&q, &row, err) &&
              (row || clo_fail(err, CLO_ERR_NOT_FOUND, "no such event")) && (*out = event_json(db, &q, err)) != NULL;
    clo_stmt_close(&q);
    return ok;
}

bool clo_discussion_events(json_t **out, clo_db *db, const clo_discussion *d, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    json_t *list = json_array();
    bool ok = clo_stmt_open(&q, db, EVENT_ROWS " ORDER BY e.id", err) && clo_stmt_int(&q, 1, d->repo, err) &&
              clo_stmt_int(&q, 2, d->num, err);
    while (ok && (ok = clo_stmt_step(&q, &row, err)) && row) {
        json_t *e = event_json(db, &q, err);
        ok = e && (json_array_append_new(list, e) == 0 || no_memory(err));
    }
    clo_stmt_close(&q);
    if (!ok) json_decref(list);
    *out = ok ? list : NULL;
    return ok;
}

/* --- the whole ----------------------------------------------------------------------------------------------------*/

bool clo_discussion_json(json_t **out, const clo_discussion *d, const char *repo_name, const char *repo_type,
                         clo_err *err)
{
    char time[CLO_STAMP_LEN + 1];
    *out = json_pack("{s:I, s:s, s:s, s:s, s:b, s:{s:s, s:s}, s:I, s:b}", "num", (json_int_t)d->num, "title", d->title,
                     "status", clo_discussion_status_name(d->status), "createdAt", clo_stamp(time, d->created_s),
                     "isPullRequest", d->is_pull, "repo", "name", repo_name, "type", repo_type, "numComments",
                     (json_int_t)d->n_comments, "pinned", 0);
    if (!*out) return no_memory(err);
    set_author(*out, d->author_name);
    return true;
}

static bool add_conflict(void *ctx, clo_str path, clo_err *err)
{
    if (json_array_size((json_t *)ctx) >= CLO_PULL_CONFLICTS_MAX) return true;
    return json_array_append_new((json_t *)ctx, clo_json_text(path)) == 0 || no_memory(err);
}

static bool add_diff(json_t *out, clo_git *g, const clo_oid *base, const clo_oid *head, clo_err *err)
{
    clo_buf text = {.max = DIFF_BYTES_MAX};
    clo_oid common;
    bool ok = clo_diff_common(&common, g, base, head, err) && clo_diff_text(&text, g, &common, head, err) &&
              (json_object_set_new(out, "diff", clo_json_text(clo_buf_str(&text))) == 0 || no_memory(err));
    clo_buf_free(&text);
    return ok;
}

bool clo_discussion_add_changes(json_t *out, clo_git *g, const clo_discussion *d, bool diff, clo_err *err)
{
    char ref[CLO_REF_NAME_MAX], hex[CLO_OID_HEX];
    clo_oid base = d->merged_from, head;
    bool merged = d->status == CLO_DISCUSSION_MERGED, found = merged;
    json_t *changes = json_pack("{s:s}", "base", d->base), *conflicts = json_array();
    clo_oid_hex(hex, &d->merge_commit);
    if (merged) json_object_set_new(changes, "mergeCommitId", json_string(hex));
    json_object_set_new(out, "changes", changes);
    json_object_set_new(out, "filesWithConflicts", conflicts);
    clo_pull_ref(ref, d);
    if (!clo_revision_find(&head, g, clo_str_from(ref), err)) return false;
    if (!merged && !clo_ref_get(&base, &found, g, clo_str_from(d->base), err)) return false;
    if (!found) return true; /* the branch is gone: there is nothing to compare with */
    return (merged || clo_merge_conflicts(g, &base, &head, add_conflict, conflicts, err)) &&
           (!diff || add_diff(out, g, &base, &head, err));
}
