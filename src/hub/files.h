/* Large files of the hub: those that a repository names by SHA-256.
 *
 *   <data>/lfs/ab/cd/<sha256>            a file that came in whole
 *   <data>/blobs/sha256/ab/cd/<sha256>   the same file under the library's name: a hard link, so that models can be run
 *   <data>/xorbs/ab/cd/<hash>            chunks of files that came in by Xet, as they were uploaded
 *
 * and rows: `files` (what is here), `repo_files` (which repository may name which file: knowing a hash is not enough),
 * `xorbs` (a list of chunks each), `xet_files` (a file as ranges of chunks, its terms), `xet_chunks` (dedup.h).
 *
 *   clo_files f = {.db = db, .data_dir = data_dir};
 *
 *   whole:  clo_file_put *p = NULL;
 *           if (!clo_file_put_open(&p, &f, &sha256, size, &err)) ...
 *           if (!clo_file_put_add(p, bytes, &err)) ...               // as they come
 *           if (!clo_file_put_commit(p, repo, now_s, &err)) ...      // the promise was kept, and it is on disk
 *           clo_file_put_close(p);                                   // always
 *   Xet:    clo_xorb_put the same way, for each xorb; then clo_files_commit_shard
 *   read:   reader.h;  how a client may put a file together itself: reconstruction.h
 *
 * Success means on disk. A name under lfs/ or xorbs/ is made and removed only inside a writing transaction of the
 * database, so that files and rows agree for everyone who holds one; a process killed in between leaves at most a file
 * without a row, which the sweep removes. A struct clo_files is borrowed by the calls and belongs, with its connection, to
 * one thread at a time; several connections and processes may work at once. */
#ifndef CLO_HUB_FILES_H
#define CLO_HUB_FILES_H

#include "hub/shard.h"
#include "store/db.h"

#define CLO_FILE_BYTES_MAX ((uint64_t)8 << 40) /* of one file */

typedef struct {
    clo_db *db;           /* borrowed */
    const char *data_dir; /* borrowed */
    struct clo_ahead *ahead; /* borrowed: ahead.h; NULL: none */
} clo_files;

typedef struct {
    clo_sha256 sha256;
    uint64_t size;
    bool whole;       /* under lfs/ */
    bool has_xet;     /* as terms */
    clo_xet_hash xet; /* its Xet hash when has_xet */
} clo_file_info;

/* --- which files, and whose. These may stand in a transaction of the caller's ------------------------------------*/

CLO_CHECK bool clo_files_find(clo_file_info *out, bool *found, const clo_files *f, const clo_sha256 *sha256,
                              clo_err *err);
/* A file that the repository may name; by its Xet hash. */
CLO_CHECK bool clo_files_find_own(clo_file_info *out, bool *found, const clo_files *f, int64_t repo, const clo_sha256 *sha256,
                                  clo_err *err);
CLO_CHECK bool clo_files_find_xet(clo_file_info *out, bool *found, const clo_files *f, int64_t repo,
                                  const clo_xet_hash *xet, clo_err *err);
CLO_CHECK bool clo_files_may_link(bool *out, const clo_files *f, int64_t repo, const clo_sha256 *sha256, clo_err *err);
/* Whether nothing is given away when the repository comes to name a file that is here, though nobody brought its bytes for it: it may
 * already, no repository has it, or one that everyone may read. */
CLO_CHECK bool clo_files_is_open(bool *out, const clo_files *f, int64_t repo, const clo_sha256 *sha256, clo_err *err);
/* From here on the repository may name the file. CLO_ERR_NOT_FOUND when it is not here. */
CLO_CHECK bool clo_files_link(const clo_files *f, int64_t repo, const clo_sha256 *sha256, clo_err *err);
CLO_CHECK bool clo_files_unlink(const clo_files *f, int64_t repo, const clo_sha256 *sha256, clo_err *err);
CLO_CHECK bool clo_files_unlink_all(const clo_files *f, int64_t repo, clo_err *err);
/* A file that the repository's history names and that was not brought along: known to be missing until it is linked. */
CLO_CHECK bool clo_files_set_absent(const clo_files *f, int64_t repo, const clo_sha256 *sha256, uint64_t size, clo_err *err);
CLO_CHECK bool clo_files_is_absent(bool *out, const clo_files *f, int64_t repo, const clo_sha256 *sha256, clo_err *err);
/* How many files the repository may name, and the sum of their sizes; what others hold too is counted in full. */
CLO_CHECK bool clo_files_usage(int64_t *n_files, int64_t *bytes, const clo_files *f, int64_t repo, clo_err *err);

