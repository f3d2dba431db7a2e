/* What files*.c, terms.c and fsck.c share. */
#ifndef CLO_HUB_FILES_IMPL_H
#define CLO_HUB_FILES_IMPL_H

#include "base/file.h"
#include "hub/files.h"

/* <data>/<folder>/ab/cd/<name>. */
CLO_CHECK bool clo_files_path(char out[4096], const clo_files *f, const char *folder, const char *name, clo_err *err);

/* A writer to <data>/<kind>/..., which is `path`. Making folders waits for the disk, and who opens a writer must not, for others' bytes come
 * in on its thread: so the file gets its folder at the end, where the file system lets it be without a name until then. */
CLO_CHECK bool clo_put_open(clo_writer *w, const clo_files *f, const char *kind, const char *path, clo_err *err);
/* The disk is given what came while more comes, so that the wait at the end is short. A disk that fails says so there. */
CLO_CHECK bool clo_put_bytes(clo_writer *w, clo_bytes bytes, clo_err *err);
/* The bytes are on disk, and the folder is there. Ahead of the transaction that names the file, in which others would wait for it. */
CLO_CHECK bool clo_put_finish(const clo_writer *w, clo_err *err);

/* The file into which others than the first may write, opened to read and write with these flags and locked (LOCK_SH,
 * LOCK_EX); -1 with CLO_ERR_NOT_FOUND, or CLO_ERR_DENIED while another has the lock. */
CLO_CHECK int clo_part_file_open(const char *path, int flags, int lock, clo_err *err);
#define CLO_PART_ENDING_MAX 40
void clo_parts_ending(char out[CLO_PART_ENDING_MAX], int64_t repo);
/* What came by files_parts.h, read and hashed; as clo_file_put_open from here on. CLO_ERR_MISMATCH when nothing came. */
CLO_CHECK bool clo_file_put_of_parts(clo_file_put **out, const clo_files *f, int64_t repo, const clo_sha256 *sha256,
                                     uint64_t size, clo_err *err);

static inline bool CLO_CHECK clo_bind_hash(clo_stmt *q, int i, const uint8_t hash[32], clo_err *err)
{
    return clo_stmt_blob(q, i, (clo_bytes){hash, 32}, err);
}

#endif
