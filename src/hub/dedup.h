/* Chunks by which a client finds out what it need not send: it asks for the first chunk of a file, and for chunks whose
 * hash's last eight bytes are a multiple of 1,024; only these are kept in `xet_chunks`, with a xorb that has them.
 *
 *   clo_buf shard = {0};
 *   if (!clo_dedup_answer(&shard, &found, &files, &chunk, now_s, &err)) ...     // found: the answer to GET /v1/chunks
 *
 * Source: Hugging Face, "Xet Chunk-Level Deduplication Specification". */
#ifndef CLO_HUB_DEDUP_H
#define CLO_HUB_DEDUP_H

#include "hub/files.h"

#define CLO_DEDUP_ANSWER_S ((int64_t)7 * 86400) /* for so long a client may go by an answer */

typedef struct {
    clo_xet_hash chunk, xorb;
} clo_dedup_chunk;

/* Whether clients ask for a chunk wherever it stands in a file. */
bool clo_dedup_is_asked_for(const clo_xet_hash *chunk);
/* In a transaction of the caller's. Ones that are known stay as they are. */
CLO_CHECK bool clo_dedup_add(const clo_files *f, const clo_dedup_chunk *chunks, size_t n, clo_err *err);

/* Appends a shard that describes a xorb with this chunk, under a key of its own (shard.h). The xorb's age begins anew when
 * it is more than a day, so that the sweep leaves it for as long as the client may name it. */
CLO_CHECK bool clo_dedup_answer(clo_buf *out, bool *found, const clo_files *f, const clo_xet_hash *chunk, int64_t now_s,
                                clo_err *err);

#endif
