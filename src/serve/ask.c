/* See ask.h. */
#include "serve/ask.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/buf.h"
#include "serve/address.h"

/* --- the connection -----------------------------------------------------------------------------------------------*/

static bool connect_to(int *fd, const struct sockaddr *a, socklen_t n, const char *address, clo_err *err)
{
    const struct timeval limit = {.tv_sec = CLO_ASK_SECONDS_MAX};
    int s = socket(a->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s >= 0 && setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0 &&
        setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0 && connect(s, a, n) == 0) {
        *fd = s;
        return true;
    }
    int why = errno;
    if (s >= 0) close(s);
    clo_fail_sys(err, why, "no server answers at '%.200s'", address);
    if (err) err->code = CLO_ERR_IO; /* a socket file that is not there, too */
    return false;
}

/* Numbers alone: nobody is asked for names. */
static bool open_tcp(int *fd, const char *address, clo_err *err)
{
    char host[256], port[8];
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    if (!clo_address_split(host, port, address, err)) return false;
    bool local = host[0] == '\0' || strcasecmp(host, "localhost") == 0;
    four.sin_port = six.sin6_port = htons((uint16_t)strtoul(port, NULL, 10));
    if (inet_pton(AF_INET, local ? "127.0.0.1" : host, &four.sin_addr) == 1)
        return connect_to(fd, (const struct sockaddr *)&four, sizeof four, address, err);
    if (inet_pton(AF_INET6, host, &six.sin6_addr) == 1)
        return connect_to(fd, (const struct sockaddr *)&six, sizeof six, address, err);
    return clo_fail(err, CLO_ERR_USAGE, "'%.200s': an address of numbers, or localhost, is expected", address);
}

static bool open_connection(int *fd, const char *address, clo_err *err)
{
    const char *path = clo_address_unix_path(address);
    struct sockaddr_un a;
    if (strncmp(address, "https://", 8) == 0)
        return clo_fail(err, CLO_ERR_UNSUPPORTED, "'%.200s': this asks without TLS: use a unix socket, or curl",
                        address);
    if (strncmp(address, "http://", 7) == 0) address += 7;
    if (!path) return open_tcp(fd, address, err);
    return clo_address_of_unix(&a, path, err) && connect_to(fd, (const struct sockaddr *)&a, sizeof a, address, err);
}

