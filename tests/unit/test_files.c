/* Large files of the hub: what is taken, what is refused, what is read back, what a crash leaves. */
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "hub/dedup.h"
#include "hub/fsck.h"
#include "hub/reader.h"
#include "hub/reconstruction.h"
#include "hub/sweep.h"
#include "temp_folder.h"
#include "xet_make.h"

#define NOW 1800000000
#define DAY 86400

/* --- a data folder ------------------------------------------------------------------------------------------------*/

typedef struct {
    char dir[64];
    clo_db *db;
    clo_files f;
    clo_err err;
} world;

static void world_open(world *w)
{
    *w = (world){0};
    temp_folder_make(w->dir);
    if (!clo_db_open(&w->db, w->dir, &w->err)) fail_msg("%s", w->err.text);
    w->f = (clo_files){.db = w->db, .data_dir = w->dir};
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void world_close(world *w)
{
    clo_db_close(w->db);
    nftw(w->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void path_of(char out[4096], const world *w, const char *folder, const char *hex)
{
    snprintf(out, 4096, "%s/%s/%.2s/%.2s/%s", w->dir, folder, hex, hex + 2, hex);
}

static bool put_whole(world *w, int64_t repo, const clo_sha256 *sha, uint64_t size, clo_bytes bytes)
{
    clo_file_put *p = NULL;
    w->err = (clo_err){0};
    bool ok = clo_file_put_open(&p, &w->f, sha, size, &w->err);
    for (size_t at = 0; ok && at < bytes.len; at += 1000) {
        size_t n = bytes.len - at < 1000 ? bytes.len - at : 1000;
        ok = clo_file_put_add(p, (clo_bytes){bytes.ptr + at, n}, &w->err);
    }
    ok = ok && clo_file_put_commit(p, repo, NOW, &w->err);
    clo_file_put_close(p);
    return ok;
}

static bool put_xorb(world *w, const clo_xet_hash *hash, clo_bytes body, bool *inserted, int64_t now_s)
{
    clo_xorb_put *p = NULL;
    w->err = (clo_err){0};
    bool ok = clo_xorb_put_open(&p, &w->f, hash, &w->err) && clo_xorb_put_add(p, body, &w->err) &&
              clo_xorb_put_commit(p, inserted, now_s, &w->err);
    clo_xorb_put_close(p);
    return ok;
}

static void refuses(const world *w, const char *why, bool took, clo_code want)
{
    if (took) fail_msg("%s: taken", why);
    if (w->err.code != want) fail_msg("%s: code %d (%s), expected %d", why, w->err.code, w->err.text, want);
}

/* Reads [off, off + n) of a file in steps of `step` and compares. */
static void reads(world *w, const clo_sha256 *sha, const uint8_t *all, uint64_t off, uint64_t n, size_t step)
{
    clo_reader *r = NULL;
    uint8_t *buf = (uint8_t *)malloc(step);
    uint64_t at = off;
    size_t got = 1;
    assert_non_null(buf);
    if (!clo_reader_open(&r, &w->f, sha, off, n, &w->err)) fail_msg("%s", w->err.text);
    while (got) {
        if (!clo_reader_read(r, buf, step, &got, &w->err)) fail_msg("at %llu: %s", (unsigned long long)at, w->err.text);
        if (at + got > off + n || memcmp(buf, all + at, got) != 0)
            fail_msg("bytes at %llu differ", (unsigned long long)at);
        at += got;
    }
    if (at != off + n) fail_msg("%llu bytes of %llu", (unsigned long long)(at - off), (unsigned long long)n);
    clo_reader_close(r);
    free(buf);
}

static char last_fault[600];

static bool note_fault(void *ctx, const char *kind, const char *name, const char *what)
{
    (void)ctx;
    snprintf(last_fault, sizeof last_fault, "%s %s: %s", kind, name, what);
    return true;
}

static uint64_t n_faults(world *w)
{
    clo_fsck_counts n;
    if (!clo_files_check(&n, &w->f, note_fault, NULL, &w->err)) fail_msg("check: %s", w->err.text);
    return n.faults;
}

static void sweeps(world *w, bool dry, int64_t now_s, uint64_t strays, uint64_t files, uint64_t xet, uint64_t xorbs)
{
    clo_sweep_counts n = {0};
    clo_sweep_opts o = {.now_s = now_s, .dry_run = dry};
    if (!clo_files_sweep(&n, &w->f, &o, NULL, NULL, &w->err)) fail_msg("sweep: %s", w->err.text);
    if (n.n_strays != strays || n.n_files != files || n.n_xet_files != xet || n.n_xorbs != xorbs)
        fail_msg("sweep: %llu strays, %llu files, %llu of terms, %llu xorbs", (unsigned long long)n.n_strays,
                 (unsigned long long)n.n_files, (unsigned long long)n.n_xet_files, (unsigned long long)n.n_xorbs);
}

/* --- whole files --------------------------------------------------------------------------------------------------*/

static void a_whole_file_is_taken_when_the_promise_is_kept(void **state)
{
    (void)state;
    world w;
    static uint8_t bytes[100000];
    char lfs[4096], blob[4096], hex[65];
    struct stat a, b;
    bool may = false, found = false;
    int64_t n = -1, sum = -1;
    clo_file_info info = {0};
    world_open(&w);
    make_noise(bytes, sizeof bytes, 1);
    clo_sha256 sha = clo_sha256_of(bytes, sizeof bytes), other = clo_sha256_of(bytes, 10);
    clo_sha256_hex(hex, &sha);
    path_of(lfs, &w, "lfs", hex);
    path_of(blob, &w, "blobs/sha256", hex);
    refuses(&w, "other bytes", put_whole(&w, 7, &other, sizeof bytes, (clo_bytes){bytes, sizeof bytes}),
            CLO_ERR_MISMATCH);
    refuses(&w, "too few", put_whole(&w, 7, &sha, sizeof bytes, (clo_bytes){bytes, 99999}), CLO_ERR_MISMATCH);
    refuses(&w, "too many", put_whole(&w, 7, &sha, 99999, (clo_bytes){bytes, sizeof bytes}), CLO_ERR_MISMATCH);
    refuses(&w, "a link to nothing", clo_files_link(&w.f, 7, &sha, &w.err), CLO_ERR_NOT_FOUND);
    assert_true(clo_files_find(&info, &found, &w.f, &sha, &w.err));
    assert_false(found);
    assert_false(clo_path_exists(lfs));

    if (!put_whole(&w, 7, &sha, sizeof bytes, (clo_bytes){bytes, sizeof bytes})) fail_msg("%s", w.err.text);
    assert_true(clo_files_find(&info, &found, &w.f, &sha, &w.err));
    assert_true(found && info.whole && !info.has_xet && info.size == sizeof bytes);
    assert_true(stat(lfs, &a) == 0 && stat(blob, &b) == 0 && a.st_ino == b.st_ino && a.st_nlink == 2);
    assert_true(clo_files_may_link(&may, &w.f, 7, &sha, &w.err));
    assert_true(may);
    assert_true(clo_files_may_link(&may, &w.f, 8, &sha, &w.err));
    assert_false(may);
    reads(&w, &sha, bytes, 0, sizeof bytes, 4096);
    reads(&w, &sha, bytes, 99999, 1, 10);
    reads(&w, &sha, bytes, 1234, 0, 10);
    clo_reader *r = NULL;
    int fd;
    uint64_t at = 0;
    assert_true(clo_reader_open(&r, &w.f, &sha, 1234, 10, &w.err) && clo_reader_plain(r, &fd, &at) && at == 1234);
    clo_reader_close(r);
    refuses(&w, "beyond its end", clo_reader_open(&r, &w.f, &sha, 99999, 2, &w.err), CLO_ERR_USAGE);

    assert_true(clo_files_link(&w.f, 8, &sha, &w.err) && clo_files_usage(&n, &sum, &w.f, 8, &w.err));
    assert_true(n == 1 && sum == sizeof bytes);
    assert_true(clo_files_unlink(&w.f, 8, &sha, &w.err) && clo_files_usage(&n, &sum, &w.f, 8, &w.err));
    assert_true(n == 0 && sum == 0);
    assert_int_equal(n_faults(&w), 0);
    world_close(&w);
}

static void an_empty_file_is_a_file(void **state)
{
    (void)state;
    world w;
    clo_sha256 sha = clo_sha256_of("", 0);
    world_open(&w);
    assert_true(put_whole(&w, 1, &sha, 0, (clo_bytes){0}));
    reads(&w, &sha, (const uint8_t *)"", 0, 0, 1);
    world_close(&w);
}

static void bytes_that_the_library_has_lie_on_disk_once_and_a_second_put_heals(void **state)
{
    (void)state;
    world w;
    static uint8_t bytes[5000];
    char lfs[4096], blob[4096], folder[4096], hex[65];
    struct stat a, b;
    world_open(&w);
    make_noise(bytes, sizeof bytes, 2);
    clo_sha256 sha = clo_sha256_of(bytes, sizeof bytes);
    clo_sha256_hex(hex, &sha);
    path_of(lfs, &w, "lfs", hex);
    path_of(blob, &w, "blobs/sha256", hex);
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(blob, '/') - blob), blob);
    assert_true(clo_mkdir_p(folder, &w.err));
    assert_true(clo_file_write_atomic(blob, (clo_bytes){bytes, sizeof bytes}, &w.err) && stat(blob, &b) == 0);
    assert_true(put_whole(&w, 1, &sha, sizeof bytes, (clo_bytes){bytes, sizeof bytes}));
    assert_true(stat(lfs, &a) == 0 && a.st_ino == b.st_ino);

    FILE *file = fopen(lfs, "r+");
    assert_non_null(file);
    fputc(bytes[0] ^ 1, file);
    fclose(file);
    assert_int_equal(n_faults(&w), 1);
    assert_non_null(strstr(last_fault, hex));
    assert_true(put_whole(&w, 1, &sha, sizeof bytes, (clo_bytes){bytes, sizeof bytes}));
    assert_int_equal(n_faults(&w), 0);
    assert_true(stat(lfs, &a) == 0 && stat(blob, &b) == 0 && a.st_ino == b.st_ino);
    world_close(&w);
}

/* --- xorbs and a file of them -------------------------------------------------------------------------------------*/

/* Two xorbs, A of 6 chunks and B of 3, and a file A[1..5) B[0..3) A[0..1) A[0..1). */
typedef struct {
    clo_buf body[2];
    clo_xorb xorb[2];
    uint8_t *raw[2]; /* of the xorbs */
    uint8_t *bytes;  /* of the file */
    uint64_t size;
    make_term terms[4];
    clo_xet_hash hash;
    clo_sha256 sha;
} sample;

static void add_chunk(sample *s, int i, size_t len, uint8_t scheme, size_t *at)
{
    uint8_t *raw = s->raw[i] + *at;
    make_noise(raw, len, *at + (uint64_t)i);
    if (scheme)
        for (size_t k = 0; k < len; k += 2)
            raw[k] = (uint8_t)(k >> 9);
    make_chunk(&s->body[i], raw, len, scheme);
    *at += len;
}

static void sample_make(sample *s)
{
    static const struct {
        int xorb;
        size_t len;
        uint8_t scheme;
    } chunks[] = {{0, 40000, 0}, {0, 131072, 1}, {0, 8192, 0},  {0, 10000, 0}, {0, 77777, 2},
                  {0, 1, 0},     {1, 65536, 1},  {1, 12345, 0}, {1, 100000, 2}};
    size_t at[2] = {0, 0}, off = 0;
    clo_xet_tree tree;
    *s = (sample){0};
    s->raw[0] = (uint8_t *)malloc(400000);
    s->raw[1] = (uint8_t *)malloc(400000);
    s->bytes = (uint8_t *)malloc(1000000);
    if (!s->raw[0] || !s->raw[1] || !s->bytes) abort();
    for (size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++)
        add_chunk(s, chunks[i].xorb, chunks[i].len, chunks[i].scheme, &at[chunks[i].xorb]);
    for (int i = 0; i < 2; i++)
        if (!clo_xorb_parse(&s->xorb[i], make_view(&s->body[i]), NULL)) abort();
    s->terms[0] = make_term_of(&s->xorb[0], 1, 5);
    s->terms[1] = make_term_of(&s->xorb[1], 0, 3);
    s->terms[2] = s->terms[3] = make_term_of(&s->xorb[0], 0, 1);
    clo_xet_tree_begin(&tree);
    for (int t = 0; t < 4; t++) {
        const clo_xorb *x = &s->xorb[t == 1];
        size_t from = 0;
        for (uint32_t i = 0; i < s->terms[t].end; i++) {
            if (i >= s->terms[t].start) {
                memcpy(s->bytes + off, s->raw[t == 1] + from, x->chunks[i].raw_len);
                clo_xet_tree_add(&tree, &x->chunks[i].hash, x->chunks[i].raw_len);
                off += x->chunks[i].raw_len;
            }
            from += x->chunks[i].raw_len;
        }
    }
    clo_xet_hash root = clo_xet_tree_end(&tree);
    s->hash = clo_xet_file_hash(&root);
    s->size = off;
    s->sha = clo_sha256_of(s->bytes, off);
}

static void sample_free(sample *s)
{
    for (int i = 0; i < 2; i++) {
        clo_buf_free(&s->body[i]);
        clo_xorb_free(&s->xorb[i]);
        free(s->raw[i]);
    }
    free(s->bytes);
}

static void sample_put_xorbs(world *w, const sample *s)
{
    bool inserted = false;
    for (int i = 0; i < 2; i++)
        if (!put_xorb(w, &s->xorb[i].hash, make_view(&s->body[i]), &inserted, NOW)) fail_msg("%s", w->err.text);
}

static bool commit_file(world *w, const clo_xet_hash *hash, const make_term *terms, uint32_t n, const clo_sha256 *sha,
                        int64_t repo, bool *inserted)
{
    clo_buf b = {0};
    w->err = (clo_err){0};
    make_shard_begin(&b);
    make_shard_file(&b, hash, terms, n, sha);
    make_shard_end(&b);
    bool ok = clo_files_commit_shard(inserted, &w->f, make_view(&b), repo, NOW, NULL, NULL, &w->err);
    clo_buf_free(&b);
    return ok;
}

static void a_xorb_is_taken_when_its_chunks_are_those_of_its_name(void **state)
{
    (void)state;
    world w;
    sample s;
    bool inserted = false, has = true;
    char path[4096], hex[65];
    clo_xorb x;
    world_open(&w);
    sample_make(&s);
    clo_xet_hash_text(hex, &s.xorb[0].hash);
    path_of(path, &w, "xorbs", hex);
    refuses(&w, "another's name", put_xorb(&w, &s.xorb[1].hash, make_view(&s.body[0]), &inserted, NOW),
            CLO_ERR_MISMATCH);
    clo_bytes cut = {(const uint8_t *)s.body[0].ptr, s.body[0].len - 1};
    refuses(&w, "a cut body", put_xorb(&w, &s.xorb[0].hash, cut, &inserted, NOW), CLO_ERR_FORMAT);
    refuses(&w, "no body", put_xorb(&w, &s.xorb[0].hash, (clo_bytes){0}, &inserted, NOW), CLO_ERR_FORMAT);
    assert_true(clo_files_has_xorb(&has, &w.f, &s.xorb[0].hash, &w.err));
    assert_false(has || clo_path_exists(path));

    size_t n = s.body[0].len;
    clo_buf_add(&s.body[0], CLO_STR("XETBLOB\1 a footer"));
    if (!put_xorb(&w, &s.xorb[0].hash, make_view(&s.body[0]), &inserted, NOW)) fail_msg("%s", w.err.text);
    assert_true(inserted);
    struct stat st;
    assert_true(stat(path, &st) == 0 && (size_t)st.st_size == n);
    assert_true(put_xorb(&w, &s.xorb[0].hash, make_view(&s.body[0]), &inserted, NOW) && !inserted);
    assert_true(clo_files_get_xorb(&x, &w.f, &s.xorb[0].hash, &w.err));
    assert_true(x.n_chunks == 6 && memcmp(x.chunks, s.xorb[0].chunks, 6 * sizeof *x.chunks) == 0);
    clo_xorb_free(&x);

    /* Damaged or cut off, it is healed; stored otherwise and undamaged, it stays. */
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    fseek(file, 1000, SEEK_SET);
    fputc(s.body[0].ptr[1000] ^ 1, file);
    fclose(file);
    assert_int_equal(n_faults(&w), 1);
    assert_true(put_xorb(&w, &s.xorb[0].hash, make_view(&s.body[0]), &inserted, NOW) && inserted);
    assert_int_equal(n_faults(&w), 0);
    clo_buf other = {0};
    size_t raw_at = 0;
    for (uint32_t i = 0; i < 6; raw_at += s.xorb[0].chunks[i++].raw_len)
        make_chunk(&other, s.raw[0] + raw_at, s.xorb[0].chunks[i].raw_len, CLO_CHUNK_LZ4);
    assert_true(put_xorb(&w, &s.xorb[0].hash, make_view(&other), &inserted, NOW) && !inserted);
    assert_int_equal(truncate(path, 100), 0);
    assert_int_equal(n_faults(&w), 1);
    assert_true(put_xorb(&w, &s.xorb[0].hash, make_view(&other), &inserted, NOW) && inserted);
    assert_int_equal(n_faults(&w), 0);
    clo_buf_free(&other);
    sample_free(&s);
    world_close(&w);
}

static void a_shards_file_is_taken_and_read_back_at_any_place(void **state)
{
    (void)state;
    world w;
    sample s;
    bool inserted = false, found = false;
    clo_file_info info = {0};
    world_open(&w);
    sample_make(&s);
    sample_put_xorbs(&w, &s);
    if (!commit_file(&w, &s.hash, s.terms, 4, &s.sha, 5, &inserted)) fail_msg("%s", w.err.text);
    assert_true(inserted);
    assert_true(commit_file(&w, &s.hash, s.terms, 4, &s.sha, 6, &inserted));
    assert_false(inserted);
    assert_true(clo_files_find_xet(&info, &found, &w.f, 6, &s.hash, &w.err));
    assert_true(found && !info.whole && info.size == s.size && clo_sha256_eq(&info.sha256, &s.sha));
    assert_true(clo_files_find_xet(&info, &found, &w.f, 4, &s.hash, &w.err));
    assert_false(found);
    reads(&w, &s.sha, s.bytes, 0, s.size, 1 << 20);
    reads(&w, &s.sha, s.bytes, 0, s.size, 1000);
    reads(&w, &s.sha, s.bytes, 0, s.size, 70000);
    for (uint64_t off = 0; off < s.size; off += 30011)
        for (uint64_t n = 1; n <= s.size - off; n = n * 7 + 3)
            reads(&w, &s.sha, s.bytes, off, n, 65536);
    assert_int_equal(n_faults(&w), 0);

    /* The same file whole: it is then both, and reads the same. */
    char blob[4096], hex[65];
    clo_map m = {0};
    bool may = true;
    clo_sha256_hex(hex, &s.sha);
    path_of(blob, &w, "blobs/sha256", hex);
    if (!clo_files_make_whole(&w.f, &s.sha, NOW, NULL, NULL, &w.err)) fail_msg("%s", w.err.text);
    assert_true(clo_map_open(&m, blob, &w.err) && m.bytes.len == s.size);
    assert_memory_equal(m.bytes.ptr, s.bytes, s.size);
    clo_map_close(&m);
    assert_true(clo_files_may_link(&may, &w.f, 4, &s.sha, &w.err));
    assert_false(may);
    assert_true(put_whole(&w, 5, &s.sha, s.size, (clo_bytes){s.bytes, s.size}));
    assert_true(clo_files_find(&info, &found, &w.f, &s.sha, &w.err) && info.whole && info.has_xet);
    reads(&w, &s.sha, s.bytes, 100, 1000, 100);
    sample_free(&s);
    world_close(&w);
}

static void a_file_without_a_named_sha256_gets_it_computed(void **state)
{
    (void)state;
    world w;
    sample s;
    bool inserted = false, may = false;
    world_open(&w);
    sample_make(&s);
    sample_put_xorbs(&w, &s);
    assert_true(commit_file(&w, &s.hash, s.terms, 4, NULL, 5, &inserted));
    assert_true(clo_files_may_link(&may, &w.f, 5, &s.sha, &w.err) && may);
    sample_free(&s);
    world_close(&w);
}

static void a_shard_that_lies_is_refused(void **state)
{
    (void)state;
    world w;
    sample s;
    bool inserted = false, found = false;
    clo_file_info info = {0};
    make_term t[4];
    world_open(&w);
    sample_make(&s);
    refuses(&w, "xorbs that are not here", commit_file(&w, &s.hash, s.terms, 4, &s.sha, 5, &inserted),
            CLO_ERR_NOT_FOUND);
    sample_put_xorbs(&w, &s);
    for (int lie = 0; lie < 8; lie++) {
        clo_xet_hash hash = s.hash;
        clo_sha256 sha = s.sha;
        uint32_t n = 4;
        const char *why = "";
        clo_code want = CLO_ERR_MISMATCH;
        memcpy(t, s.terms, sizeof t);
        switch (lie) {
        case 0:
            why = "another sha256", sha.b[0] ^= 1;
            break;
        case 1:
            why = "another file hash", hash.b[31] ^= 1;
            break;
        case 2:
            why = "another range hash", t[1].range_hash.b[5] ^= 1;
            break;
        case 3:
            why = "a range hash of nothing", memset(t[1].range_hash.b, 0, 32);
            break;
        case 4:
            why = "a range beyond the xorb", t[1].end++;
            break;
        case 5:
            why = "another size of a term", t[0].raw_bytes--;
            break;
        case 6:
            why = "a term less", n = 3;
            break;
        case 7:
            why = "a xorb that is not here", t[2].xorb.b[0] ^= 1, want = CLO_ERR_NOT_FOUND;
            break;
        }
        refuses(&w, why, commit_file(&w, &hash, t, n, &sha, 5, &inserted), want);
    }
    assert_true(clo_files_find(&info, &found, &w.f, &s.sha, &w.err));
    assert_false(found);

    /* One bad file among good ones: none is taken. */
    clo_buf b = {0};
    clo_sha256 sha = s.sha;
    sha.b[9] ^= 1;
    make_shard_begin(&b);
    make_shard_file(&b, &s.hash, s.terms, 4, &s.sha);
    make_shard_file(&b, &s.hash, s.terms, 4, &sha);
    make_shard_end(&b);
    refuses(&w, "a bad file among good ones",
            clo_files_commit_shard(&inserted, &w.f, make_view(&b), 5, NOW, NULL, NULL, &w.err), CLO_ERR_MISMATCH);
    assert_true(clo_files_find(&info, &found, &w.f, &s.sha, &w.err) && !found);
    clo_buf_free(&b);
    sample_free(&s);
    world_close(&w);
}

static bool stop_at_once(void *ctx, uint64_t done, uint64_t total)
{
    assert_true(done > 0 && done <= total);
    ++*(int *)ctx;
    return false;
}

static void a_shard_can_be_given_up(void **state)
{
    (void)state;
    world w;
    sample s;
    clo_buf b = {0};
    bool inserted = false;
    int calls = 0;
    world_open(&w);
    sample_make(&s);
    sample_put_xorbs(&w, &s);
    make_shard_begin(&b);
    make_shard_file(&b, &s.hash, s.terms, 4, &s.sha);
    make_shard_end(&b);
    refuses(&w, "given up",
            clo_files_commit_shard(&inserted, &w.f, make_view(&b), 5, NOW, stop_at_once, &calls, &w.err),
            CLO_ERR_CANCELLED);
    assert_int_equal(calls, 1);
    clo_buf_free(&b);
    sample_free(&s);
    world_close(&w);
}

/* What hf_xet 1.8.0 sent is taken as it is. */
static void a_clients_upload_is_taken(void **state)
{
    (void)state;
    world w;
    clo_map xorb = {0}, shard = {0};
    clo_xet_hash hash;
    bool inserted = false;
    int64_t n = -1, sum = -1;
    world_open(&w);
    assert_true(clo_map_open(&xorb, "tests/fuzz/corpus/xorb/client.xorb", &w.err) &&
                clo_map_open(&shard, "tests/fuzz/corpus/shard/client.shard", &w.err));
    assert_true(clo_xet_hash_parse(&hash, CLO_STR("078c9346ed16d0c266282f661bc8325cd1185b948c52bfa4d6525aebdd75392c")));
    if (!put_xorb(&w, &hash, xorb.bytes, &inserted, NOW)) fail_msg("%s", w.err.text);
    if (!clo_files_commit_shard(&inserted, &w.f, shard.bytes, 3, NOW, NULL, NULL, &w.err)) fail_msg("%s", w.err.text);
    assert_true(clo_files_usage(&n, &sum, &w.f, 3, &w.err));
    assert_true(n == 4 && sum == 34100 + 20000 + 9001 + 21001);
    assert_int_equal(n_faults(&w), 0);
    clo_map_close(&xorb);
    clo_map_close(&shard);
    world_close(&w);
}

/* --- reconstruction -----------------------------------------------------------------------------------------------*/

static bool url_of(char out[CLO_XORB_URL_MAX], void *ctx, const clo_xet_hash *xorb, uint64_t first, uint64_t last,
                   clo_err *err)
{
    char hex[65];
    (void)ctx;
    (void)err;
    clo_xet_hash_text(hex, xorb);
    snprintf(out, CLO_XORB_URL_MAX, "http://h/%.8s/%llu-%llu", hex, (unsigned long long)first,
             (unsigned long long)last);
    return true;
}

/* Puts [first, end) together from an answer as a client does, from the stored bytes that it names. */
static void put_together(world *w, const sample *s, uint64_t first, uint64_t end, clo_reconstruction_version v)
{
    json_t *a = NULL, *term;
    size_t i, n = 0;
    clo_chunk_decoder *d = NULL;
    uint8_t *out = (uint8_t *)malloc(1000000);
    assert_true(out && clo_chunk_decoder_open(&d, NULL));
    if (!clo_reconstruct(&a, &w->f, &s->hash, first, end, v, url_of, NULL, &w->err)) fail_msg("%s", w->err.text);
    json_array_foreach(json_object_get(a, "terms"), i, term)
    {
        const char *hash = json_string_value(json_object_get(term, "hash"));
        json_t *range = json_object_get(term, "range"), *fetch, *found = NULL, *bytes = NULL;
        json_int_t start = clo_json_int(range, "start", -1), stop = clo_json_int(range, "end", -1), chunk = -1;
        size_t k, before = n;
        json_array_foreach(json_object_get(json_object_get(a, v == 1 ? "fetch_info" : "xorbs"), hash), k, fetch)
        {
            json_t *one = v == 1 ? fetch : json_array_get(json_object_get(fetch, "ranges"), 0);
            json_t *chunks = json_object_get(one, v == 1 ? "range" : "chunks");
            if (clo_json_int(chunks, "start", -1) > start || clo_json_int(chunks, "end", -1) < stop) continue;
            found = fetch;
            bytes = json_object_get(one, v == 1 ? "url_range" : "bytes");
            chunk = clo_json_int(chunks, "start", -1);
        }
        if (!found) fail_msg("no fetch for term %zu", i);
        char first_xorb[65];
        clo_xet_hash_text(first_xorb, &s->xorb[0].hash);
        int which = strcmp(hash, first_xorb) != 0;
        json_int_t at = clo_json_int(bytes, "start", -1), last = clo_json_int(bytes, "end", -1);
        char url[200];
        snprintf(url, sizeof url, "http://h/%.8s/%lld-%lld", hash, (long long)at, (long long)last);
        assert_string_equal(json_string_value(json_object_get(found, "url")), url);
        for (; chunk < stop; chunk++) {
            clo_xorb_chunk c;
            const uint8_t *p = (const uint8_t *)s->body[which].ptr + at;
            assert_true(at + CLO_CHUNK_HEADER <= last + 1 && clo_chunk_header(&c, (clo_bytes){p, 8}, NULL));
            at += c.stored_len;
            assert_true(at <= last + 1);
            if (chunk < start) continue;
            assert_true(clo_chunk_decode(d, out + n, c.raw_len, c.scheme, (clo_bytes){p + 8, c.stored_len - 8}, NULL));
            n += c.raw_len;
        }
        assert_int_equal(clo_json_int(term, "unpacked_length", -1), n - before);
    }
    json_int_t skip = clo_json_int(a, "offset_into_first_range", -1);
    assert_true(skip >= 0 && (size_t)skip + (end - first) <= n);
    assert_memory_equal(out + skip, s->bytes + first, end - first);
    json_decref(a);
    clo_chunk_decoder_close(d);
    free(out);
}

static void a_client_can_put_a_file_together(void **state)
{
    (void)state;
    world w;
    sample s;
    bool inserted = false;
    json_t *a = NULL;
    world_open(&w);
    sample_make(&s);
    sample_put_xorbs(&w, &s);
    assert_true(commit_file(&w, &s.hash, s.terms, 4, &s.sha, 5, &inserted));
    for (int v = 1; v <= 2; v++) {
        put_together(&w, &s, 0, s.size, (clo_reconstruction_version)v);
        for (uint64_t off = 0; off < s.size; off += 25013)
            for (uint64_t n = 1; n <= s.size - off; n = n * 9 + 1)
                put_together(&w, &s, off, off + n, (clo_reconstruction_version)v);
    }
    /* A[1..5) and A[0..1) meet, and are fetched as one. */
    char hex[65];
    assert_true(clo_reconstruct(&a, &w.f, &s.hash, 0, UINT64_MAX, CLO_RECONSTRUCTION_V2, url_of, NULL, &w.err));
    clo_xet_hash_text(hex, &s.xorb[0].hash);
    assert_int_equal(json_array_size(json_object_get(a, "terms")), 4);
    assert_int_equal(json_array_size(json_object_get(json_object_get(a, "xorbs"), hex)), 1);
    json_decref(a);
    refuses(&w, "after its end", clo_reconstruct(&a, &w.f, &s.hash, s.size, s.size + 1, 2, url_of, NULL, &w.err),
            CLO_ERR_USAGE);
    refuses(&w, "another file", clo_reconstruct(&a, &w.f, &s.xorb[0].hash, 0, 1, 2, url_of, NULL, &w.err),
            CLO_ERR_NOT_FOUND);
    sample_free(&s);
    world_close(&w);
}

static void a_client_learns_which_chunks_it_need_not_send(void **state)
{
    (void)state;
    world w;
    sample s;
    bool inserted = false, found = true;
    clo_buf b = {0};
    clo_shard shard;
    clo_shard_xorb x;
    size_t at = 0;
    world_open(&w);
    sample_make(&s);
    sample_put_xorbs(&w, &s);
    const clo_xet_hash *first = &s.xorb[0].chunks[1].hash; /* of the file */
    assert_true(clo_dedup_answer(&b, &found, &w.f, first, NOW, &w.err));
    assert_false(found);
    assert_true(commit_file(&w, &s.hash, s.terms, 4, &s.sha, 5, &inserted));
    if (!clo_dedup_answer(&b, &found, &w.f, first, NOW + 10 * DAY, &w.err)) fail_msg("%s", w.err.text);
    assert_true(found);
    assert_true(clo_shard_open(&shard, make_view(&b), &w.err) && shard.n_files == 0 && shard.n_xorbs == 1);
    assert_true(clo_shard_next_xorb(&shard, &at, &x) && clo_xet_hash_eq(&x.hash, &s.xorb[0].hash));
    for (uint32_t i = 0; i < x.n_chunks; i++) /* no chunk's own hash is told */
        for (uint32_t k = 0; k < x.n_chunks; k++) {
            uint32_t len;
            clo_xet_hash h = clo_shard_chunk_at(&x, i, &len);
            assert_false(clo_xet_hash_eq(&h, &s.xorb[0].chunks[k].hash));
        }
    assert_true(clo_dedup_answer(&b, &found, &w.f, &s.xorb[0].chunks[3].hash, NOW, &w.err));
    assert_false(found);

    /* The xorb that was named stays for those to whom it was named; the other goes. */
    assert_true(clo_files_unlink_all(&w.f, 5, &w.err));
    sweeps(&w, false, NOW + 28 * DAY, 0, 1, 1, 1);
    assert_true(clo_dedup_answer(&b, &found, &w.f, first, NOW + 10 * DAY, &w.err) && found);
    sweeps(&w, false, NOW + 38 * DAY, 0, 0, 0, 1);
    assert_true(clo_dedup_answer(&b, &found, &w.f, first, NOW + 38 * DAY, &w.err));
    assert_false(found);
    clo_buf_free(&b);
    sample_free(&s);
    world_close(&w);
}

/* --- checking and sweeping ----------------------------------------------------------------------------------------*/

static void a_check_finds_what_is_damaged_or_missing(void **state)
{
    (void)state;
    world w;
    sample s;
    bool inserted = false;
    char path[4096], hex[65];
    world_open(&w);
    sample_make(&s);
    sample_put_xorbs(&w, &s);
    assert_true(commit_file(&w, &s.hash, s.terms, 4, &s.sha, 5, &inserted));
    clo_xet_hash_text(hex, &s.xorb[1].hash);
    path_of(path, &w, "xorbs", hex);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    fseek(file, (long)s.xorb[1].chunks[1].off + 100, SEEK_SET);
    fputc(s.body[1].ptr[s.xorb[1].chunks[1].off + 100] ^ 1, file);
    fclose(file);
    assert_int_equal(n_faults(&w), 1);
    assert_non_null(strstr(last_fault, hex));
    unlink(path);
    assert_int_equal(n_faults(&w), 1);
    clo_reader *r = NULL;
    size_t got;
    uint8_t byte;
    assert_true(clo_reader_open(&r, &w.f, &s.sha, s.terms[0].raw_bytes, 1, &w.err));
    refuses(&w, "a xorb that is gone", clo_reader_read(r, &byte, 1, &got, &w.err), CLO_ERR_DAMAGED);
    clo_reader_close(r);
    clo_stmt q = {0};
    bool row;
    assert_true(clo_stmt_open(&q, w.db, "DELETE FROM xorbs", &w.err) && clo_stmt_step(&q, &row, &w.err));
    clo_stmt_close(&q);
    assert_int_equal(n_faults(&w), 1); /* the file whose terms name it */
    refuses(&w, "rows that are gone", clo_reader_open(&r, &w.f, &s.sha, 0, 1, &w.err), CLO_ERR_DAMAGED);
    sample_free(&s);
    world_close(&w);
}

static void a_sweep_takes_what_nothing_needs_and_no_more(void **state)
{
    (void)state;
    world w;
    sample s;
    static uint8_t bytes[1000];
    char lfs[4096], blob[4096], stray[4096], hex[65];
    bool inserted = false;
    world_open(&w);
    sample_make(&s);
    sample_put_xorbs(&w, &s);
    assert_true(commit_file(&w, &s.hash, s.terms, 4, &s.sha, 5, &inserted));
    make_noise(bytes, sizeof bytes, 3);
    clo_sha256 sha = clo_sha256_of(bytes, sizeof bytes), none = clo_sha256_of(bytes, 1);
    assert_true(put_whole(&w, 5, &sha, sizeof bytes, (clo_bytes){bytes, sizeof bytes}));
    clo_sha256_hex(hex, &sha);
    path_of(lfs, &w, "lfs", hex);
    path_of(blob, &w, "blobs/sha256", hex);
    sweeps(&w, false, NOW + 400 * DAY, 0, 0, 0, 0); /* all is needed */

    clo_sha256_hex(hex, &none);
    path_of(stray, &w, "lfs", hex);
    char folder[4096];
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(stray, '/') - stray), stray);
    assert_true(clo_mkdir_p(folder, &w.err) && clo_file_write_atomic(stray, (clo_bytes){bytes, 1}, &w.err));
    sweeps(&w, true, NOW, 1, 0, 0, 0);
    assert_true(clo_path_exists(stray));
    sweeps(&w, false, NOW, 1, 0, 0, 0);
    assert_false(clo_path_exists(stray));

    assert_true(clo_files_unlink_all(&w.f, 5, &w.err));
    sweeps(&w, false, NOW + DAY - 1, 0, 0, 0, 0); /* within the grace */
    sweeps(&w, true, NOW + DAY, 0, 2, 1, 0);
    assert_true(clo_path_exists(lfs));
    sweeps(&w, false, NOW + DAY, 0, 2, 1, 0);
    assert_false(clo_path_exists(lfs) || clo_path_exists(blob));
    sweeps(&w, true, NOW + 28 * DAY - 1, 0, 0, 0, 0);

    /* Within its grace a xorb can be named again without being sent. */
    assert_true(commit_file(&w, &s.hash, s.terms, 4, &s.sha, 5, &inserted));
    reads(&w, &s.sha, s.bytes, 0, s.size, 100000);
    assert_true(clo_files_unlink_all(&w.f, 5, &w.err));
    sweeps(&w, true, NOW + 28 * DAY, 0, 1, 1, 2);
    sweeps(&w, false, NOW + 28 * DAY, 0, 1, 1, 2);
    sweeps(&w, false, NOW + 28 * DAY, 0, 0, 0, 0);
    refuses(&w, "xorbs that were swept", commit_file(&w, &s.hash, s.terms, 4, &s.sha, 5, &inserted), CLO_ERR_NOT_FOUND);
    assert_int_equal(n_faults(&w), 0);
    sample_free(&s);
    world_close(&w);
}

