/* The seal: from here on this process opens no connection and writes nothing outside its data folder, and cannot undo it.
 *
 * Two parts of the kernel hold it. seccomp (libseccomp) lets through a list of system calls and answers every other with
 * EPERM: no socket can be made, bound or connected, no message sent to an address, no program or process started, no
 * other process touched, no io_uring set up, nothing mounted. What is left of sockets is to accept on those that listen
 * already, and to read and write. Landlock, where the kernel has it, lets files be written, made, renamed and removed
 * below the data folder only. Both are inherited by threads, and neither can be lifted, by root either.
 *
 *   ... sockets listen, no thread was started, no request was read ...
 *   clo_seal_state sealed;
 *   if (!clo_seal(&sealed, &(clo_seal_opts){.data_dir = dir, .notify_fd = -1}, &err)) ...
 *
 * What it does not do: it does not close what is open, so log lines still go to standard output and error; it does not
 * keep files from being read; bytes that are sent to a client that asked are the client's. A list and not a ban of what
 * is dangerous, because new kernels bring new calls: those are refused until they are looked at. */
#ifndef CLO_SERVE_SEAL_H
#define CLO_SERVE_SEAL_H

#include <stdbool.h>

#include "base/err.h"

typedef struct {
    const char *data_dir; /* the only folder to be written in; NULL: none */
    int notify_fd;        /* the connected datagram socket to the service manager (notify.h), which may be written to and
                             nothing else; -1: none */
} clo_seal_opts;

typedef struct {
    int landlock_abi; /* 0: this kernel has no Landlock, and files can be written as before */
} clo_seal_state;

/* Seals the process. CLO_ERR_USAGE when a second thread runs (Landlock binds the calling one only) or a socket other than
 * notify_fd is connected already; CLO_ERR_UNSUPPORTED when the kernel has no seccomp. After a failure nothing, or
 * only a part, is sealed: the process should end. */
CLO_CHECK bool clo_seal(clo_seal_state *out, const clo_seal_opts *o, clo_err *err);

#endif
