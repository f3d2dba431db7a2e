/* Sends large files as the batch API of git-lfs asks for them: whole, or in parts where the hub says multipart. */
#ifndef CLO_HUB_REMOTE_UPLOAD_H
#define CLO_HUB_REMOTE_UPLOAD_H

#include "hub/remote_crew.h"

/* A clo_crew_fn. */
bool clo_remote_upload(clo_crew_hand *h, const clo_lfs_pointer *files, size_t n, clo_err *err);

/* The parts that an upload action asks for: their number and size. Exposed for tests. CLO_ERR_FORMAT when they do not make up the
 * file. */
CLO_CHECK bool clo_remote_parts(size_t *n, uint64_t *part_bytes, const json_t *header, uint64_t size, clo_err *err);

#endif
