/* The half of 'cloche import' that makes repositories: the other one (import.c) makes models of the library. */
#ifndef CLO_CLI_IMPORT_H
#define CLO_CLI_IMPORT_H

#include <stdbool.h>

typedef struct {
    const char *source, *repo, *type, *message, *data; /* NULL: not given */
    bool is_private, force, json;
} clo_import_repo_args;

/* The exit code. */
int clo_cli_import_repo(const clo_import_repo_args *a);

#endif
