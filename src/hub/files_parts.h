/* A large file that comes in parts, in any order and several at once; then it is hashed and kept like one that came whole.
 *
 *   clo_part_put *p = NULL;
 *   if (!clo_part_put_open(&p, &f, repo, &sha256, offset, len, &err)) ...   // each part
 *   if (!clo_part_put_add(p, bytes, &err)) ...
 *   if (!clo_part_put_end(p, &err)) ...                                     // all of it came
 *   clo_part_put_close(p);                                                  // always
 *   if (!clo_parts_commit(&f, repo, &sha256, size, now_s, &err)) ...        // the promise was kept, and it is on disk
 *
 * Parts are written where they belong in <data>/lfs/ab/cd/<sha256>.tmp-parts-<repo>, which the sweep removes after a day. A part
 * that came is not promised to last: the commit reads the file back, and what is missing then has another digest. */
#ifndef CLO_HUB_FILES_PARTS_H
#define CLO_HUB_FILES_PARTS_H

#include "hub/files.h"

typedef struct clo_part_put clo_part_put;
/* CLO_ERR_DENIED while the file is committed. */
CLO_CHECK bool clo_part_put_open(clo_part_put **out, const clo_files *f, int64_t repo, const clo_sha256 *sha256,
                                 uint64_t offset, uint64_t len, clo_err *err);
/* CLO_ERR_MISMATCH as soon as there are more bytes than the part has. */
CLO_CHECK bool clo_part_put_add(clo_part_put *p, clo_bytes bytes, clo_err *err);
/* CLO_ERR_MISMATCH when there were fewer. The part may be committed from here on. */
CLO_CHECK bool clo_part_put_end(clo_part_put *p, clo_err *err);
void clo_part_put_close(clo_part_put *p);

/* As clo_file_put_commit; CLO_ERR_MISMATCH also where no part came. Bytes with another digest are removed. */
CLO_CHECK bool clo_parts_commit(const clo_files *f, int64_t repo, const clo_sha256 *sha256, uint64_t size, int64_t now_s,
                                clo_err *err);

#endif