static bool send_all(int fd, clo_str s, clo_err *err)
{
    while (s.len > 0) {
        ssize_t n = send(fd, s.ptr, s.len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return clo_fail_sys(err, errno, "ask the server");
        s = clo_str_from_off(s, (size_t)n);
    }
    return true;
}

static bool read_all(int fd, clo_buf *out, clo_err *err)
{
    for (;;) {
        char *at = clo_buf_reserve(out, 16384);
        if (!at) return clo_fail(err, CLO_ERR_LIMIT, "a reply of more than %zu bytes", CLO_ASK_REPLY_BYTES_MAX);
        ssize_t n = recv(fd, at, 16384, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return clo_fail_sys(err, errno, "the server's reply");
        if (n == 0) return true;
        out->len += (size_t)n;
    }
}

/* --- the reply ----------------------------------------------------------------------------------------------------*/

static bool no_reply(clo_err *err, const char *why)
{
    return clo_fail(err, CLO_ERR_FORMAT, "no reply of HTTP: %s", why);
}

/* The field's value in "name: value" lines, without white space around; NULL slice: it is not there. */
static clo_str field(clo_str head, const char *name)
{
    size_t n = strlen(name);
    for (size_t at = 0; at < head.len;) {
        size_t end = clo_str_find(head, at, '\n');
        clo_str line = {head.ptr + at, end - at};
        at = end + 1;
        if (line.len <= n || line.ptr[n] != ':' || strncasecmp(line.ptr, name, n) != 0) continue;
        line = clo_str_from_off(line, n + 1);
        while (line.len > 0 && (*line.ptr == ' ' || *line.ptr == '\t'))
            line = clo_str_from_off(line, 1);
        while (line.len > 0 && strchr(" \t\r", line.ptr[line.len - 1]))
            line.len--;
        return line;
    }
    return (clo_str){0};
}

static bool parse_status(unsigned *status, clo_str head)
{
    *status = 0;
    if (head.len < 12 || !clo_str_starts_with(head, CLO_STR("HTTP/1.")) || head.ptr[8] != ' ') return false;
    for (size_t i = 9; i < 12; i++) {
        if (head.ptr[i] < '0' || head.ptr[i] > '9') return false;
        *status = 10 * *status + (unsigned)(head.ptr[i] - '0');
    }
    return *status >= 100 && (head.len == 12 || head.ptr[12] == ' ' || head.ptr[12] == '\r' || head.ptr[12] == '\n');
}

static bool parse_length(size_t *out, clo_str text)
{
    *out = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9' || *out > CLO_ASK_REPLY_BYTES_MAX) return false;
        *out = 10 * *out + (size_t)(text.ptr[i] - '0');
    }
    return text.len > 0;
}

bool clo_ask_parse(unsigned *status, clo_str *body, clo_str reply, clo_err *err)
{
    size_t length = 0;
    const char *end = reply.len > 0 ? memmem(reply.ptr, reply.len, "\r\n\r\n", 4) : NULL;
    if (!end) return no_reply(err, "its head has no end");
    clo_str head = {reply.ptr, (size_t)(end - reply.ptr)};
    *body = clo_str_from_off(reply, head.len + 4);
    if (!parse_status(status, head)) return no_reply(err, "no status");
    if (field(head, "Transfer-Encoding").len > 0) return no_reply(err, "it is chunked");
    clo_str stated = field(head, "Content-Length");
    if (stated.ptr && (!parse_length(&length, stated) || length != body->len))
        return no_reply(err, "it is not as long as it says");
    return true;
}

/* What a status that is not 200 says. */
static bool tell_status(unsigned status, const json_t *reply, clo_err *err)
{
    static const struct {
        unsigned status;
        clo_code code;
    } rows[] = {{404, CLO_ERR_NOT_FOUND}, {401, CLO_ERR_DENIED}, {403, CLO_ERR_DENIED}, {503, CLO_ERR_CANCELLED}};
    clo_code code = CLO_ERR_USAGE;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].status == status) code = rows[i].code;
    const json_t *e = json_object_get(reply, "error");
    clo_str text =
        json_is_object(e) ? clo_json_str(e, "message", CLO_STR("")) : clo_json_str(reply, "error", CLO_STR(""));
    if (text.len > 0)
        return clo_fail(err, code, "the server says: %.*s", (int)(text.len > 200 ? 200 : text.len), text.ptr);
    return clo_fail(err, code, "the server answers with status %u", status);
}

static bool read_reply(json_t **out, clo_str bytes, clo_err *err)
{
    unsigned status = 0;
    clo_str body;
    if (!clo_ask_parse(&status, &body, bytes, err)) return false;
    bool ok = clo_json_parse(out, body, CLO_ASK_REPLY_BYTES_MAX, status == 200 ? err : NULL);
    if (status == 200) return ok;
    tell_status(status, *out, err);
    json_decref(*out);
    *out = NULL;
    return false;
}

static bool write_request(clo_buf *out, const char *key, const char *method, const char *path, const json_t *body,
                          clo_err *err)
{
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    if (body && !text) return clo_fail(err, CLO_ERR_MEMORY, "request");
    clo_buf_addf(out, "%s %s HTTP/1.0\r\nHost: localhost\r\n", method, path);
    if (key) clo_buf_addf(out, "Authorization: Bearer %s\r\n", key);
    if (text) clo_buf_addf(out, "Content-Type: application/json\r\nContent-Length: %zu\r\n", strlen(text));
    clo_buf_add(out, CLO_STR("\r\n"));
    if (text) clo_buf_add(out, clo_str_from(text));
    free(text);
    return clo_buf_ok(out, err);
}

bool clo_ask(json_t **out, const char *address, const char *key, const char *method, const char *path,
             const json_t *body, clo_err *err)
{
    clo_buf request = {.max = CLO_ASK_REPLY_BYTES_MAX}, reply = {.max = CLO_ASK_REPLY_BYTES_MAX};
    int fd = -1;
    *out = NULL;
    if (key && (strlen(key) > 200 || strpbrk(key, "\r\n")))
        return clo_fail(err, CLO_ERR_USAGE, "what was given is no API key");
    bool ok = write_request(&request, key, method, path, body, err) && open_connection(&fd, address, err) &&
              send_all(fd, clo_buf_str(&request), err) && read_all(fd, &reply, err) &&
              read_reply(out, clo_buf_str(&reply), err);
    if (fd >= 0) close(fd);
    clo_buf_free(&request);
    clo_buf_free(&reply);
    return ok;
}
