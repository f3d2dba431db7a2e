/* See books.h. */
#include "cli/books.h"

#include <stdio.h>
#include <time.h>

#include "cli/cli.h"
#include "serve/ledger.h"

#define NEXT_IF_DAMAGED "keep a copy of the data folder, then put cloche.db or the audit log back from a backup"

int clo_cli_books_fail(const clo_err *err)
{
    return clo_cli_fail(err, err->code == CLO_ERR_DAMAGED ? NEXT_IF_DAMAGED : NULL);
}

const char *clo_cli_date(char out[24], int64_t s)
{
    time_t t = (time_t)s;
    struct tm tm;
    if (!gmtime_r(&t, &tm) || strftime(out, 24, "%Y-%m-%d %H:%M", &tm) == 0) snprintf(out, 24, "?");
    return out;
}

bool clo_cli_books_open(clo_cli_books *b, const char *dir, clo_err *err)
{
    return clo_db_open(&b->db, dir, err) && clo_audit_open(&b->audit, dir, 0, err) && clo_db_begin(b->db, err);
}

bool clo_cli_books_open_to_end(clo_cli_books *b, const char *dir, clo_err *err)
{
    if (!clo_db_exists(dir)) return clo_fail(err, CLO_ERR_NOT_FOUND, "nothing was made in '%s'", dir);
    if (!clo_audit_open(&b->audit, dir, 0, &b->log_err)) b->audit = NULL;
    return clo_db_open(&b->db, dir, err) && clo_db_begin(b->db, err);
}

bool clo_cli_books_note(clo_cli_books *b, const char *event, const char *whom, const char *note, clo_err *err)
{
    clo_audit_record r = {.at_ms = (int64_t)time(NULL) * 1000, .event = event, .key = clo_str_from(whom), .note = clo_str_from(note)};
    return clo_ledger_write(b->db, b->audit, &r, err);
}

bool clo_cli_books_try_note(clo_cli_books *b, const char *event, const char *whom, const char *note)
{
    return b->audit && clo_cli_books_note(b, event, whom, note, &b->log_err);
}

bool clo_cli_books_close(clo_cli_books *b, bool ok, clo_err *err)
{
    ok = ok && clo_db_commit(b->db, err);
    if (b->db && !ok) clo_db_rollback(b->db);
    clo_audit_close(b->audit);
    clo_db_close(b->db);
    b->audit = NULL;
    b->db = NULL;
    return ok;
}
