/* See index.h. */
#include "hub/index.h"

#include <stdio.h>
#include <stdlib.h>

#include "hub/card.h"
#include "hub/index_sets.h"

void clo_index_facts_free(clo_index_facts *f)
{
    json_decref(f->card);
    json_decref(f->tags);
    json_decref(f->config);
    *f = (clo_index_facts){0};
}

/* --- from files ---------------------------------------------------------------------------------------------------*/

typedef struct {
    clo_buf text;                       /* paths, each with a NUL */
    clo_str files[CLO_INDEX_FILES_MAX]; /* views into text, once it is whole */
    size_t n_files;
    clo_oid readme, config;             /* blobs; zero: none */
} listing;

static bool add_file(void *ctx, const clo_entry *e, clo_err *err)
{
    listing *l = (listing *)ctx;
    if (e->kind != CLO_ENTRY_FILE) return true;
    if (!e->is_lfs && !e->is_link && strcmp(e->path, "README.md") == 0 && e->size <= CLO_CARD_BYTES_MAX) l->readme = e->oid;
    if (!e->is_lfs && !e->is_link && strcmp(e->path, "config.json") == 0 && e->size <= CLO_INDEX_CONFIG_MAX) l->config = e->oid;
    clo_buf_add(&l->text, (clo_str){e->path, strlen(e->path) + 1});
    l->n_files++;
    return clo_buf_ok(&l->text, err);
}

static bool is_store_fault(const clo_err *e)
{
    return e->code == CLO_ERR_IO || e->code == CLO_ERR_MEMORY;
}

/* The files of a commit; none where there is no such commit. */
static bool list_files(listing *l, clo_git *g, const clo_oid *commit, clo_err *err)
{
    clo_err own = {0};
    bool more;
    clo_tree_opts o = {.recursive = true, .limit = CLO_INDEX_FILES_MAX};
    if (!clo_tree_each(&more, g, commit, &o, add_file, l, &own) && is_store_fault(&own)) {
        *err = own;
        return false;
    }
    const char *p = l->text.ptr;
    for (size_t i = 0; i < l->n_files; i++) {
        l->files[i] = clo_str_from(p);
        p += l->files[i].len + 1;
    }
    return true;
}

static bool read_blob(clo_buf *out, clo_git *g, const clo_oid *oid, clo_err *err)
{
    clo_err own = {0};
    if (clo_oid_is_zero(oid) || clo_blob_read(out, g, oid, &own)) return true;
    clo_buf_free(out);
    if (!is_store_fault(&own)) return true;
    *err = own;
    return false;
}

static void copy_word(char out[CLO_INDEX_WORD_MAX], clo_str s)
{
    snprintf(out, CLO_INDEX_WORD_MAX, "%.*s", s.len < CLO_INDEX_WORD_MAX ? (int)s.len : 0, s.ptr);
}

/* What clients show of a config.json; the rest of it they read themselves. */
static json_t *short_config(const json_t *config)
{
    static const char *const keys[] = {"architectures", "model_type"};
    json_t *out = json_object();
    for (size_t i = 0; i < 2; i++) {
        json_t *v = json_object_get(config, keys[i]);
        if (v) json_object_set(out, keys[i], v);
    }
    if (json_object_size(out) > 0) return out;
    json_decref(out);
    return NULL;
}

static bool derive(clo_index_facts *out, const listing *l, clo_repo_type type, clo_str readme, clo_str config_text, clo_err *err)
{
    clo_card card = {0};
    json_t *config = NULL;
    clo_err own = {0};
    if (!clo_card_read(&card, readme, &own)) {
        if (is_store_fault(&own)) {
            *err = own;
            return false;
        }
        clo_card_split(&card.yaml, &card.body, readme);
    }
    if (config_text.len == 0 || type != CLO_REPO_MODEL || !clo_json_parse(&config, config_text, CLO_INDEX_CONFIG_MAX, &own)) config = NULL;
    clo_tag_source s = {.type = clo_repo_type_name(type), .card = card.data, .body = card.body, .files = l->files,
                        .n_files = l->n_files, .config = json_is_object(config) ? config : NULL};
    bool ok = clo_card_tags(&out->tags, &s, err);
    if (ok && type == CLO_REPO_MODEL) {
        copy_word(out->task, clo_card_task(&s));
        copy_word(out->library, clo_card_library(&s));
        out->config = s.config ? short_config(s.config) : NULL;
    }
    out->card = json_incref(card.data);
    json_decref(config);
    clo_card_free(&card);
    return ok;
}

