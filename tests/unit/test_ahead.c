/* The SHA-256 that is computed while xorbs come: what it is believed for, and that it is right then. */
#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "hub/ahead.h"
#include "hub/reader.h"
#include "temp_folder.h"
#include "xet_make.h"

#define NOW 1800000000
#define REPO 7
#define XORBS 5
#define CHUNKS 4
#define CHUNK 30000

typedef struct {
    char dir[64];
    clo_db *db;
    clo_files f;
    clo_err err;
    clo_xorb xorbs[XORBS];
    clo_buf bodies[XORBS];
} world;

static void make_xorb(world *w, size_t i)
{
    static const uint8_t schemes[CHUNKS] = {0, 1, 0, 2};
    uint8_t raw[CHUNK];
    for (size_t k = 0; k < CHUNKS; k++) {
        make_noise(raw, CHUNK, 10 * i + k);
        if (schemes[k]) memset(raw, (int)k, CHUNK / 2);
        make_chunk(&w->bodies[i], raw, CHUNK - i - k, schemes[k]);
    }
    if (!clo_xorb_parse(&w->xorbs[i], make_view(&w->bodies[i]), NULL)) abort();
}

static void put_xorb(world *w, size_t i)
{
    clo_xorb_put *p = NULL;
    bool inserted;
    if (!clo_xorb_put_open(&p, &w->f, &w->xorbs[i].hash, &w->err) || !clo_xorb_put_add(p, make_view(&w->bodies[i]), &w->err) ||
        !clo_xorb_put_commit(p, &inserted, NOW, &w->err))
        fail_msg("%s", w->err.text);
    assert_int_equal(clo_xorb_put_raw_bytes(p), w->xorbs[i].raw_bytes);
    clo_xorb_put_close(p);
}

