/* See fsck.h. Each table is walked by its key, one row a query, so that a check of days holds no transaction open. */
#include "hub/fsck.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "hub/files_impl.h"
#include "hub/terms.h"

typedef struct {
    const clo_files *f;
    clo_fsck_counts n;
    clo_fsck_report *report;
    void *ctx;
    uint8_t *buf; /* owned, CLO_XORB_BYTES_MAX bytes */
    clo_xorb_shelf shelf;
} check;

#define STEP ((size_t)1 << 20)

/* A thing of a table: its key, and what the row says of it. */
typedef struct {
    uint8_t key[32];
    size_t key_len; /* 0 before the first */
    int64_t size, number;
    uint8_t *blob; /* owned, or NULL */
    size_t blob_len;
} thing;

typedef bool check_fn(check *c, const thing *t, clo_err *fault);

/* --- whole files --------------------------------------------------------------------------------------------------*/

static int open_to_check(const char *path, clo_err *fault)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); /* so that the disk is read, not what is held of it */
    else
        clo_fail_sys(fault, errno, "open '%s'", path);
    return fd;
}

/* Up to n bytes; fewer at the end of the file only. */
static bool read_some(size_t *got, int fd, uint8_t *buf, size_t n, clo_err *fault)
{
    *got = 0;
    while (*got < n) {
        ssize_t k = read(fd, buf + *got, n - *got);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return clo_fail_sys(fault, errno, "read");
        if (k == 0) break;
        *got += (size_t)k;
    }
    return true;
}

static bool hash_file(clo_sha256 *out, uint64_t *bytes, check *c, const char *path, clo_err *fault)
{
    clo_sha256_ctx sum;
    size_t got = 1;
    bool ok = true;
    int fd = open_to_check(path, fault);
    *bytes = 0;
    if (fd < 0) return false;
    clo_sha256_begin(&sum);
    while (got && (ok = read_some(&got, fd, c->buf, STEP, fault))) {
        clo_sha256_add(&sum, c->buf, got);
        *bytes += got;
    }
    *out = clo_sha256_end(&sum);
    close(fd);
    return ok;
}

static bool check_file(check *c, const thing *t, clo_err *fault)
{
    char path[4096], hex[65];
    clo_sha256 want, found;
    uint64_t bytes;
    memcpy(want.b, t->key, 32);
    clo_sha256_hex(hex, &want);
    if (!clo_files_path(path, c->f, "lfs", hex, fault) || !hash_file(&found, &bytes, c, path, fault)) return false;
    c->n.bytes += bytes;
    if (bytes != (uint64_t)t->size)
        return clo_fail(fault, CLO_ERR_DAMAGED, "%lld bytes came in, %llu are there", (long long)t->size,
                        (unsigned long long)bytes);
    clo_sha256_hex(hex, &found);
    return clo_sha256_eq(&found, &want) || clo_fail(fault, CLO_ERR_DAMAGED, "its bytes have sha256 %s", hex);
}

/* --- xorbs and the files made of them -----------------------------------------------------------------------------*/

static bool same_chunks(const clo_xorb *x, const thing *t, clo_err *fault)
{
    size_t n = (size_t)x->n_chunks * CLO_XORB_ROW;
    uint8_t *rows = (uint8_t *)malloc(n);
    if (!rows) return clo_fail(fault, CLO_ERR_MEMORY, "list of chunks");
    clo_xorb_pack_chunks(rows, x);
    bool same = n == t->blob_len && memcmp(rows, t->blob, n) == 0;
    free(rows);
    return same || clo_fail(fault, CLO_ERR_DAMAGED, "its chunks are not those of its row");
}

