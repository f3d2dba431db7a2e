/* Bytes that may be more than memory: a file without a name, which is gone when the process is.
 *
 *   clo_spool s = {0};
 *   if (!clo_spool_open(&s, tmp_dir, &err) || !clo_spool_add(&s, bytes, &err)) ...
 *   if (!clo_spool_map(&s, &all, &err)) ...          // until it is closed
 *   clo_spool_close(&s);                             // accepts the zeroed struct */
#ifndef CLO_HUB_SPOOL_H
#define CLO_HUB_SPOOL_H

#include "base/err.h"
#include "base/slice.h"

typedef struct {
    bool open;
    int fd;     /* owned while open */
    uint64_t n; /* bytes */
    void *map;  /* owned: n_map bytes */
    size_t n_map;
} clo_spool;

/* The folder must be there. */
CLO_CHECK bool clo_spool_open(clo_spool *s, const char *tmp_dir, clo_err *err);
/* ctx is the spool: the shape of clo_out_fn. */
CLO_CHECK bool clo_spool_add(void *ctx, clo_bytes bytes, clo_err *err);
/* Nothing is in it again. */
CLO_CHECK bool clo_spool_empty(clo_spool *s, clo_err *err);
CLO_CHECK bool clo_spool_map(clo_spool *s, clo_bytes *out, clo_err *err);
void clo_spool_close(clo_spool *s);

#endif