static void a_swept_file_that_the_library_holds_stays_there(void **state)
{
    (void)state;
    world w;
    static uint8_t bytes[1000];
    char blob[4096], model[4200], hex[65];
    world_open(&w);
    make_noise(bytes, sizeof bytes, 4);
    clo_sha256 sha = clo_sha256_of(bytes, sizeof bytes);
    assert_true(put_whole(&w, 5, &sha, sizeof bytes, (clo_bytes){bytes, sizeof bytes}));
    clo_sha256_hex(hex, &sha);
    path_of(blob, &w, "blobs/sha256", hex);
    snprintf(model, sizeof model, "%s/model", w.dir);
    assert_int_equal(link(blob, model), 0);
    assert_true(clo_files_unlink_all(&w.f, 5, &w.err));
    sweeps(&w, false, NOW + DAY, 0, 1, 0, 0);
    assert_true(clo_path_exists(blob));
    world_close(&w);
}

/* --- kill -9 ------------------------------------------------------------------------------------------------------*/

/* Number i: by turns a whole file, a xorb of one chunk, and a Xet file of the xorb before. */
static size_t nth(uint8_t out[3000], uint32_t i)
{
    if (i % 3 == 2) i--;
    make_noise(out, 3000, 1000 + i);
    return 500 + i * 37 % 2500;
}

