/* See collection_item.h. */
#include "hub/collection_item.h"

#include <stdlib.h>

#include "base/entropy.h"
#include "hub/collection_impl.h"
#include "hub/text.h"

/* Items i of collection ?6 that the viewer sees. */
#define SEEN_ITEMS                                                                                                            \
    " FROM collection_items i LEFT JOIN repos r ON r.id = i.repo LEFT JOIN collections c ON c.id = i.other"                  \
    " WHERE i.collection = ?6 AND CASE WHEN i.repo IS NULL THEN " CLO_COLLECTION_SEEN " ELSE " CLO_LIST_SEEN " END"
#define IN_ORDER " ORDER BY i.position"

static bool open_seen(clo_stmt *q, clo_db *db, const char *sql, const clo_viewer *v, int64_t collection, clo_err *err)
{
    return clo_stmt_open(q, db, sql, err) && clo_list_bind_viewer(q, v, err) && clo_stmt_int(q, 6, collection, err);
}

/* --- reading ------------------------------------------------------------------------------------------------------*/

static bool read_row(clo_collection_item *out, clo_stmt *q, clo_err *err)
{
    *out = (clo_collection_item){.id = clo_stmt_get_int(q, 0), .thing = {clo_stmt_get_int(q, 1), clo_stmt_get_int(q, 2)}};
    return (clo_text_copy(out->oid, sizeof out->oid, clo_stmt_get_str(q, 3)) &&
            clo_text_copy(out->note, sizeof out->note, clo_stmt_get_str(q, 4))) ||
           clo_fail(err, CLO_ERR_DAMAGED, "database: an item of a collection that is none");
}

bool clo_collection_items(clo_collection_item **out, size_t *n, clo_db *db, const clo_viewer *v, int64_t collection, size_t max,
                          clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    size_t cap = 0;
    clo_collection_item *items = NULL;
    *n = 0;
    bool ok = open_seen(&q, db, "SELECT i.id, i.repo, i.other, i.oid, i.note" SEEN_ITEMS IN_ORDER " LIMIT ?7", v, collection, err) &&
              clo_stmt_int(&q, 7, max ? (int64_t)max : -1, err);
    while (ok && (ok = clo_stmt_step(&q, &row, err)) && row) {
        if (*n == cap) {
            cap = cap ? 2 * cap : 8;
            clo_collection_item *more = (clo_collection_item *)realloc(items, cap * sizeof *items);
            ok = more || clo_fail(err, CLO_ERR_MEMORY, "items of a collection");
            if (!ok) break;
            items = more;
        }
        ok = read_row(&items[(*n)++], &q, err);
    }
    clo_stmt_close(&q);
    if (!ok) free(items);
    *out = ok ? items : NULL;
    return ok;
}

bool clo_collection_item_count(int64_t *out, clo_db *db, const clo_viewer *v, int64_t collection, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    bool ok = open_seen(&q, db, "SELECT count(*)" SEEN_ITEMS, v, collection, err) && clo_stmt_step(&q, &row, err);
    if (ok) *out = clo_stmt_get_int(&q, 0);
    clo_stmt_close(&q);
    return ok;
}

static bool find(int64_t *id, clo_db *db, const clo_viewer *v, const clo_collection *c, clo_str oid, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    bool ok = open_seen(&q, db, "SELECT i.id" SEEN_ITEMS " AND i.oid = ?7", v, c->id, err) && clo_stmt_text(&q, 7, oid, err) &&
              clo_stmt_step(&q, &row, err) && (row || clo_fail(err, CLO_ERR_NOT_FOUND, "the collection has no such item"));
    if (ok) *id = clo_stmt_get_int(&q, 0);
    clo_stmt_close(&q);
    return ok;
}

/* --- changing -----------------------------------------------------------------------------------------------------*/

static const clo_order_sql order = {
    .shift = "UPDATE collection_items SET position = position + 1 WHERE collection = ?1 AND position >= ?2",
    .last = "SELECT coalesce(max(position) + 1, 0) FROM collection_items WHERE collection = ?1",
    .put = "UPDATE collection_items SET position = ?2 WHERE id = ?1",
};

static bool check_note(clo_str note, clo_err *err)
{
    return clo_text_check("note", note, 0, CLO_COLLECTION_NOTE_MAX, false, err);
}

