/* Bytes as a shard: what is taken can be walked to its end, and holds as many files, terms and xorbs as it says. */
#include <stdint.h>
#include <stdlib.h>

#include "hub/shard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    clo_shard s;
    clo_shard_file f;
    clo_shard_xorb x;
    size_t at = 0, n_files = 0, n_terms = 0, n_xorbs = 0;
    if (!clo_shard_open(&s, (clo_bytes){data, size}, NULL)) return 0;
    for (; clo_shard_next_file(&s, &at, &f); n_files++) {
        uint64_t bytes = 0;
        for (uint32_t i = 0; i < f.n_terms; i++, n_terms++) {
            clo_shard_term t = clo_shard_term_at(&f, i);
            if (t.start >= t.end) abort();
            bytes += t.raw_bytes;
        }
        if (bytes != f.bytes) abort();
    }
    for (at = 0; clo_shard_next_xorb(&s, &at, &x); n_xorbs++)
        for (uint32_t i = 0; i < x.n_chunks; i++) {
            uint32_t len;
            (void)clo_shard_chunk_at(&x, i, &len);
            if (len == 0) abort();
        }
    if (n_files != s.n_files || n_terms != s.n_terms || n_xorbs != s.n_xorbs) abort();
    return 0;
}