bool clo_index_facts_at(clo_index_facts *out, clo_git *g, clo_repo_type type, const clo_oid *commit, clo_err *err)
{
    clo_buf readme = {.max = CLO_CARD_BYTES_MAX + 1}, config = {.max = CLO_INDEX_CONFIG_MAX + 1};
    clo_index_facts f = {0};
    clo_err own = {0};
    if (!err) err = &own;
    listing *l = (listing *)calloc(1, sizeof *l);
    if (!l) return clo_fail(err, CLO_ERR_MEMORY, "files of a repository");
    bool ok = list_files(l, g, commit, err) && read_blob(&readme, g, &l->readme, err) && read_blob(&config, g, &l->config, err) &&
              derive(&f, l, type, clo_buf_str(&readme), clo_buf_str(&config), err);
    clo_buf_free(&readme);
    clo_buf_free(&config);
    clo_buf_free(&l->text);
    free(l);
    if (ok) *out = f;
    else clo_index_facts_free(&f);
    return ok;
}

/* --- rows ---------------------------------------------------------------------------------------------------------*/

static bool run(clo_db *db, const char *sql, int64_t repo, clo_err *err)
{
    clo_stmt q = {0};
    bool row;
    bool ok = clo_stmt_open(&q, db, sql, err) && clo_stmt_int(&q, 1, repo, err) && clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    return ok;
}

static bool bind_json(clo_stmt *q, int i, const json_t *v, clo_err *err)
{
    if (!v) return clo_stmt_null(q, i, err);
    char *text = json_dumps(v, JSON_COMPACT);
    bool ok = text ? clo_stmt_text(q, i, clo_str_from(text), err) : clo_fail(err, CLO_ERR_MEMORY, "card of a repository");
    free(text);
    return ok;
}

