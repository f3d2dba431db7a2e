/* What is in a collection (collection.h): repositories and other collections, in an order, each with a note. Something that is
 * removed elsewhere is out of all collections; something that is renamed stays.
 *
 *   clo_collection_item *items;
 *   if (!clo_collection_item_add(db, &c, (clo_collection_thing){.repo = r.id}, CLO_STR("the small one"), now_s, &err)) ...
 *   if (!clo_collection_items(&items, &n, db, &viewer, c.id, 0, &err)) ...   // what the viewer may see of them
 *
 * Places count what the viewer sees, so that they tell nothing of the rest. */
#ifndef CLO_HUB_COLLECTION_ITEM_H
#define CLO_HUB_COLLECTION_ITEM_H

#include "hub/collection.h"

#define CLO_COLLECTION_ITEMS_MAX 1000
#define CLO_COLLECTION_NOTE_MAX 500 /* characters */

typedef struct {
    int64_t id;
    clo_collection_thing thing;
    char oid[CLO_COLLECTION_OID_LEN + 1];
    char note[4 * CLO_COLLECTION_NOTE_MAX + 1]; /* "": none */
} clo_collection_item;

/* At the end. CLO_ERR_DENIED when it is in it already, CLO_ERR_LIMIT, CLO_ERR_USAGE for the note. */
CLO_CHECK bool clo_collection_item_add(clo_db *db, const clo_collection *c, clo_collection_thing thing, clo_str note, int64_t now_s,
                                       clo_err *err);
/* note with a NULL pointer: stays. position < 0: stays; else its place among what the viewer sees. CLO_ERR_NOT_FOUND, as for the
 * next one, when the viewer sees no such item. */
CLO_CHECK bool clo_collection_item_update(clo_db *db, const clo_viewer *v, const clo_collection *c, clo_str oid, clo_str note,
                                          int64_t position, int64_t now_s, clo_err *err);
CLO_CHECK bool clo_collection_item_delete(clo_db *db, const clo_viewer *v, const clo_collection *c, clo_str oid, int64_t now_s,
                                          clo_err *err);

/* The first of them that the viewer may see; max 0: all. *out is the caller's to free. */
CLO_CHECK bool clo_collection_items(clo_collection_item **out, size_t *n, clo_db *db, const clo_viewer *v, int64_t collection, size_t max,
                                    clo_err *err);
CLO_CHECK bool clo_collection_item_count(int64_t *out, clo_db *db, const clo_viewer *v, int64_t collection, clo_err *err);

#endif
