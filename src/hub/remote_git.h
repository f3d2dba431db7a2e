/* git's smart HTTP from the client's side: what is asked, and how the replies of a far server are read. Values only; remote.h
 * sends them. Every byte of a reply is a stranger's.
 *
 *   fetch (protocol 2)  clo_remote_v2_check, clo_remote_refs_ask / _parse, clo_remote_fetch_ask, clo_fetch_reader
 *   push  (protocol 0)  clo_remote_advert_parse, clo_remote_push_ask, clo_remote_report_parse
 *
 * Source: git's protocol-v2, gitprotocol-pack, gitprotocol-http. */
#ifndef CLO_HUB_REMOTE_GIT_H
#define CLO_HUB_REMOTE_GIT_H

#include "base/buf.h"
#include "hub/pkt.h"
#include "hub/refs.h"
#include "hub/spool.h"

#define CLO_REMOTE_REFS_MAX 100000
#define CLO_REMOTE_REPLY_MAX ((size_t)32 << 20) /* bytes of a list of refs */
#define CLO_REMOTE_HAVES_MAX 1024

typedef struct {
    clo_ref *rows; /* owned [n] */
    size_t n;
} clo_remote_refs;

void clo_remote_refs_free(clo_remote_refs *r);
const clo_ref *clo_remote_refs_find(const clo_remote_refs *r, const char *name);

/* --- fetch --------------------------------------------------------------------------------------------------------*/

/* The reply to info/refs?service=git-upload-pack: protocol 2, ls-refs and fetch. */
CLO_CHECK bool clo_remote_v2_check(clo_bytes reply, clo_err *err);
/* Branches and tags. */
CLO_CHECK bool clo_remote_refs_ask(clo_buf *out, clo_err *err);
CLO_CHECK bool clo_remote_refs_parse(clo_remote_refs *out, clo_bytes reply, clo_err *err);
/* A pack of what the wants lead to, without what the haves lead to. */
CLO_CHECK bool clo_remote_fetch_ask(clo_buf *out, const clo_oid *wants, size_t n_wants, const clo_oid *haves, size_t n_haves,
                                    clo_err *err);

/* Takes the reply to that as it comes and puts the pack into a spool. */
typedef struct {
    clo_spool *pack; /* borrowed; open */
    uint64_t max;    /* bytes of the pack */
    clo_buf rest;    /* of a line that has not come whole */
    bool in_pack, ended;
} clo_fetch_reader;

CLO_CHECK bool clo_fetch_reader_add(void *reader, clo_bytes piece, clo_err *err);
/* CLO_ERR_IO when the reply ended early: it may be asked for again. */
CLO_CHECK bool clo_fetch_reader_end(clo_fetch_reader *r, clo_err *err);
void clo_fetch_reader_free(clo_fetch_reader *r);

/* --- push ---------------------------------------------------------------------------------------------------------*/

typedef struct {
    bool report, band, atomic; /* report-status, side-band-64k, atomic */
} clo_remote_can;

/* The reply to info/refs?service=git-receive-pack. */
CLO_CHECK bool clo_remote_advert_parse(clo_remote_refs *out, clo_remote_can *can, clo_bytes reply, clo_err *err);

typedef struct {
    char name[CLO_REF_NAME_MAX];
    clo_oid old, now;
    bool ok;
    char why[200];
} clo_remote_update;

/* The commands, up to and with the flush; the pack follows. */
CLO_CHECK bool clo_remote_push_ask(clo_buf *out, const clo_remote_update *u, size_t n, const clo_remote_can *can, clo_err *err);
/* Sets ok and why of each update that the report names. False: nothing was taken (err has what the server says). */
CLO_CHECK bool clo_remote_report_parse(clo_remote_update *u, size_t n, const clo_remote_can *can, clo_bytes reply, clo_err *err);

#endif
