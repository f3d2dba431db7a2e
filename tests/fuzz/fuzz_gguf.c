/* Bytes as a GGUF file: parsed, every key read through every accessor, every tensor's bytes touched at both ends, and
 * the spec read when the file names an architecture that is built. */
#include <stdint.h>
#include <stdlib.h>

#include "model/gguf.h"
#include "model/spec_impl.h"

static volatile uint64_t sink; /* keeps reads from being optimised away */

static int cmp_tensor(const void *a, const void *b)
{
    return clo_str_cmp(((const clo_tensor *)a)->name, ((const clo_tensor *)b)->name);
}

static uint64_t read_all(const clo_gguf *g)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < g->n_kv; i++) {
        const clo_gguf_kv *kv = &g->kv[i];
        for (uint64_t e = 0; e < kv->n && e < 64; e++)
            sum += (uint64_t)clo_gguf_array_int(kv, e);
        if (kv->n > 0) sum += clo_gguf_array_num(kv, kv->n - 1) > 0;
        if (kv->type == CLO_GGUF_ARRAY && kv->elem == CLO_GGUF_STR) {
            clo_str *s = malloc((size_t)kv->n * sizeof *s + 1);
            if (s) clo_gguf_array_strs(kv, s);
            for (uint64_t e = 0; s && e < kv->n; e++)
                sum += s[e].len ? (uint8_t)s[e].ptr[s[e].len - 1] : 0;
            free(s);
        }
    }
    for (size_t i = 0; i < g->n_tensors; i++) {
        sum += g->tensors[i].data[0];
        sum += g->tensors[i].data[g->tensors[i].bytes - 1];
    }
    return sum;
}

/* The beginning of a file: what it lacks is told, and a whole header reads as the file's does. */
static void read_head(const uint8_t *data, size_t size)
{
    clo_arena arena = clo_arena_make(16u << 20);
    clo_gguf g;
    bool is_short;
    if (clo_gguf_parse_head(&g, &is_short, (clo_bytes){data, size}, (uint64_t)size * 3 + 64, &arena, NULL)) {
        for (size_t i = 0; i < g.n_tensors; i++)
            if (g.tensors[i].data) abort();
        for (size_t i = 0; i < g.n_kv; i++) json_decref(clo_gguf_json(&g.kv[i], 100));
    }
    clo_arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_head(data, size);
    clo_arena arena = clo_arena_make(16u << 20);
    clo_err err = {0};
    clo_gguf g;
    if (clo_gguf_parse(&g, (clo_bytes){data, size}, &arena, &err)) {
        sink += read_all(&g);
        if (g.n_tensors) qsort(g.tensors, g.n_tensors, sizeof *g.tensors, cmp_tensor);
        clo_checkpoint ck = {
            .container = CLO_CONTAINER_GGUF, .tensors = g.tensors, .n_tensors = g.n_tensors, .gguf = &g};
        clo_spec s;
        if (clo_spec_read(&s, &ck, &arena, &err)) {
            float inv[SPEC_HEAD_DIM_MAX / 2];
            for (int i = 0; i < 2; i++)
                clo_rope_inv_freq(inv, &s.rope[i], s.n_rot);
        }
    }
    clo_arena_free(&arena);
    return 0;
}
