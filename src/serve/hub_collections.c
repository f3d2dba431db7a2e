/* Collections. See hub/collection.h; what each answers is what the Hub's clients read. */
#include <string.h>

#include "hub/collection_item.h"
#include "serve/hub_collection.h"
#include "serve/hub_handlers.h"

#define PAGE 100

/* --- which, and who may -------------------------------------------------------------------------------------------*/

/* The law of repositories; a token for one repository is for no collection. False: replied. */
static bool may(clo_hub_call *c, const clo_collection *l, bool found, clo_action action)
{
    clo_denial no = {0};
    clo_err err = {0};
    c->caller = (clo_access_caller){.known = c->who.account != 0,
                                    .admin = c->who.admin,
                                    .may_write = c->who.may_write,
                                    .in_scope = !c->who.scope[0],
                                    .is_maker = found && l->maker == c->who.account};
    c->seen = (clo_access_repo){.type = "collection", .namespace_name = "", .name = ""};
    if (found) {
        c->seen.exists = true;
        c->seen.is_private = l->is_private;
        c->seen.namespace_name = l->ns;
        c->seen.name = l->slug + strlen(l->ns) + 1;
        if (c->caller.known && !clo_member_role(&c->caller.role, c->db, l->owner, c->who.account, &err)) return clo_hub_fail_err(c, &err);
    }
    if (clo_access(&no, &c->caller, &c->seen, action)) return true;
    if (no.code) return clo_hub_fail(c, no.status, NULL, "Collection not found");
    clo_hub_deny(c, &no);
    return false;
}

/* The collection of {ns}/{x}. False: replied. */
static bool find(clo_collection *out, clo_hub_call *c, clo_action action)
{
    clo_err err = {0};
    bool found = clo_collection_find(out, c->db, c->a.ns, c->a.x, &err);
    if (!found && err.code != CLO_ERR_NOT_FOUND) return clo_hub_fail_err(c, &err);
    return may(c, out, found, action);
}

/* A collection as it is now: itself, or as `data`. */
static void reply_with(clo_hub_call *c, clo_collection *l, bool as_data)
{
    clo_viewer v;
    clo_err err = {0};
    bool ok = clo_db_begin_read(c->db, &err) && clo_viewer_of(&v, c->db, &c->who, &err) && clo_collection_get(l, c->db, l->id, &err);
    json_t *o = ok ? clo_hub_collection_json(c, &v, l, CLO_COLLECTION_ALONE, &err) : NULL;
    clo_db_rollback(c->db);
    if (!o) clo_hub_fail_err(c, &err);
    else clo_hub_json(c, 200, as_data ? json_pack("{s:b, s:o}", "success", 1, "data", o) : o);
}

/* Ends a transaction; true: it is kept, else replied. */
static bool end(clo_hub_call *c, bool ok, clo_err *err)
{
    if (ok && clo_db_commit(c->db, err)) return true;
    clo_db_rollback(c->db);
    return err->code == CLO_ERR_NOT_FOUND ? clo_hub_fail(c, 404, NULL, "%s", err->text) : clo_hub_fail_err(c, err);
}

/* A place in an order: -1 when the body has none. False: replied. */
static bool take_position(int64_t *out, clo_hub_call *c, const json_t *body)
{
    const json_t *v = json_object_get(body, "position");
    *out = -1;
    if (!v || json_is_null(v)) return true;
    if (!json_is_integer(v) || json_integer_value(v) < 0) return clo_hub_fail(c, 400, NULL, "position: 0 or more is expected");
    *out = json_integer_value(v);
    return true;
}

/* --- things -------------------------------------------------------------------------------------------------------*/

