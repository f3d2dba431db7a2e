/* Times as the hub's clients read them: "2026-05-06T07:08:09.000Z", always UTC with three decimals; other forms make them
 * throw. */
#ifndef CLO_HUB_STAMP_H
#define CLO_HUB_STAMP_H

#include <stdint.h>

#define CLO_STAMP_LEN 24

/* Seconds since 1970; years 0 to 9999, others read as 1970. Returns out. */
const char *clo_stamp(char out[CLO_STAMP_LEN + 1], int64_t seconds);

#endif
