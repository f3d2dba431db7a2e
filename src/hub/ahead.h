/* The SHA-256 of a file that comes by Xet, computed while it comes.
 *
 * A shard is answered once the bytes of its files, put together, have the SHA-256 that it names. To begin with that when the shard is here
 * makes the client wait, about a second for each GiB. So a repository's xorbs are hashed in the order in which their uploads began,
 * on the guess that they are one file, as they are where a large file is uploaded. The guess is believed only as far as a file's terms
 * name the same xorbs, whole and in the same order: what SHA-256 has seen then are the file's first bytes, and the rest is hashed
 * when the shard comes. Where nothing came of a guess, the repository's next uploads are not guessed at for a while.
 *
 *   clo_ahead_begins(a, repo, &xorb);                       // an upload of a xorb begins
 *   clo_ahead_is_here(a, repo, &xorb, raw_bytes);           // it is on disk
 *   clo_ahead_fails(a, repo, &xorb);                        // or will not be
 *   clo_ahead_take(&sum, &n, a, repo, &terms);              // the SHA-256 of the file's first n bytes, to go on from; n may be 0
 *   clo_ahead_ends(a, repo);                                // the shard was answered: what comes next is another file
 *
 * Any thread. Hashing is done by a thread of its own for each upload. NULL in the place of `a` does nothing. */
#ifndef CLO_HUB_AHEAD_H
#define CLO_HUB_AHEAD_H

#include "hub/terms.h"

typedef struct clo_ahead clo_ahead;

CLO_CHECK bool clo_ahead_open(clo_ahead **out, const char *data_dir, clo_err *err);
/* Until all that is here, and may be hashed, is. */
void clo_ahead_wait(clo_ahead *a);
/* Does not wait for what is not begun. */
void clo_ahead_close(clo_ahead *a);

void clo_ahead_begins(clo_ahead *a, int64_t repo, const clo_xet_hash *xorb);
void clo_ahead_is_here(clo_ahead *a, int64_t repo, const clo_xet_hash *xorb, uint64_t raw_bytes);
void clo_ahead_fails(clo_ahead *a, int64_t repo, const clo_xet_hash *xorb);
/* *sum is begun, ready for byte *n of the file; the caller ends it. */
void clo_ahead_take(clo_sha256_ctx *sum, uint64_t *n, clo_ahead *a, int64_t repo, const clo_terms *terms);
void clo_ahead_ends(clo_ahead *a, int64_t repo);

#endif
