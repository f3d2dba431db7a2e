/* A repository as the clients read it: an object with `_id`, `id` and the properties that are wanted.
 *
 *   uint64_t want;
 *   if (!clo_hub_props_wanted(&want, c, type, CLO_PROPS_INFO)) return;       // `expand` of the query; replied when false
 *   if (!clo_hub_props_add(&out, c, &repo, &commit, want, blobs, &err)) ...
 *
 * One table (hub_props.c) says for each property whose it is, where it stands unasked and how it is written. What the
 * index holds as JSON is passed on as it is: a page of a thousand repositories parses none of it. */
#ifndef CLO_SERVE_HUB_PROPS_H
#define CLO_SERVE_HUB_PROPS_H

#include "serve/hub.h"

typedef enum {
    CLO_PROPS_LIST = 1,   /* of each repository of a list */
    CLO_PROPS_FULL = 2,   /* `full` */
    CLO_PROPS_INFO = 4,   /* of one repository */
    CLO_PROPS_CARD = 8,   /* `cardData` */
    CLO_PROPS_CONFIG = 16, /* `config` */
    CLO_PROPS_ITEM = 32   /* of each repository of a collection */
} clo_props_place;        /* or'ed */

/* The properties that `expand` names, or, without any, those of the places. False: replied (400 for one that is not known). */
bool clo_hub_props_wanted(uint64_t *out, clo_hub_call *c, clo_repo_type type, int places);
/* The properties of the places, whatever the query says. */
uint64_t clo_hub_props_at(clo_repo_type type, int places);
/* Whether the files are wanted, for which a repository is opened. */
bool clo_hub_props_has_files(uint64_t want);
/* Appends the object. commit: the revision that is asked for; NULL: main's head. blobs: sizes and digests of the files too. err is set
 * when it returns false, and was not before. */
CLO_CHECK bool clo_hub_props_add(clo_buf *out, clo_hub_call *c, const clo_repo *r, const clo_oid *commit, uint64_t want, bool blobs,
                                 clo_err *err);

#endif
