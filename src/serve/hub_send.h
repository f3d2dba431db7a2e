/* A large file, or the stretch of it that a client asks for, as the body of an answer.
 *
 *   clo_byte_range s;
 *   if (!clo_hub_range(&s, c, size)) return;                 // replied: 416
 *   clo_hub_send_large(c, &sha256, &s, "application/octet-stream");
 *
 * Source: RFC 9110 section 14. Only single ranges are served as such; what asks for several gets the whole. */
#ifndef CLO_SERVE_HUB_SEND_H
#define CLO_SERVE_HUB_SEND_H

#include "serve/hub.h"

typedef struct {
    uint64_t off, n; /* the stretch asked for */
    bool part;       /* 206 */
} clo_byte_range;

/* `bytes=a-b`, `a-`, `-n`; what is no single range of bytes asks for the whole. False: it begins after the end (416). */
bool clo_byte_range_parse(clo_byte_range *out, clo_str header, uint64_t size);
/* Accept-Ranges, and Content-Range for a part. */
void clo_hub_range_headers(clo_hub_call *c, const clo_byte_range *s, uint64_t size);
/* What the request's Range asks of a file of so many bytes; adds Accept-Ranges and Content-Range. False: replied (416). */
bool clo_hub_range(clo_byte_range *out, clo_hub_call *c, uint64_t size);
/* A large file of the call's repository: 404 when that may not name it, though it be here. Whether the client may read the repository is the
 * caller's to ask. Replies. */
void clo_hub_send_large(clo_hub_call *c, const clo_sha256 *sha256, const clo_byte_range *s, const char *type);

#endif
