/* A collection as the clients read it.
 *
 *   json_t *o = clo_hub_collection_json(c, &viewer, &collection, CLO_COLLECTION_ALONE, &err);   // NULL: err */
#ifndef CLO_SERVE_HUB_COLLECTION_H
#define CLO_SERVE_HUB_COLLECTION_H

#include "hub/collection_item.h"
#include "serve/hub.h"

typedef enum {
    CLO_COLLECTION_ALONE,  /* with all items that the viewer sees, and its place among its owner's */
    CLO_COLLECTION_LISTED, /* the first four, no place: clients number a list themselves */
} clo_collection_form;

json_t *clo_hub_collection_json(clo_hub_call *c, const clo_viewer *v, const clo_collection *l, clo_collection_form form, clo_err *err);

#endif
