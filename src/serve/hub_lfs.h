/* Signed addresses of large files: what hub_lfs.c gives out and it and hub_lfs_parts.c take. */
#ifndef CLO_SERVE_HUB_LFS_H
#define CLO_SERVE_HUB_LFS_H

#include "serve/hub.h"

/* What an address is for: a file's bytes to come, to go, to be looked for; a part's to come; all parts have come. */
typedef enum { CLO_LFS_PUT, CLO_LFS_GET, CLO_LFS_VERIFY, CLO_LFS_PART, CLO_LFS_PARTS } clo_lfs_purpose;

typedef struct {
    clo_sha256 sha256;
    uint64_t size;
    uint64_t offset, len; /* of the part; else all of the file */
} clo_lfs_address;

/* The address that was asked for, signed for this purpose, and its repository as c->repo. False: replied. */
bool clo_lfs_open(clo_lfs_address *out, clo_hub_call *c, clo_lfs_purpose purpose);
/* Whether the body is as long as the address says, where its length is told; false: replied. */
bool clo_lfs_check_length(clo_hub_call *c, const clo_lfs_address *a);
/* What was promised and not kept is 422; what another is doing at this moment, 409. */
void clo_lfs_fail(clo_hub_call *c, const clo_err *err);

#endif