/* --- whole files --------------------------------------------------------------------------------------------------*/

typedef struct clo_file_put clo_file_put;
CLO_CHECK bool clo_file_put_open(clo_file_put **out, const clo_files *f, const clo_sha256 *sha256, uint64_t size,
                                 clo_err *err);
/* The same for bytes from a server that can be asked for the rest: they go to a file with a name, which stays when the process
 * ends; *have tells how many of them are there, read and counted. CLO_ERR_DENIED while another process brings the file. */
CLO_CHECK bool clo_file_put_resume(clo_file_put **out, uint64_t *have, const clo_files *f, const clo_sha256 *sha256, uint64_t size,
                                   clo_err *err);
/* Begins again: nothing came. */
CLO_CHECK bool clo_file_put_restart(clo_file_put *p, clo_err *err);
/* CLO_ERR_MISMATCH as soon as there are more bytes than promised. */
CLO_CHECK bool clo_file_put_add(clo_file_put *p, clo_bytes bytes, clo_err *err);
/* CLO_ERR_MISMATCH when size or digest are not what was promised; else the repository may name the file. A file that is
 * here already is written again: so a damaged one is healed. */
CLO_CHECK bool clo_file_put_commit(clo_file_put *p, int64_t repo, int64_t now_s, clo_err *err);
/* The same, and no repository may name it yet: clo_files_link within a day. */
CLO_CHECK bool clo_file_put_commit_for_later(clo_file_put *p, int64_t now_s, clo_err *err);
void clo_file_put_close(clo_file_put *p);

/* Told now and then how many bytes of how many were read back; false ends the work (CLO_ERR_CANCELLED). */
typedef bool clo_files_progress(void *ctx, uint64_t done, uint64_t total);

/* A file that is here as terms comes to lie whole too, under its blob's name, so that a model can be mapped and run.
 * progress may be NULL. CLO_ERR_NOT_FOUND. */
CLO_CHECK bool clo_files_make_whole(const clo_files *f, const clo_sha256 *sha256, int64_t now_s,
                                    clo_files_progress *progress, void *ctx, clo_err *err);

/* --- Xet ----------------------------------------------------------------------------------------------------------*/

typedef struct clo_xorb_put clo_xorb_put;
CLO_CHECK bool clo_xorb_put_open(clo_xorb_put **out, const clo_files *f, const clo_xet_hash *hash, clo_err *err);
/* CLO_ERR_LIMIT beyond CLO_XORB_BYTES_MAX. */
CLO_CHECK bool clo_xorb_put_add(clo_xorb_put *p, clo_bytes bytes, clo_err *err);
/* As clo_xorb_parse; CLO_ERR_MISMATCH when the chunks have another hash. *inserted: false when it was here, undamaged; its age
 * begins anew then. */
CLO_CHECK bool clo_xorb_put_commit(clo_xorb_put *p, bool *inserted, int64_t now_s, clo_err *err);
/* Of all chunks, after a commit. */
uint64_t clo_xorb_put_raw_bytes(const clo_xorb_put *p);
void clo_xorb_put_close(clo_xorb_put *p);

CLO_CHECK bool clo_files_has_xorb(bool *out, const clo_files *f, const clo_xet_hash *hash, clo_err *err);
/* Its chunks; freed by the caller. CLO_ERR_NOT_FOUND. */
CLO_CHECK bool clo_files_get_xorb(clo_xorb *out, const clo_files *f, const clo_xet_hash *hash, clo_err *err);
/* The stored bytes, for a client that fetches a range of them: *fd is the caller's. CLO_ERR_NOT_FOUND. */
CLO_CHECK bool clo_files_open_xorb(int *fd, uint64_t *bytes, const clo_files *f, const clo_xet_hash *hash,
                                   clo_err *err);

/* Takes the files of a shard into a repository, all or none. Checked for each, in this order: its terms' xorbs are here and
 * have the chunks and sizes that are named; range hashes, which only who has the chunks can know; the file's hash; the
 * SHA-256 of the bytes put together, against the shard's when it names one. CLO_ERR_FORMAT for no shard,
 * CLO_ERR_NOT_FOUND for a missing xorb, CLO_ERR_MISMATCH for what is not so. *inserted: something was new. progress may be
 * NULL. */
CLO_CHECK bool clo_files_commit_shard(bool *inserted, const clo_files *f, clo_bytes shard, int64_t repo, int64_t now_s,
                                      clo_files_progress *progress, void *ctx, clo_err *err);

#endif
