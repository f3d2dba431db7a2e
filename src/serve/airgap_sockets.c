/* See airgap.h: the sockets of this machine, from /proc/net (Linux, proc(5)). */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "serve/airgap.h"

#define TCP_ESTABLISHED_ 1
#define LINE_MAX_BYTES 512

static const char *const tcp_states[] = {"?", "established", "syn-sent", "syn-received", "fin-wait-1", "fin-wait-2",
                                         "time-wait", "closed", "close-wait", "last-ack", "listening", "closing"};

/* "0100007F:1F90": words of the address in this machine's order, the port as a number. */
static bool read_address(char out[80], const char *text)
{
    const char *colon = strchr(text, ':');
    unsigned words[4], port = 0;
    char name[INET6_ADDRSTRLEN];
    if (!colon || sscanf(colon + 1, "%4x", &port) != 1) return false;
    bool six = colon - text == 32;
    if (!six && colon - text != 8) return false;
    for (size_t i = 0; i < (six ? 4 : 1); i++)
        if (sscanf(text + 8 * i, "%8x", &words[i]) != 1) return false;
    if (!inet_ntop(six ? AF_INET6 : AF_INET, words, name, sizeof name)) return false;
    snprintf(out, 80, "%s%s%s:%u", six ? "[" : "", name, six ? "]" : "", port);
    return true;
}

static bool add_line(json_t *list, const char *protocol, const char *line, bool tcp)
{
    char local[64], remote[64], from[80], to[80];
    unsigned state = 0;
    if (sscanf(line, " %*d: %63[0-9A-Fa-f:] %63[0-9A-Fa-f:] %x", local, remote, &state) != 3) return true; /* heading */
    if (!read_address(from, local) || !read_address(to, remote)) return true;
    const char *word = !tcp ? (state == TCP_ESTABLISHED_ ? "connected" : "open")
                            : tcp_states[state < sizeof tcp_states / sizeof tcp_states[0] ? state : 0];
    return json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "protocol", protocol, "local", from, "remote", to,
                                                 "state", word)) == 0;
}

static bool add_file(json_t *list, const char *protocol, clo_err *err)
{
    char path[64], line[LINE_MAX_BYTES];
    snprintf(path, sizeof path, "/proc/net/%s", protocol);
    FILE *f = fopen(path, "re");
    if (!f) return errno == ENOENT || clo_fail_sys(err, errno, "open '%s'", path);
    bool ok = true;
    while (ok && fgets(line, sizeof line, f)) ok = add_line(list, protocol, line, strncmp(protocol, "tcp", 3) == 0);
    fclose(f);
    return ok || clo_fail(err, CLO_ERR_MEMORY, "list of sockets");
}

bool clo_airgap_sockets(json_t **out, clo_err *err)
{
    static const char *const protocols[] = {"tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "raw", "raw6"};
    json_t *list = json_array();
    bool ok = list || clo_fail(err, CLO_ERR_MEMORY, "list of sockets");
    for (size_t i = 0; ok && i < sizeof protocols / sizeof protocols[0]; i++) ok = add_file(list, protocols[i], err);
    if (ok) *out = list;
    else json_decref(list);
    return ok;
}
