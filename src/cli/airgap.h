/* cloche doctor --airgap: its own file, for it has nothing in common with the rest of doctor. */
#ifndef CLO_CLI_AIRGAP_H
#define CLO_CLI_AIRGAP_H

#include <stdbool.h>

/* Tries to get out, of a sealed process when `sealed`. The exit code: 0 when nothing got out, 3 when something did. */
int clo_doctor_airgap(const char *data, bool sealed, bool json);

#endif
