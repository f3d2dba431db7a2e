/* See hub_collection.h. */
#include "serve/hub_collection.h"

#include <stdlib.h>

#include "hub/identity.h"
#include "hub/like.h"
#include "hub/stamp.h"
#include "serve/hub_props.h"

#define LISTED_ITEMS 4

/* Adds the members of another object, which goes. */
static void add(json_t *o, json_t *stolen)
{
    if (stolen) json_object_update(o, stolen);
    json_decref(stolen);
}

/* What a collection says of itself, wherever it stands. */
static json_t *head(clo_hub_call *c, const clo_collection *l, clo_err *err)
{
    char time[CLO_STAMP_LEN + 1];
    json_t *owner;
    if (!clo_identity_author(&owner, c->db, l->owner, c->base, err)) return NULL;
    /* Nobody votes here. */
    json_t *o = json_pack("{s:s, s:s, s:s, s:o, s:s, s:i, s:b}", "slug", l->slug, "title", l->title, "lastUpdated", clo_stamp(time, l->modified_s),
                          "owner", owner, "theme", l->theme, "upvotes", 0, "isUpvotedByUser", 0);
    if (l->description[0]) json_object_set_new(o, "description", json_string(l->description));
    return o;
}

static void set_share_url(json_t *o, const clo_hub_call *c, const clo_collection *l)
{
    json_object_set_new(o, "shareUrl", json_sprintf("%s/collections/%s", c->base, l->slug));
}

/* --- items --------------------------------------------------------------------------------------------------------*/

/* A repository as the lists write it, to which more is added. */
static json_t *repo_json(clo_hub_call *c, const clo_repo *r, clo_err *err)
{
    clo_buf text = {0};
    json_t *o = NULL;
    if (clo_hub_props_add(&text, c, r, NULL, clo_hub_props_at(r->type, CLO_PROPS_ITEM), false, err) && clo_buf_ok(&text, err) &&
        !clo_json_parse(&o, clo_buf_str(&text), text.len, err))
        o = NULL;
    clo_buf_free(&text);
    return o;
}

static json_t *repo_item(clo_hub_call *c, const clo_viewer *v, int64_t id, clo_err *err)
{
    clo_repo r;
    bool likes = false;
    if (!clo_repo_get(&r, c->db, id, err) || (v->account && !clo_like_has(&likes, c->db, v->account, id, err))) return NULL;
    const char *type = clo_repo_type_name(r.type);
    json_t *o = repo_json(c, &r, err);
    if (o) add(o, json_pack("{s:s, s:s, s:b}", "type", type, "repoType", type, "isLikedByUser", likes));
    return o;
}

static json_t *collection_item(clo_hub_call *c, const clo_viewer *v, int64_t id, clo_err *err)
{
    clo_collection l;
    int64_t n = 0;
    if (!clo_collection_get(&l, c->db, id, err) || !clo_collection_item_count(&n, c->db, v, id, err)) return NULL;
    json_t *o = head(c, &l, err);
    if (!o) return NULL;
    add(o, json_pack("{s:s, s:s, s:I}", "type", "collection", "id", l.oid, "numberItems", (json_int_t)n));
    set_share_url(o, c, &l);
    return o;
}

/* A note is plain text; as HTML it is that text. */
static json_t *note_json(const char *text)
{
    clo_buf html = {0};
    clo_buf_add_html(&html, text);
    json_t *o = html.failed ? NULL : json_pack("{s:s%, s:s}", "html", html.ptr, html.len, "text", text);
    clo_buf_free(&html);
    return o;
}

static json_t *item_json(clo_hub_call *c, const clo_viewer *v, const clo_collection_item *i, size_t position, clo_err *err)
{
    json_t *o = i->thing.repo ? repo_item(c, v, i->thing.repo, err) : collection_item(c, v, i->thing.other, err);
    if (!o) return NULL;
    json_object_set_new(o, "_id", json_string(i->oid));
    json_object_set_new(o, "position", json_integer((json_int_t)position));
    if (i->note[0]) json_object_set_new(o, "note", note_json(i->note));
    return o;
}

static json_t *items_json(clo_hub_call *c, const clo_viewer *v, const clo_collection *l, size_t max, clo_err *err)
{
    clo_collection_item *items;
    size_t n;
    if (!clo_collection_items(&items, &n, c->db, v, l->id, max, err)) return NULL;
    json_t *rows = json_array();
    bool ok = rows || clo_fail(err, CLO_ERR_MEMORY, "items of a collection");
    for (size_t i = 0; ok && i < n; i++) {
        json_t *o = item_json(c, v, &items[i], i, err);
        ok = o && (json_array_append_new(rows, o) == 0 || clo_fail(err, CLO_ERR_MEMORY, "items of a collection"));
    }
    free(items);
    if (ok) return rows;
    json_decref(rows);
    return NULL;
}

/* --- whole --------------------------------------------------------------------------------------------------------*/

json_t *clo_hub_collection_json(clo_hub_call *c, const clo_viewer *v, const clo_collection *l, clo_collection_form form, clo_err *err)
{
    int64_t place = 0;
    bool alone = form == CLO_COLLECTION_ALONE;
    if (alone && !clo_collection_place(&place, c->db, v, l, err)) return NULL;
    json_t *o = head(c, l, err), *items = o ? items_json(c, v, l, alone ? 0 : LISTED_ITEMS, err) : NULL;
    if (!items) {
        json_decref(o);
        return NULL;
    }
    add(o, json_pack("{s:o, s:b, s:b}", "items", items, "private", l->is_private, "gating", 0));
    if (!alone) return o;
    json_object_set_new(o, "position", json_integer((json_int_t)place));
    set_share_url(o, c, l);
    return o;
}