static bool check_xorb(check *c, const thing *t, clo_err *fault)
{
    char path[4096], hex[65];
    clo_xet_hash want;
    clo_xorb x = {0};
    size_t n;
    memcpy(want.b, t->key, 32);
    clo_xet_hash_text(hex, &want);
    if (!clo_files_path(path, c->f, "xorbs", hex, fault)) return false;
    int fd = open_to_check(path, fault);
    if (fd < 0) return false;
    bool ok = read_some(&n, fd, c->buf, CLO_XORB_BYTES_MAX, fault);
    close(fd);
    if (!ok) return false;
    c->n.bytes += n;
    if (n != (uint64_t)t->size)
        return clo_fail(fault, CLO_ERR_DAMAGED, "%lld bytes were stored, %zu are there", (long long)t->size, n);
    if (!clo_xorb_parse(&x, (clo_bytes){c->buf, n}, fault)) return false;
    clo_xet_hash_text(hex, &x.hash);
    ok = clo_xet_hash_eq(&x.hash, &want) || clo_fail(fault, CLO_ERR_DAMAGED, "its chunks have hash %s", hex);
    ok = ok && same_chunks(&x, t, fault);
    clo_xorb_free(&x);
    return ok;
}

static bool check_xet_file(check *c, const thing *t, clo_err *fault)
{
    clo_xet_tree tree;
    size_t n = t->blob_len / CLO_FILE_TERM;
    clo_xet_tree_begin(&tree);
    if (t->blob_len % CLO_FILE_TERM) return clo_fail(fault, CLO_ERR_DAMAGED, "terms of %zu bytes", t->blob_len);
    for (size_t i = 0; i < n; i++) {
        clo_file_term term = clo_file_term_unpack(t->blob + i * CLO_FILE_TERM);
        const clo_xorb *x;
        uint64_t before = tree.bytes;
        if (!clo_xorb_shelf_get(&x, &c->shelf, c->f, &term.xorb, fault)) return false;
        if (term.start >= term.end || term.end > x->n_chunks)
            return clo_fail(fault, CLO_ERR_DAMAGED, "term %zu: chunks %u to %u of %u", i, term.start, term.end,
                            x->n_chunks);
        for (uint32_t k = term.start; k < term.end; k++)
            clo_xet_tree_add(&tree, &x->chunks[k].hash, x->chunks[k].raw_len);
        if (tree.bytes - before != term.raw_bytes) return clo_fail(fault, CLO_ERR_DAMAGED, "term %zu: its size", i);
    }
    if (tree.bytes != (uint64_t)t->size) return clo_fail(fault, CLO_ERR_DAMAGED, "its terms have another size");
    clo_xet_hash root = clo_xet_tree_end(&tree), hash = clo_xet_file_hash(&root);
    return memcmp(hash.b, t->key, 32) == 0 || clo_fail(fault, CLO_ERR_DAMAGED, "its chunks are those of another file");
}

/* A row of `files` whose terms have no row; a file that a repository may name and that is not here. */
static bool check_link(check *c, const thing *t, clo_err *fault)
{
    (void)c;
    return t->number != 0 || clo_fail(fault, CLO_ERR_DAMAGED, "a repository may name it, and it is not here");
}

static bool check_terms_row(check *c, const thing *t, clo_err *fault)
{
    (void)c;
    return t->number != 0 || clo_fail(fault, CLO_ERR_DAMAGED, "its terms are not here");
}

/* --- the tables ---------------------------------------------------------------------------------------------------*/

static const struct {
    const char *kind;
    const char *sql; /* key, size, number, blob of the first row after key ?1 */
    size_t count_off;
    check_fn *fn;
    bool sha256; /* the key prints as one */
} tables[] = {
    {"file", "SELECT sha256, size, 0, NULL FROM files WHERE whole = 1 AND sha256 > ?1 ORDER BY sha256 LIMIT 1",
     offsetof(clo_fsck_counts, n_files), check_file, true},
    {"xorb", "SELECT hash, stored, 0, chunks FROM xorbs WHERE hash > ?1 ORDER BY hash LIMIT 1",
     offsetof(clo_fsck_counts, n_xorbs), check_xorb, false},
    {"xet file", "SELECT hash, size, 0, terms FROM xet_files WHERE hash > ?1 ORDER BY hash LIMIT 1",
     offsetof(clo_fsck_counts, n_xet_files), check_xet_file, false},
    {"link",
     "SELECT f.sha256, f.size, f.whole OR EXISTS (SELECT 1 FROM xet_files x WHERE x.hash = f.xet), NULL FROM files f"
     " WHERE f.sha256 > ?1 ORDER BY f.sha256 LIMIT 1",
     offsetof(clo_fsck_counts, n_links), check_terms_row, true},
    {"link",
     "SELECT r.sha256, 0, EXISTS (SELECT 1 FROM files f WHERE f.sha256 = r.sha256), NULL FROM repo_files r"
     " WHERE r.sha256 > ?1 ORDER BY r.sha256 LIMIT 1",
     offsetof(clo_fsck_counts, n_links), check_link, true},
};