static bool put_nth(world *w, uint32_t i)
{
    uint8_t bytes[3000];
    size_t n = nth(bytes, i);
    bool inserted = false, ok;
    clo_buf body = {0};
    clo_xorb x = {0};
    clo_sha256 sha = clo_sha256_of(bytes, n);
    if (i % 3 == 0) return put_whole(w, 1, &sha, n, (clo_bytes){bytes, n});
    make_chunk(&body, bytes, n, CLO_CHUNK_PLAIN);
    if (!clo_xorb_parse(&x, make_view(&body), NULL)) return false;
    if (i % 3 == 1) {
        ok = put_xorb(w, &x.hash, make_view(&body), &inserted, NOW);
    } else {
        make_term t = make_term_of(&x, 0, 1);
        clo_xet_hash hash = clo_xet_file_hash(&x.hash);
        ok = commit_file(w, &hash, &t, 1, &sha, 1, &inserted);
    }
    clo_buf_free(&body);
    clo_xorb_free(&x);
    return ok;
}

/* Puts from number `from` on, and says each that was acknowledged. */
static void put_until_killed(const char *dir, int to, uint32_t from)
{
    world w = {0};
    if (!clo_db_open(&w.db, dir, NULL)) _exit(3);
    w.f = (clo_files){.db = w.db, .data_dir = dir};
    for (uint32_t i = from;; i++) {
        if (!put_nth(&w, i)) _exit(5);
        if (write(to, &i, sizeof i) != sizeof i) _exit(4);
    }
}

