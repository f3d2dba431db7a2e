/* See repo.h. */
#include "hub/repo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "hub/commit.h"
#include "hub/index.h"
#include "hub/index_sets.h"
#include "hub/refs.h"
#include "hub/repo_impl.h"
#include "hub/token.h"

static const char *const type_names[] = {"model", "dataset", "space"};
static const char *const gated_names[] = {"no", "auto", "manual"};

const char *clo_repo_type_name(clo_repo_type t)
{
    return type_names[t];
}

bool clo_repo_type_parse(clo_repo_type *out, clo_str s)
{
    for (size_t i = 0; i < CLO_REPO_TYPES; i++) {
        clo_str name = clo_str_from(type_names[i]);
        bool plural = s.len == name.len + 1 && s.ptr[name.len] == 's';
        if (clo_str_eq(plural ? (clo_str){s.ptr, name.len} : s, name)) {
            *out = (clo_repo_type)i;
            return true;
        }
    }
    return false;
}

const char *clo_gated_name(clo_gated g)
{
    return gated_names[g];
}

void clo_repo_words(char out[CLO_REPO_WORDS_MAX], const clo_repo *r, const char *before)
{
    snprintf(out, CLO_REPO_WORDS_MAX, "%s %s%s%.*s", type_names[r->type], r->full, before ? ", before " : "", CLO_REPO_ID_MAX, before ? before : "");
}

/* --- reading ------------------------------------------------------------------------------------------------------*/

#define COLUMNS CLO_REPO_COLUMNS "FROM repos r JOIN accounts a ON a.id = r.namespace "

static bool copy_text(char *out, size_t size, clo_str s, clo_err *err)
{
    if (s.len >= size) return clo_fail(err, CLO_ERR_DAMAGED, "a repository's row has a text of %zu bytes", s.len);
    memcpy(out, s.ptr, s.len);
    out[s.len] = '\0';
    return true;
}

bool clo_repo_read_row(clo_repo *out, clo_stmt *q, clo_err *err)
{
    clo_repo r = {.id = clo_stmt_get_int(q, 0), .owner = clo_stmt_get_int(q, 1)};
    clo_str gated = clo_stmt_get_str(q, 3);
    if (!clo_repo_type_parse(&r.type, clo_stmt_get_str(q, 2)))
        return clo_fail(err, CLO_ERR_DAMAGED, "a repository of no type");
    for (size_t i = 0; i < sizeof gated_names / sizeof gated_names[0]; i++)
        if (clo_str_eq(gated, clo_str_from(gated_names[i]))) r.gated = (clo_gated)i;
    r.is_private = clo_stmt_get_int(q, 4) != 0;
    r.disabled = clo_stmt_get_int(q, 5) != 0;
    r.created_s = clo_stmt_get_int(q, 6);
    r.modified_s = clo_stmt_get_int(q, 7);
    r.downloads = clo_stmt_get_int(q, 8);
    r.likes = clo_stmt_get_int(q, 9);
    r.maker = clo_stmt_get_int(q, 13);
    r.no_discussions = clo_stmt_get_int(q, 14) != 0;
    if (!copy_text(r.oid, sizeof r.oid, clo_stmt_get_str(q, 10), err) ||
        !copy_text(r.ns, sizeof r.ns, clo_stmt_get_str(q, 11), err) ||
        !copy_text(r.name, sizeof r.name, clo_stmt_get_str(q, 12), err))
        return false;
    snprintf(r.full, sizeof r.full, "%s/%s", r.ns, r.name);
    *out = r;
    return true;
}

/* One row of a statement whose parameters are bound; *found. Closes it. */
static bool read_one(clo_repo *out, bool *found, clo_stmt *q, clo_err *err)
{
    bool ok = clo_stmt_step(q, found, err) && (!*found || clo_repo_read_row(out, q, err));
    clo_stmt_close(q);
    return ok;
}

bool clo_repo_get(clo_repo *out, clo_db *db, int64_t repo, clo_err *err)
{
    clo_stmt q = {0};
    bool found = false;
    bool ok = clo_stmt_open(&q, db, COLUMNS "WHERE r.id = ?1", err) && clo_stmt_int(&q, 1, repo, err);
    if (!ok) clo_stmt_close(&q);
    else ok = read_one(out, &found, &q, err);
    return ok && (found || clo_fail(err, CLO_ERR_NOT_FOUND, "no such repository"));
}