/* What may be in a collection, by type and id; *found: it is there and who asks may see it. False: replied. */
static bool find_thing(clo_collection_thing *out, bool *found, clo_hub_call *c, clo_str type, clo_str id)
{
    clo_err err = {0};
    clo_viewer v;
    clo_collection l;
    clo_repo_type t;
    bool moved;
    *out = (clo_collection_thing){0};
    *found = false;
    if (clo_repo_type_parse(&t, type)) {
        if (!clo_hub_look_at(c, &moved, t, id, &err)) return clo_hub_fail_err(c, &err);
        *found = clo_access(NULL, &c->caller, &c->seen, CLO_MAY_SEE);
        out->repo = *found ? c->repo.id : 0;
        return true;
    }
    if (!clo_str_eq(type, CLO_STR("collection")) && !clo_str_eq(type, CLO_STR("collections"))) return true;
    bool there = clo_collection_find_any(&l, c->db, id, &err);
    if (!there) return err.code == CLO_ERR_NOT_FOUND || clo_hub_fail_err(c, &err);
    if (!clo_viewer_of(&v, c->db, &c->who, &err) || !clo_collection_sees(found, c->db, &v, &l, &err)) return clo_hub_fail_err(c, &err);
    out->other = *found ? l.id : 0;
    return true;
}

/* Of a body's item {"type", "id"}; a repository's id may have its kind before it. False: replied. */
static bool take_thing(clo_collection_thing *out, clo_hub_call *c, const json_t *body)
{
    static const char *const none_here[] = {"paper", "bucket"};
    const json_t *item = json_object_get(body, "item");
    clo_str type = clo_json_str(item, "type", CLO_STR("")), id = clo_json_str(item, "id", CLO_STR(""));
    bool found = false;
    clo_repo_type t;
    for (size_t i = 0; i < 2; i++)
        if (clo_str_eq(type, clo_str_from(none_here[i]))) return clo_hub_fail(c, 404, NULL, "This hub has no %ss", none_here[i]);
    bool is_repo = clo_repo_type_parse(&t, type);
    if (!is_repo && !clo_str_eq(type, CLO_STR("collection")))
        return clo_hub_fail(c, 400, NULL, "item.type: model, dataset, space or collection is expected");
    size_t slash = clo_str_find(id, 0, '/');
    bool has_kind = is_repo && clo_str_find(id, slash + 1, '/') < id.len;
    if (has_kind && clo_str_eq((clo_str){id.ptr, slash}, clo_str_from(clo_hub_type_plural(t)))) id = clo_str_from_off(id, slash + 1);
    return find_thing(out, &found, c, type, id) && (found || clo_hub_fail(c, 404, NULL, "The item does not exist on this hub"));
}

/* --- lists --------------------------------------------------------------------------------------------------------*/

/* *none: nothing can fit. False: replied. */
static bool take_owners(clo_collection_filter *f, bool *none, clo_hub_call *c)
{
    clo_str v;
    size_t i = 0;
    for (; clo_request_param(&v, c->r, clo_request_query(c->r), "owner", i); i++) {
        clo_account_info a;
        clo_err err = {0};
        if (f->n_owners == CLO_COLLECTION_TERMS_MAX) return clo_hub_fail(c, 400, NULL, "owner: at most %d of them", CLO_COLLECTION_TERMS_MAX);
        if (clo_account_find(&a, c->db, v, &err)) f->owners[f->n_owners++] = a.id;
        else if (err.code != CLO_ERR_NOT_FOUND) return clo_hub_fail_err(c, &err);
    }
    *none = *none || (i > 0 && f->n_owners == 0);
    return true;
}

/* "models/lab/m", "collections/lab/slug". */
static bool take_items(clo_collection_filter *f, bool *none, clo_hub_call *c)
{
    clo_str v;
    size_t i = 0;
    for (; clo_request_param(&v, c->r, clo_request_query(c->r), "item", i); i++) {
        size_t slash = clo_str_find(v, 0, '/');
        bool found;
        if (f->n_items == CLO_COLLECTION_TERMS_MAX) return clo_hub_fail(c, 400, NULL, "item: at most %d of them", CLO_COLLECTION_TERMS_MAX);
        if (!find_thing(&f->items[f->n_items], &found, c, (clo_str){v.ptr, slash}, clo_str_from_off(v, slash + 1))) return false;
        f->n_items += found;
    }
    *none = *none || (i > 0 && f->n_items == 0);
    return true;
}

