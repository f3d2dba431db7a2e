/* Bytes as a safetensors file. */
#include <stdint.h>

#include "model/safetensors.h"

static volatile uint64_t sink; /* keeps reads from being optimised away */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    clo_arena arena = clo_arena_make(16u << 20);
    clo_err err = {0};
    clo_safetensors st;
    if (clo_safetensors_parse(&st, (clo_bytes){data, size}, &arena, &err)) {
        for (size_t i = 0; i < st.n_tensors; i++) {
            const clo_tensor *t = &st.tensors[i];
            if (t->bytes) sink += (uint64_t)t->data[0] + t->data[t->bytes - 1];
            sink += t->name.len ? (uint8_t)t->name.ptr[0] : 0;
        }
    }
    clo_arena_free(&arena);
    return 0;
}
