/* Sends a repository of this data folder to a hub elsewhere: its branches, tags, what they lead to, and its large files.
 *
 *   clo_send_opts o = {.remote = {.endpoint = "https://huggingface.co", .token = token, .id = "org/name"}, .data_dir = dir,
 *                      .id = "org/name"};
 *   if (!clo_remote_send(&r, &o, &err)) ...
 *
 * Large files go first, several at once, those that the hub lacks: whole, or in the parts that it asks for. Then one push of git.
 * A branch that went another way there is refused (CLO_ERR_DENIED) and nothing is sent, unless `force`. Branches that are not here
 * stay there. */
#ifndef CLO_HUB_REMOTE_PUSH_H
#define CLO_HUB_REMOTE_PUSH_H

#include "hub/remote.h"

typedef struct {
    clo_remote_opts remote; /* its id: the name there */
    const char *data_dir;
    const char *id; /* the name here */
    bool create;    /* make the repository there when it is not */
    bool force;
    size_t n_jobs; /* large files at once; 0: 4 */
    int64_t now_s;
    void (*progress)(void *ctx, const char *what, uint64_t done, uint64_t total); /* one thread at a time; may be NULL */
    void *progress_ctx;
} clo_send_opts;

typedef struct {
    bool created;
    size_t n_refs, n_objects, n_files; /* that were sent; large files: that were offered */
    size_t n_refs_behind;              /* that have more there */
    uint64_t bytes;                    /* of large files that were offered */
} clo_send_result;

CLO_CHECK bool clo_remote_send(clo_send_result *out, const clo_send_opts *o, clo_err *err);

#endif
