/* The database: one SQLite file, <data>/cloche.db, for what is rows rather than files: keys and their use.
 *
 * It is in WAL mode with synchronous=FULL: a transaction that was committed is on disk, and a process killed at any
 * instant leaves the last committed state. Several processes and several connections of one may use it at once; a
 * writer waits up to DB_BUSY_MS for another. Times are seconds since 1970, UTC; digests are blobs.
 *
 *   clo_db *db = NULL;
 *   clo_stmt q = {0};
 *   bool row = false;
 *   if (!clo_db_open(&db, data_dir, &err)) ...
 *   if (clo_stmt_open(&q, db, "SELECT name FROM keys WHERE id = ?1", &err) && clo_stmt_text(&q, 1, id, &err) &&
 *       clo_stmt_step(&q, &row, &err) && row) use(clo_stmt_get_str(&q, 0));
 *   clo_stmt_close(&q);
 *   clo_db_close(db);
 *
 * A connection and its statements belong to one thread at a time. */
#ifndef CLO_STORE_DB_H
#define CLO_STORE_DB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

typedef struct clo_db clo_db;

/* Makes the folder and the file (readable by its owner and group, as the umask lets) when they are not there, and brings
 * older tables up to date in one transaction. CLO_ERR_UNSUPPORTED when a newer program made the file, CLO_ERR_DAMAGED
 * when it is no database, CLO_ERR_IO when it cannot be read or written. */
CLO_CHECK bool clo_db_open(clo_db **out, const char *data_dir, clo_err *err);
/* The last connection to close writes the log back and removes it. Accepts NULL. */
void clo_db_close(clo_db *db);

/* Whether <data>/cloche.db is there; nothing is made. */
bool clo_db_exists(const char *data_dir);

/* One transaction that may write: begin takes the right to write at once, so that it cannot fail for it later. */
CLO_CHECK bool clo_db_begin(clo_db *db, clo_err *err);
/* On disk when it returns true; else everything since begin is undone. */
CLO_CHECK bool clo_db_commit(clo_db *db, clo_err *err);
void clo_db_rollback(clo_db *db);
/* Whether a transaction is open. */
bool clo_db_writing(clo_db *db);

/* Changes whenever another connection (of any process) commits; a read of shared memory, no disk. */
CLO_CHECK bool clo_db_version(int64_t *out, clo_db *db, clo_err *err);

/* A prepared statement; of one that is closed the connection keeps what it was compiled to. The zeroed struct is closed. Parameters count from 1, columns from 0. */
typedef struct {
    clo_db *db; /* borrowed */
    void *stmt; /* owned sqlite3_stmt */
} clo_stmt;

CLO_CHECK bool clo_stmt_open(clo_stmt *q, clo_db *db, const char *sql, clo_err *err);
void clo_stmt_close(clo_stmt *q);
/* Ready to be bound and stepped again. rewind: what was bound stays. */
void clo_stmt_reset(clo_stmt *q);
void clo_stmt_rewind(clo_stmt *q);
CLO_CHECK bool clo_stmt_int(clo_stmt *q, int i, int64_t v, clo_err *err);
CLO_CHECK bool clo_stmt_text(clo_stmt *q, int i, clo_str s, clo_err *err);
CLO_CHECK bool clo_stmt_blob(clo_stmt *q, int i, clo_bytes b, clo_err *err);
CLO_CHECK bool clo_stmt_null(clo_stmt *q, int i, clo_err *err);
/* *row: whether there is a row to read; false ends the statement. CLO_ERR_DENIED when a rule of the tables is broken
 * (a name that is taken). */
CLO_CHECK bool clo_stmt_step(clo_stmt *q, bool *row, clo_err *err);
/* Columns of the row in hand; texts and blobs live until the next step, reset or close. NULL reads as 0 or "". */
int64_t clo_stmt_get_int(clo_stmt *q, int i);
clo_str clo_stmt_get_str(clo_stmt *q, int i);
clo_bytes clo_stmt_get_blob(clo_stmt *q, int i);
bool clo_stmt_is_null(clo_stmt *q, int i);

#endif
