/* The bytes of a file of a commit, read in stretches, whichever way they are kept.
 *
 *   clo_content f = {0};
 *   if (!clo_content_open(&f, &files, g, &entry, &err)) ...
 *   if (!clo_content_read(&f, off, buf, n, &err)) ...           // [off, off + n) is inside [0, f.size)
 *   clo_content_close(&f);
 *
 * A small file is held whole; of a large one no more is read than is asked for. */
#ifndef CLO_HUB_CONTENT_H
#define CLO_HUB_CONTENT_H

#include "hub/files.h"
#include "hub/tree.h"

typedef struct {
    uint64_t size;          /* bytes */
    bool is_lfs;
    clo_sha256 sha256;      /* if LFS */
    const clo_files *files; /* borrowed */
    clo_buf small;          /* owned: all of it if not LFS */
} clo_content;

/* CLO_ERR_NOT_FOUND when it is no file, or its bytes are not here. */
CLO_CHECK bool clo_content_open(clo_content *out, const clo_files *f, clo_git *g, const clo_entry *e, clo_err *err);
CLO_CHECK bool clo_content_read(const clo_content *c, uint64_t off, void *buf, size_t n, clo_err *err);
void clo_content_close(clo_content *c);

#endif
