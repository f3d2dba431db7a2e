/* See files.h: the files of a shard are checked and taken in. */
#include <stdlib.h>
#include <string.h>

#include "hub/ahead.h"
#include "hub/dedup.h"
#include "hub/files_impl.h"
#include "hub/reader.h"

#define HASH_STEP ((size_t)1 << 20)
#define ASKED_MAX 65536 /* chunks that are remembered for dedup.h; more would only help less */
#define TELL_TERMS 256  /* terms between two calls of progress */

/* A file of the shard after it was checked. */
typedef struct {
    clo_xet_hash hash;
    clo_sha256 sha256;
    clo_terms terms; /* owned */
} checked;

typedef struct {
    const clo_files *f;
    int64_t repo;
    clo_xorb_shelf shelf;
    uint8_t *hashes; /* owned: of the chunks of one term */
    checked *files;  /* owned */
    size_t n_files;
    clo_dedup_chunk *asked; /* owned: chunks that clients will ask for */
    size_t n_asked, cap_asked;
    uint64_t total, done; /* bytes to put together, and those that were */
    clo_files_progress *progress;
    void *ctx;
} job;

/* --- terms against stored chunks ----------------------------------------------------------------------------------*/

static bool tell(const job *j, clo_err *err)
{
    return !j->progress || j->progress(j->ctx, j->done, j->total) || clo_fail(err, CLO_ERR_CANCELLED, "stopped");
}

static bool remember_chunk(job *j, const clo_xet_hash *chunk, const clo_xet_hash *xorb, clo_err *err)
{
    if (j->n_asked == ASKED_MAX) return true;
    if (j->n_asked == j->cap_asked) {
        size_t cap = j->cap_asked ? 2 * j->cap_asked : 64;
        clo_dedup_chunk *p = (clo_dedup_chunk *)realloc(j->asked, cap * sizeof *p);
        if (!p) return clo_fail(err, CLO_ERR_MEMORY, "%zu chunks", cap);
        j->asked = p;
        j->cap_asked = cap;
    }
    j->asked[j->n_asked++] = (clo_dedup_chunk){*chunk, *xorb};
    return true;
}

/* Adds the term's chunks to the file's tree. */
static bool check_term(job *j, const clo_shard_term *t, clo_xet_tree *tree, clo_err *err)
{
    const clo_xorb *x;
    uint64_t raw = 0;
    if (!clo_xorb_shelf_get(&x, &j->shelf, j->f, &t->xorb, err)) return false;
    if (t->end > x->n_chunks)
        return clo_fail(err, CLO_ERR_MISMATCH, "chunks %u to %u of a xorb that has %u", t->start, t->end, x->n_chunks);
    for (uint32_t i = t->start; i < t->end; i++) {
        bool first = tree->bytes == 0;
        raw += x->chunks[i].raw_len;
        memcpy(j->hashes + 32 * (size_t)(i - t->start), x->chunks[i].hash.b, 32);
        clo_xet_tree_add(tree, &x->chunks[i].hash, x->chunks[i].raw_len);
        if ((first || clo_dedup_is_asked_for(&x->chunks[i].hash)) &&
            !remember_chunk(j, &x->chunks[i].hash, &t->xorb, err))
            return false;
    }
    if (raw != t->raw_bytes)
        return clo_fail(err, CLO_ERR_MISMATCH, "%u bytes declared, its chunks have %llu", t->raw_bytes,
                        (unsigned long long)raw);
    clo_xet_hash range = clo_xet_range_hash(j->hashes, t->end - t->start);
    return clo_xet_hash_eq(&range, &t->range_hash) ||
           clo_fail(err, CLO_ERR_MISMATCH, "the range hash is not that of the chunks");
}

static bool check_terms(job *j, checked *c, const clo_shard_file *in, clo_err *err)
{
    clo_xet_tree tree;
    clo_xet_tree_begin(&tree);
    for (uint32_t i = 0; i < in->n_terms; i++) {
        clo_shard_term t = clo_shard_term_at(in, i);
        clo_file_term row = {t.xorb, t.raw_bytes, t.start, t.end};
        if (!check_term(j, &t, &tree, err)) {
            clo_err_context(err, "term %u", i);
            return false;
        }
        if (i % TELL_TERMS == TELL_TERMS - 1 && !tell(j, err)) return false;
        clo_file_term_pack(c->terms.rows + (size_t)i * CLO_FILE_TERM, &row);
    }
    clo_xet_hash root = clo_xet_tree_end(&tree), hash = clo_xet_file_hash(&root);
    return clo_xet_hash_eq(&hash, &in->hash) || clo_fail(err, CLO_ERR_MISMATCH, "the chunks are those of another file");
}