/* Whether it is in it, and whether there is room. */
static bool check_new(clo_db *db, const clo_collection *c, clo_collection_thing thing, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    bool ok = clo_stmt_open(&q, db,
                            "SELECT count(*), count(*) FILTER (WHERE repo = ?2 OR other = ?3) FROM collection_items WHERE collection = ?1", err) &&
              clo_stmt_int(&q, 1, c->id, err) && clo_stmt_int(&q, 2, thing.repo, err) && clo_stmt_int(&q, 3, thing.other, err) &&
              clo_stmt_step(&q, &row, err);
    int64_t n = ok ? clo_stmt_get_int(&q, 0) : 0, same = ok ? clo_stmt_get_int(&q, 1) : 0;
    clo_stmt_close(&q);
    if (ok && same > 0) return clo_fail(err, CLO_ERR_DENIED, "it is in the collection already");
    return ok && (n < CLO_COLLECTION_ITEMS_MAX ||
                  clo_fail(err, CLO_ERR_LIMIT, "a collection has at most %d items", CLO_COLLECTION_ITEMS_MAX));
}

static bool bind_row(clo_stmt *q, int i, int64_t row, clo_err *err)
{
    return row ? clo_stmt_int(q, i, row, err) : clo_stmt_null(q, i, err);
}

bool clo_collection_item_add(clo_db *db, const clo_collection *c, clo_collection_thing thing, clo_str note, int64_t now_s, clo_err *err)
{
    clo_stmt q = {0};
    char oid[CLO_COLLECTION_OID_LEN + 1];
    bool row = false;
    if (!check_note(note, err) || !clo_collection_touch(db, c->id, now_s, err) || !check_new(db, c, thing, err)) return false;
    bool ok = clo_entropy_hex(oid, CLO_COLLECTION_OID_LEN, err) &&
              clo_stmt_open(&q, db,
                            "INSERT INTO collection_items (oid, collection, repo, other, note, position) VALUES (?1, ?2, ?3, ?4, ?5,"
                            " (SELECT coalesce(max(position) + 1, 0) FROM collection_items WHERE collection = ?2))",
                            err) &&
              clo_stmt_text(&q, 1, clo_str_from(oid), err) && clo_stmt_int(&q, 2, c->id, err) && bind_row(&q, 3, thing.repo, err) &&
              bind_row(&q, 4, thing.other, err) && clo_stmt_text(&q, 5, note, err) && clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    return ok;
}

static bool put_note(clo_db *db, int64_t id, clo_str note, clo_err *err)
{
    clo_stmt q = {0};
    bool row;
    bool ok = clo_stmt_open(&q, db, "UPDATE collection_items SET note = ?2 WHERE id = ?1", err) && clo_stmt_int(&q, 1, id, err) &&
              clo_stmt_text(&q, 2, note, err) && clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    return ok;
}

/* To the place `at` of the others that the viewer sees. */
static bool move(clo_db *db, const clo_viewer *v, const clo_collection *c, int64_t id, int64_t at, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    int64_t place = 0;
    bool ok = open_seen(&q, db, "SELECT i.position" SEEN_ITEMS " AND i.id <> ?7" IN_ORDER " LIMIT 1 OFFSET ?8", v, c->id, err) &&
              clo_stmt_int(&q, 7, id, err) && clo_stmt_int(&q, 8, at, err) && clo_stmt_step(&q, &row, err);
    if (ok && row) place = clo_stmt_get_int(&q, 0);
    clo_stmt_close(&q);
    return ok && clo_order_put(db, &order, c->id, id, row ? &place : NULL, err);
}

bool clo_collection_item_update(clo_db *db, const clo_viewer *v, const clo_collection *c, clo_str oid, clo_str note, int64_t position,
                                int64_t now_s, clo_err *err)
{
    int64_t id = 0;
    if (note.ptr && !check_note(note, err)) return false;
    return clo_collection_touch(db, c->id, now_s, err) && find(&id, db, v, c, oid, err) && (!note.ptr || put_note(db, id, note, err)) &&
           (position < 0 || move(db, v, c, id, position, err));
}

bool clo_collection_item_delete(clo_db *db, const clo_viewer *v, const clo_collection *c, clo_str oid, int64_t now_s, clo_err *err)
{
    int64_t id = 0;
    return clo_collection_touch(db, c->id, now_s, err) && find(&id, db, v, c, oid, err) &&
           clo_collection_run(NULL, db, "DELETE FROM collection_items WHERE id = ?1 AND collection = ?2", id, c->id, err);
}
