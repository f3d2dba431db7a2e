/* The part of the seal that Landlock holds. */
#ifndef CLO_SERVE_SEAL_IMPL_H
#define CLO_SERVE_SEAL_IMPL_H

#include "serve/seal.h"

/* Leaves data_dir (NULL: nothing) as the only place to write, and forbids to execute files and, from ABI 4 on, to connect or
 * bind TCP sockets. *abi is the kernel's, 0 when it has no Landlock (a success that seals nothing). The calling thread
 * only; no_new_privs is set. */
CLO_CHECK bool clo_seal_files(int *abi, const char *data_dir, clo_err *err);

#endif
