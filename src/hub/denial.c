/* See denial.h. */
#include "hub/denial.h"

#include <stdio.h>

bool clo_deny(clo_denial *no, int status, const char *code, const char *fmt, ...)
{
    va_list ap;
    no->status = status;
    no->code = code;
    va_start(ap, fmt);
    vsnprintf(no->message, sizeof no->message, fmt, ap);
    va_end(ap);
    for (char *p = no->message; *p; p++)
        if (*p < ' ' || *p > '~') *p = '?';
    return false;
}
