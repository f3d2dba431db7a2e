/* What snapshot.c, snapshot_sweep.c and sweep.c share. */
#ifndef CLO_HUB_SNAPSHOT_IMPL_H
#define CLO_HUB_SNAPSHOT_IMPL_H

#include "hub/sweep.h"

#define CLO_SNAPSHOTS "snapshots"  /* the folder in the data folder */
#define CLO_SNAPSHOT_USED ".used" /* a file in each snapshot, written when it is used */

/* Waits for the lock: alone, or among those that make snapshots. Closing *fd gives it back. */
CLO_CHECK bool clo_snapshots_lock(int *fd, const char *data_dir, bool alone, clo_err *err);

typedef struct {
    int64_t now_s, age_s;
    bool dry_run;
    clo_sweep_report *report; /* may be NULL */
    void *ctx;
    uint64_t n, bytes; /* out: snapshots, and what the disk gets back */
} clo_snapshot_sweep;
CLO_CHECK bool clo_snapshots_sweep(clo_snapshot_sweep *s, const clo_files *f, clo_err *err);

#endif
