/* Discussions and pull requests. See hub/discussion.h; what each answers is what the Hub's clients read. */
#include "hub/discussion.h"

#include <stdio.h>
#include <string.h>

#include "hub/revision.h"
#include "serve/hub_handlers.h"

#define PAGE_ROWS 50
#define PAGE_MAX 1000000

/* --- which, and who may -------------------------------------------------------------------------------------------*/

/* The discussion of {x}. False: replied. */
static bool find(clo_discussion *out, clo_hub_call *c)
{
    clo_err err = {0};
    int64_t num = 0;
    bool ok = c->a.x.len > 0 && c->a.x.len <= 18;
    for (size_t i = 0; ok && i < c->a.x.len; i++) {
        ok = c->a.x.ptr[i] >= '0' && c->a.x.ptr[i] <= '9';
        num = 10 * num + (c->a.x.ptr[i] - '0');
    }
    if (!ok) return clo_hub_fail(c, 404, NULL, "Discussion not found");
    if (clo_discussion_find(out, c->db, c->repo.id, num, &err)) return true;
    return err.code == CLO_ERR_NOT_FOUND ? clo_hub_fail(c, 404, NULL, "Discussion not found")
                                         : clo_hub_fail_err(c, &err);
}

static bool is_writer(const clo_hub_call *c)
{
    return clo_access(NULL, &c->caller, &c->seen, CLO_MAY_WRITE);
}

static bool is_authors(const clo_hub_call *c, int64_t author)
{
    return author != 0 && author == c->who.account;
}

/* Its author, and whoever may write to the repository. False: replied. */
static bool may_change(clo_hub_call *c, const clo_discussion *d)
{
    return is_authors(c, d->author) || is_writer(c) ||
           clo_hub_fail(c, 403, NULL, "Only its author and those who may write to the repository can change it");
}

bool clo_hub_may_pull(const clo_hub_call *c, clo_str ref, clo_err *err)
{
    clo_discussion d;
    if (!clo_discussion_of_ref(&d, c->db, c->repo.id, ref, err)) return false;
    if (!is_authors(c, d.author) && !is_writer(c))
        return clo_fail(err, CLO_ERR_DENIED,
                        "pull request %lld is of another user: its author and those who may write to the"
                        " repository can change it",
                        (long long)d.num);
    return d.status != CLO_DISCUSSION_MERGED ||
           clo_fail(err, CLO_ERR_USAGE, "pull request %lld was merged: open another one", (long long)d.num);
}

/* --- lists --------------------------------------------------------------------------------------------------------*/

typedef struct {
    clo_hub_call *c;
    json_t *rows;
} listing;

static bool add_row(void *ctx, const clo_discussion *d, clo_err *err)
{
    listing *l = (listing *)ctx;
    json_t *row;
    return clo_discussion_json(&row, d, l->c->repo.full, clo_repo_type_name(l->c->repo.type), err) &&
           (json_array_append_new(l->rows, row) == 0 || clo_fail(err, CLO_ERR_MEMORY, "discussions"));
}

/* A word of the query: the first or the second one, or all of them. False: replied. */
static bool take_word(bool *first, bool *second, clo_hub_call *c, const char *name, const char *a, const char *b)
{
    clo_str v = clo_hub_param(c, name);
    *first = clo_str_eq(v, clo_str_from(a));
    *second = clo_str_eq(v, clo_str_from(b));
    return *first || *second || v.len == 0 || clo_str_eq(v, CLO_STR("all")) ||
           clo_hub_fail(c, 400, NULL, "%s: %s, %s or all is expected", name, a, b);
}

void clo_hub_discussions(clo_hub_call *c)
{
    clo_err err = {0};
    clo_discussion_filter f = {.author = clo_hub_param(c, "author"), .limit = PAGE_ROWS};
    listing l = {.c = c};
    int64_t n = 0, n_closed = 0;
    if (!take_word(&f.discussions, &f.pulls, c, "type", "discussion", "pull_request") ||
        !take_word(&f.open, &f.closed, c, "status", "open", "closed"))
        return;
    f.skip = (size_t)clo_hub_number(c, "p", 0, PAGE_MAX, 0) * PAGE_ROWS;
    l.rows = json_array();
    if (clo_discussion_each(&n, &n_closed, c->db, c->repo.id, &f, add_row, &l, &err)) {
        clo_hub_json(c, 200,
                     json_pack("{s:O, s:I, s:I, s:I}", "discussions", l.rows, "count", (json_int_t)n, "start",
                               (json_int_t)f.skip, "numClosedDiscussions", (json_int_t)n_closed));
    } else
        clo_hub_fail_err(c, &err);
    json_decref(l.rows);
}

