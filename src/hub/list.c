/* See list.h. */
#include "hub/list.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "hub/access.h"
#include "hub/index_sets.h"
#include "hub/list_impl.h"
#include "hub/repo_impl.h"

#define LIST_FEW 2000 /* rows that are fetched and sorted rather than looked for in order */

static const struct {
    const char *column, *index;
} orders[] = {
    [CLO_LIST_CREATED] = {"created", "repos_by_created"},
    [CLO_LIST_MODIFIED] = {"modified", "repos_by_modified"},
    [CLO_LIST_DOWNLOADS] = {"downloads", "repos_by_downloads"},
    [CLO_LIST_LIKES] = {"likes", "repos_by_likes"},
};

int64_t clo_list_key(const clo_repo *r, clo_list_order order)
{
    switch (order) {
    case CLO_LIST_CREATED: return r->created_s;
    case CLO_LIST_MODIFIED: return r->modified_s;
    case CLO_LIST_DOWNLOADS: return r->downloads;
    default: return r->likes;
    }
}

/* --- who looks ----------------------------------------------------------------------------------------------------*/

static bool scoped_repo(int64_t *out, clo_db *db, const clo_bearer *who, clo_err *err)
{
    clo_repo r;
    clo_err no = {0};
    clo_membership role = CLO_MEMBER_NONE;
    *out = 0;
    if (who->repo == 0) return true;
    if (!clo_repo_get(&r, db, who->repo, &no)) {
        if (no.code == CLO_ERR_NOT_FOUND) return true;
        *err = no;
        return false;
    }
    if (!clo_member_role(&role, db, r.owner, who->account, err)) return false;
    if (role != CLO_MEMBER_NONE || who->admin) *out = r.id;
    return true;
}

bool clo_viewer_of(clo_viewer *out, clo_db *db, const clo_bearer *who, clo_err *err)
{
    *out = (clo_viewer){0};
    if (who->account == 0) return true;
    if (who->scope[0]) return scoped_repo(&out->only, db, who, err);
    out->account = who->account;
    out->admin = who->admin;
    return true;
}

/* The law of access.h, for rows that the statement let through. */
static bool may_see(bool *out, clo_db *db, const clo_viewer *v, const clo_repo *r, clo_err *err)
{
    clo_access_caller who = {.known = v->account != 0 || v->only != 0, .admin = v->admin, .in_scope = v->only == 0 || v->only == r->id};
    clo_access_repo seen = {.type = clo_repo_type_name(r->type), .namespace_name = r->ns, .name = r->name, .exists = true,
                            .is_private = r->is_private, .is_disabled = r->disabled};
    if (r->is_private && v->account != 0 && !clo_member_role(&who.role, db, r->owner, v->account, err)) return false;
    if (v->only == r->id) who.role = CLO_MEMBER_READ; /* as clo_viewer_of found */
    *out = clo_access(NULL, &who, &seen, CLO_MAY_SEE);
    return true;
}

/* --- the statement ------------------------------------------------------------------------------------------------*/

/* Parameters by number: 1 type's name, 2 its number, 3 the viewer, 4 admin, 5 the one repository, 6 and 7 the place, 8 the repository,
 * 9 the owner; then tags, then parts of names. */
enum { P_TYPE = 1, P_NUMBER, P_VIEWER, P_ADMIN, P_ONLY, P_KEY, P_ID, P_REPO, P_OWNER, P_TAGS, P_SEARCH = P_TAGS + CLO_LIST_TERMS_MAX };

bool clo_list_bind_viewer(clo_stmt *q, const clo_viewer *v, clo_err *err)
{
    return clo_stmt_int(q, P_VIEWER, v->account, err) && clo_stmt_int(q, P_ADMIN, v->admin, err) && clo_stmt_int(q, P_ONLY, v->only, err);
}

/* Rows of one way to look: all in order, all of the owner, or one by its id. */
typedef enum { WALK, BY_OWNER, BY_ID } way;

/* What is in the indexes: who may see it, whose it is. */
static void add_where(clo_buf *b, way w, const clo_list_opts *o)
{
    clo_buf_addf(b, "WHERE r.type = ?%d AND " CLO_LIST_SEEN, P_TYPE);
    if (w == BY_ID) clo_buf_addf(b, " AND r.id = ?%d", P_REPO);
    if (o->owner) clo_buf_addf(b, " AND r.namespace = ?%d", P_OWNER);
    if (o->after.set) clo_buf_addf(b, " AND (r.%s, r.id) < (?%d, ?%d)", orders[o->order].column, P_KEY, P_ID);
    if (o->gate != CLO_LIST_ANY) clo_buf_addf(b, " AND r.gated %s 'no'", o->gate == CLO_LIST_GATED ? "<>" : "=");
}