/* --- the bytes put together ---------------------------------------------------------------------------------------*/

static bool hash_bytes(clo_sha256 *out, job *j, const checked *c, clo_err *err)
{
    clo_reader *r = NULL;
    clo_sha256_ctx sum;
    size_t got = 1;
    uint64_t done;
    clo_ahead_take(&sum, &done, j->f->ahead, j->repo, &c->terms);
    uint8_t *buf = (uint8_t *)malloc(HASH_STEP);
    bool ok = buf ? clo_reader_open_terms(&r, j->f, &c->terms, done, c->terms.size - done, err) : clo_fail(err, CLO_ERR_MEMORY, "buffer");
    j->done += done;
    while (ok && got) {
        ok = clo_reader_read(r, buf, HASH_STEP, &got, err);
        if (!ok) break;
        clo_sha256_add(&sum, buf, got);
        j->done += got;
        ok = tell(j, err);
    }
    *out = clo_sha256_end(&sum);
    free(buf);
    clo_reader_close(r);
    return ok;
}

/* Whether this pair of names was checked before. */
static bool is_known(bool *out, const clo_files *f, const clo_shard_file *in, clo_err *err)
{
    clo_file_info info;
    bool found = false;
    *out = false;
    if (!in->has_sha256) return true;
    if (!clo_files_find(&info, &found, f, &in->sha256, err)) return false;
    *out = found && info.has_xet && clo_xet_hash_eq(&info.xet, &in->hash) && info.size == in->bytes;
    return true;
}

static bool check_sha256(job *j, checked *c, const clo_shard_file *in, clo_err *err)
{
    char hex[65];
    bool known;
    if (!is_known(&known, j->f, in, err)) return false;
    if (known) {
        c->sha256 = in->sha256;
        j->done += c->terms.size;
        return true;
    }
    if (!hash_bytes(&c->sha256, j, c, err)) return false;
    clo_sha256_hex(hex, &c->sha256);
    return !in->has_sha256 || clo_sha256_eq(&c->sha256, &in->sha256) ||
           clo_fail(err, CLO_ERR_MISMATCH, "the bytes have sha256 %s", hex);
}

static bool check_file(job *j, const clo_shard_file *in, clo_err *err)
{
    checked *c = &j->files[j->n_files++];
    char hex[65];
    *c = (checked){.hash = in->hash, .terms = {.size = in->bytes, .n = in->n_terms}};
    c->terms.rows = (uint8_t *)malloc((size_t)in->n_terms * CLO_FILE_TERM + 1);
    bool ok = c->terms.rows || clo_fail(err, CLO_ERR_MEMORY, "%u terms", in->n_terms);
    if (ok && in->n_terms && !in->ranges) ok = clo_fail(err, CLO_ERR_FORMAT, "no range hashes");
    ok = ok && check_terms(j, c, in, err) && check_sha256(j, c, in, err);
    clo_xet_hash_text(hex, &in->hash);
    if (!ok) clo_err_context(err, "file %s", hex);
    return ok;
}

static bool check_files(job *j, const clo_shard *s, clo_err *err)
{
    clo_shard_file in;
    for (size_t at = 0; clo_shard_next_file(s, &at, &in);) {
        if (in.bytes > CLO_FILE_BYTES_MAX || j->total > CLO_FILE_BYTES_MAX - in.bytes)
            return clo_fail(err, CLO_ERR_LIMIT, "files of more than %llu bytes",
                            (unsigned long long)CLO_FILE_BYTES_MAX);
        j->total += in.bytes;
    }
    for (size_t at = 0; clo_shard_next_file(s, &at, &in);)
        if (!check_file(j, &in, err)) return false;
    return true;
}

/* --- rows ---------------------------------------------------------------------------------------------------------*/

