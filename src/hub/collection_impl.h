/* What the files of collections share. See collection.h. */
#ifndef CLO_HUB_COLLECTION_IMPL_H
#define CLO_HUB_COLLECTION_IMPL_H

#include "hub/collection.h"
#include "hub/list_impl.h"

/* Whether the viewer may see collection c; parameters 3 and 4 are clo_list_bind_viewer's. */
#define CLO_COLLECTION_SEEN "(?4 OR c.private = 0 OR c.owner = ?3 OR c.owner IN (SELECT org FROM members WHERE user = ?3))"

/* Of collections c and accounts a, its owner. */
#define CLO_COLLECTION_ROWS                                                                                                  \
    "SELECT c.id, c.owner, c.position, c.maker, c.modified, c.private, c.theme, c.oid, a.name, c.title, c.description"      \
    " FROM collections c JOIN accounts a ON a.id = c.owner "
CLO_CHECK bool clo_collection_read_row(clo_collection *out, clo_stmt *q, clo_err *err);

/* Runs a statement on two numbers; *row (may be NULL) tells whether it gave a row. */
CLO_CHECK bool clo_collection_run(bool *row, clo_db *db, const char *sql, int64_t a, int64_t b, clo_err *err);
/* It changed. CLO_ERR_NOT_FOUND when it is gone. */
CLO_CHECK bool clo_collection_touch(clo_db *db, int64_t id, int64_t now_s, clo_err *err);

/* Rows of one whole in the order of `position`, no two at the same. */
typedef struct {
    const char *shift; /* (whole, position): those from there on stand one later */
    const char *last;  /* (whole): one after the last */
    const char *put;   /* (row, position) */
} clo_order_sql;
/* Puts a row at the place of another, which follows then; place: that one's position, or NULL for the end. */
CLO_CHECK bool clo_order_put(clo_db *db, const clo_order_sql *sql, int64_t whole, int64_t row, const int64_t *place, clo_err *err);

#endif
