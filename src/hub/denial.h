/* Why the hub refuses, in the terms of its clients: they read the status, X-Error-Code (which exception it is) and
 * X-Error-Message; the body says the same once more. */
#ifndef CLO_HUB_DENIAL_H
#define CLO_HUB_DENIAL_H

#include <stdarg.h>
#include <stdbool.h>

#include "base/err.h"

typedef struct {
    int status;        /* 400 to 501 */
    const char *code;  /* static: "RepoNotFound", "GatedRepo", ...; NULL: none */
    char message[400]; /* for people: one line of ASCII */
} clo_denial;

/* Fills it in and returns false. */
bool clo_deny(clo_denial *no, int status, const char *code, const char *fmt, ...) CLO_PRINTF(4, 5);

#endif