bool clo_repo_of_oid(clo_repo *out, bool *found, clo_db *db, const char *oid, clo_err *err)
{
    clo_stmt q = {0};
    bool ok = clo_stmt_open(&q, db, "SELECT id FROM repos WHERE oid = ?1", err) && clo_stmt_text(&q, 1, clo_str_from(oid), err) &&
              clo_stmt_step(&q, found, err);
    int64_t id = ok && *found ? clo_stmt_get_int(&q, 0) : 0;
    clo_stmt_close(&q);
    return ok && (!*found || clo_repo_get(out, db, id, err));
}

static bool find_as_named(clo_repo *out, bool *found, clo_db *db, clo_repo_type type, clo_str ns, clo_str name,
                          clo_err *err)
{
    clo_stmt q = {0};
    if (clo_stmt_open(&q, db, COLUMNS "WHERE r.type = ?1 AND a.name = ?2 AND r.name = ?3", err) &&
        clo_stmt_text(&q, 1, clo_str_from(type_names[type]), err) && clo_stmt_text(&q, 2, ns, err) &&
        clo_stmt_text(&q, 3, name, err))
        return read_one(out, found, &q, err);
    clo_stmt_close(&q);
    return false;
}

bool clo_repo_find(clo_repo *out, bool *moved, clo_db *db, clo_repo_type type, clo_str id, clo_err *err)
{
    clo_str ns, name;
    clo_stmt q = {0};
    bool found = false;
    *moved = false;
    if (!clo_repo_split(&ns, &name, id, NULL))
        return clo_fail(err, CLO_ERR_NOT_FOUND, "no %s '" CLO_STR_FMT "'", type_names[type], CLO_STR_ARG(id));
    if (!find_as_named(out, &found, db, type, ns, name, err)) return false;
    if (found) return true;
    if (!clo_stmt_open(&q, db, COLUMNS "JOIN repo_moves m ON m.repo = r.id WHERE m.type = ?1 AND m.old = ?2", err) ||
        !clo_stmt_text(&q, 1, clo_str_from(type_names[type]), err) || !clo_stmt_text(&q, 2, id, err)) {
        clo_stmt_close(&q);
        return false;
    }
    if (!read_one(out, &found, &q, err)) return false;
    *moved = found;
    return found || clo_fail(err, CLO_ERR_NOT_FOUND, "no %s '" CLO_STR_FMT "'", type_names[type], CLO_STR_ARG(id));
}

/* Whether a part stands in an id, in any case. */
static bool has_text(const char *text, clo_str part)
{
    size_t n = strlen(text);
    for (size_t i = 0; i + part.len <= n; i++) {
        size_t k = 0;
        while (k < part.len && (text[i + k] | 0x20) == (part.ptr[k] | 0x20)) k++;
        if (k == part.len) return true;
    }
    return false;
}

bool clo_repo_each(clo_db *db, const clo_repo_filter *f, clo_repo_fn *fn, void *ctx, clo_err *err)
{
    clo_stmt q = {0};
    clo_repo r;
    size_t n = 0;
    bool row = false;
    bool ok = clo_stmt_open(&q, db,
                            COLUMNS "WHERE r.id > ?1 AND (?2 = 0 OR r.namespace = ?2) AND (?3 IS NULL OR r.type = ?3)"
                                    " ORDER BY r.id",
                            err) &&
              clo_stmt_int(&q, 1, f->after, err) && clo_stmt_int(&q, 2, f->owner, err) &&
              (f->type == CLO_REPO_TYPES ? clo_stmt_null(&q, 3, err)
                                         : clo_stmt_text(&q, 3, clo_str_from(type_names[f->type]), err));
    while (ok && (f->limit == 0 || n < f->limit) && (ok = clo_stmt_step(&q, &row, err)) && row) {
        ok = clo_repo_read_row(&r, &q, err);
        if (!ok || (f->search.len && !has_text(r.full, f->search))) continue;
        ok = fn(ctx, &r, err);
        n++;
    }
    clo_stmt_close(&q);
    return ok;
}

/* --- making -------------------------------------------------------------------------------------------------------*/

