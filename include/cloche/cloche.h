/* libcloche: run open language models from C, with the same bits on every machine.
 *
 *   cloche_error err = {0};
 *   cloche_model *m = cloche_open("SmolLM2.gguf", NULL, &err);
 *   if (!m) { fprintf(stderr, "%s\n", err.text); return 1; }
 *
 *   cloche_message chat[] = { { "user", "Why is the sky blue?" } };
 *   cloche_ids prompt = {0};
 *   cloche_generate_options o = cloche_generate_defaults(m);
 *   cloche_answer answer = {0};
 *   if (cloche_chat(m, chat, 1, &prompt, &err) && cloche_generate(m, &prompt, &o, &answer, &err))
 *       puts(answer.text);
 *   cloche_answer_free(&answer);
 *   cloche_ids_free(&prompt);
 *   cloche_close(m);
 *
 * A model has one sequence, which remembers the last prompt and answer: a prompt that begins the same way computes only
 * what is new. One thread at a time uses a model; several models may be used by several threads. Text is UTF-8.
 *
 * Structs that the caller fills begin with `size`, set by the functions named *_defaults: fields are only ever added at
 * their ends, so programs built against an older header keep working. Functions return true for success.
 */
#ifndef CLOCHE_CLOCHE_H
#define CLOCHE_CLOCHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CLOCHE_API_VERSION 1

typedef enum {
    CLOCHE_OK = 0,
    CLOCHE_IO,          /* the operating system refused */
    CLOCHE_FORMAT,      /* a file is not what its format says */
    CLOCHE_LIMIT,       /* too much: the context is full, a named limit is passed */
    CLOCHE_MEMORY,
    CLOCHE_NOT_FOUND,
    CLOCHE_UNSUPPORTED, /* known, but not built */
    CLOCHE_DENIED,
    CLOCHE_CANCELLED,
    CLOCHE_USAGE,       /* arguments that do not fit together */
    CLOCHE_MISMATCH,    /* checked, and not so */
    CLOCHE_DAMAGED,     /* what was stored is not what it was */
} cloche_code;

typedef struct {
    cloche_code code;
    char text[512]; /* one line, NUL-terminated */
} cloche_error;

typedef struct cloche_model cloche_model;

/* Token ids. The zeroed struct is empty; `ids` is owned by the list. */
typedef struct {
    int32_t *ids;
    size_t n, capacity;
} cloche_ids;

/* --- the library --------------------------------------------------------------------------------------------------*/

/* "0.1.0" */
const char *cloche_version(void);
/* The numeric profile: results are the same bits wherever this is the same. "n1" */
const char *cloche_profile(void);
/* CLOCHE_API_VERSION of the library in use. */
int cloche_api_version(void);

/* --- models -------------------------------------------------------------------------------------------------------*/

typedef struct {
    size_t size;          /* sizeof(cloche_open_options) */
    size_t n_threads;     /* 0: as many as this process may use */
    size_t n_ctx;         /* positions of the sequence; 0: the model's trained context */
    const char *data_dir; /* where prepared weights are kept; NULL: nowhere, they are prepared in memory each time */
} cloche_open_options;
cloche_open_options cloche_open_defaults(void);

/* path: a GGUF file or a Hugging Face folder. options may be NULL. NULL with *err set on failure. */
cloche_model *cloche_open(const char *path, const cloche_open_options *options, cloche_error *err);
void cloche_close(cloche_model *m);

typedef struct {
    const char *family;     /* "llama", "qwen2", ... */
    const char *type;       /* of most weights: "Q4_K" */
    size_t n_vocab, n_ctx, n_layer, n_dim;
    uint64_t bytes;         /* of weights in use */
    uint64_t bytes_per_token; /* that decoding one token reads */
    char digest[65];        /* hex SHA-256, as receipts name it */
    bool has_tokenizer, has_template;
} cloche_info;
void cloche_get_info(const cloche_model *m, cloche_info *out);

/* --- text and tokens ----------------------------------------------------------------------------------------------*/

void cloche_ids_free(cloche_ids *ids);

/* Appends the ids of text. add_special: what the tokenizer puts around a text (BOS). parse_special: read special tokens
 * in the text; false for text from users. */
bool cloche_tokenize(const cloche_model *m, const char *text, size_t n_bytes, bool add_special, bool parse_special,
                     cloche_ids *out, cloche_error *err);
/* The text of ids, NUL-terminated, to be freed with cloche_text_free; NULL on failure. *n_bytes may be NULL. */
char *cloche_detokenize(const cloche_model *m, const int32_t *ids, size_t n, bool with_special, size_t *n_bytes,
                        cloche_error *err);
void cloche_text_free(char *text);

typedef struct {
    const char *role;    /* "system", "user", "assistant" */
    const char *content;
} cloche_message;

/* Appends the prompt of a conversation, by the model's own chat template. Content never yields special tokens. */
bool cloche_chat(const cloche_model *m, const cloche_message *messages, size_t n, cloche_ids *out, cloche_error *err);
/* The same from JSON: an array of messages; variables (object) and tools (array) may be NULL. */
bool cloche_chat_json(const cloche_model *m, const char *messages, const char *tools, const char *variables,
                      cloche_ids *out, cloche_error *err);

/* --- generation ---------------------------------------------------------------------------------------------------*/

typedef struct {
    size_t size;             /* sizeof(cloche_generate_options) */
    size_t n_max;            /* tokens; 0: until the model ends or the context is full */
    uint64_t seed;           /* the same seed gives the same answer */
    float temperature;       /* 0: always the likeliest token */
    int32_t top_k;           /* 0: off */
    float top_p, min_p;      /* 1 and 0: off */
    float repeat_penalty;    /* 1: off */
    float presence_penalty, frequency_penalty;
    const char *const *stops; /* [n_stops] texts that end the answer and are cut from it */
    size_t n_stops;
    bool no_lookup;          /* do not guess ahead (guessing changes no token) */
    bool receipt;            /* make the answer provable: cloche_answer_receipt */
    /* Newly finished text, whole characters only; return false to stop. May be NULL. */
    bool (*on_text)(void *ctx, const char *text, size_t n_bytes);
    void *ctx;
} cloche_generate_options;
/* What the publisher of a model recommends is not known here: llama.cpp's defaults. */
cloche_generate_options cloche_generate_defaults(const cloche_model *m);

typedef struct {
    char *text;           /* NUL-terminated, without stop strings */
    size_t n_text_bytes;
    cloche_ids ids;       /* output tokens, a stop token included */
    const char *finish;   /* "stop", "length", "cancelled" */
    size_t n_prompt, n_reused;
    double prefill_seconds, decode_seconds;
    char *receipt;        /* NUL-terminated text of the receipt, or NULL */
    size_t n_receipt_bytes;
} cloche_answer;
void cloche_answer_free(cloche_answer *a);

/* Answers a prompt. *out is overwritten; free it in any case. */
bool cloche_generate(cloche_model *m, const cloche_ids *prompt, const cloche_generate_options *options,
                     cloche_answer *out, cloche_error *err);

/* The logits of the last token of a prompt: out [n_vocab of cloche_get_info]. */
bool cloche_logits(cloche_model *m, const cloche_ids *prompt, float *out, cloche_error *err);

/* --- proof --------------------------------------------------------------------------------------------------------*/

/* Checks a receipt's text against the model. True: the same bits. False with CLOCHE_MISMATCH: checked and not so, with
 * the first difference in err->text; any other code: it could not be checked. */
bool cloche_replay(cloche_model *m, const char *receipt, size_t n_bytes, cloche_error *err);

#ifdef __cplusplus
}
#endif

#endif