/* --- one ----------------------------------------------------------------------------------------------------------*/

void clo_hub_discussion(clo_hub_call *c)
{
    clo_discussion d;
    clo_err err = {0};
    json_t *out = NULL, *events;
    if (!find(&d, c) || !clo_hub_git(c)) return;
    /* What a gated repository's files say is for those who may read them. */
    bool diff = clo_hub_flag(c, "diff") && clo_access(NULL, &c->caller, &c->seen, CLO_MAY_READ);
    bool ok = clo_discussion_json(&out, &d, c->repo.full, clo_repo_type_name(c->repo.type), &err) &&
              clo_discussion_events(&events, c->db, &d, &err) && json_object_set_new(out, "events", events) == 0 &&
              (!d.is_pull || clo_discussion_add_changes(out, c->git, &d, diff, &err));
    if (ok) {
        clo_hub_json(c, 200, out);
        return;
    }
    json_decref(out);
    clo_hub_fail_err(c, &err);
}

void clo_hub_discussion_url(clo_buf *out, const clo_hub_call *c, int64_t num)
{
    clo_hub_repo_url(out, c, &c->repo);
    clo_buf_addf(out, "/discussions/%lld", (long long)num);
}

static void reply_made(clo_hub_call *c, const clo_discussion *d)
{
    clo_buf url = {0};
    clo_hub_discussion_url(&url, c, d->num);
    clo_hub_json(
        c, 200,
        json_pack("{s:I, s:s%, s:b}", "num", (json_int_t)d->num, "url", url.ptr, url.len, "pullRequest", d->is_pull));
    clo_buf_free(&url);
}

bool clo_hub_takes_discussions(clo_hub_call *c)
{
    return !c->repo.no_discussions || clo_hub_fail(c, 403, NULL, "Discussions are disabled for this repository");
}

void clo_hub_discussion_create(clo_hub_call *c)
{
    clo_discussion d;
    clo_err err = {0};
    json_t *body;
    if (!clo_hub_takes_discussions(c) || !clo_hub_git(c) || !clo_hub_body(&body, c)) return;
    clo_discussion_opts o = {.title = clo_json_str(body, "title", CLO_STR("")),
                             .text = clo_json_str(body, "description", CLO_STR("")),
                             .by = c->who.account,
                             .is_pull = clo_json_bool(body, "pullRequest", false)};
    if (!clo_db_begin(c->db, &err))
        clo_hub_fail_err(c, &err);
    else if (clo_discussion_create(&d, c->git, &o, clo_hub_now(), &err) && clo_db_commit(c->db, &err))
        reply_made(c, &d);
    else
        clo_hub_undo(c, &err);
    json_decref(body);
}

/* --- changes ------------------------------------------------------------------------------------------------------*/

/* A change that is being made: its body, its transaction, and the event that came of it. */
typedef struct {
    clo_discussion d;
    json_t *body; /* owned */
    char id[CLO_EVENT_ID_LEN + 1];
    clo_err err;
} change;

/* False: replied. needs_body: without, an empty one does. */
static bool begin(change *ch, clo_hub_call *c, bool needs_body)
{
    *ch = (change){0};
    if (!find(&ch->d, c) || !clo_hub_git(c)) return false;
    if ((needs_body || clo_request_body(c->r).len > 0) && !clo_hub_body(&ch->body, c)) return false;
    if (clo_db_begin(c->db, &ch->err)) {
        /* Once more, now that nobody else changes it. */
        if (clo_discussion_find(&ch->d, c->db, c->repo.id, ch->d.num, &ch->err)) return true;
        clo_hub_undo(c, &ch->err);
    } else
        clo_hub_fail_err(c, &ch->err);
    json_decref(ch->body);
    return false;
}

/* Commits and answers with the event under `key`, or undoes and says why. */
static void end(change *ch, clo_hub_call *c, bool ok, const char *key)
{
    json_t *event = NULL;
    ok = ok && clo_discussion_event(&event, c->db, &ch->d, (clo_str){ch->id, CLO_EVENT_ID_LEN}, &ch->err) &&
         clo_db_commit(c->db, &ch->err);
    if (ok)
        clo_hub_json(c, 200, json_pack("{s:O}", key, event));
    else if (ch->err.code == CLO_ERR_MISMATCH) {
        clo_db_rollback(c->db);
        clo_hub_fail(c, 409, NULL, "%s", ch->err.text);
    } else
        clo_hub_undo(c, &ch->err);
    json_decref(event);
    json_decref(ch->body);
}

