/* Bytes as a server's reply to the command line: what is taken has a status, and its body ends where the bytes end. */
#include <stdint.h>
#include <stdlib.h>

#include "serve/ask.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned status = 0;
    clo_str body = {0};
    clo_err err = {0};
    if (clo_ask_parse(&status, &body, (clo_str){(const char *)data, size}, &err)) {
        if (status < 100 || status > 999 || body.len + 16 > size || body.ptr + body.len != (const char *)data + size)
            abort();
    } else if (err.code != CLO_ERR_FORMAT) {
        abort();
    }
    return 0;
}
