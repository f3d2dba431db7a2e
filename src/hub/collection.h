/* Collections: what a namespace puts together under a title: repositories, and other collections, with notes
 * (collection_item.h).
 *
 *   clo_collection c;
 *   clo_collection_opts o = {.owner = lab.id, .maker = anna.id, .title = CLO_STR("For the ward"), .is_private = true};
 *   if (!clo_db_begin(db, &err)) ...
 *   if (!clo_collection_create(&c, db, &o, now_s, &err) || !clo_db_commit(db, &err)) ...
 *   if (!clo_collection_find(&c, db, CLO_STR("lab"), CLO_STR("for-the-ward-65f0c0ffee00000000000001"), &err)) ...
 *   if (!clo_collection_each(&more, db, &viewer, &filter, add, rows, &err)) ...
 *
 * A slug is "ns/title-in-small-letters-<24 hex digits>"; the digits find it, so a slug from before a change of the title leads on.
 * Who may do what is the caller's to know; a private one is for the members of its namespace. Functions that change something
 * stand in a transaction of the caller's. */
#ifndef CLO_HUB_COLLECTION_H
#define CLO_HUB_COLLECTION_H

#include "hub/account.h"
#include "hub/list.h"

#define CLO_COLLECTION_TITLE_MAX 100       /* characters */
#define CLO_COLLECTION_DESCRIPTION_MAX 150 /* characters */
#define CLO_COLLECTIONS_MAX 1000           /* of one namespace */
#define CLO_COLLECTION_OID_LEN 24
#define CLO_COLLECTION_WORDS_MAX 64        /* bytes of the title in a slug */
#define CLO_COLLECTION_SLUG_MAX (CLO_ACCOUNT_NAME_MAX + CLO_COLLECTION_WORDS_MAX + CLO_COLLECTION_OID_LEN + 3)
#define CLO_COLLECTION_TERMS_MAX 16        /* owners, or items, of a filter */

typedef struct {
    int64_t id, owner, position; /* position: less stands first among its owner's */
    int64_t maker;               /* 0: not known */
    int64_t modified_s;
    bool is_private;
    const char *theme;           /* static */
    char oid[CLO_COLLECTION_OID_LEN + 1];
    char ns[CLO_ACCOUNT_NAME_MAX]; /* the owner's name */
    char title[4 * CLO_COLLECTION_TITLE_MAX + 1];
    char description[4 * CLO_COLLECTION_DESCRIPTION_MAX + 1]; /* "": none */
    char slug[CLO_COLLECTION_SLUG_MAX];
} clo_collection;

typedef struct {
    int64_t owner, maker;
    clo_str title, description;
    bool is_private;
} clo_collection_opts;

/* It stands first among its owner's. CLO_ERR_DENIED: the owner has one of that title, which *out then is. CLO_ERR_USAGE for texts,
 * CLO_ERR_LIMIT. */
CLO_CHECK bool clo_collection_create(clo_collection *out, clo_db *db, const clo_collection_opts *o, int64_t now_s, clo_err *err);

/* What has a NULL pointer or is negative stays. */
typedef struct {
    clo_str title, description, theme;
    int is_private;
    int64_t position; /* among its owner's, from 0 */
} clo_collection_change;

/* *c is as it is afterwards. CLO_ERR_DENIED when another of the owner's has the title, CLO_ERR_NOT_FOUND when it is gone. */
CLO_CHECK bool clo_collection_update(clo_collection *c, clo_db *db, const clo_collection_change *ch, int64_t now_s, clo_err *err);
/* With its items, and out of the collections that have it. CLO_ERR_NOT_FOUND. */
CLO_CHECK bool clo_collection_delete(clo_db *db, int64_t id, clo_err *err);

/* slug: the part after the namespace. CLO_ERR_NOT_FOUND. */
CLO_CHECK bool clo_collection_find(clo_collection *out, clo_db *db, clo_str ns, clo_str slug, clo_err *err);
/* A whole slug, or the 24 digits alone. */
CLO_CHECK bool clo_collection_find_any(clo_collection *out, clo_db *db, clo_str slug_or_oid, clo_err *err);
CLO_CHECK bool clo_collection_get(clo_collection *out, clo_db *db, int64_t id, clo_err *err);
/* Whether the viewer may see it. */
CLO_CHECK bool clo_collection_sees(bool *out, clo_db *db, const clo_viewer *v, const clo_collection *c, clo_err *err);
/* How many of its owner's that the viewer sees stand before it. */
CLO_CHECK bool clo_collection_place(int64_t *out, clo_db *db, const clo_viewer *v, const clo_collection *c, clo_err *err);

/* A repository, or another collection. */
typedef struct {
    int64_t repo, other; /* one of them is 0 */
} clo_collection_thing;

typedef struct {
    int64_t owners[CLO_COLLECTION_TERMS_MAX];             /* any of them; none: all */
    size_t n_owners;
    clo_collection_thing items[CLO_COLLECTION_TERMS_MAX]; /* any of them */
    size_t n_items;
    clo_str search;                                       /* a part of title or description, in any case of ASCII */
    bool as_placed;                                       /* as the owner ordered them; else the latest change first */
    clo_list_place after;                                 /* not set: from the first */
    size_t limit;
} clo_collection_filter;

int64_t clo_collection_key(const clo_collection *c, const clo_collection_filter *f); /* for `after` */
typedef bool clo_collection_fn(void *ctx, const clo_collection *c, clo_err *err);
/* Those that the viewer may see. */
CLO_CHECK bool clo_collection_each(bool *more, clo_db *db, const clo_viewer *v, const clo_collection_filter *f, clo_collection_fn *fn,
                                   void *ctx, clo_err *err);

#endif