/* Ids and keys alone, out of an index. */
static void spell_places(clo_buf *b, way w, const clo_list_opts *o)
{
    const char *column = orders[o->order].column, *index = w == WALK ? orders[o->order].index : "repos_by_namespace";
    clo_buf_addf(b, "SELECT r.id, r.%s FROM repos r ", column);
    if (w != BY_ID) clo_buf_addf(b, "INDEXED BY %s ", index);
    add_where(b, w, o);
    if (w == WALK) clo_buf_addf(b, " ORDER BY r.%s DESC, r.id DESC", column);
    clo_buf_add_char(b, '\0');
}

/* The row of one repository, if it is all that was asked: sets say what may be so. */
static void spell_row(clo_buf *b, const clo_list_opts *o)
{
    clo_buf_add(b, CLO_STR(CLO_REPO_COLUMNS "FROM repos r CROSS JOIN accounts a ON a.id = r.namespace "));
    add_where(b, BY_ID, o);
    for (size_t i = 0; i < o->n_tags; i++)
        clo_buf_addf(b, " AND EXISTS (SELECT 1 FROM repo_tags x WHERE x.type = ?%d AND x.tag = ?%zu AND x.repo = r.id)", P_NUMBER,
                     P_TAGS + i);
    for (size_t i = 0; i < o->n_search; i++) clo_buf_addf(b, " AND instr(lower(a.name || '/' || r.name), lower(?%zu))", P_SEARCH + i);
    clo_buf_add_char(b, '\0');
}

static bool bind(clo_stmt *q, const clo_viewer *v, const clo_list_opts *o, bool terms, clo_err *err)
{
    bool ok = clo_stmt_text(q, P_TYPE, clo_str_from(clo_repo_type_name(o->type)), err) && clo_list_bind_viewer(q, v, err);
    if (ok && o->after.set) ok = clo_stmt_int(q, P_KEY, o->after.key, err) && clo_stmt_int(q, P_ID, o->after.id, err);
    if (ok && o->owner) ok = clo_stmt_int(q, P_OWNER, o->owner, err);
    if (ok && terms && o->n_tags) ok = clo_stmt_int(q, P_NUMBER, o->type, err);
    for (size_t i = 0; ok && terms && i < o->n_tags; i++) ok = clo_stmt_text(q, (int)(P_TAGS + i), o->tags[i], err);
    for (size_t i = 0; ok && terms && i < o->n_search; i++) ok = clo_stmt_text(q, (int)(P_SEARCH + i), o->search[i], err);
    return ok;
}

/* --- a page -------------------------------------------------------------------------------------------------------*/

typedef struct {
    int64_t id, key;
} place;

typedef struct {
    clo_db *db;
    const clo_viewer *v;
    const clo_list_opts *o;
    clo_id_set set;   /* those that may have all tags and texts */
    clo_stmt row;     /* spell_row */
    place *places;    /* owned; what is sorted here */
    size_t n_places, cap;
    clo_repo_fn *fn;
    void *ctx;
    size_t n_given;
    bool more;
} page;

static bool open_statement(clo_stmt *q, const page *p, way w, bool row, clo_err *err)
{
    clo_buf sql = {0};
    if (row) spell_row(&sql, p->o);
    else spell_places(&sql, w, p->o);
    bool ok = clo_buf_ok(&sql, err) && clo_stmt_open(q, p->db, sql.ptr, err) && bind(q, p->v, p->o, row, err);
    clo_buf_free(&sql);
    return ok;
}

/* Gives one repository if it is what was asked; `more` once the page is full. */
static bool give(page *p, int64_t id, clo_err *err)
{
    clo_repo r;
    bool found = false, seen = false;
    bool ok = clo_stmt_int(&p->row, P_REPO, id, err) && clo_stmt_step(&p->row, &found, err) &&
              (!found || (clo_repo_read_row(&r, &p->row, err) && may_see(&seen, p->db, p->v, &r, err)));
    clo_stmt_rewind(&p->row);
    if (!ok || !seen) return ok;
    p->more = p->n_given == p->o->limit;
    if (p->more) return true;
    p->n_given++;
    return p->fn(p->ctx, &r, err);
}

static bool find_set(page *p, clo_err *err)
{
    for (size_t i = 0; i < p->o->n_tags; i++)
        if (!clo_index_and_tag(&p->set, p->db, p->o->type, p->o->tags[i], err)) return false;
    for (size_t i = 0; i < p->o->n_search; i++)
        if (!clo_index_and_text(&p->set, p->db, p->o->type, p->o->search[i], err)) return false;
    return true;
}

