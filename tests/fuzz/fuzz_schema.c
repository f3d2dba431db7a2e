/* Bytes as a JSON Schema: compiled, and when that works a text is written at random under its masks. There is always a
 * token that may follow, and a text that may end is JSON. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "infer/matcher.h"
#include "unit/byte_tok.h"

enum { N_TOKENS = 6, END = 256 + N_TOKENS, N_VOCAB = END + 2, N_STEPS = 24 };

static const clo_str tokens[N_TOKENS] = {CLO_STR("{\""),     CLO_STR("\": "), CLO_STR(", "),
                                         CLO_STR("\xc3\xa9"), CLO_STR("\"}"),  CLO_STR("12")};
/* Few bytes, so that a mask is made quickly: what schemas need that ask for others cannot be written. */
static const char bytes[] = "{}[]\": ,\\-.+eEtruefalsnuxbA0123456789TZ\xc3\xa9";
static clo_tok *tok;
static clo_vocab_trie *trie;

static uint32_t next_random(uint64_t *s)
{
    *s = *s * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*s >> 33);
}

static bool allowed(const uint32_t *bits, int32_t id)
{
    return bits[id / 32] >> (id % 32) & 1;
}

/* An allowed token; one that ends something where the walk has been long. */
static int32_t choose(const uint32_t *bits, uint64_t *seed, size_t n)
{
    static const int32_t last[] = {END, '"', '}', ']'};
    int32_t id = (int32_t)(next_random(seed) % N_VOCAB);
    for (size_t i = 0; n > N_STEPS / 2 && i < 4; i++)
        if (allowed(bits, last[i])) return last[i];
    for (int32_t i = 0; i < N_VOCAB && !allowed(bits, id); i++)
        id = (id + 1) % N_VOCAB;
    return id;
}

/* Keys may come twice where the schema does not name them, and a double may be too small for Jansson. */
static void check_text(clo_str text)
{
    json_error_t why;
    json_t *v = json_loadb(text.ptr, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
    assert(v || json_error_code(&why) == json_error_numeric_overflow);
    json_decref(v);
}

static void walk(clo_grammar *g, uint64_t seed)
{
    clo_matcher *m = NULL;
    clo_buf text = {0};
    int32_t ids[N_STEPS];
    const int32_t stop = END;
    clo_err err = {0};
    if (!clo_matcher_open(&m, g, trie, &stop, 1, &err)) {
        assert(err.code == CLO_ERR_UNSUPPORTED);
        return;
    }
    for (size_t n = 0; n < N_STEPS; n++) {
        bool complete;
        const uint32_t *bits = clo_matcher_mask(m, ids, n);
        assert(bits);
        ids[n] = choose(bits, &seed, n);
        assert(allowed(bits, ids[n]));
        if (n == 7 && !clo_matcher_mask(m, ids, 3)) abort(); /* guesses are taken back */
        bool fits = clo_matcher_fits(m, ids, n + 1, &complete);
        assert(fits);
        if (ids[n] != END) clo_buf_add(&text, clo_tok_piece(tok, ids[n], false));
        if (complete) check_text(clo_buf_str(&text));
        if (ids[n] == END) break;
    }
    clo_buf_free(&text);
    clo_matcher_close(m);
}

static void open_vocabulary(void)
{
    char left_out[256];
    size_t n = 0;
    clo_err err = {0};
    for (int b = 1; b < 256; b++)
        if (!strchr(bytes, b)) left_out[n++] = (char)b;
    left_out[n] = 0;
    tok = byte_tok_open(tokens, N_TOKENS, left_out);
    if (!clo_vocab_trie_open(&trie, tok, N_VOCAB, &err)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    clo_err err = {0};
    clo_grammar_notes notes = {0};
    clo_grammar *g = NULL;
    json_t *schema = NULL;
    clo_str text = {(const char *)data, size};
    uint64_t seed = clo_str_hash(text);
    if (!tok) open_vocabulary();
    if (!clo_json_parse(&schema, text, 1u << 16, &err)) return 0;
    if (clo_grammar_compile(&g, schema, (clo_grammar_opts){.strict = seed >> 20 & 1}, &notes, &err)) {
        walk(g, seed);
    } else {
        assert(err.code == CLO_ERR_FORMAT || err.code == CLO_ERR_UNSUPPORTED || err.code == CLO_ERR_LIMIT);
    }
    clo_grammar_close(g);
    clo_grammar_notes_free(&notes);
    json_decref(schema);
    return 0;
}
