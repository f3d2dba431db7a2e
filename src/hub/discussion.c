/* See discussion.h: rows, and who is told what about them is not here. Pull requests go on in pull.c. */
#include "hub/discussion.h"

#include "base/entropy.h"
#include "base/utf8.h"
#include "hub/discussion_impl.h"
#include "hub/revision.h"
#include "hub/text.h"

static const char *const status_names[] = {"draft", "open", "closed", "merged"};

const char *clo_discussion_status_name(clo_discussion_status s)
{
    return status_names[s];
}

bool clo_discussion_status_parse(clo_discussion_status *out, clo_str s)
{
    for (int i = CLO_DISCUSSION_DRAFT; i <= CLO_DISCUSSION_MERGED; i++) {
        if (!clo_str_eq(s, clo_str_from(status_names[i]))) continue;
        *out = (clo_discussion_status)i;
        return true;
    }
    return false;
}

/* --- texts --------------------------------------------------------------------------------------------------------*/

static bool check_title(clo_str title, clo_err *err)
{
    return clo_text_check("title", title, 1, CLO_DISCUSSION_TITLE_MAX, true, err);
}

static bool check_text(clo_str text, clo_err *err)
{
    if (clo_text_is_blank(text)) return clo_fail(err, CLO_ERR_USAGE, "comment: it is empty");
    if (text.len > CLO_DISCUSSION_TEXT_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "comment: %zu bytes, at most %d", text.len, CLO_DISCUSSION_TEXT_MAX);
    return (clo_utf8_valid(text) && !memchr(text.ptr, '\0', text.len)) ||
           clo_fail(err, CLO_ERR_USAGE, "comment: UTF-8 is expected");
}

void clo_discussion_title_of(char out[CLO_DISCUSSION_TITLE_BYTES], clo_str text)
{
    size_t len = 0, n;
    while (text.len > 0 && (unsigned char)text.ptr[0] <= ' ')
        text = clo_str_from_off(text, 1);
    text.len = clo_str_find(text, 0, '\n');
    for (size_t i = 0, n_chars = 0; i < text.len && n_chars < CLO_DISCUSSION_TITLE_MAX; i += n, n_chars++) {
        uint32_t cp = clo_utf8_decode(text, i, &n);
        len += clo_utf8_encode(out + len, cp == CLO_UTF8_BAD ? 0xfffd : cp < ' ' || cp == 0x7f ? ' ' : cp);
    }
    out[len] = '\0';
}

/* --- rows ---------------------------------------------------------------------------------------------------------*/

#define DISCUSSION_ROWS                                                                                                \
    "SELECT d.num, d.title, d.author, a.name, d.status, d.created, d.base, d.merged_from, d.merge_commit,"             \
    " (SELECT count(*) FROM discussion_events e WHERE e.repo = d.repo AND e.num = d.num AND e.kind = 'comment')"       \
    " FROM discussions d LEFT JOIN accounts a ON a.id = d.author"

static clo_oid oid_at(clo_stmt *q, int i)
{
    clo_oid out = {{0}};
    clo_bytes b = clo_stmt_get_blob(q, i);
    if (b.len == CLO_OID_BYTES) memcpy(out.b, b.ptr, CLO_OID_BYTES);
    return out;
}

static bool read_row(clo_discussion *out, int64_t repo, clo_stmt *q, clo_err *err)
{
    *out = (clo_discussion){.repo = repo,
                            .num = clo_stmt_get_int(q, 0),
                            .author = clo_stmt_get_int(q, 2),
                            .created_s = clo_stmt_get_int(q, 5),
                            .is_pull = !clo_stmt_is_null(q, 6),
                            .merged_from = oid_at(q, 7),
                            .merge_commit = oid_at(q, 8),
                            .n_comments = clo_stmt_get_int(q, 9)};
    return (clo_text_copy(out->title, sizeof out->title, clo_stmt_get_str(q, 1)) &&
            clo_text_copy(out->author_name, sizeof out->author_name, clo_stmt_get_str(q, 3)) &&
            clo_discussion_status_parse(&out->status, clo_stmt_get_str(q, 4)) &&
            clo_text_copy(out->base, sizeof out->base, clo_stmt_get_str(q, 6))) ||
           clo_fail(err, CLO_ERR_DAMAGED, "database: a discussion that is none");
}

