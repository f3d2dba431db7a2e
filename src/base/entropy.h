/* Random bytes of the operating system: for secrets and identities, never for numbers that are computed again (random.h). */
#ifndef CLO_BASE_ENTROPY_H
#define CLO_BASE_ENTROPY_H

#include <stddef.h>

#include "base/err.h"

CLO_CHECK bool clo_entropy_bytes(void *out, size_t n, clo_err *err);
/* n letters and digits, each of the 62 equally likely (5.95 bits), and a NUL. */
CLO_CHECK bool clo_entropy_text(char *out, size_t n, clo_err *err);
/* n lower-case hex digits and a NUL. */
CLO_CHECK bool clo_entropy_hex(char *out, size_t n, clo_err *err);

#endif
