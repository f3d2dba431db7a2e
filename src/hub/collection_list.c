/* See collection.h: lists. */
#include "base/buf.h"
#include "hub/collection_impl.h"

/* Parameters: 3 to 5 the viewer, 6 and 7 the place, 8 the limit, 9 the search, then owners, then items, two numbers each. */
enum { P_KEY = 6, P_ID, P_LIMIT, P_SEARCH, P_OWNERS, P_ITEMS = P_OWNERS + CLO_COLLECTION_TERMS_MAX };

int64_t clo_collection_key(const clo_collection *c, const clo_collection_filter *f)
{
    return f->as_placed ? -c->position : c->modified_s;
}

static void spell(clo_buf *b, const clo_collection_filter *f)
{
    const char *key = f->as_placed ? "-c.position" : "c.modified";
    clo_buf_add(b, CLO_STR(CLO_COLLECTION_ROWS "WHERE " CLO_COLLECTION_SEEN));
    for (size_t i = 0; i < f->n_owners; i++) clo_buf_addf(b, "%s?%zu", i ? ", " : " AND c.owner IN (", P_OWNERS + i);
    if (f->n_owners) clo_buf_add_char(b, ')');
    for (size_t i = 0; i < f->n_items; i++)
        clo_buf_addf(b, "%sSELECT collection FROM collection_items WHERE repo = ?%zu OR other = ?%zu", i ? " UNION " : " AND c.id IN (",
                     P_ITEMS + 2 * i, P_ITEMS + 2 * i + 1);
    if (f->n_items) clo_buf_add_char(b, ')');
    if (f->search.len) clo_buf_addf(b, " AND (instr(lower(c.title), lower(?%d)) OR instr(lower(c.description), lower(?%d)))", P_SEARCH, P_SEARCH);
    if (f->after.set) clo_buf_addf(b, " AND (%s, c.id) < (?%d, ?%d)", key, P_KEY, P_ID);
    clo_buf_addf(b, " ORDER BY %s DESC, c.id DESC LIMIT ?%d", key, P_LIMIT);
    clo_buf_add_char(b, '\0');
}

static bool bind(clo_stmt *q, const clo_viewer *v, const clo_collection_filter *f, clo_err *err)
{
    bool ok = clo_list_bind_viewer(q, v, err) && clo_stmt_int(q, P_LIMIT, (int64_t)f->limit + 1, err);
    if (ok && f->after.set) ok = clo_stmt_int(q, P_KEY, f->after.key, err) && clo_stmt_int(q, P_ID, f->after.id, err);
    if (ok && f->search.len) ok = clo_stmt_text(q, P_SEARCH, f->search, err);
    for (size_t i = 0; ok && i < f->n_owners; i++) ok = clo_stmt_int(q, (int)(P_OWNERS + i), f->owners[i], err);
    for (size_t i = 0; ok && i < f->n_items; i++)
        ok = clo_stmt_int(q, (int)(P_ITEMS + 2 * i), f->items[i].repo, err) && clo_stmt_int(q, (int)(P_ITEMS + 2 * i + 1), f->items[i].other, err);
    return ok;
}

bool clo_collection_each(bool *more, clo_db *db, const clo_viewer *v, const clo_collection_filter *f, clo_collection_fn *fn, void *ctx,
                         clo_err *err)
{
    clo_stmt q = {0};
    clo_buf sql = {0};
    clo_collection c;
    bool row = false;
    size_t n = 0;
    *more = false;
    spell(&sql, f);
    bool ok = clo_buf_ok(&sql, err) && clo_stmt_open(&q, db, sql.ptr, err) && bind(&q, v, f, err);
    clo_buf_free(&sql);
    while (ok && (ok = clo_stmt_step(&q, &row, err)) && row && !(*more = n++ == f->limit))
        ok = clo_collection_read_row(&c, &q, err) && fn(ctx, &c, err);
    clo_stmt_close(&q);
    return ok;
}
