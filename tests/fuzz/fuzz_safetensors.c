/* Bytes as a safetensors file. */
#include <stdint.h>
#include <stdlib.h>

#include "model/safetensors.h"

static volatile uint64_t sink; /* keeps reads from being optimised away */

/* The beginning of a file. */
static void read_head(const uint8_t *data, size_t size)
{
    clo_arena arena = clo_arena_make(16u << 20);
    clo_safetensors st;
    bool is_short;
    if (clo_safetensors_parse_head(&st, &is_short, (clo_bytes){data, size}, (uint64_t)size + 8, &arena, NULL))
        for (size_t i = 0; i < st.n_tensors; i++)
            if (st.tensors[i].data) abort();
    clo_arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_head(data, size);
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
