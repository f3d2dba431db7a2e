#include "infer/seq.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/check.h"
#include "tensor/kernel.h"

bool clo_seq_open(clo_seq **out, clo_decoder *d, size_t n_ctx, clo_err *err)
{
    *out = NULL;
    const clo_kv_layout *kv = clo_decoder_kv_layout(d);
    size_t n_blocks = clo_ceil_div(n_ctx, CLO_KV_BLOCK), bytes;
    if (n_ctx == 0 || !clo_mul(n_blocks, kv->block_bytes, &bytes) || bytes > SIZE_MAX / 4)
        return clo_fail(err, CLO_ERR_USAGE, "context of %zu positions", n_ctx);
    clo_seq *s = calloc(1, sizeof *s);
    const uint8_t **blocks = calloc(n_blocks, sizeof *blocks);
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (!s || !blocks || memory == MAP_FAILED) {
        if (memory != MAP_FAILED) munmap(memory, bytes);
        free(s);
        free(blocks);
        return clo_fail(err, CLO_ERR_MEMORY, "KV cache of %zu positions: no memory for %zu bytes", n_ctx, bytes);
    }
    for (size_t b = 0; b < n_blocks; b++) blocks[b] = (uint8_t *)memory + b * kv->block_bytes;
    *s = (clo_seq){.decoder = d, .n_ctx = n_ctx, .memory = memory, .memory_bytes = bytes, .blocks = blocks,
                   .n_blocks = n_blocks};
    *out = s;
    return true;
}

bool clo_seq_open_in(clo_seq **out, clo_decoder *d, clo_kv *kv, size_t n_ctx, clo_err *err)
{
    size_t n = clo_ceil_div(n_ctx, CLO_KV_BLOCK);
    *out = NULL;
    clo_seq *s = calloc(1, sizeof *s);
    if (!s) return clo_fail(err, CLO_ERR_MEMORY, "sequence");
    *s = (clo_seq){.decoder = d, .n_ctx = n_ctx, .kv = kv};
    s->blocks = calloc(n, sizeof *s->blocks);
    s->held = calloc(n, sizeof *s->held);
    if (!s->blocks || !s->held) {
        clo_seq_close(s);
        return clo_fail(err, CLO_ERR_MEMORY, "sequence of %zu positions", n_ctx);
    }
    *out = s;
    return true;
}

static void append_block(clo_seq *s, uint32_t i)
{
    s->held[s->n_blocks] = i;
    s->blocks[s->n_blocks++] = clo_kv_at(s->kv, i);
}

bool clo_seq_reserve(clo_seq *s, size_t n)
{
    while (s->n_blocks * CLO_KV_BLOCK < n) {
        uint32_t i = clo_kv_take(s->kv);
        if (i == CLO_KV_NONE) return false;
        append_block(s, i);
    }
    return true;
}

void clo_seq_adopt(clo_seq *s, uint32_t block)
{
    clo_kv_hold(s->kv, block);
    append_block(s, block);
    s->len += CLO_KV_BLOCK;
}

void clo_seq_close(clo_seq *s)
{
    if (!s) return;
    if (s->memory) munmap(s->memory, s->memory_bytes);
    while (s->kv && s->n_blocks > 0) clo_kv_drop(s->kv, s->held[--s->n_blocks]);
    free(s->held);
    free(s->blocks);
    free(s);
}

size_t clo_seq_len(const clo_seq *s)
{
    return s->len;
}

size_t clo_seq_ctx(const clo_seq *s)
{
    return s->n_ctx;
}

void clo_seq_truncate(clo_seq *s, size_t n)
{
    if (n < s->len) s->len = n;
}

uint64_t clo_seq_bytes(const clo_seq *s)
{
    return clo_ceil_div(s->len, CLO_KV_BLOCK) * clo_decoder_kv_layout(s->decoder)->block_bytes;
}
