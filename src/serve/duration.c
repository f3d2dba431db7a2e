/* See duration.h. */
#include "serve/duration.h"

#include <stdlib.h>

#define TEXT_BYTES_MAX 63

static const struct {
    const char *name;
    double seconds;
} units[] = {{"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}, {"s", 1}, {"m", 60}, {"h", 3600}};

/* The unit at p, the longest that fits, and what lies behind it. */
static double take_unit(const char **p)
{
    double seconds = 0;
    size_t n = 0;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        size_t len = strlen(units[i].name);
        if (len <= n || strncmp(*p, units[i].name, len) != 0) continue;
        n = len;
        seconds = units[i].seconds;
    }
    *p += n;
    return seconds;
}

bool clo_duration_parse(double *out_s, clo_str text)
{
    char buf[TEXT_BYTES_MAX + 1];
    double sum = 0;
    if (text.len == 0 || text.len > TEXT_BYTES_MAX || memchr(text.ptr, '\0', text.len)) return false;
    memcpy(buf, text.ptr, text.len);
    buf[text.len] = '\0';
    const char *p = buf;
    bool negative = *p == '-';
    if (negative) p++;
    bool bare = strspn(p, "0123456789") == strlen(p) && *p;
    while (*p) {
        char *end = NULL;
        if ((*p < '0' || *p > '9') && *p != '.') return false;
        double v = strtod(p, &end);
        if (end == p || (size_t)(end - p) != strspn(p, "0123456789.")) return false; /* no exponent, no hexadecimal */
        p = end;
        double unit = bare ? 1 : take_unit(&p);
        if (unit == 0) return false;
        sum += v * unit;
    }
    if (p == buf + negative || !(sum < 1e15)) return false;
    *out_s = negative ? -sum : sum;
    return true;
}
