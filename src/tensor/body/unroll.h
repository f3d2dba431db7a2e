/* UNROLL before a loop of constant length: unrolled whole, so that arrays of vectors become registers. clang takes
 * gcc's pragma too, but acts on it after the pass that moves arrays to registers. */
#ifndef CLO_TENSOR_BODY_UNROLL_H
#define CLO_TENSOR_BODY_UNROLL_H

#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#endif
