/* See files.h: xorbs come in. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "hub/files_impl.h"

struct clo_xorb_put {
    clo_files files;
    clo_xet_hash promised;
    clo_writer file;
    bool file_open;
    uint64_t raw_bytes; /* once it was verified */
};

bool clo_xorb_put_open(clo_xorb_put **out, const clo_files *f, const clo_xet_hash *hash, clo_err *err)
{
    char path[4096], hex[65];
    clo_xorb_put *p = (clo_xorb_put *)calloc(1, sizeof *p);
    *out = NULL;
    if (!p) return clo_fail(err, CLO_ERR_MEMORY, "upload of a xorb");
    *p = (clo_xorb_put){.files = *f, .promised = *hash};
    clo_xet_hash_text(hex, hash);
    if (!clo_files_path(path, f, "xorbs", hex, err) || !clo_put_open(&p->file, f, "xorbs", path, err)) {
        free(p);
        return false;
    }
    p->file_open = true;
    *out = p;
    return true;
}

bool clo_xorb_put_add(clo_xorb_put *p, clo_bytes bytes, clo_err *err)
{
    if (bytes.len > CLO_XORB_BYTES_MAX - p->file.n_written)
        return clo_fail(err, CLO_ERR_LIMIT, "xorb of more than %zu bytes", CLO_XORB_BYTES_MAX);
    return clo_put_bytes(&p->file, bytes, err);
}

/* The chunks of what was written, which must have the promised hash; a footer is cut off. */
static bool verify_xorb(clo_xorb *out, clo_xorb_put *p, clo_err *err)
{
    char hex[65];
    size_t n = (size_t)p->file.n_written;
    void *m = n ? mmap(NULL, n, PROT_READ, MAP_SHARED, p->file.fd, 0) : NULL;
    if (m == MAP_FAILED) return clo_fail_sys(err, errno, "map a xorb");
    bool ok = clo_xorb_parse(out, (clo_bytes){(const uint8_t *)m, n}, err);
    if (m) munmap(m, n);
    if (!ok) return false;
    clo_xet_hash_text(hex, &out->hash);
    ok = clo_xet_hash_eq(&out->hash, &p->promised) || clo_fail(err, CLO_ERR_MISMATCH, "the chunks' xorb is %s", hex);
    if (ok && out->stored_bytes < n && ftruncate(p->file.fd, out->stored_bytes))
        ok = clo_fail_sys(err, errno, "cut a xorb's footer");
    if (!ok) clo_xorb_free(out);
    return ok;
}

/* Whether the xorb of an open file is the promised one. It is read, not mapped: a disk may fail here. */
static bool is_promised(const clo_xorb_put *p, int fd, size_t n)
{
    clo_xorb x = {0};
    uint8_t *body = (uint8_t *)malloc(n + 1);
    size_t got = 0;
    ssize_t k = 1;
    while (body && got < n && k > 0) {
        k = read(fd, body + got, n - got);
        if (k > 0) got += (size_t)k;
    }
    bool ok =
        body && got == n && clo_xorb_parse(&x, (clo_bytes){body, n}, NULL) && clo_xet_hash_eq(&x.hash, &p->promised);
    clo_xorb_free(&x);
    free(body);
    return ok;
}

/* Whether the xorb is here, row and file, and undamaged: then it stays as it is, for it may be stored otherwise than the one
 * that came. */
static bool is_whole(bool *out, const clo_xorb_put *p, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    uint64_t bytes = 0;
    int fd = -1;
    bool ok = clo_stmt_open(&q, p->files.db, "SELECT stored FROM xorbs WHERE hash = ?1", err) &&
              clo_bind_hash(&q, 1, p->promised.b, err) && clo_stmt_step(&q, &row, err);
    *out = ok && row && clo_files_open_xorb(&fd, &bytes, &p->files, &p->promised, NULL) &&
           (int64_t)bytes == clo_stmt_get_int(&q, 0) && is_promised(p, fd, (size_t)bytes);
    if (fd >= 0) close(fd);
    clo_stmt_close(&q);
    return ok;
}

static bool insert_xorb(const clo_xorb_put *p, const clo_xorb *x, int64_t now_s, clo_err *err)
{
    clo_stmt q = {0};
    bool row;
    size_t n = (size_t)x->n_chunks * CLO_XORB_ROW;
    uint8_t *rows = (uint8_t *)malloc(n);
    if (!rows) return clo_fail(err, CLO_ERR_MEMORY, "list of chunks");
    clo_xorb_pack_chunks(rows, x);
    bool ok = clo_stmt_open(&q, p->files.db,
                            "INSERT OR REPLACE INTO xorbs (hash, n_chunks, raw, stored, chunks, created)"
                            " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                            err) &&
              clo_bind_hash(&q, 1, x->hash.b, err) && clo_stmt_int(&q, 2, x->n_chunks, err) &&
              clo_stmt_int(&q, 3, (int64_t)x->raw_bytes, err) && clo_stmt_int(&q, 4, x->stored_bytes, err) &&
              clo_stmt_blob(&q, 5, (clo_bytes){rows, n}, err) && clo_stmt_int(&q, 6, now_s, err) &&
              clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    free(rows);
    return ok;
}

/* *there false: a sweep took it meanwhile. */
static bool renew_xorb(bool *there, const clo_xorb_put *p, int64_t now_s, clo_err *err)
{
    clo_stmt q = {0};
    bool ok = clo_stmt_open(&q, p->files.db, "UPDATE xorbs SET created = max(created, ?2) WHERE hash = ?1 RETURNING 1",
                            err) &&
              clo_bind_hash(&q, 1, p->promised.b, err) && clo_stmt_int(&q, 2, now_s, err) &&
              clo_stmt_step(&q, there, err);
    clo_stmt_close(&q);
    return ok;
}

static bool store_xorb(clo_xorb_put *p, const clo_xorb *x, bool *here, int64_t now_s, clo_err *err)
{
    if (*here && !renew_xorb(here, p, now_s, err)) return false;
    if (*here) return true;
    p->file_open = false;
    return clo_writer_commit(&p->file, err) && insert_xorb(p, x, now_s, err);
}

bool clo_xorb_put_commit(clo_xorb_put *p, bool *inserted, int64_t now_s, clo_err *err)
{
    clo_xorb x = {0};
    bool here = false;
    *inserted = false;
    if (!verify_xorb(&x, p, err)) return false;
    p->raw_bytes = x.raw_bytes;
    bool ok = is_whole(&here, p, err) && clo_put_finish(&p->file, err) && clo_db_begin(p->files.db, err);
    if (ok) {
        ok = store_xorb(p, &x, &here, now_s, err);
        if (ok)
            ok = clo_db_commit(p->files.db, err);
        else
            clo_db_rollback(p->files.db);
    }
    *inserted = ok && !here;
    clo_xorb_free(&x);
    return ok;
}

uint64_t clo_xorb_put_raw_bytes(const clo_xorb_put *p)
{
    return p->raw_bytes;
}

void clo_xorb_put_close(clo_xorb_put *p)
{
    if (!p) return;
    if (p->file_open) clo_writer_abandon(&p->file);
    free(p);
}
