#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void set(clo_err *err, clo_code code, const char *fmt, va_list args)
{
    *err = (clo_err){.code = code};
    vsnprintf(err->text, sizeof err->text, fmt, args);
}

bool clo_fail(clo_err *err, clo_code code, const char *fmt, ...)
{
    if (!err) return false;
    va_list args;
    va_start(args, fmt);
    set(err, code, fmt, args);
    va_end(args);
    return false;
}

bool clo_fail_at(clo_err *err, uint64_t at, const char *fmt, ...)
{
    if (!err) return false;
    va_list args;
    va_start(args, fmt);
    set(err, CLO_ERR_FORMAT, fmt, args);
    va_end(args);
    err->at = at;
    size_t used = strlen(err->text);
    snprintf(err->text + used, sizeof err->text - used, " (at byte %llu)", (unsigned long long)at);
    return false;
}

bool clo_fail_sys(clo_err *err, int sys, const char *fmt, ...)
{
    if (!err) return false;
    va_list args;
    va_start(args, fmt);
    set(err, sys == ENOENT ? CLO_ERR_NOT_FOUND : CLO_ERR_IO, fmt, args);
    va_end(args);
    err->sys = sys;
    char why[128] = "";
    /* The GNU strerror_r may return its own text instead of filling the buffer. */
    const char *text = strerror_r(sys, why, sizeof why);
    size_t used = strlen(err->text);
    snprintf(err->text + used, sizeof err->text - used, ": %s", text);
    return false;
}

void clo_err_context(clo_err *err, const char *fmt, ...)
{
    if (!err) return;
    char inner[sizeof err->text];
    memcpy(inner, err->text, sizeof inner);
    va_list args;
    va_start(args, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
    size_t used = strlen(err->text);
    snprintf(err->text + used, sizeof err->text - used, ": %.*s", (int)(sizeof inner - used), inner);
}
