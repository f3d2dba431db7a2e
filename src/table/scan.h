/* A file of text, byte by byte, up to a limit. */
#ifndef CLO_TABLE_SCAN_H
#define CLO_TABLE_SCAN_H

#include <stdio.h>

#include "base/buf.h"
#include "table/table_impl.h"

#ifdef CLO_SMALL_LIMITS
#define SCAN_STEP ((size_t)64)
#else
#define SCAN_STEP ((size_t)128 << 10)
#endif

typedef struct {
    const clo_table_source *s;
    uint64_t off;   /* of the byte behind buf */
    size_t at, n;
    bool failed;    /* err is set */
    clo_err *err;
    uint8_t buf[]; /* [SCAN_STEP], or the file's size where that is less */
} clo_scan;

/* NULL: no memory. A mark of byte order is passed. Freed with free(). */
clo_scan *clo_scan_open(const clo_table_source *s, clo_err *err);
int clo_scan_fill(clo_scan *c); /* the next byte when buf is used up */

/* The next byte without taking it; EOF at the end or after a fault. */
static inline int clo_scan_peek(clo_scan *c)
{
    return c->at < c->n ? c->buf[c->at] : clo_scan_fill(c);
}

static inline int clo_scan_next(clo_scan *c)
{
    int ch = clo_scan_peek(c);
    if (ch != EOF) c->at++;
    return ch;
}

static inline uint64_t clo_scan_off(const clo_scan *c)
{
    return c->off - (c->n - c->at);
}

#endif