/* A sweep may have run since the terms were checked: from here to the end of the transaction none can. */
static bool still_there(const clo_files *f, const checked *c, clo_err *err)
{
    for (size_t i = 0; i < c->terms.n; i++) {
        clo_file_term t = clo_file_term_unpack(c->terms.rows + i * CLO_FILE_TERM), last = t;
        bool has;
        char hex[65];
        if (i > 0) last = clo_file_term_unpack(c->terms.rows + (i - 1) * CLO_FILE_TERM);
        if (i > 0 && clo_xet_hash_eq(&t.xorb, &last.xorb)) continue;
        clo_xet_hash_text(hex, &t.xorb);
        if (!clo_files_has_xorb(&has, f, &t.xorb, err)) return false;
        if (!has) return clo_fail(err, CLO_ERR_NOT_FOUND, "no xorb %s is here", hex);
    }
    return true;
}

/* *changed grows when the statement changed something. */
static bool insert_xet_file(size_t *changed, const clo_files *f, const checked *c, int64_t now_s, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    bool ok = clo_stmt_open(&q, f->db,
                            "INSERT OR IGNORE INTO xet_files (hash, size, terms, created) VALUES (?1, ?2, ?3, ?4)"
                            " RETURNING 1",
                            err) &&
              clo_bind_hash(&q, 1, c->hash.b, err) && clo_stmt_int(&q, 2, (int64_t)c->terms.size, err) &&
              clo_stmt_blob(&q, 3, (clo_bytes){c->terms.rows, c->terms.n * CLO_FILE_TERM}, err) &&
              clo_stmt_int(&q, 4, now_s, err) && clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    *changed += row;
    return ok;
}

static bool insert_file(size_t *changed, const clo_files *f, const checked *c, int64_t now_s, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    bool ok = clo_stmt_open(&q, f->db,
                            "INSERT INTO files (sha256, size, whole, xet, created) VALUES (?1, ?2, 0, ?3, ?4)"
                            " ON CONFLICT DO UPDATE SET xet = excluded.xet WHERE xet IS NULL RETURNING 1",
                            err) &&
              clo_bind_hash(&q, 1, c->sha256.b, err) && clo_stmt_int(&q, 2, (int64_t)c->terms.size, err) &&
              clo_bind_hash(&q, 3, c->hash.b, err) && clo_stmt_int(&q, 4, now_s, err) && clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    *changed += row;
    return ok;
}

static bool insert_all(bool *inserted, const job *j, int64_t repo, int64_t now_s, clo_err *err)
{
    size_t changed = 0;
    if (!clo_db_begin(j->f->db, err)) return false;
    for (size_t i = 0; i < j->n_files; i++) {
        const checked *c = &j->files[i];
        if (still_there(j->f, c, err) && insert_xet_file(&changed, j->f, c, now_s, err) &&
            insert_file(&changed, j->f, c, now_s, err) && clo_files_link(j->f, repo, &c->sha256, err))
            continue;
        clo_db_rollback(j->f->db);
        return false;
    }
    if (!clo_dedup_add(j->f, j->asked, j->n_asked, err)) {
        clo_db_rollback(j->f->db);
        return false;
    }
    *inserted = changed > 0;
    return clo_db_commit(j->f->db, err);
}

bool clo_files_commit_shard(bool *inserted, const clo_files *f, clo_bytes shard, int64_t repo, int64_t now_s,
                            clo_files_progress *progress, void *ctx, clo_err *err)
{
    clo_shard s;
    job j = {.f = f, .repo = repo, .progress = progress, .ctx = ctx};
    *inserted = false;
    if (!clo_shard_open(&s, shard, err)) return false;
    j.hashes = (uint8_t *)malloc((size_t)32 * CLO_XORB_CHUNKS_MAX);
    j.files = (checked *)calloc(s.n_files + 1, sizeof(checked));
    bool ok = (j.hashes && j.files) || clo_fail(err, CLO_ERR_MEMORY, "shard of %zu files", s.n_files);
    ok = ok && check_files(&j, &s, err) && insert_all(inserted, &j, repo, now_s, err);
    clo_ahead_ends(f->ahead, repo);
    for (size_t i = 0; i < j.n_files; i++)
        clo_terms_free(&j.files[i].terms);
    free(j.files);
    free(j.asked);
    free(j.hashes);
    clo_xorb_shelf_free(&j.shelf);
    return ok;
}
