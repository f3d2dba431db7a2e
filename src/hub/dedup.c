/* See dedup.h. */
#include "hub/dedup.h"

#include <errno.h>
#include <sys/random.h>

#include "base/cursor.h"
#include "hub/files_impl.h"
#include "hub/sweep.h"

#define RENEW_S 86400

_Static_assert(CLO_DEDUP_ANSWER_S + RENEW_S < CLO_SWEEP_XORB_AGE_S, "an answer is forgotten before its xorb may go");

bool clo_dedup_is_asked_for(const clo_xet_hash *chunk)
{
    return clo_load_le64(chunk->b + 24) % 1024 == 0;
}

bool clo_dedup_add(const clo_files *f, const clo_dedup_chunk *chunks, size_t n, clo_err *err)
{
    clo_stmt q = {0};
    bool row, ok = clo_stmt_open(&q, f->db, "INSERT OR IGNORE INTO xet_chunks (hash, xorb) VALUES (?1, ?2)", err);
    for (size_t i = 0; ok && i < n; i++) {
        ok = clo_bind_hash(&q, 1, chunks[i].chunk.b, err) && clo_bind_hash(&q, 2, chunks[i].xorb.b, err) &&
             clo_stmt_step(&q, &row, err);
        clo_stmt_reset(&q);
    }
    clo_stmt_close(&q);
    return ok;
}

static bool find_xorb(clo_xet_hash *out, int64_t *created_s, bool *found, const clo_files *f, const clo_xet_hash *chunk,
                      clo_err *err)
{
    clo_stmt q = {0};
    *found = false;
    bool ok =
        clo_stmt_open(&q, f->db,
                      "SELECT x.hash, x.created FROM xet_chunks c JOIN xorbs x ON x.hash = c.xorb WHERE c.hash = ?1",
                      err) &&
        clo_bind_hash(&q, 1, chunk->b, err) && clo_stmt_step(&q, found, err);
    clo_bytes hash = ok && *found ? clo_stmt_get_blob(&q, 0) : (clo_bytes){0};
    if (ok && *found && hash.len != 32) ok = clo_fail(err, CLO_ERR_DAMAGED, "a xorb's hash of %zu bytes", hash.len);
    if (ok && *found) memcpy(out->b, hash.ptr, 32);
    *created_s = ok && *found ? clo_stmt_get_int(&q, 1) : 0;
    clo_stmt_close(&q);
    return ok;
}

/* *found false: a sweep was faster. */
static bool renew(bool *found, const clo_files *f, const clo_xet_hash *xorb, int64_t now_s, clo_err *err)
{
    clo_stmt q = {0};
    bool ok = clo_stmt_open(&q, f->db, "UPDATE xorbs SET created = ?2 WHERE hash = ?1 RETURNING 1", err) &&
              clo_bind_hash(&q, 1, xorb->b, err) && clo_stmt_int(&q, 2, now_s, err) && clo_stmt_step(&q, found, err);
    clo_stmt_close(&q);
    return ok;
}

bool clo_dedup_answer(clo_buf *out, bool *found, const clo_files *f, const clo_xet_hash *chunk, int64_t now_s,
                      clo_err *err)
{
    clo_xet_hash hash;
    clo_xorb x;
    int64_t created_s;
    uint8_t key[32];
    if (!find_xorb(&hash, &created_s, found, f, chunk, err)) return false;
    if (*found && created_s < now_s - RENEW_S && !renew(found, f, &hash, now_s, err)) return false;
    if (!*found) return true;
    if (getrandom(key, sizeof key, 0) != (ssize_t)sizeof key) return clo_fail_sys(err, errno, "random bytes");
    if (!clo_files_get_xorb(&x, f, &hash, err)) return false;
    clo_shard_write_xorbs(out, &x, 1, key, now_s, now_s + CLO_DEDUP_ANSWER_S);
    clo_xorb_free(&x);
    return clo_buf_ok(out, err);
}
