/* Pushing: what git sends a server, as bodies of smart HTTP.
 *
 *   GET  .../info/refs?service=git-receive-pack  clo_push_advertise   application/x-git-receive-pack-advertisement
 *   POST .../git-receive-pack                    clo_push             application/x-git-receive-pack-result
 *
 *   clo_push *p = NULL;
 *   if (!clo_push_open(&p, g, &opts, &err)) ...
 *   if (!clo_push_add(p, piece, &err)) ...                     // any cut; the pack goes to a file in opts.tmp_dir
 *   if (!clo_push_end(p, send, connection, &err)) ...          // reads, checks, writes, answers
 *   for (size_t i = 0; i < clo_push_updates(p, &u); i++) if (u[i].ok) ...
 *   clo_push_close(p);                                        // close g, too: it may remember what was refused
 *
 * What comes is looked at before it is anything's: every object is named anew, trees and commits are read strictly,
 * names in trees follow the rules of commits (commit.h), everything that an object leads to is there, files over 10
 * MiB, submodules (which the hub's clients could not download) and pointers to large files that the pusher may not link are
 * refused. Then rows and refs are written in one
 * transaction. main cannot be deleted; refs/heads/, refs/tags/ and pull requests that exist can be written. */
#ifndef CLO_HUB_PUSH_H
#define CLO_HUB_PUSH_H

#include "hub/commit.h"
#include "hub/git_db.h"
#include "hub/pkt.h"
#include "hub/refs.h"

#define CLO_PUSH_UPDATES_MAX 1000

typedef struct {
    char name[CLO_REF_NAME_MAX];
    clo_oid old, now; /* zero: not there; made anew, deleted */
    bool ok;
    char why[200]; /* when it is not */
} clo_push_update;

/* Whether a ref may be changed so: asked in the transaction, when all objects can be read from g. False: err's text
 * is what the pusher reads. */
typedef bool clo_may_update_fn(void *ctx, clo_git *g, const clo_push_update *u, clo_err *err);

typedef struct {
    const char *tmp_dir;           /* must be there */
    clo_may_link_fn *may_link;     /* NULL: no pointers to large files */
    clo_may_update_fn *may_update; /* NULL: all that the rules allow */
    void *ctx;                     /* of both */
    bool submodules;               /* they are taken: a history that is elsewhere already stays as it is */
} clo_push_opts;

typedef struct clo_push clo_push;

CLO_CHECK bool clo_push_advertise(clo_git *g, clo_out_fn *fn, void *ctx, clo_err *err);

CLO_CHECK bool clo_push_open(clo_push **out, clo_git *g, const clo_push_opts *o, clo_err *err);
/* CLO_ERR_FORMAT for what is no request; CLO_ERR_LIMIT. */
CLO_CHECK bool clo_push_add(clo_push *p, clo_bytes piece, clo_err *err);
/* What the pusher did wrong is in the answer, and true is returned; false: the request was no push, or the store
 * failed. */
CLO_CHECK bool clo_push_end(clo_push *p, clo_out_fn *fn, void *ctx, clo_err *err);
size_t clo_push_updates(const clo_push *p, const clo_push_update **out);
void clo_push_close(clo_push *p);

#endif
