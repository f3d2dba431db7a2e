/* A byte-level tokenizer for tests: id b is byte b, then come the texts of a list, then two control tokens. */
#ifndef CLO_TESTS_BYTE_TOK_H
#define CLO_TESTS_BYTE_TOK_H

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "model/tokenizer.h"

/* GPT-2's printable stand-in of a byte, as JSON text. */
static inline void byte_tok_char(clo_buf *out, uint8_t byte)
{
    uint32_t n_before = 0;
    if ((byte > 32 && byte < 127) || (byte > 160 && byte != 173)) {
        if (byte == '"' || byte == '\\') clo_buf_add_char(out, '\\');
        clo_buf_add_utf8(out, byte);
        return;
    }
    for (uint32_t b = 0; b < byte; b++)
        n_before += !((b > 32 && b < 127) || (b > 160 && b != 173));
    clo_buf_add_utf8(out, 256 + n_before);
}

/* left_out (may be NULL): bytes that are no tokens; their ids stay unused. The control tokens are <|end|>, id 256 + n, and
 * <|tool_call|>, id 257 + n. */
static inline clo_tok *byte_tok_open(const clo_str *texts, size_t n, const char *left_out)
{
    clo_buf b = {0};
    clo_tok *tok = NULL;
    clo_err err = {0};
    clo_buf_addf(&b, "{\"added_tokens\":[");
    for (size_t i = 0; i < 2; i++)
        clo_buf_addf(&b, "%s{\"id\":%zu,\"content\":\"%s\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,"
                         "\"normalized\":false,\"special\":true}", i ? "," : "", 256 + n + i, i ? "<|tool_call|>" : "<|end|>");
    clo_buf_addf(&b, "],\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
                     "\"trim_offsets\":true,\"use_regex\":false},\"post_processor\":null,"
                     "\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"dropout\":null,"
                     "\"unk_token\":null,\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,"
                     "\"fuse_unk\":false,\"byte_fallback\":false,\"vocab\":{\"<|end|>\":%zu,\"<|tool_call|>\":%zu",
                 256 + n, 257 + n);
    for (unsigned byte = 0; byte < 256; byte++) {
        if (left_out && byte && strchr(left_out, (int)byte)) continue;
        clo_buf_addf(&b, ",\"");
        byte_tok_char(&b, (uint8_t)byte);
        clo_buf_addf(&b, "\":%u", byte);
    }
    for (size_t i = 0; i < n; i++) {
        clo_buf_addf(&b, ",\"");
        for (size_t k = 0; k < texts[i].len; k++)
            byte_tok_char(&b, (uint8_t)texts[i].ptr[k]);
        clo_buf_addf(&b, "\":%zu", 256 + i);
    }
    clo_buf_addf(&b, "},\"merges\":[]}}");
    if (!clo_tok_open_json(&tok, clo_buf_str(&b), CLO_STR("{}"), &err)) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
    clo_buf_free(&b);
    return tok;
}

#endif
