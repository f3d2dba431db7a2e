#include "cli/asking.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "serve/ask.h"

#define KEY_BYTES_MAX 256

bool clo_cli_ask(json_t **out, const clo_asking *a, const char *method, const char *path, const json_t *body,
                 clo_err *err)
{
    const char *server = a->server ? a->server : getenv("CLOCHE_SERVER");
    clo_arena arena = clo_arena_make(4 * KEY_BYTES_MAX);
    clo_str key = {0};
    const char *given = getenv("CLOCHE_KEY");
    bool ok = !a->key_file || clo_file_read(&key, a->key_file, KEY_BYTES_MAX, &arena, err);
    while (key.len > 0 && strchr(" \r\n", key.ptr[key.len - 1]))
        key.len--;
    if (a->key_file && ok) given = clo_arena_copy_str(&arena, key).ptr;
    ok = ok && clo_ask(out, server && *server ? server : "127.0.0.1:11434", given && *given ? given : NULL, method,
                       path, body, err);
    clo_arena_free(&arena);
    return ok;
}

int clo_cli_ask_fail(const clo_err *err)
{
    bool away = err->code == CLO_ERR_IO &&
                (err->sys == ECONNREFUSED || err->sys == ENOENT || err->sys == EAGAIN || err->sys == ETIMEDOUT);
    int rc = clo_cli_fail(err, away ? "'cloche serve' starts one; --server says where it listens" : NULL);
    return away || err->code == CLO_ERR_CANCELLED ? CLO_EXIT_BUSY : rc;
}