bool clo_discussion_find(clo_discussion *out, clo_db *db, int64_t repo, int64_t num, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    bool ok =
        clo_stmt_open(&q, db, DISCUSSION_ROWS " WHERE d.repo = ?1 AND d.num = ?2", err) &&
        clo_stmt_int(&q, 1, repo, err) && clo_stmt_int(&q, 2, num, err) && clo_stmt_step(&q, &row, err) &&
        (row ? read_row(out, repo, &q, err) : clo_fail(err, CLO_ERR_NOT_FOUND, "no discussion %lld", (long long)num));
    clo_stmt_close(&q);
    return ok;
}

#define DISCUSSION_FITS                                                                                                \
    " WHERE d.repo = ?1 AND (?2 OR d.base IS NULL) AND (?3 OR d.base IS NOT NULL) AND (?4 = '' OR a.name = ?4 "        \
    "COLLATE NOCASE)"

static bool open_filtered(clo_stmt *q, clo_db *db, const char *sql, int64_t repo, const clo_discussion_filter *f,
                          clo_err *err)
{
    return clo_stmt_open(q, db, sql, err) && clo_stmt_int(q, 1, repo, err) &&
           clo_stmt_int(q, 2, f->pulls || !f->discussions, err) &&
           clo_stmt_int(q, 3, f->discussions || !f->pulls, err) && clo_stmt_text(q, 4, f->author, err) &&
           clo_stmt_int(q, 5, f->open || !f->closed, err) && clo_stmt_int(q, 6, f->closed || !f->open, err);
}

static bool count(int64_t *n, int64_t *n_closed, clo_db *db, int64_t repo, const clo_discussion_filter *f, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    bool ok = open_filtered(
                  &q, db,
                  "SELECT count(*) FILTER (WHERE CASE WHEN open THEN ?5 ELSE ?6 END), count(*) FILTER (WHERE NOT open)"
                  " FROM (SELECT d.status IN ('draft', 'open') AS open FROM discussions d"
                  " LEFT JOIN accounts a ON a.id = d.author" DISCUSSION_FITS ")",
                  repo, f, err) &&
              clo_stmt_step(&q, &row, err);
    if (ok) {
        *n = clo_stmt_get_int(&q, 0);
        *n_closed = clo_stmt_get_int(&q, 1);
    }
    clo_stmt_close(&q);
    return ok;
}

bool clo_discussion_each(int64_t *n, int64_t *n_closed, clo_db *db, int64_t repo, const clo_discussion_filter *f,
                         clo_discussion_fn *fn, void *ctx, clo_err *err)
{
    clo_stmt q = {0};
    clo_discussion d;
    bool row = false;
    if (!count(n, n_closed, db, repo, f, err)) return false;
    bool ok =
        open_filtered(&q, db,
                      DISCUSSION_ROWS DISCUSSION_FITS " AND CASE WHEN d.status IN ('draft', 'open') THEN ?5 ELSE ?6 END"
                                                      " ORDER BY d.num DESC LIMIT ?7 OFFSET ?8",
                      repo, f, err) &&
        clo_stmt_int(&q, 7, (int64_t)f->limit, err) && clo_stmt_int(&q, 8, (int64_t)f->skip, err);
    while (ok && (ok = clo_stmt_step(&q, &row, err)) && row)
        ok = read_row(&d, repo, &q, err) && fn(ctx, &d, err);
    clo_stmt_close(&q);
    return ok;
}

