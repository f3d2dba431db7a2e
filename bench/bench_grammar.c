/* How long a grammar takes beside a vocabulary: compiling, the tree of tokens, and masking the logits of each token.
 *
 *   bench_grammar TOKENIZER...        GGUF files, tokenizer.json files or folders
 *
 * Answers are written by hand and cut into tokens by the tokenizer, as a model would write them; "random" answers take any
 * allowed token. Every answer has a matcher of its own, which has seen nothing before. Processor time of one thread. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/random.h"
#include "infer/matcher.h"

enum { N_ANSWERS = 20, N_TOKENS_MAX = 200 };

static const struct {
    const char *name, *schema, *answer;
} rows[] = {
    {"any object", "{\"type\":\"object\"}",
     "{\"name\": \"Ada Lovelace\", \"born\": 1815, \"works\": [\"Notes on the Analytical Engine\", {\"pages\": 66}], \"alive\": false}"},
    {"a person",
     "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"age\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":130},"
     "\"skills\":{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"maxItems\":5},\"role\":{\"enum\":[\"poet\",\"programmer\"]}},"
     "\"required\":[\"name\",\"age\"],\"additionalProperties\":false}",
     "{\"name\": \"Ada Lovelace\", \"age\": 36, \"skills\": [\"mathematics\", \"translation\", \"programming\"], \"role\": \"programmer\"}"},
    {"bounded strings", "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"minLength\":3,\"maxLength\":40},\"maxItems\":10}",
     "[\"The quick brown fox jumps over it\", \"and the lazy dog sleeps on\", \"until the evening\"]"},
    {"patterns", "{\"type\":\"object\",\"properties\":{\"id\":{\"pattern\":\"^[A-Z]{2}-[0-9]{4}$\"},\"word\":{\"pattern\":\"^[a-z]+$\"},"
                 "\"day\":{\"format\":\"date\"},\"any\":{\"pattern\":\"^[^<>]*$\"}}}",
     "{\"id\": \"AB-1234\", \"word\": \"lovelace\", \"day\": \"1815-12-10\", \"any\": \"born in London, England\"}"},
};

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static void check(bool ok, const clo_err *err)
{
    if (ok) return;
    fprintf(stderr, "bench_grammar: %s\n", err->text);
    exit(1);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* One answer; appends the time of each mask. Random when there is no text. */
static size_t answer(clo_grammar *g, const clo_vocab_trie *trie, const clo_ids *text, uint64_t seed, float *logits, double *us)
{
    clo_matcher *m = NULL;
    clo_err err = {0};
    int32_t ids[N_TOKENS_MAX], stop = (int32_t)trie->n_vocab - 1;
    size_t n = 0, n_max = text ? text->n : N_TOKENS_MAX;
    check(clo_matcher_open(&m, g, trie, &stop, 1, &err), &err);
    for (; n < n_max && n < N_TOKENS_MAX; n++) {
        memset(logits, 0, trie->n_vocab * sizeof *logits);
        double begin = now_us();
        clo_matcher_keep(m, logits, trie->n_vocab, ids, n);
        us[n] = now_us() - begin;
        ids[n] = text ? text->ids[n] : (int32_t)(clo_random_unit(seed, CLO_RANDOM_TEST, 0, n) * (double)trie->n_vocab);
        for (size_t tries = 0; !text && logits[ids[n]] < 0 && tries < trie->n_vocab; tries++)
            ids[n] = (ids[n] + 1) % (int32_t)trie->n_vocab;
        if (logits[ids[n]] < 0) {
            fprintf(stderr, "bench_grammar: token %zu, id %d, is refused\n", n, ids[n]);
            exit(1);
        }
        if (ids[n] == stop) break;
    }
    clo_matcher_close(m);
    return n;
}

static void time_row(const clo_vocab_trie *trie, size_t row, float *logits, double *us)
{
    clo_err err = {0};
    clo_grammar *g = NULL;
    clo_ids text = {0};
    json_t *schema = NULL;
    check(clo_json_parse(&schema, clo_str_from(rows[row].schema), 1u << 20, &err), &err);
    double begin = now_us();
    check(clo_grammar_compile(&g, schema, (clo_grammar_opts){.strict = true}, NULL, &err), &err);
    double compiled = now_us() - begin;
    check(clo_tok_encode(trie->tok, &text, clo_str_from(rows[row].answer), (clo_tok_opts){0}, &err), &err);
    for (int random = 0; random < 2; random++) {
        size_t n = 0;
        double sum = 0;
        for (uint64_t i = 0; i < N_ANSWERS; i++)
            n += answer(g, trie, random ? NULL : &text, i, logits, us + n);
        for (size_t i = 0; i < n; i++)
            sum += us[i];
        qsort(us, n, sizeof *us, by_value);
        printf("  %-16s %-7s compile %6.0f us   mean %6.0f   median %6.0f   p95 %6.0f   most %6.0f us a token, %zu tokens\n",
               rows[row].name, random ? "random" : "typical", compiled, sum / (double)n, us[n / 2], us[n * 95 / 100], us[n - 1],
               n / N_ANSWERS);
    }
    clo_ids_free(&text);
    clo_grammar_close(g);
    json_decref(schema);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        clo_arena arena = {0};
        clo_map map = {0};
        clo_tok *tok = NULL;
        clo_vocab_trie *trie = NULL;
        clo_err err = {0};
        check(clo_tok_open_path(&tok, &map, argv[i], &arena, &err), &err);
        double begin = now_us();
        check(clo_vocab_trie_open(&trie, tok, clo_tok_n_vocab(tok), &err), &err);
        printf("%s: %zu tokens, tree of %zu + %zu nodes in %.0f ms\n", argv[i], trie->n_vocab, trie->plain.n, trie->other.n,
               (now_us() - begin) / 1e3);
        float *logits = calloc(trie->n_vocab, sizeof *logits);
        double *us = calloc(N_ANSWERS * N_TOKENS_MAX, sizeof *us);
        for (size_t row = 0; logits && us && row < sizeof rows / sizeof *rows; row++)
            time_row(trie, row, logits, us);
        free(logits);
        free(us);
        clo_vocab_trie_close(trie);
        clo_tok_close(tok);
        clo_map_close(&map);
        clo_arena_free(&arena);
    }
    return 0;
}