static int set_up(void **state)
{
    world *w = (world *)calloc(1, sizeof *w);
    *state = w;
    temp_folder_make(w->dir);
    if (!clo_db_open(&w->db, w->dir, &w->err)) return 1;
    w->f = (clo_files){.db = w->db, .data_dir = w->dir};
    for (size_t i = 0; i < XORBS; i++) make_xorb(w, i);
    for (size_t i = 0; i < XORBS; i++) put_xorb(w, i);
    return clo_ahead_open(&w->f.ahead, w->dir, &w->err) ? 0 : 1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int tear_down(void **state)
{
    world *w = *state;
    clo_ahead_close(w->f.ahead);
    clo_db_close(w->db);
    for (size_t i = 0; i < XORBS; i++) {
        clo_xorb_free(&w->xorbs[i]);
        clo_buf_free(&w->bodies[i]);
    }
    nftw(w->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(w);
    return 0;
}

/* "b0 h0 f0": xorb 0 begins, is here, fails. */
static void tell(world *w, const char *events)
{
    for (const char *p = events; *p; p += p[2] ? 3 : 2) {
        const clo_xorb *x = &w->xorbs[p[1] - '0'];
        if (p[0] == 'b') clo_ahead_begins(w->f.ahead, REPO, &x->hash);
        if (p[0] == 'h') clo_ahead_is_here(w->f.ahead, REPO, &x->hash, x->raw_bytes);
        if (p[0] == 'f') clo_ahead_fails(w->f.ahead, REPO, &x->hash);
    }
}

/* "0 1.0-2 1.2-4": xorb 0 whole, then chunks of xorb 1. */
static clo_terms parse_terms(const world *w, const char *text)
{
    clo_terms t = {.rows = (uint8_t *)calloc(16, CLO_FILE_TERM)};
    for (const char *p = text; *p; p += *p == ' ') {
        const clo_xorb *x = &w->xorbs[*p++ - '0'];
        clo_file_term row = {x->hash, 0, 0, CHUNKS};
        if (*p == '.') {
            row.start = (uint32_t)(p[1] - '0');
            row.end = (uint32_t)(p[3] - '0');
            p += 4;
        }
        for (uint32_t i = row.start; i < row.end; i++) row.raw_bytes += x->chunks[i].raw_len;
        clo_file_term_pack(t.rows + t.n++ * CLO_FILE_TERM, &row);
        t.size += row.raw_bytes;
    }
    return t;
}

static void add_rest(clo_sha256_ctx *sum, world *w, const clo_terms *t, uint64_t off)
{
    clo_reader *r = NULL;
    uint8_t buf[10000];
    size_t got = 1;
    assert_true(clo_reader_open_terms(&r, &w->f, t, off, t->size - off, &w->err));
    while (got) {
        assert_true(clo_reader_read(r, buf, sizeof buf, &got, &w->err));
        clo_sha256_add(sum, buf, got);
    }
    clo_reader_close(r);
}

/* How many xorbs of the file had been hashed; whatever it is, the sum must be right in the end. */
static int taken(world *w, const char *terms, clo_sha256 *all)
{
    clo_terms t = parse_terms(w, terms);
    clo_sha256_ctx sum, whole;
    uint64_t n = 0, at = 0;
    int n_xorbs = 0;
    clo_ahead_take(&sum, &n, w->f.ahead, REPO, &t);
    for (size_t i = 0; i < t.n && at < n; i++) {
        at += clo_file_term_unpack(t.rows + i * CLO_FILE_TERM).raw_bytes;
        n_xorbs += clo_file_term_unpack(t.rows + i * CLO_FILE_TERM).end == CHUNKS;
    }
    assert_int_equal(at, n);
    add_rest(&sum, w, &t, n);
    clo_sha256_begin(&whole);
    add_rest(&whole, w, &t, 0);
    clo_sha256 a = clo_sha256_end(&sum), b = clo_sha256_end(&whole);
    assert_true(clo_sha256_eq(&a, &b));
    if (all) *all = a;
    clo_terms_free(&t);
    return n_xorbs;
}

static void a_guess_is_believed_as_far_as_the_terms_say_the_same(void **state)
{
    world *w = *state;
    static const struct {
        const char *why, *events, *terms;
        int want;
    } rows[] = {
        {"in order", "b0 h0 b1 h1 b2 h2", "0 1 2", 3},
        {"begun in order, here in another", "b0 b1 b2 h2 h1 h0", "0 1 2", 3},
        {"nothing began", "", "0 1 2", 0},
        {"one alone is not worth it", "b0 h0", "0", 0},
        {"the last is used in part", "b0 h0 b1 h1 b2 h2", "0 1 2.0-3", 2},
        {"a whole one in two terms", "b0 h0 b1 h1", "0.0-2 0.2-4 1", 2},
        {"two terms with a gap", "b0 h0 b1 h1", "0.0-2 0.3-4 1", 0},
        {"one over again", "b0 h0 b1 h1", "0 0 1", 1},
        {"it begins inside", "b0 h0 b1 h1", "0.1-4 1", 0},
        {"more than came", "b0 h0 b1 h1", "0 1 2 3 4", 2},
        {"another between", "b0 h0 b1 h1 b2 h2", "0 3 1 2", 1},
        {"another order", "b0 h0 b1 h1 b2 h2", "1 0 2", 0},
        {"one that is not here yet", "b0 h0 b1 b2 h2", "0 1 2", 1},
        {"one that failed", "b0 h0 b3 b1 h1 f3 b2 h2", "0 1 2", 3},
        {"one that failed and came again", "b0 h0 b1 f1 b1 h1 b2 h2", "0 1 2", 3},
        {"one that failed and came again later", "b0 h0 b1 b2 h2 f1 b1 h1", "0 1 2", 1},
        {"it fails after it is here", "b0 h0 f0 b1 h1", "0 1", 2},
        {"the same name twice", "b0 h0 b0 h0 b1 h1", "0 0 1", 3},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        clo_ahead *a = NULL;
        clo_ahead_close(w->f.ahead);
        assert_true(clo_ahead_open(&a, w->dir, &w->err));
        w->f.ahead = a;
        tell(w, rows[i].events);
        clo_ahead_wait(a);
        int got = taken(w, rows[i].terms, NULL);
        if (got != rows[i].want) fail_msg("%s: %d xorbs, expected %d", rows[i].why, got, rows[i].want);
        clo_ahead_ends(a, REPO);
    }
}

static void a_repository_whose_guess_failed_is_not_guessed_at_again(void **state)
{
    world *w = *state;
    tell(w, "b0 h0 b1 h1");
    clo_ahead_wait(w->f.ahead);
    assert_int_equal(taken(w, "1 0", NULL), 0);
    clo_ahead_ends(w->f.ahead, REPO);
    tell(w, "b0 h0 b1 h1");
    clo_ahead_wait(w->f.ahead);
    assert_int_equal(taken(w, "0 1", NULL), 0);
    clo_ahead_ends(w->f.ahead, REPO);
}

static void after_a_shard_another_file_begins(void **state)
{
    world *w = *state;
    tell(w, "b0 h0 b1 h1");
    clo_ahead_wait(w->f.ahead);
    assert_int_equal(taken(w, "0 1", NULL), 2);
    assert_int_equal(taken(w, "0 1", NULL), 2); /* a shard may have the file twice */
    clo_ahead_ends(w->f.ahead, REPO);
    assert_int_equal(taken(w, "0 1", NULL), 0);
    clo_ahead_ends(w->f.ahead, REPO);
    tell(w, "b2 h2 b3 h3");
    clo_ahead_wait(w->f.ahead);
    assert_int_equal(taken(w, "2 3", NULL), 2);
}

static bool commit(world *w, const clo_sha256 *sha, size_t n)
{
    make_term terms[XORBS];
    clo_xet_tree tree;
    clo_buf b = {0};
    bool inserted = false;
    clo_xet_tree_begin(&tree);
    for (size_t i = 0; i < n; i++) {
        terms[i] = make_term_of(&w->xorbs[i], 0, CHUNKS);
        for (size_t k = 0; k < CHUNKS; k++) clo_xet_tree_add(&tree, &w->xorbs[i].chunks[k].hash, w->xorbs[i].chunks[k].raw_len);
    }
    clo_xet_hash root = clo_xet_tree_end(&tree), hash = clo_xet_file_hash(&root);
    make_shard_begin(&b);
    make_shard_file(&b, &hash, terms, (uint32_t)n, sha);
    make_shard_end(&b);
    w->err = (clo_err){0};
    bool ok = clo_files_commit_shard(&inserted, &w->f, make_view(&b), REPO, NOW, NULL, NULL, &w->err);
    clo_buf_free(&b);
    return ok;
}

static void a_shard_is_checked_as_without(void **state)
{
    world *w = *state;
    clo_sha256 right, wrong;
    (void)taken(w, "0 1 2", &right);
    wrong = right;
    wrong.b[31] ^= 1;
    clo_ahead_ends(w->f.ahead, REPO);
    for (int i = 0; i < 2; i++) { /* the thread may be at work when the shard comes */
        tell(w, "b0 h0 b1 h1 b2 h2");
        if (i) clo_ahead_wait(w->f.ahead);
        assert_false(commit(w, &wrong, 3));
        assert_int_equal(w->err.code, CLO_ERR_MISMATCH);
    }
    tell(w, "b0 h0 b1 h1 b2 h2");
    if (!commit(w, &right, 3)) fail_msg("%s", w->err.text);
}

static void a_xorb_that_is_gone_ends_the_guess(void **state)
{
    world *w = *state;
    char path[256], away[256], hex[65];
    clo_xet_hash_text(hex, &w->xorbs[1].hash);
    snprintf(away, sizeof away, "%s/away", w->dir);
    snprintf(path, sizeof path, "%s/xorbs/%.2s/%.2s/%s", w->dir, hex, hex + 2, hex);
    assert_int_equal(rename(path, away), 0);
    tell(w, "b0 h0 b1 h1 b2 h2");
    clo_ahead_wait(w->f.ahead);
    assert_int_equal(rename(away, path), 0);
    assert_int_equal(taken(w, "0 1 2", NULL), 1);
}

static void *upload(void *ctx)
{
    world *w = ctx;
    clo_files f = w->f;
    clo_err err = {0};
    if (!clo_db_open(&f.db, w->dir, &err)) return NULL;
    for (int64_t repo = 1; repo <= 40; repo++) {
        clo_terms t = parse_terms(w, "0 1 2 3 4");
        clo_sha256_ctx sum;
        uint64_t n;
        for (size_t i = 0; i < XORBS; i++) clo_ahead_begins(f.ahead, repo % 20 + 1, &w->xorbs[i].hash);
        for (size_t i = 0; i < XORBS; i++) clo_ahead_is_here(f.ahead, repo % 20 + 1, &w->xorbs[i].hash, w->xorbs[i].raw_bytes);
        if (repo % 3 == 0) {
            clo_ahead_take(&sum, &n, f.ahead, repo % 20 + 1, &t);
            (void)clo_sha256_end(&sum);
        }
        if (repo % 2 == 0) clo_ahead_ends(f.ahead, repo % 20 + 1);
        clo_terms_free(&t);
    }
    clo_db_close(f.db);
    return w;
}

/* More repositories than there are places, from several threads: for the sanitizers. */
static void many_may_upload_at_once(void **state)
{
    pthread_t t[4];
    void *done;
    for (size_t i = 0; i < 4; i++) assert_int_equal(pthread_create(&t[i], NULL, upload, *state), 0);
    for (size_t i = 0; i < 4; i++) {
        pthread_join(t[i], &done);
        assert_non_null(done);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_guess_is_believed_as_far_as_the_terms_say_the_same, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_repository_whose_guess_failed_is_not_guessed_at_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(after_a_shard_another_file_begins, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_shard_is_checked_as_without, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_xorb_that_is_gone_ends_the_guess, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_may_upload_at_once, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