/* --- events -------------------------------------------------------------------------------------------------------*/

/* So that one who comments without end fills no disk, and a page stays one that can be read. */
static bool check_room(clo_db *db, const clo_discussion *d, clo_str text, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    bool ok =
        clo_stmt_open(
            &q, db,
            "SELECT count(*), coalesce(sum(length(CAST(e.text AS BLOB))), 0) + (SELECT coalesce(sum(length(CAST(x.text "
            "AS BLOB))), 0)"
            " FROM discussion_edits x JOIN discussion_events y ON y.id = x.event WHERE y.repo = ?1 AND y.num = ?2)"
            " FROM discussion_events e WHERE e.repo = ?1 AND e.num = ?2",
            err) &&
        clo_stmt_int(&q, 1, d->repo, err) && clo_stmt_int(&q, 2, d->num, err) && clo_stmt_step(&q, &row, err);
    int64_t n = ok && row ? clo_stmt_get_int(&q, 0) : 0, n_bytes = ok && row ? clo_stmt_get_int(&q, 1) : 0;
    clo_stmt_close(&q);
    if (ok && n >= CLO_DISCUSSION_EVENTS_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "a discussion has at most %d events: open another one",
                        CLO_DISCUSSION_EVENTS_MAX);
    if (ok && n_bytes + (int64_t)text.len > CLO_DISCUSSION_BYTES_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "a discussion has at most %d bytes: open another one",
                        CLO_DISCUSSION_BYTES_MAX);
    return ok;
}