static void is_nth_there(world *w, uint32_t i)
{
    uint8_t bytes[3000];
    size_t n = nth(bytes, i);
    clo_sha256 sha = clo_sha256_of(bytes, n);
    clo_xet_hash hash = clo_xet_chunk_hash(bytes, n);
    clo_xorb x = {0};
    if (i % 3 != 1) {
        reads(w, &sha, bytes, 0, n, 4096);
        return;
    }
    if (!clo_files_get_xorb(&x, &w->f, &hash, &w->err)) fail_msg("xorb %u: %s", i, w->err.text);
    assert_int_equal(x.raw_bytes, n);
    clo_xorb_free(&x);
}

static void what_was_acknowledged_outlives_kill_9(void **state)
{
    (void)state;
    enum { KILLS = 12 };
    world w;
    uint32_t next = 0, i;
    world_open(&w);
    clo_db_close(w.db);
    for (int k = 0; k < KILLS; k++) {
        int p[2], status;
        assert_int_equal(pipe(p), 0);
        pid_t child = fork();
        if (child == 0) put_until_killed(w.dir, p[1], next);
        close(p[1]);
        assert_int_equal(read(p[0], &i, sizeof i), sizeof i); /* it is at work */
        usleep((useconds_t)(1000 + 3217 * k));
        kill(child, SIGKILL);
        do
            next = i + 1;
        while (read(p[0], &i, sizeof i) == sizeof i);
        close(p[0]);
        waitpid(child, &status, 0);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }
    assert_true(clo_db_open(&w.db, w.dir, &w.err));
    w.f.db = w.db;
    assert_true(next >= KILLS);
    for (i = 0; i < next; i++)
        is_nth_there(&w, i);
    if (n_faults(&w)) fail_msg("%s", last_fault);
    clo_sweep_counts n = {0};
    clo_sweep_opts o = {.now_s = NOW};
    assert_true(clo_files_sweep(&n, &w.f, &o, NULL, NULL, &w.err));
    assert_true(n.n_strays <= KILLS && n.n_files == 0 && n.n_xorbs == 0);
    for (i = 0; i < next; i++)
        is_nth_there(&w, i);
    print_message("# %u puts acknowledged, %d kills, %llu files without a row\n", next, KILLS,
                  (unsigned long long)n.n_strays);
    world_close(&w);
}

