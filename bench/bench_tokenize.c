/* How fast text becomes ids and ids text, and how long opening takes: from tokenizer.json and from the compiled form.
 *
 *   bench_tokenize [tokenizer.json ...]        text: data/corpus/tinyshakespeare.txt of CLOCHE_SHARED
 *
 * One thread; the best of several runs. The last row is one word of a million letters, which must cost about as much a
 * byte as short ones. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/file.h"
#include "model/tokenizer.h"

enum { REPEATS = 7 };

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void die(const clo_err *err)
{
    fprintf(stderr, "bench_tokenize: %s\n", err->text);
    exit(1);
}

static double encode_s(const clo_tok *t, clo_str text, clo_ids *ids)
{
    clo_err err = {0};
    double best = 1e9;
    for (int i = 0; i < REPEATS; i++) {
        ids->n = 0;
        double s = now_s();
        if (!clo_tok_encode(t, ids, text, (clo_tok_opts){0}, &err)) die(&err);
        s = now_s() - s;
        if (s < best) best = s;
    }
    return best;
}

static double decode_s(const clo_tok *t, const clo_ids *ids)
{
    clo_err err = {0};
    double best = 1e9;
    for (int i = 0; i < REPEATS; i++) {
        clo_buf out = {0};
        double s = now_s();
        if (!clo_tok_decode(t, &out, ids->ids, ids->n, false, &err)) die(&err);
        s = now_s() - s;
        clo_buf_free(&out);
        if (s < best) best = s;
    }
    return best;
}

static double open_compiled_s(clo_bytes blob)
{
    clo_err err = {0};
    double best = 1e9;
    for (int i = 0; i < REPEATS; i++) {
        clo_tok *t = NULL;
        double s = now_s();
        if (!clo_tok_open_compiled(&t, blob, &err)) die(&err);
        s = now_s() - s;
        clo_tok_close(t);
        if (s < best) best = s;
    }
    return best;
}

static void bench(const char *path, clo_str text)
{
    clo_err err = {0};
    clo_arena arena = clo_arena_make((size_t)1 << 30);
    clo_str json;
    clo_tok *t = NULL;
    clo_buf blob = {.max = (size_t)1 << 30};
    clo_ids ids = {0};
    if (!clo_file_read(&json, path, (size_t)512 << 20, &arena, &err)) die(&err);
    double open_s = now_s();
    if (!clo_tok_open_json(&t, json, CLO_STR(""), &err)) die(&err);
    open_s = now_s() - open_s;
    if (!clo_tok_save(t, &blob, &err)) die(&err);
    clo_bytes bytes = {(const uint8_t *)blob.ptr, blob.len};

    char *word = malloc(1000000);
    if (!word) exit(1);
    memset(word, 'a', 1000000);
    double e = encode_s(t, text, &ids), d = decode_s(t, &ids);
    size_t n = ids.n;
    double w = encode_s(t, (clo_str){word, 1000000}, &ids);
    printf("%s\n  encode %.1f MB/s, %zu ids; decode %.1f MB/s; one word of 1 MB: %.1f MB/s\n", path,
           (double)text.len / e / 1e6, n, (double)text.len / d / 1e6, 1.0 / w);
    printf("  open: tokenizer.json %.1f ms, compiled %.3f ms (%.1f MB)\n", open_s * 1e3, open_compiled_s(bytes) * 1e3,
           (double)blob.len / 1e6);
    free(word);
    clo_ids_free(&ids);
    clo_buf_free(&blob);
    clo_tok_close(t);
    clo_arena_free(&arena);
}

int main(int argc, char **argv)
{
    const char *shared = getenv("CLOCHE_SHARED");
    char path[4096];
    clo_err err = {0};
    clo_arena arena = clo_arena_make((size_t)256 << 20);
    clo_str text;
    if (!shared) shared = "../shared";
    if (!clo_path_join(path, &err, "%s/data/corpus/tinyshakespeare.txt", shared) ||
        !clo_file_read(&text, path, (size_t)128 << 20, &arena, &err))
        die(&err);
    for (int i = 1; i < argc; i++) bench(argv[i], text);
    if (argc < 2) {
        if (!clo_path_join(path, &err, "%s/data/tokenizers/olmo2-dolma2-tokenizer.json", shared)) die(&err);
        bench(path, text);
    }
    clo_arena_free(&arena);
    return 0;
}
