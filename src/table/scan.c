/* See scan.h. */
#include "table/scan.h"

#include <stdlib.h>

clo_scan *clo_scan_open(const clo_table_source *s, clo_err *err)
{
    clo_scan *c = (clo_scan *)calloc(1, sizeof *c + (s->size < SCAN_STEP ? (size_t)s->size : SCAN_STEP));
    if (!c) {
        clo_fail(err, CLO_ERR_MEMORY, "rows");
        return NULL;
    }
    c->s = s;
    c->err = err;
    if (clo_scan_peek(c) == 0xef && c->n >= 3 && c->buf[1] == 0xbb && c->buf[2] == 0xbf) c->at = 3;
    return c;
}

int clo_scan_fill(clo_scan *c)
{
    uint64_t left = c->s->size - c->off;
    size_t n = left < SCAN_STEP ? (size_t)left : SCAN_STEP;
    if (c->failed || n == 0) return EOF;
    if (c->off >= CLO_TABLE_SCAN_BYTES_MAX) {
        c->failed = !clo_fail(c->err, CLO_ERR_LIMIT, "rows behind the first %llu bytes of a text are not shown", (unsigned long long)CLO_TABLE_SCAN_BYTES_MAX);
        return EOF;
    }
    if (!c->s->read(c->s->ctx, c->off, c->buf, n, c->err)) {
        c->failed = true;
        return EOF;
    }
    c->off += n;
    c->at = 0;
    c->n = n;
    return c->buf[0];
}
