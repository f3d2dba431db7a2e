/* Philox4x32-10 (Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3"): a counter-based generator, so a
 * draw is a pure function of (seed, purpose, step, index) on every machine. */
#ifndef CLO_BASE_RANDOM_H
#define CLO_BASE_RANDOM_H

#include <stdint.h>

typedef enum {
    CLO_RANDOM_SAMPLE = 1, /* choosing the next token: step = position, index = 0 */
    CLO_RANDOM_TEST = 2,   /* tests and synthetic weights */
} clo_random_purpose;

/* ctr and key as in the paper; out gets four 32-bit words. */
void clo_philox4x32(uint32_t out[4], const uint32_t ctr[4], const uint32_t key[2]);

/* Uniform in [0, 1), 53 bits: key = seed; counter = (index lo, index hi ^ purpose << 24, step lo, step hi). */
double clo_random_unit(uint64_t seed, clo_random_purpose purpose, uint64_t step, uint64_t index);

#endif
