/* How a client may put a Xet file together itself: its terms, and where in which xorb the stored bytes lie.
 *
 *   json_t *answer = NULL;
 *   if (!clo_reconstruct(&answer, &files, &xet, first, end, CLO_RECONSTRUCTION_V2, url_of, &ctx, &err)) ...
 *
 * Only the chunks that hold bytes [first, end) are named; `offset_into_first_range` says how many bytes of the first term
 * come before them. Ranges of one xorb that meet or overlap are fetched as one, each under an address of its own. In ranges
 * of chunks the end is the one after the last, in ranges of bytes it is the last.
 *
 * Source: Hugging Face, "Xet Protocol Specification", CAS API. */
#ifndef CLO_HUB_RECONSTRUCTION_H
#define CLO_HUB_RECONSTRUCTION_H

#include "base/json.h"
#include "hub/files.h"

typedef enum { CLO_RECONSTRUCTION_V1 = 1, CLO_RECONSTRUCTION_V2 = 2 } clo_reconstruction_version;

#define CLO_XORB_URL_MAX 2048

/* The address at which bytes [first, last] of a xorb may be fetched for a while. */
typedef bool clo_xorb_url(char out[CLO_XORB_URL_MAX], void *ctx, const clo_xet_hash *xorb, uint64_t first,
                          uint64_t last, clo_err *err);

/* *out is the caller's. `end` beyond the file is taken as its end. CLO_ERR_NOT_FOUND; CLO_ERR_USAGE when first is at or
 * after the end of a file that is not empty (416 in HTTP). */
CLO_CHECK bool clo_reconstruct(json_t **out, const clo_files *f, const clo_xet_hash *xet, uint64_t first, uint64_t end,
                               clo_reconstruction_version version, clo_xorb_url *url, void *ctx, clo_err *err);

#endif
