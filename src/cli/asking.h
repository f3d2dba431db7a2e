/* What commands that ask a running server share: where it is, and the key. */
#ifndef CLO_CLI_ASKING_H
#define CLO_CLI_ASKING_H

#include "cli/cli.h"

typedef struct {
    const char *server, *key_file;
} clo_asking;

#define CLO_ASKING_OPTS(a)                                                                                             \
    {"server",        NULL,                                                                                            \
     CLO_OPT_STR,     &(a).server,                                                                                     \
     "H:P|unix:PATH", "the server's address (default: $CLOCHE_SERVER, else 127.0.0.1:11434)"},                         \
    {                                                                                                                  \
        "key-file", NULL, CLO_OPT_STR, &(a).key_file, "FILE", "a file with the API key (default: $CLOCHE_KEY)"         \
    }

/* As clo_ask. */
CLO_CHECK bool clo_cli_ask(json_t **out, const clo_asking *a, const char *method, const char *path, const json_t *body,
                           clo_err *err);
/* The exit code of what went wrong, told with what to do about it. */
int clo_cli_ask_fail(const clo_err *err);

#endif
