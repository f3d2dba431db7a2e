/* See list.h. */
#include "hub/list.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "hub/access.h"
#include "hub/list_impl.h"
#include "hub/repo_impl.h"

#define LIST_FEW 5000 /* rows that are fetched and sorted rather than looked for in order */
#define TRIGRAM 3     /* characters below which the index of names does not help */
#define STR_(x) #x
#define STR(x) STR_(x)

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
    clo_repo_type type;
    clo_err no = {0};
    bool moved;
    clo_membership role = CLO_MEMBER_NONE;
    clo_str scope = clo_str_from(who->scope);
    size_t slash = clo_str_find(scope, 0, '/');
    *out = 0;
    if (!clo_repo_type_parse(&type, (clo_str){scope.ptr, slash})) return true;
    if (!clo_repo_find(&r, &moved, db, type, clo_str_from_off(scope, slash + 1), &no)) {
        if (no.code == CLO_ERR_NOT_FOUND) return true;
        *err = no;
        return false;
    }
    if (moved || !clo_token_in_scope(who, clo_repo_type_name(type), clo_str_from(r.ns), clo_str_from(r.name))) return true;
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

/* Parameters by number: 1 type's name, 2 its number, 3 the viewer, 4 admin, 5 the one repository, 6 and 7 the place, 8 the limit,
 * 9 the owner; then tags, then parts of names, then the phrase for the index of names. */
enum { P_TYPE = 1, P_NUMBER, P_VIEWER, P_ADMIN, P_ONLY, P_KEY, P_ID, P_LIMIT, P_OWNER, P_TAGS, P_SEARCH = P_TAGS + CLO_LIST_TERMS_MAX,
       P_PHRASE = P_SEARCH + CLO_LIST_TERMS_MAX };

bool clo_list_bind_viewer(clo_stmt *q, const clo_viewer *v, clo_err *err)
{
    return clo_stmt_int(q, P_VIEWER, v->account, err) && clo_stmt_int(q, P_ADMIN, v->admin, err) && clo_stmt_int(q, P_ONLY, v->only, err);
}

/* How many rows have a term: up to LIST_FEW + 1. */
static bool count_few(int64_t *out, clo_db *db, const char *sql, int64_t type, clo_str term, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    bool ok = clo_stmt_open(&q, db, sql, err) && clo_stmt_int(&q, 1, type, err) && clo_stmt_text(&q, 2, term, err) &&
              clo_stmt_step(&q, &row, err);
    if (ok) *out = clo_stmt_get_int(&q, 0);
    clo_stmt_close(&q);
    return ok;
}

/* A part of a name as a phrase of FTS5: in quotes, quotes doubled. */
static void add_phrase(clo_buf *out, clo_str s)
{
    clo_buf_add_char(out, '"');
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '"') clo_buf_add_char(out, '"');
        clo_buf_add_char(out, s.ptr[i]);
    }
    clo_buf_add_char(out, '"');
}

static size_t n_chars(clo_str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) n += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
    return n;
}

typedef struct {
    enum { WALK, BY_OWNER, BY_TAG, BY_NAME } way;
    size_t i_tag;
    clo_buf phrase; /* owned: all parts of names that the index knows */
} plan;

/* The rarest condition decides. */
static bool choose(plan *p, clo_db *db, const clo_list_opts *o, clo_err *err)
{
    int64_t n, least = LIST_FEW + 1;
    if (o->owner) p->way = BY_OWNER;
    for (size_t i = 0; i < o->n_tags && p->way != BY_OWNER; i++) {
        if (!count_few(&n, db, "SELECT count(*) FROM (SELECT 1 FROM repo_tags WHERE type = ?1 AND tag = ?2 LIMIT " STR(LIST_FEW) " + 1)",
                       o->type, o->tags[i], err))
            return false;
        if (n >= least) continue;
        least = n;
        p->way = BY_TAG;
        p->i_tag = i;
    }
    for (size_t i = 0; i < o->n_search; i++) {
        if (n_chars(o->search[i]) < TRIGRAM) continue;
        if (p->phrase.len) clo_buf_add(&p->phrase, CLO_STR(" AND "));
        add_phrase(&p->phrase, o->search[i]);
    }
    if (!clo_buf_ok(&p->phrase, err)) return false;
    if (p->phrase.len == 0 || p->way == BY_OWNER) return true;
    if (!count_few(&n, db, "SELECT count(*) FROM (SELECT 1 FROM repo_names WHERE ?1 >= 0 AND repo_names MATCH ?2 LIMIT " STR(LIST_FEW) " + 1)",
                   0, clo_buf_str(&p->phrase), err))
        return false;
    if (n < least) p->way = BY_NAME;
    return true;
}

