/* What files*.c, terms.c and fsck.c share. */
#ifndef CLO_HUB_FILES_IMPL_H
#define CLO_HUB_FILES_IMPL_H

#include "hub/files.h"

/* <data>/<folder>/ab/cd/<name>. */
CLO_CHECK bool clo_files_path(char out[4096], const clo_files *f, const char *folder, const char *name, clo_err *err);

static inline bool CLO_CHECK clo_bind_hash(clo_stmt *q, int i, const uint8_t hash[32], clo_err *err)
{
    return clo_stmt_blob(q, i, (clo_bytes){hash, 32}, err);
}

#endif
