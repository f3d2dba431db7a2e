/* See audit.h: the check of a whole log. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "serve/audit_impl.h"
#include "serve/receipt_files.h"

/* What is looked for while the lines go by. */
typedef struct {
    uint64_t first;
    uint64_t head_seq;      /* of the database; 0: none */
    clo_sha256 head_digest;
    bool head_seen, head_same;
    const clo_sha256 *expect;
    bool expect_seen;
    const char *data_dir;
    uint64_t n_receipts, n_receipts_here;
} watch;

#define RECEIPT_MARK "\"receipt\":\"sha256:" /* inside a text its quotes would be escaped */

/* The receipt that a line names, where it is still there, must have its digest. */
static bool check_receipt(watch *w, uint64_t seq, clo_str line, clo_err *err)
{
    clo_str mark = CLO_STR(RECEIPT_MARK);
    const char *at = memmem(line.ptr, line.len, mark.ptr, mark.len);
    size_t i = at ? (size_t)(at - line.ptr) + mark.len : line.len;
    clo_sha256 digest;
    clo_map map;
    clo_err why = {0};
    if (line.len - i < 64 || !clo_sha256_parse(&digest, line.ptr + i, 64)) return true;
    w->n_receipts++;
    if (!clo_receipt_file_open(&map, w->data_dir, &digest, &why)) {
        if (why.code == CLO_ERR_NOT_FOUND) return true;
        if (why.code == CLO_ERR_DAMAGED)
            return clo_fail(err, CLO_ERR_MISMATCH, "the receipt that line %llu names was changed: its file has another digest",
                            (unsigned long long)seq);
        if (err) *err = why;
        return false;
    }
    clo_map_close(&map);
    w->n_receipts_here++;
    return true;
}

static bool see_line(void *ctx, const audit_chain *c, clo_str line, clo_err *err)
{
    watch *w = ctx;
    uint64_t seq;
    clo_sha256 prev;
    if (audit_line_is_ours(&seq, &prev, line) && !check_receipt(w, seq, line, err)) return false;
    if (w->first == 0) w->first = c->seq;
    if (w->expect && clo_sha256_eq(w->expect, &c->digest)) w->expect_seen = true;
    if (c->seq != w->head_seq) return true;
    w->head_seen = true;
    w->head_same = clo_sha256_eq(&c->digest, &w->head_digest);
    return true;
}

static bool read_head(watch *w, const char *data_dir, clo_err *err)
{
    clo_db *db = NULL;
    clo_stmt q = {0};
    bool row = false;
    if (!clo_db_exists(data_dir)) return true;
    bool ok = clo_db_open(&db, data_dir, err) &&
              clo_stmt_open(&q, db, "SELECT seq, digest FROM audit_head WHERE one = 1", err) &&
              clo_stmt_step(&q, &row, err);
    if (ok && row) {
        clo_bytes d = clo_stmt_get_blob(&q, 1);
        w->head_seq = (uint64_t)clo_stmt_get_int(&q, 0);
        ok = d.len == sizeof w->head_digest.b || clo_fail(err, CLO_ERR_DAMAGED, "database: the head of the audit log");
        if (ok) memcpy(w->head_digest.b, d.ptr, d.len);
    }
    clo_stmt_close(&q);
    clo_db_close(db);
    return ok;
}

static bool check_file(audit_chain *c, watch *w, const char *data_dir, const char *name, clo_err *err)
{
    char path[4096];
    clo_map m = {0};
    size_t n = 0;
    if (!clo_path_join(path, err, "%s/%s", data_dir, name) || !clo_map_open(&m, path, err)) return false;
    bool ok = audit_chain_add_all(c, m.bytes, &n, see_line, w, err);
    if (ok && n < m.bytes.len) c->n_torn++; /* the last line of a batch that was not finished, or is not yet */
    clo_map_close(&m);
    if (!ok) clo_err_context(err, "'%s'", path);
    return ok;
}

static bool check_ends(const audit_chain *c, const watch *w, clo_err *err)
{
    if (w->head_seq > c->seq)
        return clo_fail(err, CLO_ERR_MISMATCH, "the database knows of line %llu, the log ends at line %llu",
                        (unsigned long long)w->head_seq, (unsigned long long)c->seq);
    if (w->head_seen && !w->head_same)
        return clo_fail(err, CLO_ERR_MISMATCH, "line %llu is not the one that the database knows",
                        (unsigned long long)w->head_seq);
    if (w->expect && !w->expect_seen) return clo_fail(err, CLO_ERR_MISMATCH, "no line has the expected digest");
    return true;
}

/* Held while the files are found and opened in turn, so that none is renamed meanwhile. */
static int lock_shared(const char *data_dir)
{
    char path[4096];
    int fd = clo_path_join(path, NULL, "%s/" AUDIT_FILE, data_dir) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0)
        while (flock(fd, LOCK_SH) && errno == EINTR) {}
    return fd;
}

bool clo_audit_verify(clo_audit_report *out, const char *data_dir, const clo_sha256 *expect, clo_err *err)
{
    audit_chain c = {0};
    watch w = {.expect = expect, .data_dir = data_dir};
    char **names = NULL, path[4096];
    size_t n = 0;
    *out = (clo_audit_report){0};
    if (!clo_path_join(path, err, "%s/" AUDIT_FILE, data_dir)) return false;
    int lock = lock_shared(data_dir);
    bool ok = read_head(&w, data_dir, err) && audit_old_names(&names, &n, data_dir, err);
    for (size_t i = 0; ok && i < n; i++) ok = check_file(&c, &w, data_dir, names[i], err);
    out->n_files = n;
    if (ok && lock >= 0) {
        out->n_files++;
        ok = check_file(&c, &w, data_dir, AUDIT_FILE, err);
    }
    ok = ok && check_ends(&c, &w, err);
    audit_free_names(names, n);
    if (lock >= 0) close(lock);
    out->first = w.first;
    out->last = c.seq;
    out->head = c.digest;
    out->n_torn = c.n_torn;
    out->n_receipts = w.n_receipts;
    out->n_receipts_here = w.n_receipts_here;
    return ok;
}
