/* A repository of a hub elsewhere: huggingface.co, or another of ours.
 *
 *   clo_remote r;
 *   clo_net *n = NULL;
 *   clo_remote_opts o = {.endpoint = "https://huggingface.co", .token = token, .type = CLO_REPO_MODEL, .id = "org/name"};
 *   if (!clo_remote_init(&r, &o, &err) || !clo_remote_net(&n, &r, &err)) ...
 *   if (!clo_remote_look(&info, &r, n, &err)) ...          // CLO_ERR_NOT_FOUND, CLO_ERR_DENIED; r.id is the id it has now
 *   if (!clo_remote_refs_get(&refs, &r, n, &err)) ...
 *   if (!clo_remote_fetch(&pack, &r, n, wants, n_wants, haves, n_haves, &err)) ...
 *
 * Only the endpoint is spoken to, and hosts that it sends us to for the bytes of large files, which never get the token.
 * A clo_remote is read by many threads; each has a clo_net of its own. */
#ifndef CLO_HUB_REMOTE_H
#define CLO_HUB_REMOTE_H

#include "base/digest.h"
#include "base/json.h"
#include "hub/remote_git.h"
#include "hub/repo.h"
#include "hub/tree.h"
#include "net/client.h"

#define CLO_REMOTE_ENDPOINT_MAX 512
#define CLO_REMOTE_URL_MAX 1024
#define CLO_REMOTE_TRIES 5
#define CLO_JOBS_MAX 32 /* large files at once */

typedef struct {
    const char *endpoint; /* "https://huggingface.co" */
    const char *token;    /* NULL: none */
    clo_repo_type type;
    const char *id; /* "org/name" */
    const atomic_bool *stop;
} clo_remote_opts;

typedef struct {
    char endpoint[CLO_REMOTE_ENDPOINT_MAX]; /* without a slash at the end */
    const char *token;                 /* borrowed */
    clo_repo_type type;
    char id[CLO_REPO_ID_MAX];
    const atomic_bool *stop;
} clo_remote;

/* CLO_ERR_USAGE for an endpoint or an id that is none. Nothing is asked yet. */
CLO_CHECK bool clo_remote_init(clo_remote *out, const clo_remote_opts *o, clo_err *err);
CLO_CHECK bool clo_remote_net(clo_net **out, const clo_remote *r, clo_err *err);

typedef struct {
    bool is_private;
    clo_gated gated;
} clo_remote_info;

/* Where git finds it: endpoint, "datasets/" where it is one, id, ".git/", rest. */
void clo_remote_git_url(char out[CLO_REMOTE_URL_MAX], const clo_remote *r, const char *rest);

/* What the API says of the repository; follows one that has a new name. */
CLO_CHECK bool clo_remote_look(clo_remote_info *out, clo_remote *r, clo_net *n, clo_err *err);
/* Makes it; `initial commit` is then all that it has. */
CLO_CHECK bool clo_remote_create(const clo_remote *r, clo_net *n, bool is_private, clo_err *err);
/* Whether its main is as a hub makes it: one commit, with .gitattributes or nothing. */
CLO_CHECK bool clo_remote_is_bare(bool *out, const clo_remote *r, clo_net *n, clo_err *err);

/* Branches and tags. */
CLO_CHECK bool clo_remote_refs_get(clo_remote_refs *out, const clo_remote *r, clo_net *n, clo_err *err);
/* The pack, at most CLO_PACK_BYTES_MAX, into an open spool. */
CLO_CHECK bool clo_remote_fetch(clo_spool *pack, const clo_remote *r, clo_net *n, const clo_oid *wants, size_t n_wants,
                                const clo_oid *haves, size_t n_haves, clo_err *err);
/* What can be pushed to. */
CLO_CHECK bool clo_remote_push_refs(clo_remote_refs *out, clo_remote_can *can, const clo_remote *r, clo_net *n, clo_err *err);
/* Commands, then a pack from a spool (which may be empty when only refs are deleted); sets ok and why of each update. */
CLO_CHECK bool clo_remote_push(clo_remote_update *u, size_t n_updates, const clo_remote_can *can, clo_spool *pack, const clo_remote *r,
                               clo_net *n, clo_err *err);

/* --- large files (remote_lfs.c) ----------------------------------------------------------------------------------------*/

#define CLO_REMOTE_BATCH_MAX 100

/* What the server says to do with files: the reply of the batch API. The caller owns *out: an array in the order of `files`, each
 * with "actions" (or without: there is nothing to do) or "error". *transfer: "basic" or "multipart". */
CLO_CHECK bool clo_remote_batch(json_t **out, char transfer[16], const clo_remote *r, clo_net *n, bool upload, const clo_lfs_pointer *files,
                                size_t n_files, clo_err *err);
/* The same from the bytes of a reply. Exposed for tests. */
CLO_CHECK bool clo_remote_batch_parse(json_t **out, char transfer[16], clo_str reply, const clo_lfs_pointer *files, size_t n_files,
                                      clo_err *err);

/* An action of a row: href and headers of the server's for it. False with CLO_ERR_FORMAT when it is none that can be followed;
 * from https nothing leads to http. */
typedef struct {
    const char *href;                         /* borrowed from the row */
    char *headers[CLO_NET_HEADERS_MAX];       /* owned: "Name: value" */
} clo_remote_action;
CLO_CHECK bool clo_remote_action_of(clo_remote_action *out, const clo_remote *r, const json_t *row, const char *name, clo_err *err);
void clo_remote_action_free(clo_remote_action *a);

/* Whether what went wrong may go right when it is tried again; waits before it says so: longer each time, as long as the server
 * asked for (at most a minute). */
bool clo_remote_try_again(int *tries, const clo_err *err, const clo_net_reply *r, const atomic_bool *stop);

#endif