/* Replied already: nothing is to be kept. */
static void drop(change *ch, clo_hub_call *c)
{
    clo_db_rollback(c->db);
    json_decref(ch->body);
}

void clo_hub_discussion_comment(clo_hub_call *c)
{
    change ch;
    if (!begin(&ch, c, true)) return;
    clo_str text = clo_json_str(ch.body, "comment", CLO_STR(""));
    end(&ch, c, clo_discussion_comment(ch.id, &ch.d, c->db, c->who.account, text, clo_hub_now(), &ch.err),
        "newMessage");
}

void clo_hub_discussion_title(clo_hub_call *c)
{
    change ch;
    if (!begin(&ch, c, true)) return;
    if (!may_change(c, &ch.d)) {
        drop(&ch, c);
        return;
    }
    clo_str title = clo_json_str(ch.body, "title", CLO_STR(""));
    end(&ch, c, clo_discussion_rename(ch.id, &ch.d, c->db, c->who.account, title, clo_hub_now(), &ch.err), "newTitle");
}

/* What is said with a change of status stands before it. */
static bool add_remark(change *ch, clo_hub_call *c)
{
    clo_str text = clo_json_str(ch->body, "comment", CLO_STR(""));
    return text.len == 0 ||
           clo_discussion_comment(ch->id, &ch->d, c->db, c->who.account, text, clo_hub_now(), &ch->err);
}

void clo_hub_discussion_status(clo_hub_call *c)
{
    change ch;
    clo_discussion_status status;
    if (!begin(&ch, c, true)) return;
    if (!may_change(c, &ch.d)) {
        drop(&ch, c);
        return;
    }
    bool ok = clo_discussion_status_parse(&status, clo_json_str(ch.body, "status", CLO_STR(""))) ||
              clo_fail(&ch.err, CLO_ERR_USAGE, "status: 'open' or 'closed' is expected");
    end(&ch, c,
        ok && add_remark(&ch, c) &&
            clo_discussion_set_status(ch.id, &ch.d, c->db, c->who.account, status, clo_hub_now(), &ch.err),
        "newStatus");
}

void clo_hub_discussion_merge(clo_hub_call *c)
{
    change ch;
    clo_author by = clo_hub_author(c);
    int64_t now_s = clo_hub_now();
    if (!begin(&ch, c, false)) return;
    end(&ch, c,
        add_remark(&ch, c) && clo_discussion_merge(ch.id, &ch.d, c->git, c->who.account, &by, now_s, &ch.err) &&
            clo_repo_touch(c->db, c->repo.id, now_s, &ch.err),
        "newStatus");
}

/* Of a comment: .../comment/<id>/edit by its author, .../comment/<id>/hide by writers, too. */
void clo_hub_discussion_revise(clo_hub_call *c)
{
    change ch;
    int64_t author = 0;
    size_t slash = clo_str_find(c->a.rest, 0, '/');
    clo_str id = {c->a.rest.ptr, slash}, what = clo_str_from_off(c->a.rest, slash + 1);
    bool edits = clo_str_eq(what, CLO_STR("edit"));
    if (id.len != CLO_EVENT_ID_LEN || (!edits && !clo_str_eq(what, CLO_STR("hide")))) {
        clo_hub_fail(c, 404, NULL, "Comment not found");
        return;
    }
    if (!begin(&ch, c, edits)) return;
    snprintf(ch.id, sizeof ch.id, "%.*s", (int)id.len, id.ptr);
    bool ok = clo_comment_author(&author, c->db, &ch.d, id, &ch.err);
    if (ok && !is_authors(c, author) && (edits || !is_writer(c))) {
        clo_hub_fail(c, 403, NULL,
                     edits ? "Only its author can edit a comment"
                           : "Only its author and those who may write to the repository can hide a comment");
        drop(&ch, c);
        return;
    }
    if (ok && edits)
        ok = clo_comment_edit(c->db, &ch.d, id, c->who.account, clo_json_str(ch.body, "content", CLO_STR("")),
                              clo_hub_now(), &ch.err);
    else if (ok)
        ok = clo_comment_hide(c->db, &ch.d, id, c->who.account, clo_hub_now(), &ch.err);
    end(&ch, c, ok, "updatedComment");
}