static bool put_card(clo_db *db, int64_t repo, const clo_oid *commit, const clo_index_facts *f, clo_err *err)
{
    clo_stmt q = {0};
    bool row;
    bool ok = clo_stmt_open(&q, db,
                            "INSERT OR REPLACE INTO repo_cards (repo, sha, card, tags, config, task, library)"
                            " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                            err) &&
              clo_stmt_int(&q, 1, repo, err) && clo_stmt_blob(&q, 2, (clo_bytes){commit->b, CLO_OID_BYTES}, err) &&
              bind_json(&q, 3, f->card, err) && bind_json(&q, 4, f->tags, err) && bind_json(&q, 5, f->config, err) &&
              clo_stmt_text(&q, 6, clo_str_from(f->task), err) && clo_stmt_text(&q, 7, clo_str_from(f->library), err) &&
              clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    return ok;
}

static bool put_tag(clo_stmt *q, int64_t repo, clo_repo_type type, clo_str tag, clo_err *err)
{
    bool row;
    bool ok = clo_index_put_tag(q->db, type, repo, tag, err) && clo_stmt_int(q, 1, type, err) && clo_stmt_text(q, 2, tag, err) && clo_stmt_int(q, 3, repo, err) &&
              clo_stmt_step(q, &row, err);
    clo_stmt_reset(q);
    return ok;
}

static bool put_tags(clo_db *db, int64_t repo, clo_repo_type type, const clo_index_facts *f, clo_err *err)
{
    clo_stmt q = {0};
    json_t *tag;
    size_t i;
    char task[CLO_INDEX_WORD_MAX + 16], library[CLO_INDEX_WORD_MAX + 16];
    bool ok = run(db, "DELETE FROM repo_tags WHERE repo = ?1", repo, err) &&
              clo_stmt_open(&q, db, "INSERT OR IGNORE INTO repo_tags (type, tag, repo) VALUES (?1, ?2, ?3)", err);
    json_array_foreach (f->tags, i, tag)
        ok = ok && put_tag(&q, repo, type, (clo_str){json_string_value(tag), json_string_length(tag)}, err);
    snprintf(task, sizeof task, "pipeline_tag:%s", f->task);
    snprintf(library, sizeof library, "library:%s", f->library);
    if (f->library[0]) ok = ok && put_tag(&q, repo, type, clo_str_from(library), err);
    if (f->task[0]) ok = ok && put_tag(&q, repo, type, clo_str_from(task), err);
    clo_stmt_close(&q);
    return ok;
}

/* *found: handles of tests have no row. */
static bool type_of(clo_repo_type *out, bool *found, clo_db *db, int64_t repo, clo_err *err)
{
    clo_stmt q = {0};
    bool ok = clo_stmt_open(&q, db, "SELECT type FROM repos WHERE id = ?1", err) && clo_stmt_int(&q, 1, repo, err) &&
              clo_stmt_step(&q, found, err);
    if (ok && *found && !clo_repo_type_parse(out, clo_stmt_get_str(&q, 0))) ok = clo_fail(err, CLO_ERR_DAMAGED, "a repository of no type");
    clo_stmt_close(&q);
    return ok;
}

bool clo_index_update(clo_git *g, const clo_oid *commit, clo_err *err)
{
    clo_index_facts f = {0};
    clo_repo_type type;
    clo_db *db = clo_git_store(g);
    int64_t repo = clo_git_repo(g);
    bool found = false;
    if (!type_of(&type, &found, db, repo, err)) return false;
    if (!found) return true;
    bool ok = clo_index_facts_at(&f, g, type, commit, err) && put_card(db, repo, commit, &f, err) && put_tags(db, repo, type, &f, err);
    clo_index_facts_free(&f);
    return ok;
}

bool clo_index_forget(clo_db *db, int64_t repo, clo_err *err)
{
    return run(db, "DELETE FROM repo_cards WHERE repo = ?1", repo, err) && run(db, "DELETE FROM repo_tags WHERE repo = ?1", repo, err) &&
           run(db, "DELETE FROM likes WHERE repo = ?1", repo, err);
}

/* --- reading ------------------------------------------------------------------------------------------------------*/

static clo_str text_or_none(clo_stmt *q, int i)
{
    return clo_stmt_is_null(q, i) ? (clo_str){0} : clo_stmt_get_str(q, i);
}

bool clo_index_read(clo_index_row *out, bool *found, clo_db *db, int64_t repo, bool cards, clo_err *err)
{
    clo_index_row r = {0};
    clo_stmt *q = &r.q;
    *found = false;
    *out = r;
    bool ok = clo_stmt_open(q, db, "SELECT sha, tags, config, task, library, iif(?2, card, NULL) FROM repo_cards WHERE repo = ?1", err) &&
              clo_stmt_int(q, 1, repo, err) && clo_stmt_int(q, 2, cards, err) && clo_stmt_step(q, found, err);
    clo_bytes sha = ok && *found ? clo_stmt_get_blob(q, 0) : (clo_bytes){0};
    if (ok && *found && sha.len != CLO_OID_BYTES) ok = clo_fail(err, CLO_ERR_DAMAGED, "a repository's card is of no commit");
    if (!ok || !*found) {
        clo_stmt_close(q);
        return ok;
    }
    memcpy(r.at.b, sha.ptr, CLO_OID_BYTES);
    r.tags = text_or_none(q, 1);
    r.config = text_or_none(q, 2);
    r.task = clo_stmt_get_str(q, 3);
    r.library = clo_stmt_get_str(q, 4);
    r.card = text_or_none(q, 5);
    *out = r;
    return true;
}

void clo_index_row_end(clo_index_row *r)
{
    clo_stmt_close(&r->q);
    *r = (clo_index_row){0};
}
