/* See address.h. */
#include "serve/address.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static bool fail_address(const char *address, clo_err *err)
{
    return clo_fail(err, CLO_ERR_USAGE, "'%.200s': HOST:PORT, [IPV6]:PORT or unix:PATH is expected", address);
}

bool clo_address_split(char host[256], char port[8], const char *address, clo_err *err)
{
    const char *colon = strrchr(address, ':'), *begin = address, *end = colon;
    if (!colon) return fail_address(address, err);
    if (*begin == '[') {
        if (end == begin || end[-1] != ']') return fail_address(address, err);
        begin++;
        end--;
    } else if (memchr(begin, ':', (size_t)(end - begin))) {
        return fail_address(address, err);
    }
    size_t n = (size_t)(end - begin), n_port = strlen(colon + 1);
    if (n >= 256 || n_port == 0 || n_port > 5 || strspn(colon + 1, "0123456789") != n_port)
        return fail_address(address, err);
    if (strtoul(colon + 1, NULL, 10) > 65535)
        return clo_fail(err, CLO_ERR_USAGE, "'%.200s': a port is at most 65535", address);
    memcpy(host, begin, n);
    host[n] = '\0';
    memcpy(port, colon + 1, n_port + 1);
    return true;
}

const char *clo_address_unix_path(const char *address)
{
    return strncmp(address, "unix:", 5) == 0 ? address + 5 : NULL;
}

bool clo_address_of_unix(struct sockaddr_un *out, const char *path, clo_err *err)
{
    size_t n = strlen(path);
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (n == 0 || n >= sizeof out->sun_path)
        return clo_fail(err, CLO_ERR_USAGE, "'unix:%.200s': a path of 1 to %zu bytes is expected", path,
                        sizeof out->sun_path - 1);
    memcpy(out->sun_path, path, n + 1);
    return true;
}
