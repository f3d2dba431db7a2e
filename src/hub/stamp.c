/* See stamp.h. */
#include "hub/stamp.h"

#include <stdio.h>
#include <time.h>

const char *clo_stamp(char out[CLO_STAMP_LEN + 1], int64_t seconds)
{
    struct tm t;
    time_t s = (time_t)(seconds < 0 || seconds > 253402300799 ? 0 : seconds);
    if (!gmtime_r(&s, &t) || strftime(out, CLO_STAMP_LEN + 1, "%Y-%m-%dT%H:%M:%S.000Z", &t) == 0)
        snprintf(out, CLO_STAMP_LEN + 1, "1970-01-01T00:00:00.000Z");
    return out;
}