/* --- many at once -------------------------------------------------------------------------------------------------*/

typedef struct {
    const char *dir;
    uint32_t from;
    bool ok;
} worker;

/* The same puts as the others, in another order, and a sweep between them: through a connection of its own. */
static void *work(void *arg)
{
    enum { N = 24 };
    worker *k = (worker *)arg;
    world w = {0};
    clo_sweep_counts n = {0};
    clo_sweep_opts o = {.now_s = NOW};
    k->ok = clo_db_open(&w.db, k->dir, NULL);
    w.f = (clo_files){.db = w.db, .data_dir = k->dir};
    for (uint32_t i = 0; k->ok && i < N; i++) {
        uint32_t at = (i + k->from) % N;
        if (at % 3 == 2) k->ok = put_nth(&w, at - 1); /* its xorb */
        k->ok = k->ok && put_nth(&w, at);
        if (i % 8 == 7) k->ok = k->ok && clo_files_sweep(&n, &w.f, &o, NULL, NULL, NULL) && n.n_files + n.n_xorbs == 0;
    }
    if (!k->ok) print_message("# worker %u: %s\n", k->from, w.err.text);
    clo_db_close(w.db);
    return NULL;
}

static void several_connections_may_work_at_once(void **state)
{
    (void)state;
    enum { WORKERS = 4 };
    world w;
    worker k[WORKERS];
    pthread_t t[WORKERS];
    world_open(&w);
    for (uint32_t i = 0; i < WORKERS; i++) {
        k[i] = (worker){.dir = w.dir, .from = 5 * i};
        assert_int_equal(pthread_create(&t[i], NULL, work, &k[i]), 0);
    }
    for (uint32_t i = 0; i < WORKERS; i++)
        pthread_join(t[i], NULL);
    for (uint32_t i = 0; i < WORKERS; i++)
        assert_true(k[i].ok);
    for (uint32_t i = 0; i < 24; i++)
        is_nth_there(&w, i);
    if (n_faults(&w)) fail_msg("%s", last_fault);
    world_close(&w);
}

