/* Reads a large file, or a stretch of it, whichever way it is stored.
 *
 *   clo_reader *r = NULL;
 *   if (!clo_reader_open(&r, &files, &sha256, off, n, &err)) ...
 *   if (clo_reader_plain(r, &fd, &at)) send(fd, at, n);             // it lies in one piece: sendfile can have it
 *   else while (clo_reader_read(r, buf, sizeof buf, &got, &err) && got) ...
 *   clo_reader_close(r);
 *
 * The database is asked when a reader is opened and not after, so that reading may go on in another thread than the
 * connection's (one at a time). A Xet file is read in steps of a megabyte of stored bytes, from which chunks are copied or
 * decoded, where the caller's buffer has room for a whole one, straight into it. Bytes are not hashed again here: they were
 * when they came in, and fsck.h does. */
#ifndef CLO_HUB_READER_H
#define CLO_HUB_READER_H

#include "hub/files.h"
#include "hub/terms.h"

typedef struct clo_reader clo_reader;

/* Bytes [off, off + n) of a file that is here; whether the caller may have it is the caller's to ask
 * (clo_files_may_link). CLO_ERR_NOT_FOUND, CLO_ERR_USAGE when the stretch is not inside, CLO_ERR_DAMAGED when what should
 * be on disk is not. */
CLO_CHECK bool clo_reader_open(clo_reader **out, const clo_files *f, const clo_sha256 *sha256, uint64_t off, uint64_t n,
                               clo_err *err);
/* The same of terms that are no file's yet. */
CLO_CHECK bool clo_reader_open_terms(clo_reader **out, const clo_files *f, const clo_terms *terms, uint64_t off,
                                     uint64_t n, clo_err *err);
/* All of a xorb that is here, without asking the database (f->db may be NULL): raw_bytes are known. */
CLO_CHECK bool clo_reader_open_xorb(clo_reader **out, const clo_files *f, const clo_xet_hash *xorb, uint64_t raw_bytes, clo_err *err);
/* True when the stretch lies at *off of the file *fd, which is the reader's. */
bool clo_reader_plain(const clo_reader *r, int *fd, uint64_t *off);
/* The next bytes, at most cap (> 0); *got is 0 at the end only. */
CLO_CHECK bool clo_reader_read(clo_reader *r, void *buf, size_t cap, size_t *got, clo_err *err);
void clo_reader_close(clo_reader *r);

#endif