/* Nobody votes here and nothing trends: then it is the owner's order, or the latest first. */
static bool take_order(clo_collection_filter *f, clo_hub_call *c)
{
    static const char *const known[] = {"", "trending", "upvotes", "lastModified"};
    clo_str sort = clo_hub_param(c, "sort");
    size_t i = 0, n = sizeof known / sizeof *known;
    while (i < n && !clo_str_eq(sort, clo_str_from(known[i]))) i++;
    f->as_placed = f->n_owners == 1 && i < n - 1;
    return i < n || clo_hub_fail(c, 400, NULL, "sort: lastModified, trending or upvotes is expected");
}

typedef struct {
    clo_hub_call *c;
    const clo_viewer *v;
    json_t *rows;
    int64_t key, id; /* of the last */
    const clo_collection_filter *f;
} listing;

static bool add_row(void *ctx, const clo_collection *l, clo_err *err)
{
    listing *s = (listing *)ctx;
    json_t *o = clo_hub_collection_json(s->c, s->v, l, CLO_COLLECTION_LISTED, err);
    s->key = clo_collection_key(l, s->f);
    s->id = l->id;
    return o && (json_array_append_new(s->rows, o) == 0 || clo_fail(err, CLO_ERR_MEMORY, "collections"));
}

void clo_hub_collections(clo_hub_call *c)
{
    clo_viewer v;
    clo_err err = {0};
    clo_collection_filter f = {.search = clo_hub_param(c, "q"), .limit = (size_t)clo_hub_number(c, "limit", 1, PAGE, PAGE)};
    listing s = {.c = c, .v = &v, .f = &f};
    bool none = false, more = false;
    if (!take_owners(&f, &none, c) || !take_items(&f, &none, c) || !take_order(&f, c) || !clo_hub_take_place(&f.after, c)) return;
    s.rows = json_array();
    bool ok = none || (clo_db_begin_read(c->db, &err) && clo_viewer_of(&v, c->db, &c->who, &err) &&
                       clo_collection_each(&more, c->db, &v, &f, add_row, &s, &err));
    clo_db_rollback(c->db);
    if (ok && more) clo_hub_link_place(c, s.key, s.id);
    if (ok) clo_hub_json(c, 200, json_incref(s.rows));
    else clo_hub_fail_err(c, &err);
    json_decref(s.rows);
}

/* --- one ----------------------------------------------------------------------------------------------------------*/

void clo_hub_collection(clo_hub_call *c)
{
    clo_collection l;
    if (find(&l, c, CLO_MAY_SEE)) reply_with(c, &l, false);
}

/* Clients that take one that is there ask for its slug in the answer. */
static void reply_taken(clo_hub_call *c, const clo_collection *l)
{
    const char *text = "This collection already exists";
    clo_reply_header(c->r, "X-Error-Message", text);
    clo_hub_json(c, 409, json_pack("{s:s, s:s}", "error", text, "slug", l->slug));
}

static void create(clo_hub_call *c, const json_t *body)
{
    clo_account_info owner;
    clo_collection l = {0};
    clo_err err = {0};
    clo_collection_opts o = {.maker = c->who.account,
                             .title = clo_json_str(body, "title", CLO_STR("")),
                             .description = clo_json_str(body, "description", CLO_STR("")),
                             .is_private = clo_json_bool(body, "private", false)};
    if (!clo_hub_take_owner(&owner, c, "collection", clo_json_str(body, "namespace", CLO_STR(""))) ||
        !clo_hub_may_create(c, &owner, "collection", ""))
        return;
    if (json_is_string(json_object_get(body, "resourceGroupId"))) {
        clo_hub_fail(c, 501, "NotImplemented", "This hub has no resource groups");
        return;
    }
    o.owner = owner.id;
    bool ok = clo_db_begin(c->db, &err) && clo_collection_create(&l, c->db, &o, clo_hub_now(), &err);
    if (!ok && err.code == CLO_ERR_DENIED && l.id) {
        clo_db_rollback(c->db);
        reply_taken(c, &l);
    } else if (end(c, ok, &err)) reply_with(c, &l, false);
}

