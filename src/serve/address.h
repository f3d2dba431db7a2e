/* Addresses as people write them: HOST:PORT, [IPV6]:PORT, unix:PATH. */
#ifndef CLO_SERVE_ADDRESS_H
#define CLO_SERVE_ADDRESS_H

#include <stdbool.h>
#include <sys/un.h>

#include "base/err.h"

/* "host:port" in two; the host may be empty. CLO_ERR_USAGE. */
CLO_CHECK bool clo_address_split(char host[256], char port[8], const char *address, clo_err *err);
/* The path behind "unix:", or NULL for another address. */
const char *clo_address_unix_path(const char *address);
CLO_CHECK bool clo_address_of_unix(struct sockaddr_un *out, const char *path, clo_err *err);

#endif
