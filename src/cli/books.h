/* The books of a data folder, for the commands that change keys, accounts and tokens: the database in one transaction, and a line
 * of the audit log that is on disk before its commit.
 *
 *   clo_cli_books b = {0};
 *   bool ok = clo_cli_books_open(&b, dir, &err) && change(b.db) && clo_cli_books_note(&b, "user-added", name, NULL, &err);
 *   if (!clo_cli_books_close(&b, ok, &err)) return clo_cli_books_fail(&err); */
#ifndef CLO_CLI_BOOKS_H
#define CLO_CLI_BOOKS_H

#include "serve/audit.h"
#include "store/db.h"

typedef struct {
    clo_db *db;       /* owned */
    clo_audit *audit; /* owned; NULL: it could not be opened */
    clo_err log_err;  /* why */
} clo_cli_books;

/* Opens both and begins a transaction. */
CLO_CHECK bool clo_cli_books_open(clo_cli_books *b, const char *dir, clo_err *err);
/* The same where a log that is damaged or full must not keep something from ending: clo_cli_books_note then does nothing. */
CLO_CHECK bool clo_cli_books_open_to_end(clo_cli_books *b, const char *dir, clo_err *err);

/* A line: what happened to whom; note: what more there is to say, or NULL. */
CLO_CHECK bool clo_cli_books_note(clo_cli_books *b, const char *event, const char *whom, const char *note, clo_err *err);
/* The same after clo_cli_books_open_to_end: whether the line is there, else log_err says why not. */
bool clo_cli_books_try_note(clo_cli_books *b, const char *event, const char *whom, const char *note);

/* Commits when ok, else undoes; closes both. */
CLO_CHECK bool clo_cli_books_close(clo_cli_books *b, bool ok, clo_err *err);

/* Tells the fault and what to do about damaged books; the exit code. */
int clo_cli_books_fail(const clo_err *err);

/* "2026-11-27 12:00", UTC. */
const char *clo_cli_date(char out[24], int64_t s);

#endif
