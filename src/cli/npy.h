/* Numbers in NumPy's .npy format 1.0: 128 bytes of head, then float32 row by row. */
#ifndef CLO_CLI_NPY_H
#define CLO_CLI_NPY_H

#include "base/file.h"

/* The head of [n_rows, n_cols]; the rows follow. Source: numpy.lib.format. */
CLO_CHECK bool clo_npy_put_header(clo_writer *w, size_t n_rows, size_t n_cols, clo_err *err);

#endif