void clo_hub_collection_create(clo_hub_call *c)
{
    json_t *body;
    if (!clo_hub_body(&body, c)) return;
    create(c, body);
    json_decref(body);
}

/* NULL pointer: the body has none. */
static clo_str text_of(const json_t *body, const char *name)
{
    return clo_json_str(body, name, (clo_str){0});
}

void clo_hub_collection_update(clo_hub_call *c)
{
    json_t *body;
    clo_collection l;
    clo_err err = {0};
    if (!find(&l, c, CLO_MAY_WRITE) || !clo_hub_body(&body, c)) return;
    const json_t *is_private = json_object_get(body, "private");
    clo_collection_change ch = {.title = text_of(body, "title"),
                                .description = text_of(body, "description"),
                                .theme = text_of(body, "theme"),
                                .is_private = json_is_boolean(is_private) ? json_is_true(is_private) : -1};
    if (take_position(&ch.position, c, body)) {
        bool ok = clo_db_begin(c->db, &err) && clo_collection_update(&l, c->db, &ch, clo_hub_now(), &err);
        if (end(c, ok, &err)) reply_with(c, &l, true);
    }
    json_decref(body);
}

void clo_hub_collection_delete(clo_hub_call *c)
{
    clo_collection l;
    clo_err err = {0};
    if (!find(&l, c, CLO_MAY_WRITE)) return;
    bool ok = clo_db_begin(c->db, &err) && clo_collection_delete(c->db, l.id, &err);
    if (end(c, ok, &err)) clo_hub_json(c, 200, json_pack("{s:b}", "success", 1));
}

/* --- items --------------------------------------------------------------------------------------------------------*/

void clo_hub_collection_item_add(clo_hub_call *c)
{
    json_t *body;
    clo_collection l;
    clo_collection_thing thing;
    clo_err err = {0};
    if (!find(&l, c, CLO_MAY_WRITE) || !clo_hub_body(&body, c)) return;
    if (take_thing(&thing, c, body)) {
        bool ok = clo_db_begin(c->db, &err) &&
                  clo_collection_item_add(c->db, &l, thing, clo_json_str(body, "note", CLO_STR("")), clo_hub_now(), &err);
        if (end(c, ok, &err)) reply_with(c, &l, false);
    }
    json_decref(body);
}

void clo_hub_collection_item_update(clo_hub_call *c)
{
    json_t *body;
    clo_collection l;
    clo_viewer v;
    int64_t position;
    clo_err err = {0};
    if (!find(&l, c, CLO_MAY_WRITE) || !clo_hub_body(&body, c)) return;
    if (take_position(&position, c, body)) {
        bool ok = clo_db_begin(c->db, &err) && clo_viewer_of(&v, c->db, &c->who, &err) &&
                  clo_collection_item_update(c->db, &v, &l, c->a.rest, text_of(body, "note"), position, clo_hub_now(), &err);
        if (end(c, ok, &err)) reply_with(c, &l, true);
    }
    json_decref(body);
}

void clo_hub_collection_item_delete(clo_hub_call *c)
{
    clo_collection l;
    clo_viewer v;
    clo_err err = {0};
    if (!find(&l, c, CLO_MAY_WRITE)) return;
    bool ok = clo_db_begin(c->db, &err) && clo_viewer_of(&v, c->db, &c->who, &err) &&
              clo_collection_item_delete(c->db, &v, &l, c->a.rest, clo_hub_now(), &err);
    if (end(c, ok, &err)) reply_with(c, &l, false);
}