static bool new_oid(char out[25], clo_err *err)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t b[12];
    if (getrandom(b, sizeof b, 0) != (ssize_t)sizeof b) return clo_fail_sys(err, errno, "random bytes");
    for (size_t i = 0; i < sizeof b; i++) {
        out[2 * i] = digits[b[i] >> 4];
        out[2 * i + 1] = digits[b[i] & 15];
    }
    out[24] = '\0';
    return true;
}

static bool namespace_of(char ns[CLO_REPO_NAME_MAX], clo_db *db, int64_t owner, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    bool ok = clo_stmt_open(&q, db, "SELECT name FROM accounts WHERE id = ?1", err) &&
              clo_stmt_int(&q, 1, owner, err) && clo_stmt_step(&q, &row, err) &&
              (row ? copy_text(ns, CLO_REPO_NAME_MAX, clo_stmt_get_str(&q, 0), err)
                   : clo_fail(err, CLO_ERR_NOT_FOUND, "no such account"));
    clo_stmt_close(&q);
    return ok && clo_repo_check_namespace(clo_str_from(ns), err);
}

/* An old id that somebody takes leads nowhere else any more. */
static bool end_redirect(clo_db *db, clo_repo_type type, const char *id, clo_err *err)
{
    clo_stmt q = {0};
    bool row;
    bool ok = clo_stmt_open(&q, db, "DELETE FROM repo_moves WHERE type = ?1 AND old = ?2", err) &&
              clo_stmt_text(&q, 1, clo_str_from(type_names[type]), err) &&
              clo_stmt_text(&q, 2, clo_str_from(id), err) && clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    return ok;
}

static bool insert_row(int64_t *id, clo_db *db, const clo_repo_opts *o, int64_t now_s, clo_err *err)
{
    clo_stmt q = {0};
    char oid[25];
    bool row = false;
    if (!new_oid(oid, err)) return false;
    bool ok =
        clo_stmt_open(&q, db,
                      "INSERT INTO repos (oid, type, namespace, name, private, gated, disabled, created, modified,"
                      " downloads, likes, maker) VALUES (?1, ?2, ?3, ?4, ?5, 'no', 0, ?6, ?6, 0, 0, ?7) RETURNING id",
                      err) &&
        clo_stmt_text(&q, 1, clo_str_from(oid), err) && clo_stmt_text(&q, 2, clo_str_from(type_names[o->type]), err) &&
        clo_stmt_int(&q, 3, o->owner, err) && clo_stmt_text(&q, 4, o->name, err) &&
        clo_stmt_int(&q, 5, o->is_private, err) && clo_stmt_int(&q, 6, now_s, err) &&
        (o->maker ? clo_stmt_int(&q, 7, o->maker, err) : clo_stmt_null(&q, 7, err)) && clo_stmt_step(&q, &row, err);
    if (ok) *id = clo_stmt_get_int(&q, 0);
    clo_stmt_close(&q);
    return ok && clo_index_put_name(db, *id, err);
}

/* The files of the first commit, and main at it. */
static bool first_commit(clo_git *g, const clo_repo_opts *o, int64_t now_s, clo_err *err)
{
    clo_commit *c = NULL;
    clo_commit_result r;
    clo_commit_opts opts = {.ref = CLO_STR("refs/heads/main"),
                            .is_first = true,
                            .summary = CLO_STR("initial commit"),
                            .author = o->author,
                            .now_s = now_s};
    clo_op attributes = {
        .kind = CLO_OP_FILE, .path = CLO_STR(".gitattributes"), .content = clo_bytes_of(clo_repo_attributes(o->type))};
    bool ok = clo_commit_open(&c, g, err) && clo_commit_add(c, &attributes, err);
    for (size_t i = 0; ok && i < o->n_files; i++) {
        clo_op op = {.kind = CLO_OP_FILE, .path = o->files[i].path, .content = o->files[i].bytes};
        ok = clo_commit_add(c, &op, err);
    }
    ok = ok && clo_commit_write(&r, c, &opts, err);
    clo_commit_close(c);
    return ok;
}

