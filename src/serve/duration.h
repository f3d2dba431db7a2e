/* Durations as people and Ollama's clients write them: "5m", "1h30m", "300ms", "-1", "90" (seconds). */
#ifndef CLO_SERVE_DURATION_H
#define CLO_SERVE_DURATION_H

#include <stdbool.h>

#include "base/slice.h"

/* Seconds; any negative duration means for ever. */
bool clo_duration_parse(double *out_s, clo_str text);

#endif
