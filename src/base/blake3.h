/* BLAKE3, plain and keyed: 32 bytes of a whole input.
 *
 *   uint8_t d[32];
 *   clo_blake3_keyed(d, key, bytes, n);
 *
 * An input is cut into chunks of 1,024 bytes, which a binary tree of parents joins; eight chunks or parents (four
 * on ARM) are compressed side by side in the lanes of vectors. Any thread, allocates nothing (the stack holds log2(n) levels of
 * 512 bytes). Here because the Xet protocol names its data by keyed BLAKE3 and no kept C library of Debian 12 has it.
 *
 * Source: O'Connor, Aumasson, Neves, Wilcox-O'Hearn, "BLAKE3: one function, fast everywhere" (2020), sections 2 and 5.3. */
#ifndef CLO_BASE_BLAKE3_H
#define CLO_BASE_BLAKE3_H

#include <stddef.h>
#include <stdint.h>

void clo_blake3(uint8_t out[32], const void *p, size_t n);
void clo_blake3_keyed(uint8_t out[32], const uint8_t key[32], const void *p, size_t n);

/* The same by one chunk after another in plain C: the specification, which tests compare the others with. */
void clo_blake3_plain(uint8_t out[32], const uint8_t *key, const void *p, size_t n);

#endif
