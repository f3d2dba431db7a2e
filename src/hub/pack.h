/* Packs: many objects in one stream. Source: git's gitformat-pack.
 *
 *   off  size  meaning
 *   0    4     "PACK"
 *   4    4     version, big-endian: 2 or 3
 *   8    4     number of objects, big-endian
 *   12         objects: a head (kind in bits 4-6 of the first byte, size in its low 4 bits and the low 7 of the bytes
 * that
 *              follow, while bit 7 is set), for a delta its base (6: distance back; 7: a name), then a zlib stream
 *   end  20    SHA-1 of all before
 *
 * Written packs have no deltas: each object is its row as it is stored, so a fetch costs reading and sending. Read
 * packs may have them. An object that is no delta is stored with the very stream that the pack had, once it was
 * inflated and named. */
#ifndef CLO_HUB_PACK_H
#define CLO_HUB_PACK_H

#include "hub/git_db.h"
#include "hub/oid_map.h"
#include "hub/pkt.h"

#define CLO_PACK_BYTES_MAX ((size_t)512 << 20)    /* of a pack that is read */
#define CLO_PACK_INFLATED_MAX ((uint64_t)2 << 30) /* bytes of all its objects together, deltas applied */
#define CLO_PACK_OBJECTS_MAX 1000000

/* Stages every object of a pack and adds their names to *names. Bases that the pack lacks are taken from the
 * repository (a thin pack). CLO_ERR_FORMAT with the offset; CLO_ERR_LIMIT, of a file over CLO_COMMIT_FILE_MAX with a
 * word about git-lfs. */
CLO_CHECK bool clo_pack_read(clo_oid_map *names, clo_git *g, clo_bytes pack, clo_err *err);

/* Sends a pack of the objects to `out`, in a side band (0: none). */
CLO_CHECK bool clo_pack_write(clo_pkt_out *out, int band, clo_git *g, const clo_oid *oids, size_t n, clo_err *err);

/* Applies a delta; out->max bounds the result. Exposed for tests. */
CLO_CHECK bool clo_delta_apply(clo_buf *out, clo_bytes base, clo_bytes delta, clo_err *err);
/* The size of the result that a delta says it makes. */
CLO_CHECK bool clo_delta_size(uint64_t *base, uint64_t *result, clo_bytes *delta, clo_err *err);

#endif