/* --- speed --------------------------------------------------------------------------------------------------------*/

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void its_speed_is_printed(void **state)
{
    (void)state;
    enum { CHUNK = 65536, N = 300 };
    static const char *const names[] = {"plain", "LZ4", "BG4+LZ4"};
    uint8_t *raw = (uint8_t *)malloc(CHUNK), *buf = (uint8_t *)malloc(1 << 20);
    assert_true(raw && buf);
    for (uint8_t scheme = 0; scheme < 3; scheme++) {
        world w;
        clo_buf body = {0}, shard = {0};
        clo_xorb x;
        clo_reader *r = NULL;
        bool inserted = false;
        size_t got = 1;
        world_open(&w);
        for (uint32_t i = 0; i < N; i++) {
            make_noise(raw, CHUNK, i);
            for (size_t k = 0; scheme && k < CHUNK; k += 4)
                raw[k + 2] = raw[k + 3] = (uint8_t)(k >> 12);
            make_chunk(&body, raw, CHUNK, scheme);
        }
        assert_true(clo_xorb_parse(&x, make_view(&body), &w.err));
        double t0 = seconds();
        assert_true(put_xorb(&w, &x.hash, make_view(&body), &inserted, NOW));
        double t1 = seconds();
        make_term t = make_term_of(&x, 0, N);
        clo_xet_tree tree;
        clo_xet_tree_begin(&tree);
        for (uint32_t i = 0; i < N; i++)
            clo_xet_tree_add(&tree, &x.chunks[i].hash, CHUNK);
        clo_xet_hash root = clo_xet_tree_end(&tree), hash = clo_xet_file_hash(&root);
        make_shard_begin(&shard);
        make_shard_file(&shard, &hash, &t, 1, NULL);
        make_shard_end(&shard);
        double t2 = seconds();
        assert_true(clo_files_commit_shard(&inserted, &w.f, make_view(&shard), 1, NOW, NULL, NULL, &w.err));
        double t3 = seconds();
        clo_file_info info = {0};
        assert_true(clo_files_find_xet(&info, &inserted, &w.f, 1, &hash, &w.err) && inserted);
        assert_true(clo_reader_open(&r, &w.f, &info.sha256, 0, info.size, &w.err));
        double t4 = seconds();
        while (got)
            assert_true(clo_reader_read(r, buf, 1 << 20, &got, &w.err));
        double t5 = seconds();
        double bytes = (double)CHUNK * N / 1e9;
        print_message("# %s: put %.2f, shard with SHA-256 %.2f, read %.2f GB/s\n", names[scheme], bytes / (t1 - t0),
                      bytes / (t3 - t2), bytes / (t5 - t4));
        clo_reader_close(r);
        clo_xorb_free(&x);
        clo_buf_free(&body);
        clo_buf_free(&shard);
        world_close(&w);
    }
    free(raw);
    free(buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_file_is_taken_when_the_promise_is_kept),
        cmocka_unit_test(an_empty_file_is_a_file),
        cmocka_unit_test(bytes_that_the_library_has_lie_on_disk_once_and_a_second_put_heals),
        cmocka_unit_test(a_xorb_is_taken_when_its_chunks_are_those_of_its_name),
        cmocka_unit_test(a_shards_file_is_taken_and_read_back_at_any_place),
        cmocka_unit_test(a_file_without_a_named_sha256_gets_it_computed),
        cmocka_unit_test(a_shard_that_lies_is_refused),
        cmocka_unit_test(a_shard_can_be_given_up),
        cmocka_unit_test(a_clients_upload_is_taken),
        cmocka_unit_test(a_client_can_put_a_file_together),
        cmocka_unit_test(a_client_learns_which_chunks_it_need_not_send),
        cmocka_unit_test(a_check_finds_what_is_damaged_or_missing),
        cmocka_unit_test(a_sweep_takes_what_nothing_needs_and_no_more),
        cmocka_unit_test(a_swept_file_that_the_library_holds_stays_there),
        cmocka_unit_test(what_was_acknowledged_outlives_kill_9),
        cmocka_unit_test(several_connections_may_work_at_once),
        cmocka_unit_test(its_speed_is_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