/* The row, when the name is free and allowed. */
static bool take_name(int64_t *row, clo_db *db, const clo_repo_opts *o, int64_t now_s, clo_err *err)
{
    char ns[CLO_REPO_NAME_MAX], id[CLO_REPO_ID_MAX];
    clo_repo there;
    bool found = false;
    if (!clo_repo_check_name(o->name, err) || !namespace_of(ns, db, o->owner, err)) return false;
    if (!find_as_named(&there, &found, db, o->type, clo_str_from(ns), o->name, err)) return false;
    if (found) return clo_fail(err, CLO_ERR_DENIED, "You already created this %s repo", type_names[o->type]);
    snprintf(id, sizeof id, "%s/%.*s", ns, (int)o->name.len, o->name.ptr);
    return end_redirect(db, o->type, id, err) && insert_row(row, db, o, now_s, err) &&
           clo_token_follow(db, *row, type_names[o->type], id, err);
}

bool clo_repo_create(clo_repo *out, clo_db *db, const clo_repo_opts *o, int64_t now_s, clo_err *err)
{
    clo_git *g = NULL;
    int64_t row = 0;
    if (!take_name(&row, db, o, now_s, err)) return false;
    bool ok = clo_git_open(&g, db, row, err) && first_commit(g, o, now_s, err);
    clo_git_close(g);
    return ok && clo_repo_get(out, db, row, err);
}

bool clo_repo_create_empty(clo_repo *out, clo_db *db, const clo_repo_opts *o, int64_t now_s, clo_err *err)
{
    int64_t row = 0;
    return take_name(&row, db, o, now_s, err) && clo_repo_get(out, db, row, err);
}

static bool copy_rows(clo_db *db, const char *sql, int64_t from, int64_t to, clo_err *err)
{
    clo_stmt q = {0};
    bool row;
    bool ok = clo_stmt_open(&q, db, sql, err) && clo_stmt_int(&q, 1, from, err) && clo_stmt_int(&q, 2, to, err) &&
              clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    return ok;
}

/* The tags of `from`, for a copy of it. */
static bool put_tags(clo_db *db, const clo_repo *from, int64_t copy, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    bool ok = clo_stmt_open(&q, db, "SELECT tag FROM repo_tags WHERE repo = ?1", err) && clo_stmt_int(&q, 1, from->id, err);
    while (ok && (ok = clo_stmt_step(&q, &row, err)) && row) ok = clo_index_put_tag(db, from->type, copy, clo_stmt_get_str(&q, 0), err);
    clo_stmt_close(&q);
    return ok;
}

bool clo_repo_duplicate(clo_repo *out, clo_db *db, const clo_repo *from, const clo_repo_opts *o, int64_t now_s, clo_err *err)
{
    clo_repo_opts same = *o;
    int64_t row = 0;
    same.type = from->type;
    return take_name(&row, db, &same, now_s, err) &&
           copy_rows(db, "INSERT INTO repo_objects (repo, oid) SELECT ?2, oid FROM repo_objects WHERE repo = ?1", from->id, row,
                     err) &&
           copy_rows(db,
                     "INSERT INTO refs (repo, name, target) SELECT ?2, name, target FROM refs WHERE repo = ?1"
                     " AND (name >= 'refs/heads/' AND name < 'refs/heads0' OR name >= 'refs/tags/' AND name < 'refs/tags0')",
                     from->id, row, err) &&
           copy_rows(db, "INSERT INTO absent_files (repo, sha256, size) SELECT ?2, sha256, size FROM absent_files WHERE repo = ?1", from->id,
                     row, err) &&
           copy_rows(db,
                     "INSERT INTO repo_cards (repo, sha, card, tags, config, task, library)"
                     " SELECT ?2, sha, card, tags, config, task, library FROM repo_cards WHERE repo = ?1",
                     from->id, row, err) &&
           copy_rows(db, "INSERT INTO repo_tags (type, tag, repo) SELECT type, tag, ?2 FROM repo_tags WHERE repo = ?1", from->id, row,
                     err) &&
           put_tags(db, from, row, err) &&
           clo_repo_get(out, db, row, err);
}

/* --- changing -----------------------------------------------------------------------------------------------------*/

static bool run(clo_db *db, const char *sql, int64_t repo, clo_err *err)
{
    clo_stmt q = {0};
    bool row;
    bool ok = clo_stmt_open(&q, db, sql, err) && clo_stmt_int(&q, 1, repo, err) && clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    return ok;
}

