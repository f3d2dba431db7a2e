/* Removes large files that nothing needs any more.
 *
 *   clo_sweep_opts o = {.now_s = now, .dry_run = true};
 *   if (!clo_files_sweep(&n, &files, &o, report, ctx, &err)) ...
 *
 * Goes, in this order: snapshots (snapshot.h) of repositories that are gone and those that were not used for four weeks; what lies
 * under lfs/ or xorbs/ without a row (a put that was cut off); files that no repository may name; terms of no file; xorbs of no
 * terms; the whole form of files that are here by Xet too, when it is as old and no model needs it. A xorb has a long grace, for
 * clients remember for three weeks which xorbs they have sent and then only name them. */
#ifndef CLO_HUB_SWEEP_H
#define CLO_HUB_SWEEP_H

#include "hub/files.h"

#define CLO_SWEEP_FILE_AGE_S ((int64_t)86400)
#define CLO_SWEEP_XORB_AGE_S ((int64_t)28 * 86400)
#define CLO_SWEEP_MODEL_AGE_S ((int64_t)28 * 86400)

typedef struct {
    int64_t now_s;
    int64_t file_age_s; /* 0: CLO_SWEEP_FILE_AGE_S; younger ones stay */
    int64_t xorb_age_s; /* 0: CLO_SWEEP_XORB_AGE_S */
    int64_t model_age_s; /* 0: CLO_SWEEP_MODEL_AGE_S: of snapshots and whole forms */
    bool dry_run;       /* only tells */
} clo_sweep_opts;

typedef struct {
    uint64_t n_strays, n_files, n_xet_files, n_xorbs, n_snapshots, n_whole;
    uint64_t bytes; /* that the disk gets back; whole files that the library holds too give none */
} clo_sweep_counts;

/* kind: "snapshot", "stray", "file", "xet file", "xorb" or "whole"; name: a path for snapshots and strays, else the hash as text. Of a
 * snapshot it is told before that goes. May be NULL. */
typedef void clo_sweep_report(void *ctx, const char *kind, const char *name, uint64_t bytes);

CLO_CHECK bool clo_files_sweep(clo_sweep_counts *out, const clo_files *f, const clo_sweep_opts *o,
                               clo_sweep_report *report, void *ctx, clo_err *err);

#endif
