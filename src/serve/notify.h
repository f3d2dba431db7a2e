/* Telling the service manager (systemd) how the service is: READY=1, STOPPING=1, WATCHDOG=1, STATUS=... One datagram
 * each, to the unix socket that $NOTIFY_SOCKET names. Source: sd_notify(3), "Notes".
 *
 *   clo_notify n;
 *   if (!clo_notify_open(&n, &err)) ...          // before the seal: it connects
 *   clo_notify_send(&n, "READY=1\nSTATUS=answering");
 *   every n.watchdog_s / 2: clo_notify_send(&n, "WATCHDOG=1");
 *   clo_notify_close(&n);
 */
#ifndef CLO_SERVE_NOTIFY_H
#define CLO_SERVE_NOTIFY_H

#include "base/err.h"

typedef struct {
    int fd;            /* -1: no service manager asks, and sending does nothing */
    double watchdog_s; /* it restarts the service when WATCHDOG=1 is not told for so long; 0: it does not watch */
} clo_notify;

CLO_CHECK bool clo_notify_open(clo_notify *out, clo_err *err);
/* Lost when the manager does not listen; never waits. */
void clo_notify_send(const clo_notify *n, const char *text);
void clo_notify_close(clo_notify *n);

#endif