bool clo_repo_delete(clo_db *db, int64_t repo, clo_err *err)
{
    static const char *const steps[] = {
        "DELETE FROM refs WHERE repo = ?1",
        "DELETE FROM repo_objects WHERE repo = ?1",
        "DELETE FROM repo_files WHERE repo = ?1",
        "DELETE FROM gated_requests WHERE repo = ?1",
        "DELETE FROM likes WHERE repo = ?1",
        "DELETE FROM repo_moves WHERE repo = ?1",
        "DELETE FROM repos WHERE id = ?1",
    };
    clo_repo r;
    bool ok = clo_repo_get(&r, db, repo, err) && clo_index_forget(db, repo, err);
    for (size_t i = 0; ok && i < sizeof steps / sizeof steps[0]; i++) ok = run(db, steps[i], repo, err);
    return ok;
}

static bool keep_redirect(clo_db *db, const clo_repo *r, clo_err *err)
{
    clo_stmt q = {0};
    bool row;
    bool ok = clo_stmt_open(&q, db,
                            "INSERT INTO repo_moves (type, old, repo) VALUES (?1, ?2, ?3)"
                            " ON CONFLICT DO UPDATE SET repo = ?3",
                            err) &&
              clo_stmt_text(&q, 1, clo_str_from(type_names[r->type]), err) &&
              clo_stmt_text(&q, 2, clo_str_from(r->full), err) && clo_stmt_int(&q, 3, r->id, err) &&
              clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    return ok;
}

static bool rename_row(clo_db *db, int64_t repo, int64_t owner, clo_str name, int64_t now_s, clo_err *err)
{
    clo_stmt q = {0};
    bool row;
    bool ok = clo_stmt_open(&q, db, "UPDATE repos SET namespace = ?2, name = ?3, modified = ?4 WHERE id = ?1", err) &&
              clo_stmt_int(&q, 1, repo, err) && clo_stmt_int(&q, 2, owner, err) && clo_stmt_text(&q, 3, name, err) &&
              clo_stmt_int(&q, 4, now_s, err) && clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    return ok && clo_index_put_name(db, repo, err);
}

bool clo_repo_move(clo_repo *r, clo_db *db, int64_t new_owner, clo_str new_name, int64_t now_s, clo_err *err)
{
    char ns[CLO_REPO_NAME_MAX], id[CLO_REPO_ID_MAX];
    clo_repo there;
    bool found = false;
    if (!clo_repo_check_name(new_name, err) || !namespace_of(ns, db, new_owner, err)) return false;
    if (!find_as_named(&there, &found, db, r->type, clo_str_from(ns), new_name, err)) return false;
    snprintf(id, sizeof id, "%s/%.*s", ns, (int)new_name.len, new_name.ptr);
    if (found && there.id != r->id)
        return clo_fail(err, CLO_ERR_DENIED, "A %s repository called %s already exists", type_names[r->type], id);
    return keep_redirect(db, r, err) && end_redirect(db, r->type, id, err) &&
           rename_row(db, r->id, new_owner, new_name, now_s, err) && clo_token_follow(db, r->id, type_names[r->type], id, err) &&
           clo_repo_get(r, db, r->id, err);
}

bool clo_repo_set(clo_db *db, const clo_repo *r, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    bool ok = clo_stmt_open(
                  &q, db, "UPDATE repos SET private = ?2, gated = ?3, disabled = ?4, no_discussions = ?5 WHERE id = ?1 RETURNING id", err) &&
              clo_stmt_int(&q, 1, r->id, err) && clo_stmt_int(&q, 2, r->is_private, err) &&
              clo_stmt_text(&q, 3, clo_str_from(gated_names[r->gated]), err) && clo_stmt_int(&q, 4, r->disabled, err) &&
              clo_stmt_int(&q, 5, r->no_discussions, err) &&
              clo_stmt_step(&q, &row, err) && (row || clo_fail(err, CLO_ERR_NOT_FOUND, "no such repository"));
    clo_stmt_close(&q);
    return ok;
}

bool clo_repo_touch(clo_db *db, int64_t repo, int64_t now_s, clo_err *err)
{
    clo_stmt q = {0};
    bool row;
    bool ok = clo_stmt_open(&q, db, "UPDATE repos SET modified = max(modified, ?2) WHERE id = ?1", err) &&
              clo_stmt_int(&q, 1, repo, err) && clo_stmt_int(&q, 2, now_s, err) && clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    return ok;
}
