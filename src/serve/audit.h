/* The audit log: who asked which model when, one JSON object a line, in <data>/audit.log.
 *
 *   {"seq":7,"prev":"<64 hex>","at":"2026-11-27T12:00:00.250Z","event":"answer","key":"anna","model":"smollm2",...}
 *
 * `prev` is the SHA-256 of the line before (its bytes, without the newline; 64 zeros for the first), so a line that is
 * changed, removed or put in breaks the chain at the next one. The database keeps the number and digest of the last line
 * of each batch, so lines missing at the end are found too. Someone who may write the whole data folder can still make up
 * a new log that fits: note the head (`cloche audit`) somewhere else, and compare later (`--expect`).
 *
 * A file of text lines and not a table: it is only ever appended to, `tail -f`, `jq` and log collectors read it, and the
 * system can be told to allow nothing but appending (chattr +a) or to keep it on other media.
 *
 * Durability: clo_audit_append returns true when its lines are on disk (fdatasync). A process killed, or a machine that
 * loses power, may leave a torn last line of a batch that nobody was told is there; it stays, is closed by a newline, and
 * the next line's `prev` covers it. A full disk fails the append.
 *
 * Rotation: past `rotate_bytes` the file is renamed to audit-<number of its first line, 12 digits>.log and a new one
 * begins; the chain goes on through them. Old ones may be moved away: the check then says where it begins.
 *
 * Several processes may append to one log: each takes a lock (flock) and reads what others added. */
#ifndef CLO_SERVE_AUDIT_H
#define CLO_SERVE_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/slice.h"
#include "store/db.h"

#define CLO_AUDIT_TEXT_MAX ((size_t)1 << 20) /* bytes of a prompt or an answer in a line; the rest is left out */

/* Strings are UTF-8 (other bytes become '?'), zero-length ones are left out; so are digests that are NULL. */
typedef struct {
    int64_t at_ms;              /* milliseconds since 1970 */
    const char *event;          /* "answer", "refused", "start", "stop", "key-added", "key-revoked", "model-...",
                                 * "user-...", "org-...", "member-...", "token-...", "repo-...", "password-set" */
    clo_str key, user;          /* name of the key, or of the account; the sub-user that the client named */
    clo_str request, route;     /* X-Request-Id; "/v1/chat/completions" */
    clo_str model;              /* as asked for */
    const clo_sha256 *model_digest, *receipt;
    bool counts;                /* n_* below are told, and added to the key's use (ledger.h) */
    int64_t n_prompt, n_cached, n_output;
    int64_t ms;                 /* from request to end; told with counts */
    clo_str finish;             /* "stop", "length", "tool_calls", "cancelled", "error" */
    int status;                 /* HTTP; 0: not told */
    clo_str note;               /* why refused; what a start began with */
    clo_str prompt, answer;     /* only when the operator asked for it */
} clo_audit_record;

/* The record as the members of a line, "{...}" without seq and prev. */
void clo_audit_render(clo_buf *out, const clo_audit_record *r);

typedef struct clo_audit clo_audit;

/* Opens or makes the log and reads the current file: its chain must hold. CLO_ERR_DAMAGED names the line where it does
 * not. rotate_bytes 0: 64 MiB. */
CLO_CHECK bool clo_audit_open(clo_audit **out, const char *data_dir, uint64_t rotate_bytes, clo_err *err);
void clo_audit_close(clo_audit *a);
/* Appends n rendered records, in one write and one fdatasync. One thread at a time. */
CLO_CHECK bool clo_audit_append(clo_audit *a, const clo_str *rendered, size_t n, clo_err *err);
/* Stores number and digest of the last line that clo_audit_append wrote, inside a transaction of the caller's. */
CLO_CHECK bool clo_audit_store_head(const clo_audit *a, clo_db *db, clo_err *err);

typedef struct {
    uint64_t first, last;       /* numbers of the lines that are there; 0, 0: none */
    uint64_t n_files, n_torn;
    clo_sha256 head;            /* digest of the last line */
    uint64_t n_receipts, n_receipts_here; /* that lines name; those of them that are in the data folder, as named */
} clo_audit_report;

/* Reads every file and checks the chain, its end against the database, that `expect` (NULL: nothing) is the digest of one
 * of its lines, and the stored receipts that lines name (one that is not there was swept, or taken away). CLO_ERR_MISMATCH says what does not hold, at which line of which file. */
CLO_CHECK bool clo_audit_verify(clo_audit_report *out, const char *data_dir, const clo_sha256 *expect, clo_err *err);

#endif
