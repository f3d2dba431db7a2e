/* See index_sets.h. */
#include "hub/index_sets.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define LETTERS 64 /* of names, numbered; the first is for what may not stand in one */
#define GRAMS (LETTERS * LETTERS * LETTERS)
static const char letters[] = "\x01 abcdefghijklmnopqrstuvwxyz0123456789-._/";

/* --- names of sets ------------------------------------------------------------------------------------------------*/

/* What may not stand in a name counts as one letter. */
static char canonical(char c)
{
    if (c >= 'A' && c <= 'Z') c = (char)(c | 0x20);
    return c && strchr(letters, c) ? c : letters[0];
}

/* "n" and up to three letters. */
static clo_str gram_name(char out[4], clo_str text, size_t at, size_t n)
{
    out[0] = 'n';
    for (size_t k = 0; k < n; k++) out[1 + k] = at + k < text.len ? canonical(text.ptr[at + k]) : ' ';
    return (clo_str){out, 1 + n};
}

static bool tag_name(clo_buf *out, clo_str tag, clo_err *err)
{
    clo_buf_add_char(out, 't');
    clo_buf_add(out, tag);
    return clo_buf_ok(out, err);
}

bool clo_index_put_tag(clo_db *db, clo_repo_type type, int64_t repo, clo_str tag, clo_err *err)
{
    clo_buf b = {0};
    bool ok = tag_name(&b, tag, err) && clo_id_set_put(db, type, clo_buf_str(&b), repo, err);
    clo_buf_free(&b);
    return ok;
}

bool clo_index_put_name(clo_db *db, int64_t repo, clo_err *err)
{
    clo_repo r;
    char name[4];
    if (!clo_repo_get(&r, db, repo, err)) return false;
    clo_str full = clo_str_from(r.full);
    for (size_t at = 0; at < full.len; at++)
        if (!clo_id_set_put(db, r.type, gram_name(name, full, at, 3), repo, err)) return false;
    return true;
}

bool clo_index_and_tag(clo_id_set *s, clo_db *db, clo_repo_type type, clo_str tag, clo_err *err)
{
    clo_buf b = {0};
    bool ok = tag_name(&b, tag, err) && clo_id_set_and(s, db, type, clo_buf_str(&b), clo_buf_str(&b), err);
    clo_buf_free(&b);
    return ok;
}

bool clo_index_and_text(clo_id_set *s, clo_db *db, clo_repo_type type, clo_str text, clo_err *err)
{
    char first[4], last[4];
    if (text.len == 2) { /* all sets whose names begin so */
        clo_str a = gram_name(first, text, 0, 2), b = gram_name(last, text, 0, 2);
        last[b.len++] = 0x7e;
        return clo_id_set_and(s, db, type, a, b, err);
    }
    for (size_t at = 0; at + 3 <= text.len; at++) {
        clo_str a = gram_name(first, text, at, 3);
        if (!clo_id_set_and(s, db, type, a, a, err)) return false;
    }
    return true;
}

/* --- all of them --------------------------------------------------------------------------------------------------*/

typedef struct {
    uint16_t *ids; /* owned */
    uint32_t n, cap;
} gram;

typedef struct {
    clo_db *db;
    clo_repo_type type;
    int64_t block;
    gram grams[GRAMS];
} builder;

static bool note(gram *g, uint16_t id, clo_err *err)
{
    if (g->n > 0 && g->ids[g->n - 1] == id) return true;
    if (g->n == g->cap) {
        uint32_t cap = g->cap ? 2 * g->cap : 8;
        uint16_t *p = (uint16_t *)realloc(g->ids, cap * sizeof *p);
        if (!p) return clo_fail(err, CLO_ERR_MEMORY, "sets of repositories");
        g->ids = p;
        g->cap = cap;
    }
    g->ids[g->n++] = id;
    return true;
}

static size_t number_of(clo_str full, size_t at)
{
    return at < full.len ? (size_t)(strchr(letters, canonical(full.ptr[at])) - letters) : 1;
}

/* Writes the block's sets. */
static bool flush(builder *b, clo_err *err)
{
    bool ok = true;
    for (size_t i = 0; ok && i < GRAMS; i++) {
        gram *g = &b->grams[i];
        const char name[4] = {'n', letters[i / LETTERS / LETTERS % sizeof letters], letters[i / LETTERS % LETTERS % sizeof letters],
                              letters[i % LETTERS % sizeof letters]};
        if (g->n > 0) ok = clo_id_set_write(b->db, b->type, (clo_str){name, 4}, b->block, g->ids, g->n, err);
        g->n = 0;
    }
    return ok;
}

