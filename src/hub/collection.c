/* See collection.h: rows, one at a time. */
#include "hub/collection.h"

#include <stdio.h>

#include "base/entropy.h"
#include "hub/collection_impl.h"
#include "hub/text.h"

static const char *const themes[] = {"blue", "green", "indigo", "orange", "pink", "purple"};

/* --- rows ---------------------------------------------------------------------------------------------------------*/

/* Letters and digits of the title, small, with a dash for all else; "collection" when there are none. */
static void spell_slug(clo_collection *c)
{
    char words[CLO_COLLECTION_WORDS_MAX + 1];
    size_t n = 0;
    for (const char *p = c->title; *p && n < CLO_COLLECTION_WORDS_MAX; p++) {
        bool upper = *p >= 'A' && *p <= 'Z', plain = upper || (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9');
        if (plain) words[n++] = (char)(upper ? *p | 0x20 : *p);
        else if (n > 0 && words[n - 1] != '-') words[n++] = '-';
    }
    if (n > 0 && words[n - 1] == '-') n--;
    words[n] = '\0';
    snprintf(c->slug, sizeof c->slug, "%s/%s-%s", c->ns, n ? words : "collection", c->oid);
}

/* NULL: none of them. */
static const char *theme_of(clo_str s)
{
    for (size_t i = 0; i < sizeof themes / sizeof *themes; i++)
        if (clo_str_eq(s, clo_str_from(themes[i]))) return themes[i];
    return NULL;
}

bool clo_collection_read_row(clo_collection *out, clo_stmt *q, clo_err *err)
{
    *out = (clo_collection){.id = clo_stmt_get_int(q, 0),
                            .owner = clo_stmt_get_int(q, 1),
                            .position = clo_stmt_get_int(q, 2),
                            .maker = clo_stmt_get_int(q, 3),
                            .modified_s = clo_stmt_get_int(q, 4),
                            .is_private = clo_stmt_get_int(q, 5) != 0,
                            .theme = theme_of(clo_stmt_get_str(q, 6))};
    if (!out->theme || !clo_text_copy(out->oid, sizeof out->oid, clo_stmt_get_str(q, 7)) ||
        !clo_text_copy(out->ns, sizeof out->ns, clo_stmt_get_str(q, 8)) ||
        !clo_text_copy(out->title, sizeof out->title, clo_stmt_get_str(q, 9)) ||
        !clo_text_copy(out->description, sizeof out->description, clo_stmt_get_str(q, 10)))
        return clo_fail(err, CLO_ERR_DAMAGED, "database: a collection that is none");
    spell_slug(out);
    return true;
}

/* One row of a statement whose parameters are bound, if `bound`. Closes it. */
static bool read_one(clo_collection *out, bool bound, clo_stmt *q, clo_err *err)
{
    bool row = false;
    bool ok = bound && clo_stmt_step(q, &row, err) &&
              (row ? clo_collection_read_row(out, q, err) : clo_fail(err, CLO_ERR_NOT_FOUND, "no such collection"));
    clo_stmt_close(q);
    return ok;
}

bool clo_collection_get(clo_collection *out, clo_db *db, int64_t id, clo_err *err)
{
    clo_stmt q = {0};
    bool ok = clo_stmt_open(&q, db, CLO_COLLECTION_ROWS "WHERE c.id = ?1", err) && clo_stmt_int(&q, 1, id, err);
    return read_one(out, ok, &q, err);
}

/* An empty namespace is any. */
static bool find_oid(clo_collection *out, clo_db *db, clo_str ns, clo_str oid, clo_err *err)
{
    clo_stmt q = {0};
    bool ok = clo_stmt_open(&q, db, CLO_COLLECTION_ROWS "WHERE c.oid = ?1 AND (?2 = '' OR a.name = ?2)", err) &&
              clo_stmt_text(&q, 1, oid, err) && clo_stmt_text(&q, 2, ns, err);
    return read_one(out, ok, &q, err);
}

bool clo_collection_find(clo_collection *out, clo_db *db, clo_str ns, clo_str slug, clo_err *err)
{
    size_t at = slug.len < CLO_COLLECTION_OID_LEN ? slug.len : slug.len - CLO_COLLECTION_OID_LEN;
    if (at > 0 && slug.ptr[at - 1] != '-') at = slug.len;
    return find_oid(out, db, ns, clo_str_from_off(slug, at), err);
}

bool clo_collection_find_any(clo_collection *out, clo_db *db, clo_str slug_or_oid, clo_err *err)
{
    size_t slash = clo_str_find(slug_or_oid, 0, '/');
    if (slash == slug_or_oid.len) return find_oid(out, db, CLO_STR(""), slug_or_oid, err);
    return clo_collection_find(out, db, (clo_str){slug_or_oid.ptr, slash}, clo_str_from_off(slug_or_oid, slash + 1), err);
}

bool clo_collection_sees(bool *out, clo_db *db, const clo_viewer *v, const clo_collection *c, clo_err *err)
{
    clo_stmt q = {0};
    bool ok = clo_stmt_open(&q, db, "SELECT 1 FROM collections c WHERE c.id = ?6 AND " CLO_COLLECTION_SEEN, err) &&
              clo_list_bind_viewer(&q, v, err) && clo_stmt_int(&q, 6, c->id, err) && clo_stmt_step(&q, out, err);
    clo_stmt_close(&q);
    return ok;
}

/* *found: whether the owner has another one of that title. */
static bool find_title(clo_collection *out, bool *found, clo_db *db, int64_t owner, clo_str title, int64_t but, clo_err *err)
{
    clo_stmt q = {0};
    clo_err no = {0};
    bool ok = clo_stmt_open(&q, db, CLO_COLLECTION_ROWS "WHERE c.owner = ?1 AND c.title = ?2 AND c.id <> ?3", err) &&
              clo_stmt_int(&q, 1, owner, err) && clo_stmt_text(&q, 2, title, err) && clo_stmt_int(&q, 3, but, err);
    *found = read_one(out, ok, &q, &no);
    if (!ok || *found || no.code == CLO_ERR_NOT_FOUND) return ok;
    if (err) *err = no;
    return false;
}

/* --- order --------------------------------------------------------------------------------------------------------*/

bool clo_collection_run(bool *row, clo_db *db, const char *sql, int64_t a, int64_t b, clo_err *err)
{
    clo_stmt q = {0};
    bool unused;
    bool ok = clo_stmt_open(&q, db, sql, err) && clo_stmt_int(&q, 1, a, err) && clo_stmt_int(&q, 2, b, err) &&
              clo_stmt_step(&q, row ? row : &unused, err);
    clo_stmt_close(&q);
    return ok;
}

static bool read_number(int64_t *out, bool *row, clo_db *db, const char *sql, int64_t a, int64_t b, int64_t skip, clo_err *err)
{
    clo_stmt q = {0};
    bool ok = clo_stmt_open(&q, db, sql, err) && clo_stmt_int(&q, 1, a, err) && (b < 0 || clo_stmt_int(&q, 2, b, err)) &&
              (skip < 0 || clo_stmt_int(&q, 3, skip, err)) && clo_stmt_step(&q, row, err);
    if (ok && *row) *out = clo_stmt_get_int(&q, 0);
    clo_stmt_close(&q);
    return ok;
}

bool clo_order_put(clo_db *db, const clo_order_sql *sql, int64_t whole, int64_t row, const int64_t *place, clo_err *err)
{
    int64_t at = 0;
    bool there;
    if (place) at = *place;
    bool ok = place ? clo_collection_run(NULL, db, sql->shift, whole, at, err) : read_number(&at, &there, db, sql->last, whole, -1, -1, err);
    return ok && clo_collection_run(NULL, db, sql->put, row, at, err);
}

static const clo_order_sql order = {
    .shift = "UPDATE collections SET position = position + 1 WHERE owner = ?1 AND position >= ?2",
    .last = "SELECT coalesce(max(position) + 1, 0) FROM collections WHERE owner = ?1",
    .put = "UPDATE collections SET position = ?2 WHERE id = ?1",
};

/* To the place `at` of the owner's others. */
static bool move(clo_db *db, const clo_collection *c, int64_t at, clo_err *err)
{
    int64_t place = 0;
    bool there = false;
    return read_number(&place, &there, db, "SELECT position FROM collections WHERE owner = ?1 AND id <> ?2 ORDER BY position LIMIT 1 OFFSET ?3",
                       c->owner, c->id, at, err) &&
           clo_order_put(db, &order, c->owner, c->id, there ? &place : NULL, err);
}

bool clo_collection_place(int64_t *out, clo_db *db, const clo_viewer *v, const clo_collection *c, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    bool ok = clo_stmt_open(&q, db, "SELECT count(*) FROM collections c WHERE c.owner = ?6 AND c.position < ?7 AND " CLO_COLLECTION_SEEN, err) &&
              clo_list_bind_viewer(&q, v, err) && clo_stmt_int(&q, 6, c->owner, err) && clo_stmt_int(&q, 7, c->position, err) &&
              clo_stmt_step(&q, &row, err);
    if (ok) *out = clo_stmt_get_int(&q, 0);
    clo_stmt_close(&q);
    return ok;
}

/* --- making, changing, removing -----------------------------------------------------------------------------------*/

static bool check_texts(const clo_str *title, const clo_str *description, clo_err *err)
{
    return (!title->ptr || clo_text_check("title", *title, 1, CLO_COLLECTION_TITLE_MAX, true, err)) &&
           (!description->ptr || clo_text_check("description", *description, 0, CLO_COLLECTION_DESCRIPTION_MAX, false, err));
}

static bool check_room(clo_db *db, int64_t owner, clo_err *err)
{
    int64_t n = 0;
    bool row;
    return read_number(&n, &row, db, "SELECT count(*) FROM collections WHERE owner = ?1", owner, -1, -1, err) &&
           (n < CLO_COLLECTIONS_MAX || clo_fail(err, CLO_ERR_LIMIT, "a namespace has at most %d collections", CLO_COLLECTIONS_MAX));
}

static bool insert(int64_t *id, clo_db *db, const clo_collection_opts *o, int64_t now_s, clo_err *err)
{
    clo_stmt q = {0};
    char oid[CLO_COLLECTION_OID_LEN + 1];
    bool row = false;
    bool ok = clo_entropy_hex(oid, CLO_COLLECTION_OID_LEN, err) &&
              clo_stmt_open(&q, db,
                            "INSERT INTO collections (oid, owner, maker, title, description, private, theme, position, created, modified)"
                            " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, (SELECT coalesce(min(position) - 1, 0) FROM collections WHERE owner = ?2),"
                            " ?8, ?8) RETURNING id",
                            err) &&
              clo_stmt_text(&q, 1, clo_str_from(oid), err) && clo_stmt_int(&q, 2, o->owner, err) && clo_stmt_int(&q, 3, o->maker, err) &&
              clo_stmt_text(&q, 4, o->title, err) && clo_stmt_text(&q, 5, o->description, err) &&
              clo_stmt_int(&q, 6, o->is_private, err) && clo_stmt_text(&q, 7, clo_str_from(themes[0]), err) &&
              clo_stmt_int(&q, 8, now_s, err) && clo_stmt_step(&q, &row, err);
    if (ok) *id = clo_stmt_get_int(&q, 0);
    clo_stmt_close(&q);
    return ok;
}

bool clo_collection_create(clo_collection *out, clo_db *db, const clo_collection_opts *o, int64_t now_s, clo_err *err)
{
    int64_t id = 0;
    bool taken = false;
    clo_str title = o->title.ptr ? o->title : CLO_STR("");
    if (!check_texts(&title, &o->description, err) || !find_title(out, &taken, db, o->owner, title, 0, err)) return false;
    if (taken) return clo_fail(err, CLO_ERR_DENIED, "there is a collection of that title: %s", out->slug);
    return check_room(db, o->owner, err) && insert(&id, db, o, now_s, err) && clo_collection_get(out, db, id, err);
}

bool clo_collection_touch(clo_db *db, int64_t id, int64_t now_s, clo_err *err)
{
    bool row = false;
    return clo_collection_run(&row, db, "UPDATE collections SET modified = ?2 WHERE id = ?1 RETURNING id", id, now_s, err) &&
           (row || clo_fail(err, CLO_ERR_NOT_FOUND, "no such collection"));
}

static bool put_row(clo_db *db, const clo_collection *c, const clo_collection_change *ch, clo_err *err)
{
    clo_stmt q = {0};
    bool row;
    bool is_private = ch->is_private < 0 ? c->is_private : ch->is_private != 0;
    bool ok = clo_stmt_open(&q, db, "UPDATE collections SET title = ?2, description = ?3, theme = ?4, private = ?5 WHERE id = ?1", err) &&
              clo_stmt_int(&q, 1, c->id, err) && clo_stmt_text(&q, 2, ch->title.ptr ? ch->title : clo_str_from(c->title), err) &&
              clo_stmt_text(&q, 3, ch->description.ptr ? ch->description : clo_str_from(c->description), err) &&
              clo_stmt_text(&q, 4, ch->theme.ptr ? ch->theme : clo_str_from(c->theme), err) && clo_stmt_int(&q, 5, is_private, err) &&
              clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    return ok;
}

bool clo_collection_update(clo_collection *c, clo_db *db, const clo_collection_change *ch, int64_t now_s, clo_err *err)
{
    clo_collection other;
    bool taken = false;
    if (!check_texts(&ch->title, &ch->description, err)) return false;
    if (ch->theme.ptr && !theme_of(ch->theme))
        return clo_fail(err, CLO_ERR_USAGE, "theme: blue, green, indigo, orange, pink or purple is expected");
    if (ch->title.ptr && !find_title(&other, &taken, db, c->owner, ch->title, c->id, err)) return false;
    if (taken) return clo_fail(err, CLO_ERR_DENIED, "there is a collection of that title: %s", other.slug);
    return clo_collection_touch(db, c->id, now_s, err) && clo_collection_get(c, db, c->id, err) && put_row(db, c, ch, err) &&
           (ch->position < 0 || move(db, c, ch->position, err)) && clo_collection_get(c, db, c->id, err);
}

bool clo_collection_delete(clo_db *db, int64_t id, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    bool ok = clo_stmt_open(&q, db, "DELETE FROM collections WHERE id = ?1 RETURNING id", err) && clo_stmt_int(&q, 1, id, err) &&
              clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    return ok && (row || clo_fail(err, CLO_ERR_NOT_FOUND, "no such collection"));
}
