/* See npy.h: magic, version, header length, a Python dict padded with spaces to a multiple of 64. */
#include "cli/npy.h"

#include <stdio.h>
#include <string.h>

bool clo_npy_put_header(clo_writer *w, size_t n_rows, size_t n_cols, clo_err *err)
{
    char h[129];
    memset(h, ' ', sizeof h);
    memcpy(h, "\x93NUMPY\x01\x00\x76\x00", 10);
    int n = snprintf(h + 10, sizeof h - 10, "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %zu), }", n_rows,
                     n_cols);
    h[10 + n] = ' ';
    h[127] = '\n';
    return clo_writer_put(w, h, 128, err);
}
