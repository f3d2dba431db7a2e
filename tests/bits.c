/* Digests of one model's logits in every way that this build and instruction set can compute them: what
 * `make check-bits` runs for each compiler, optimisation and CLOCHE_CPU.
 *
 *   bits MODEL N_TOKENS REUSE THREADS CHUNKS      bits tiny-q4_0.gguf 100 70 1,2,3,8 1,7,64,512
 *
 * Prints the kernels' name, then a line `threads chunk reuse sha256` for each combination; reuse is 0 (computed once) or
 * REUSE (computed, taken back to that many positions, and the rest computed again). A digest is over n_vocab numbers for
 * every token, as `cloche logits` has it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/digest.h"
#include "infer/decoder.h"

#define LIST_MAX 16

typedef struct {
    clo_pool *pool;
    clo_model *model;
    clo_decoder *decoder;
    clo_seq *seq;
    int32_t *ids; /* [n_tokens] owned */
    size_t n_tokens;
    float *logits; /* [n_tokens, stride] owned, 64-byte aligned */
    size_t stride, n_vocab;
} bench;

static void must(bool ok, const clo_err *err)
{
    if (ok) return;
    fprintf(stderr, "%s\n", err->text);
    exit(1);
}

static size_t parse_list(size_t out[LIST_MAX], const char *text)
{
    size_t n = 0;
    for (char *end; *text && n < LIST_MAX; text = *end ? end + 1 : end)
        out[n++] = strtoul(text, &end, 10);
    return n;
}

static void open_model(bench *b, const char *path, size_t n_threads)
{
    clo_err err = {0};
    must(clo_pool_open(&b->pool, n_threads, &err), &err);
    must(clo_model_open(&b->model, path, (clo_model_opts){.pool = b->pool}, &err), &err);
    b->n_vocab = clo_model_spec(b->model)->n_vocab;
}

static void open_decoder(bench *b, size_t n_chunk)
{
    clo_err err = {0};
    must(clo_decoder_open(&b->decoder, b->model, b->pool, (clo_decoder_opts){.n_tok_max = n_chunk}, &err), &err);
    must(clo_seq_open(&b->seq, b->decoder, b->n_tokens, &err), &err);
    b->stride = clo_decoder_logits_stride(b->decoder);
    b->logits = aligned_alloc(64, clo_round_up(b->n_tokens * b->stride * sizeof(float), 64));
    if (!b->logits) abort();
}

static void close_decoder(bench *b)
{
    free(b->logits);
    clo_seq_close(b->seq);
    clo_decoder_close(b->decoder);
}

static void close_model(bench *b)
{
    clo_model_close(b->model);
    clo_pool_close(b->pool);
}

/* Logits of the tokens behind those that the sequence has. */
static void compute(bench *b)
{
    clo_err err = {0};
    size_t done = clo_seq_len(b->seq), n = b->n_tokens - done;
    memset(b->logits + done * b->stride, 0xFF, n * b->stride * sizeof(float));
    const clo_step st = {
        .seq = b->seq, .ids = b->ids + done, .n = n, .n_logits = n, .logits = b->logits + done * b->stride};
    must(clo_decoder_run(b->decoder, &st, 1, &err), &err);
}

static void print_digest(const bench *b, size_t n_threads, size_t n_chunk, size_t n_reuse)
{
    char hex[65];
    clo_sha256_ctx c;
    clo_sha256_begin(&c);
    for (size_t i = 0; i < b->n_tokens; i++)
        clo_sha256_add(&c, b->logits + i * b->stride, b->n_vocab * sizeof(float));
    clo_sha256 digest = clo_sha256_end(&c);
    clo_sha256_hex(hex, &digest);
    printf("%zu %zu %zu %s\n", n_threads, n_chunk, n_reuse, hex);
}

static void run_chunk(bench *b, size_t n_threads, size_t n_chunk, size_t n_reuse)
{
    open_decoder(b, n_chunk);
    compute(b);
    print_digest(b, n_threads, n_chunk, 0);
    clo_seq_truncate(b->seq, n_reuse);
    compute(b);
    print_digest(b, n_threads, n_chunk, n_reuse);
    close_decoder(b);
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: bits MODEL N_TOKENS REUSE THREADS CHUNKS\n");
        return 2;
    }
    bench b = {.n_tokens = strtoul(argv[2], NULL, 10)};
    size_t n_reuse = strtoul(argv[3], NULL, 10), threads[LIST_MAX], chunks[LIST_MAX];
    size_t n_threads = parse_list(threads, argv[4]), n_chunks = parse_list(chunks, argv[5]);
    const clo_kernels *kernels = NULL;
    clo_err err = {0};
    must(n_reuse < b.n_tokens || clo_fail(&err, CLO_ERR_USAGE, "REUSE must be less than N_TOKENS"), &err);
    must(clo_kernels_pick(&kernels, &err), &err);
    printf("%s\n", kernels->name);
    b.ids = calloc(b.n_tokens, sizeof *b.ids);
    if (!b.ids) abort();
    for (size_t i = 0; i < b.n_tokens; i++)
        b.ids[i] = (int32_t)((i * 7919 + 13) % 250);
    for (size_t t = 0; t < n_threads; t++) {
        open_model(&b, argv[1], threads[t]);
        for (size_t c = 0; c < n_chunks; c++)
            run_chunk(&b, threads[t], chunks[c], n_reuse);
        close_model(&b);
    }
    free(b.ids);
    return 0;
}