bool clo_discussion_add_event(char id[CLO_EVENT_ID_LEN + 1], clo_db *db, const clo_discussion *d, const char *kind,
                              int64_t by, clo_str text, clo_str other, int64_t now_s, clo_err *err)
{
    clo_stmt q = {0};
    bool row;
    if (!check_room(db, d, text, err) || !clo_entropy_hex(id, CLO_EVENT_ID_LEN, err)) return false;
    bool ok = clo_stmt_open(&q, db,
                            "INSERT INTO discussion_events (oid, repo, num, kind, author, time, text, other)"
                            " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                            err) &&
              clo_stmt_text(&q, 1, (clo_str){id, CLO_EVENT_ID_LEN}, err) && clo_stmt_int(&q, 2, d->repo, err) &&
              clo_stmt_int(&q, 3, d->num, err) && clo_stmt_text(&q, 4, clo_str_from(kind), err) &&
              clo_stmt_int(&q, 5, by, err) && clo_stmt_int(&q, 6, now_s, err) && clo_stmt_text(&q, 7, text, err) &&
              (other.len ? clo_stmt_text(&q, 8, other, err) : clo_stmt_null(&q, 8, err)) &&
              clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    return ok;
}

bool clo_discussion_comment(char id[CLO_EVENT_ID_LEN + 1], clo_discussion *d, clo_db *db, int64_t by, clo_str text,
                            int64_t now_s, clo_err *err)
{
    if (!check_text(text, err) || !clo_discussion_add_event(id, db, d, "comment", by, text, (clo_str){0}, now_s, err))
        return false;
    d->n_comments++;
    return true;
}

static bool set_text(clo_db *db, const clo_discussion *d, const char *sql, clo_str text, clo_err *err)
{
    clo_stmt q = {0};
    bool row;
    bool ok = clo_stmt_open(&q, db, sql, err) && clo_stmt_int(&q, 1, d->repo, err) &&
              clo_stmt_int(&q, 2, d->num, err) && clo_stmt_text(&q, 3, text, err) && clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    return ok;
}

bool clo_discussion_rename(char id[CLO_EVENT_ID_LEN + 1], clo_discussion *d, clo_db *db, int64_t by, clo_str title,
                           int64_t now_s, clo_err *err)
{
    if (!check_title(title, err) ||
        !clo_discussion_add_event(id, db, d, "title-change", by, title, clo_str_from(d->title), now_s, err) ||
        !set_text(db, d, "UPDATE discussions SET title = ?3 WHERE repo = ?1 AND num = ?2", title, err))
        return false;
    return clo_text_copy(d->title, sizeof d->title, title);
}

bool clo_discussion_put_status(char id[CLO_EVENT_ID_LEN + 1], clo_discussion *d, clo_db *db, int64_t by,
                               clo_discussion_status status, int64_t now_s, clo_err *err)
{
    clo_str name = clo_str_from(status_names[status]);
    if (!clo_discussion_add_event(id, db, d, "status-change", by, name, (clo_str){0}, now_s, err) ||
        !set_text(db, d, "UPDATE discussions SET status = ?3 WHERE repo = ?1 AND num = ?2", name, err))
        return false;
    d->status = status;
    return true;
}

bool clo_discussion_set_status(char id[CLO_EVENT_ID_LEN + 1], clo_discussion *d, clo_db *db, int64_t by,
                               clo_discussion_status status, int64_t now_s, clo_err *err)
{
    if (status != CLO_DISCUSSION_OPEN && status != CLO_DISCUSSION_CLOSED)
        return clo_fail(err, CLO_ERR_USAGE, "status: 'open' or 'closed' is expected");
    if (d->status == status || d->status == CLO_DISCUSSION_MERGED)
        return clo_fail(err, CLO_ERR_USAGE, "it is %s already", status_names[d->status]);
    return clo_discussion_put_status(id, d, db, by, status, now_s, err);
}

/* --- comments -----------------------------------------------------------------------------------------------------*/

typedef struct {
    int64_t id, author;
    bool hidden;
} comment;

static bool find_comment(comment *out, clo_db *db, const clo_discussion *d, clo_str id, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    bool ok = clo_stmt_open(&q, db,
                            "SELECT id, author, hidden FROM discussion_events WHERE oid = ?1 AND repo = ?2 AND num = ?3"
                            " AND kind = 'comment'",
                            err) &&
              clo_stmt_text(&q, 1, id, err) && clo_stmt_int(&q, 2, d->repo, err) && clo_stmt_int(&q, 3, d->num, err) &&
              clo_stmt_step(&q, &row, err) &&
              (row || clo_fail(err, CLO_ERR_NOT_FOUND, "discussion %lld has no such comment", (long long)d->num));
    if (ok) *out = (comment){clo_stmt_get_int(&q, 0), clo_stmt_get_int(&q, 1), clo_stmt_get_int(&q, 2) != 0};
    clo_stmt_close(&q);
    return ok;
}

bool clo_comment_author(int64_t *author, clo_db *db, const clo_discussion *d, clo_str id, clo_err *err)
{
    comment c;
    if (!find_comment(&c, db, d, id, err)) return false;
    *author = c.author;
    return true;
}

/* Runs a statement about one comment. */
static bool about(clo_db *db, const char *sql, int64_t id, clo_err *err)
{
    clo_stmt q = {0};
    bool row;
    bool ok = clo_stmt_open(&q, db, sql, err) && clo_stmt_int(&q, 1, id, err) && clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    return ok;
}

static bool put_comment(clo_db *db, int64_t id, int64_t by, clo_str text, bool hidden, int64_t now_s, clo_err *err)
{
    clo_stmt q = {0};
    bool row;
    bool ok = clo_stmt_open(
                  &q, db, "UPDATE discussion_events SET text = ?2, edited = ?3, editor = ?4, hidden = ?5 WHERE id = ?1",
                  err) &&
              clo_stmt_int(&q, 1, id, err) && clo_stmt_text(&q, 2, text, err) && clo_stmt_int(&q, 3, now_s, err) &&
              clo_stmt_int(&q, 4, by, err) && clo_stmt_int(&q, 5, hidden, err) && clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    return ok;
}

bool clo_comment_edit(clo_db *db, const clo_discussion *d, clo_str id, int64_t by, clo_str text, int64_t now_s,
                      clo_err *err)
{
    comment c;
    if (!check_text(text, err) || !find_comment(&c, db, d, id, err) || !check_room(db, d, text, err)) return false;
    if (c.hidden) return clo_fail(err, CLO_ERR_USAGE, "the comment is hidden");
    return about(db,
                 "INSERT INTO discussion_edits (event, i, text, time, author)"
                 " SELECT id, (SELECT count(*) FROM discussion_edits WHERE event = ?1), text, coalesce(edited, time),"
                 " CASE WHEN edited IS NULL THEN author ELSE editor END FROM discussion_events WHERE id = ?1",
                 c.id, err) &&
           put_comment(db, c.id, by, text, false, now_s, err);
}

bool clo_comment_hide(clo_db *db, const clo_discussion *d, clo_str id, int64_t by, int64_t now_s, clo_err *err)
{
    comment c;
    return find_comment(&c, db, d, id, err) && about(db, "DELETE FROM discussion_edits WHERE event = ?1", c.id, err) &&
           put_comment(db, c.id, by, CLO_STR(""), true, now_s, err);
}

/* --- making -------------------------------------------------------------------------------------------------------*/

static bool next_num(int64_t *out, clo_db *db, int64_t repo, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    bool ok = clo_stmt_open(&q, db, "SELECT coalesce(max(num), 0) + 1 FROM discussions WHERE repo = ?1", err) &&
              clo_stmt_int(&q, 1, repo, err) && clo_stmt_step(&q, &row, err);
    if (ok) *out = clo_stmt_get_int(&q, 0);
    clo_stmt_close(&q);
    return ok;
}

static bool insert(clo_db *db, const clo_discussion *d, int64_t by, clo_err *err)
{
    clo_stmt q = {0};
    bool row;
    bool ok = clo_stmt_open(&q, db,
                            "INSERT INTO discussions (repo, num, title, author, status, created, base)"
                            " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                            err) &&
              clo_stmt_int(&q, 1, d->repo, err) && clo_stmt_int(&q, 2, d->num, err) &&
              clo_stmt_text(&q, 3, clo_str_from(d->title), err) && clo_stmt_int(&q, 4, by, err) &&
              clo_stmt_text(&q, 5, clo_str_from(status_names[d->status]), err) &&
              clo_stmt_int(&q, 6, d->created_s, err) &&
              (d->is_pull ? clo_stmt_text(&q, 7, clo_str_from(d->base), err) : clo_stmt_null(&q, 7, err)) &&
              clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    return ok;
}

bool clo_discussion_create(clo_discussion *out, clo_git *g, const clo_discussion_opts *o, int64_t now_s, clo_err *err)
{
    clo_db *db = clo_git_store(g);
    char id[CLO_EVENT_ID_LEN + 1];
    clo_str base = o->base.len ? o->base : CLO_STR("refs/heads/main");
    clo_discussion d = {.repo = clo_git_repo(g),
                        .is_pull = o->is_pull,
                        .status = o->is_pull && !o->is_open ? CLO_DISCUSSION_DRAFT : CLO_DISCUSSION_OPEN,
                        .created_s = now_s};
    if (!check_title(o->title, err) || !check_text(o->text, err)) return false;
    if (!clo_text_copy(d.title, sizeof d.title, o->title) || !clo_text_copy(d.base, sizeof d.base, o->is_pull ? base : CLO_STR("")))
        return clo_fail(err, CLO_ERR_USAGE, "the name of a branch is too long");
    return next_num(&d.num, db, d.repo, err) && insert(db, &d, o->by, err) &&
           (!o->is_pull || clo_pull_begin(&d, g, o->start, err)) &&
           clo_discussion_comment(id, &d, db, o->by, o->text, now_s, err) &&
           clo_discussion_find(out, db, d.repo, d.num, err);
}
