/* The proof of the air gap: this process tries to get out, in every way that we know, and tells what came of it.
 *
 *   clo_attempt tries[CLO_ATTEMPTS_MAX];
 *   size_t n = clo_airgap_try(tries, data_dir);
 *   json_t *sockets = NULL;
 *   if (!clo_airgap_sockets(&sockets, &err)) ...
 *
 * No packet leaves the machine whatever the outcome: connections go to this machine's own port 9, where nobody listens;
 * roads to other machines are looked up (a datagram socket is connected, which sends nothing) for addresses that are
 * reserved for documentation (RFC 5737, RFC 3849). */
#ifndef CLO_SERVE_AIRGAP_H
#define CLO_SERVE_AIRGAP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/json.h"

#define CLO_ATTEMPTS_MAX 32

typedef struct {
    const char *what; /* static: "connect by TCP" */
    bool writes;      /* it is a file that it tries to write: Landlock's part of the seal */
    bool got_out;     /* the kernel did it, or let it be tried */
    int sys;          /* errno of the refusal; 0 when got_out */
} clo_attempt;

/* data_dir (may be NULL) is where writing is no way out. Files that an attempt could make are removed again. */
size_t clo_airgap_try(clo_attempt out[CLO_ATTEMPTS_MAX], const char *data_dir);

/* Listening and connected sockets of this network namespace, from /proc/net: an array of {"protocol", "local", "remote",
 * "state"}; unix sockets are not listed. The caller owns *out. */
CLO_CHECK bool clo_airgap_sockets(json_t **out, clo_err *err);

#endif