static bool build_names(builder *b, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    bool ok = clo_stmt_open(&q, b->db,
                            "SELECT r.id, a.name || '/' || r.name FROM repos r CROSS JOIN accounts a ON a.id = r.namespace WHERE r.type = ?1"
                            " ORDER BY r.id",
                            err) &&
              clo_stmt_text(&q, 1, clo_str_from(clo_repo_type_name(b->type)), err);
    b->block = 0;
    while (ok && (ok = clo_stmt_step(&q, &row, err)) && row) {
        int64_t id = clo_stmt_get_int(&q, 0);
        clo_str full = clo_stmt_get_str(&q, 1);
        if (id / CLO_ID_BLOCK != b->block) ok = flush(b, err);
        b->block = id / CLO_ID_BLOCK;
        for (size_t at = 0; ok && at < full.len; at++)
            ok = note(&b->grams[(number_of(full, at) * LETTERS + number_of(full, at + 1)) * LETTERS + number_of(full, at + 2)],
                      (uint16_t)(id % CLO_ID_BLOCK), err);
    }
    clo_stmt_close(&q);
    return ok && flush(b, err);
}

/* Rows come by tag, then by repository. */
static bool build_tags(builder *b, clo_err *err)
{
    clo_stmt q = {0};
    clo_buf tag = {0};
    bool row = false;
    gram *g = &b->grams[0];
    bool ok = clo_stmt_open(&q, b->db, "SELECT tag, repo FROM repo_tags WHERE type = ?1 ORDER BY tag, repo", err) &&
              clo_stmt_int(&q, 1, b->type, err);
    while (ok && (ok = clo_stmt_step(&q, &row, err)) && row) {
        clo_str s = clo_stmt_get_str(&q, 0);
        int64_t id = clo_stmt_get_int(&q, 1);
        bool same = tag.len == s.len + 1 && memcmp(tag.ptr + 1, s.ptr, s.len) == 0;
        if (g->n > 0 && (!same || id / CLO_ID_BLOCK != b->block)) {
            ok = clo_id_set_write(b->db, b->type, clo_buf_str(&tag), b->block, g->ids, g->n, err);
            g->n = 0;
        }
        if (!same) {
            tag.len = 0;
            ok = ok && tag_name(&tag, s, err);
        }
        b->block = id / CLO_ID_BLOCK;
        ok = ok && note(g, (uint16_t)(id % CLO_ID_BLOCK), err);
    }
    clo_stmt_close(&q);
    if (ok && g->n > 0) ok = clo_id_set_write(b->db, b->type, clo_buf_str(&tag), b->block, g->ids, g->n, err);
    g->n = 0;
    clo_buf_free(&tag);
    return ok;
}

static bool run(clo_db *db, const char *sql, bool *row, clo_err *err)
{
    clo_stmt q = {0};
    bool ok = clo_stmt_open(&q, db, sql, err) && clo_stmt_step(&q, row, err);
    clo_stmt_close(&q);
    return ok;
}

static bool build_all(clo_db *db, clo_err *err)
{
    bool row;
    builder *b = (builder *)calloc(1, sizeof *b);
    if (!b) return clo_fail(err, CLO_ERR_MEMORY, "sets of repositories");
    b->db = db;
    bool ok = run(db, "DELETE FROM repo_sets", &row, err);
    for (int t = 0; ok && t < CLO_REPO_TYPES; t++) {
        b->type = (clo_repo_type)t;
        ok = build_names(b, err) && build_tags(b, err);
    }
    for (size_t i = 0; i < GRAMS; i++) free(b->grams[i].ids);
    free(b);
    return ok && run(db, "INSERT INTO books VALUES ('sets', 1)", &row, err);
}

bool clo_index_build_sets(clo_db *db, clo_err *err)
{
    static const char done[] = "SELECT 1 FROM books WHERE name = 'sets'";
    bool row = false;
    if (!run(db, done, &row, err)) return false;
    if (row) return true;
    if (!clo_db_begin(db, err)) return false;
    bool ok = run(db, done, &row, err) && (row || build_all(db, err)); /* another process may have been first */
    if (ok) return clo_db_commit(db, err);
    clo_db_rollback(db);
    return false;
}
