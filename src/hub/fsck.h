/* Reads every large file back and says what is damaged or missing.
 *
 *   clo_fsck_counts n;
 *   if (!clo_files_check(&n, &files, report, ctx, &err)) ...     // false: the check itself could not go on
 *   if (n.faults) ...                                            // each was reported
 *
 * Whole files are hashed, the chunks of every xorb decoded and hashed, and every Xet file's hash computed again from the
 * chunks of its terms, whose bytes are then right too. Rows that name what has no row are faults as well. Others may work
 * meanwhile; no transaction is held open. */
#ifndef CLO_HUB_FSCK_H
#define CLO_HUB_FSCK_H

#include "hub/files.h"

typedef struct {
    uint64_t n_files, n_xorbs, n_xet_files, n_links; /* that were looked at */
    uint64_t bytes;                                  /* read from disk */
    uint64_t faults;
} clo_fsck_counts;

/* kind: "file", "xorb", "xet file" or "link"; name: its hash as text; what: a line. false ends the check. */
typedef bool clo_fsck_report(void *ctx, const char *kind, const char *name, const char *what);

CLO_CHECK bool clo_files_check(clo_fsck_counts *out, const clo_files *f, clo_fsck_report *report, void *ctx,
                               clo_err *err);

#endif