/* The first row after t->key; *row false: there is none. */
static bool next_thing(thing *t, bool *row, const clo_files *f, const char *sql, clo_err *err)
{
    clo_stmt q = {0};
    free(t->blob);
    t->blob = NULL;
    bool ok = clo_stmt_open(&q, f->db, sql, err) && clo_stmt_blob(&q, 1, (clo_bytes){t->key, t->key_len}, err) &&
              clo_stmt_step(&q, row, err);
    if (ok && *row) {
        clo_bytes key = clo_stmt_get_blob(&q, 0);
        ok = key.len == 32 || clo_fail(err, CLO_ERR_DAMAGED, "a key of %zu bytes", key.len);
        if (ok) memcpy(t->key, key.ptr, 32);
        t->key_len = 32;
        t->size = clo_stmt_get_int(&q, 1);
        t->number = clo_stmt_get_int(&q, 2);
        clo_bytes b = clo_stmt_get_blob(&q, 3);
        t->blob = (uint8_t *)malloc(b.len + 1);
        t->blob_len = b.len;
        if (ok && !t->blob) ok = clo_fail(err, CLO_ERR_MEMORY, "row of %zu bytes", b.len);
        if (ok && b.len) memcpy(t->blob, b.ptr, b.len);
    }
    clo_stmt_close(&q);
    return ok;
}

/* Whether the row with key t->key went away while it was looked at: then it has no fault. */
static bool went_away(bool *out, const clo_files *f, const char *sql, const thing *t, clo_err *err)
{
    thing again = {0};
    bool row = false;
    memcpy(again.key, t->key, 32);
    again.key_len = 31; /* a part of a key stands right before it */
    bool ok = next_thing(&again, &row, f, sql, err);
    *out = ok && !(row && memcmp(again.key, t->key, 32) == 0);
    free(again.blob);
    return ok;
}

static bool check_table(check *c, size_t i, clo_err *err)
{
    thing t = {0};
    bool row = false, ok = true;
    uint64_t *count = (uint64_t *)((uint8_t *)&c->n + tables[i].count_off);
    while ((ok = next_thing(&t, &row, c->f, tables[i].sql, err)) && row) {
        clo_err fault = {0};
        char hex[65];
        bool gone;
        ++*count;
        if (tables[i].fn(c, &t, &fault)) continue;
        ok = went_away(&gone, c->f, tables[i].sql, &t, err);
        if (!ok) break;
        if (gone) continue;
        clo_sha256 key;
        memcpy(key.b, t.key, 32);
        if (!tables[i].sha256) key = clo_xet_to_sha256(t.key);
        clo_sha256_hex(hex, &key);
        c->n.faults++;
        ok = c->report(c->ctx, tables[i].kind, hex, fault.text) || clo_fail(err, CLO_ERR_CANCELLED, "stopped");
        if (!ok) break;
    }
    free(t.blob);
    return ok;
}

bool clo_files_check(clo_fsck_counts *out, const clo_files *f, clo_fsck_report *report, void *ctx, clo_err *err)
{
    check c = {.f = f, .report = report, .ctx = ctx, .buf = (uint8_t *)malloc(CLO_XORB_BYTES_MAX)};
    bool ok = c.buf || clo_fail(err, CLO_ERR_MEMORY, "buffer");
    for (size_t i = 0; ok && i < sizeof tables / sizeof tables[0]; i++)
        ok = check_table(&c, i, err);
    *out = c.n;
    free(c.buf);
    clo_xorb_shelf_free(&c.shelf);
    return ok;
}