static void add_from(clo_buf *b, const plan *p, const clo_list_opts *o)
{
    clo_buf_add(b, CLO_STR(CLO_REPO_COLUMNS "FROM "));
    switch (p->way) {
    case WALK: clo_buf_addf(b, "repos r INDEXED BY %s ", orders[o->order].index); break;
    case BY_OWNER: clo_buf_add(b, CLO_STR("repos r INDEXED BY repos_by_namespace ")); break;
    case BY_TAG:
        clo_buf_addf(b, "(SELECT repo FROM repo_tags WHERE type = ?%d AND tag = ?%zu) t CROSS JOIN repos r ON r.id = t.repo ", P_NUMBER,
                     P_TAGS + p->i_tag);
        break;
    case BY_NAME:
        clo_buf_addf(b, "(SELECT rowid AS repo FROM repo_names WHERE repo_names MATCH ?%d) t CROSS JOIN repos r ON r.id = t.repo ", P_PHRASE);
        break;
    }
    clo_buf_add(b, CLO_STR("CROSS JOIN accounts a ON a.id = r.namespace "));
}

static void spell(clo_buf *b, const plan *p, const clo_list_opts *o)
{
    const char *column = orders[o->order].column;
    add_from(b, p, o);
    clo_buf_addf(b, "WHERE r.type = ?%d AND " CLO_LIST_SEEN, P_TYPE);
    if (o->owner) clo_buf_addf(b, " AND r.namespace = ?%d", P_OWNER);
    if (o->after.set) clo_buf_addf(b, " AND (r.%s, r.id) < (?%d, ?%d)", column, P_KEY, P_ID);
    if (o->gate != CLO_LIST_ANY) clo_buf_addf(b, " AND r.gated %s 'no'", o->gate == CLO_LIST_GATED ? "<>" : "=");
    for (size_t i = 0; i < o->n_tags; i++)
        if (p->way != BY_TAG || p->i_tag != i)
            clo_buf_addf(b, " AND EXISTS (SELECT 1 FROM repo_tags x WHERE x.type = ?%d AND x.tag = ?%zu AND x.repo = r.id)", P_NUMBER,
                         P_TAGS + i);
    for (size_t i = 0; i < o->n_search; i++) clo_buf_addf(b, " AND instr(lower(a.name || '/' || r.name), lower(?%zu))", P_SEARCH + i);
    clo_buf_addf(b, " ORDER BY r.%s DESC, r.id DESC LIMIT ?%d", column, P_LIMIT);
    clo_buf_add_char(b, '\0');
}

static bool bind(clo_stmt *q, const clo_viewer *v, const clo_list_opts *o, const plan *p, clo_err *err)
{
    bool ok = clo_stmt_text(q, P_TYPE, clo_str_from(clo_repo_type_name(o->type)), err) && clo_list_bind_viewer(q, v, err) &&
              clo_stmt_int(q, P_LIMIT, (int64_t)o->limit + 1, err);
    if (ok && o->after.set) ok = clo_stmt_int(q, P_KEY, o->after.key, err) && clo_stmt_int(q, P_ID, o->after.id, err);
    if (ok && o->owner) ok = clo_stmt_int(q, P_OWNER, o->owner, err);
    if (ok && o->n_tags) ok = clo_stmt_int(q, P_NUMBER, o->type, err);
    for (size_t i = 0; ok && i < o->n_tags; i++) ok = clo_stmt_text(q, (int)(P_TAGS + i), o->tags[i], err);
    for (size_t i = 0; ok && i < o->n_search; i++) ok = clo_stmt_text(q, (int)(P_SEARCH + i), o->search[i], err);
    return ok && (p->way != BY_NAME || clo_stmt_text(q, P_PHRASE, clo_buf_str(&p->phrase), err));
}

bool clo_list_each(bool *more, clo_db *db, const clo_viewer *v, const clo_list_opts *o, clo_repo_fn *fn, void *ctx, clo_err *err)
{
    clo_stmt q = {0};
    plan p = {.way = WALK};
    clo_buf sql = {0};
    clo_repo r;
    size_t n = 0;
    bool row = false, seen = false;
    *more = false;
    bool ok = choose(&p, db, o, err);
    if (ok) spell(&sql, &p, o);
    ok = ok && clo_buf_ok(&sql, err) && clo_stmt_open(&q, db, sql.ptr, err) && bind(&q, v, o, &p, err);
    while (ok && (ok = clo_stmt_step(&q, &row, err)) && row) {
        if ((*more = n++ == o->limit)) break;
        ok = clo_repo_read_row(&r, &q, err) && may_see(&seen, db, v, &r, err) && (!seen || fn(ctx, &r, err));
    }
    clo_stmt_close(&q);
    clo_buf_free(&sql);
    clo_buf_free(&p.phrase);
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