static bool keep(page *p, const clo_stmt *q, clo_err *err)
{
    clo_stmt own = *q;
    if (p->n_places == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 256;
        place *more = (place *)realloc(p->places, cap * sizeof *more);
        if (!more) return clo_fail(err, CLO_ERR_MEMORY, "list");
        p->places = more;
        p->cap = cap;
    }
    p->places[p->n_places++] = (place){clo_stmt_get_int(&own, 0), clo_stmt_get_int(&own, 1)};
    return true;
}

/* The owner's repositories, or the few of the set. */
static bool gather(page *p, way w, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    bool ok = open_statement(&q, p, w, false, err);
    while (ok && w == BY_OWNER && (ok = clo_stmt_step(&q, &row, err)) && row)
        if (clo_id_set_has(&p->set, clo_stmt_get_int(&q, 0))) ok = keep(p, &q, err);
    for (int64_t id = 0; ok && w == BY_ID && (id = clo_id_set_next(&p->set, id)) >= 0; id++) {
        ok = clo_stmt_int(&q, P_REPO, id, err) && clo_stmt_step(&q, &row, err) && (!row || keep(p, &q, err));
        clo_stmt_rewind(&q);
    }
    clo_stmt_close(&q);
    return ok;
}

static bool comes_before(place a, place b)
{
    return a.key != b.key ? a.key > b.key : a.id > b.id;
}

/* Moves places[i] down to where it stands before both below it. */
static void sift(place *places, size_t n, size_t i)
{
    for (size_t first = i;; i = first) {
        for (size_t below = 2 * i + 1; below < n && below <= 2 * i + 2; below++)
            if (comes_before(places[below], places[first])) first = below;
        if (first == i) return;
        place moved = places[i];
        places[i] = places[first];
        places[first] = moved;
    }
}

/* A page is few of many: a heap is made, and only what is given is taken from it in order. */
static bool give_sorted(page *p, clo_err *err)
{
    for (size_t i = p->n_places / 2; i-- > 0;) sift(p->places, p->n_places, i);
    while (p->n_places > 0 && !p->more) {
        if (!give(p, p->places[0].id, err)) return false;
        p->places[0] = p->places[--p->n_places];
        sift(p->places, p->n_places, 0);
    }
    return true;
}

static bool walk(page *p, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    bool ok = open_statement(&q, p, WALK, false, err);
    while (ok && !p->more && (ok = clo_stmt_step(&q, &row, err)) && row)
        if (clo_id_set_has(&p->set, clo_stmt_get_int(&q, 0))) ok = give(p, clo_stmt_get_int(&q, 0), err);
    clo_stmt_close(&q);
    return ok;
}

bool clo_list_each(bool *more, clo_db *db, const clo_viewer *v, const clo_list_opts *o, clo_repo_fn *fn, void *ctx, clo_err *err)
{
    page p = {.db = db, .v = v, .o = o, .fn = fn, .ctx = ctx};
    bool ok = find_set(&p, err) && open_statement(&p.row, &p, BY_ID, true, err);
    if (ok && o->owner) ok = gather(&p, BY_OWNER, err) && give_sorted(&p, err);
    else if (ok && p.set.some && clo_id_set_count(&p.set) <= LIST_FEW) ok = gather(&p, BY_ID, err) && give_sorted(&p, err);
    else if (ok) ok = walk(&p, err);
    *more = p.more;
    clo_stmt_close(&p.row);
    clo_id_set_free(&p.set);
    free(p.places);
    return ok;
}

bool clo_list_count(int64_t out[CLO_REPO_TYPES], clo_db *db, const clo_viewer *v, int64_t owner, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    clo_repo_type type;
    for (size_t i = 0; i < CLO_REPO_TYPES; i++) out[i] = 0;
    bool ok = clo_stmt_open(&q, db, "SELECT r.type, count(*) FROM repos r WHERE r.namespace = ?9 AND " CLO_LIST_SEEN " GROUP BY r.type", err) &&
              clo_stmt_int(&q, P_OWNER, owner, err) && clo_list_bind_viewer(&q, v, err);
    while (ok && (ok = clo_stmt_step(&q, &row, err)) && row)
        if (clo_repo_type_parse(&type, clo_stmt_get_str(&q, 0))) out[type] = clo_stmt_get_int(&q, 1);
    clo_stmt_close(&q);
    return ok;
}
