/* Fetching: what git asks of a server to clone and fetch, as bodies of smart HTTP. Protocols 0, 1 and 2.
 *
 *   GET  .../info/refs?service=git-upload-pack   clo_fetch_advertise     application/x-git-upload-pack-advertisement
 *   POST .../git-upload-pack                     clo_fetch_answer        application/x-git-upload-pack-result
 *
 *   if (!clo_fetch_answer(g, clo_git_protocol(header), body, send, connection, &err)) ...    // body: whole, inflated
 *
 * The answer comes in pieces while rows are read; nothing is kept. Built: depth (also relative, since, not), filters
 * blob:none and blob:limit, side bands, tags along. A want may be any object of the repository. Packs have no deltas:
 * see pack.h. Source: git's protocol-v2, protocol-pack and protocol-http. */
#ifndef CLO_HUB_FETCH_H
#define CLO_HUB_FETCH_H

#include "hub/git_db.h"
#include "hub/pkt.h"

#define CLO_FETCH_BODY_MAX ((size_t)32 << 20) /* bytes of a request: about 600,000 haves */

/* 0, 1 or 2: what the Git-Protocol header asks for ("version=2"; empty: 0). */
int clo_git_protocol(clo_str header);

CLO_CHECK bool clo_fetch_advertise(clo_git *g, int protocol, clo_out_fn *fn, void *ctx, clo_err *err);
/* A fault of the client's (a want that is not there, an unknown command) is sent as git's ERR line and returns true. */
CLO_CHECK bool clo_fetch_answer(clo_git *g, int protocol, clo_bytes body, clo_out_fn *fn, void *ctx, clo_err *err);

/* What both services show of a repository's refs in protocols 0 and 1: name and capabilities on the first line. */
CLO_CHECK bool clo_refs_advertise(clo_pkt_out *o, clo_git *g, bool with_head, const char *capabilities, clo_err *err);

#endif
