/* The ledger: brings answers that ended to disk, many at once: the key's use to the database, a line to the audit log.
 *
 * A server must not tell a client that its answer is complete before it is accounted for, or a crash would lose what the
 * client was told; and a sync for each answer would hold every connection up in turn. So: the server hands the record in
 * just before the last bytes of the answer, and sends those when `done` is called. One thread takes whatever has come in
 * meanwhile, stores all receipts (two syncs of the file system), appends all lines (one fdatasync), adds all use in one
 * transaction (one fsync), and then calls every `done`.
 * A crash at any instant therefore loses only answers whose last bytes were not sent. One between the two syncs leaves a
 * line without its use, also of an unfinished answer; the database is never ahead of the log.
 *
 *   clo_ledger *l = NULL;
 *   if (!clo_ledger_open(&l, data_dir, 0, &err)) ...
 *   clo_ledger_put(l, &record, finish_answer, connection);      // never waits
 *   clo_ledger_close(l);                                        // brings what is left to disk */
#ifndef CLO_SERVE_LEDGER_H
#define CLO_SERVE_LEDGER_H

#include "base/err.h"
#include "serve/audit.h"

typedef struct clo_ledger clo_ledger;

/* Opens the database and the audit log of the data folder and starts the thread. */
CLO_CHECK bool clo_ledger_open(clo_ledger **out, const char *data_dir, uint64_t rotate_bytes, clo_err *err);
void clo_ledger_close(clo_ledger *l);

/* Takes a copy of the record, any thread. `done` (may be NULL) is called once, on the ledger's thread (or on the caller's
 * when there is no memory): on_disk false means that it could not be written, `err` says why, and the answer should end
 * as an error. */
typedef void clo_ledger_done(void *ctx, bool on_disk, const clo_err *err);
void clo_ledger_put(clo_ledger *l, const clo_audit_record *r, clo_ledger_done *done, void *ctx);
/* A receipt's text, to be stored (receipt_files.h); copied. What is put later is written later, so who waits for its record
 * has its receipts too. */
void clo_ledger_put_receipt(clo_ledger *l, const clo_sha256 *digest, clo_str text, clo_ledger_done *done, void *ctx);
/* The record, and waits for it. */
CLO_CHECK bool clo_ledger_put_wait(clo_ledger *l, const clo_audit_record *r, clo_err *err);

/* One record at once, without a thread, inside a transaction of the caller's: the line is on disk before the commit. */
CLO_CHECK bool clo_ledger_write(clo_db *db, clo_audit *a, const clo_audit_record *r, clo_err *err);

#endif
