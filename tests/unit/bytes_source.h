/* Bytes as what a table is read from: reading what is not there is the caller's fault and ends the run. */
#ifndef CLO_TEST_BYTES_SOURCE_H
#define CLO_TEST_BYTES_SOURCE_H

#include <stdlib.h>
#include <string.h>

#include "table/table.h"

static bool read_some(void *ctx, uint64_t off, void *buf, size_t n, clo_err *err)
{
    const clo_bytes *in = (const clo_bytes *)ctx;
    if (off > in->len || n > in->len - off) abort();
    if (n) memcpy(buf, in->ptr + off, n);
    (void)err;
    return true;
}

static clo_table_source bytes_source(clo_bytes *in)
{
    return (clo_table_source){.read = read_some, .ctx = in, .size = in->len};
}

#endif
