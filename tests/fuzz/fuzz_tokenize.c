/* Bytes as a text: three small tokenizers (byte-level with NFC, characters with byte fallback, WordPiece) encode it. The
 * byte-level one has every byte, so decoding must give the text back when it is valid UTF-8 in NFC. The first byte also
 * damages a compiled tokenizer, which must stay inside its bytes. */
#include <stdint.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "model/tokenizer.h"

static clo_tok *small[3];
static clo_buf blob;

static void add_alphabet(clo_buf *b)
{
    for (unsigned i = 0, extra = 0; i < 256; i++) {
        bool self = (i >= 0x21 && i <= 0x7E) || (i >= 0xA1 && i <= 0xAC) || i >= 0xAE;
        clo_buf_addf(b, "\"\\u%04x\":%u,", self ? i : 0x100 + extra++, i);
    }
}

static void open_all(void)
{
    clo_err err = {0};
    clo_buf b = {0};
    clo_buf_add(&b, CLO_STR("{\"added_tokens\":[{\"id\":259,\"content\":\"<e>\",\"special\":true,\"lstrip\":true}],"
                            "\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":{\"type\":\"ByteLevel\","
                            "\"add_prefix_space\":false},\"decoder\":{\"type\":\"ByteLevel\"},"
                            "\"model\":{\"type\":\"BPE\",\"vocab\":{"));
    add_alphabet(&b);
    clo_buf_add(&b, CLO_STR("\"aa\":256,\"aaaa\":257,\"\\u0120a\":258},\"merges\":[\"a a\",\"aa aa\",\"\\u0120 a\"]}}"));
    static const char chars[] =
        "{\"added_tokens\":[],\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\xE2\x96\x81\"},"
        "\"decoder\":{\"type\":\"Fuse\"},\"model\":{\"type\":\"BPE\",\"unk_token\":\"u\",\"fuse_unk\":true,\"vocab\":{\"u\":0,"
        "\"a\":1,\"\xE2\x96\x81\":2,\"\xE2\x96\x81" "a\":3,\"aa\":4},\"merges\":[[\"\xE2\x96\x81\",\"a\"],[\"a\",\"a\"]]}}";
    static const char pieces[] =
        "{\"added_tokens\":[],\"normalizer\":{\"type\":\"BertNormalizer\"},\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
        "\"decoder\":{\"type\":\"WordPiece\"},\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"u\","
        "\"vocab\":{\"u\":0,\"a\":1,\"##a\":2,\"##b\":3,\".\":4}}}";
    if (!clo_tok_open_json(&small[0], clo_buf_str(&b), CLO_STR(""), &err) ||
        !clo_tok_open_json(&small[1], CLO_STR(chars), CLO_STR(""), &err) ||
        !clo_tok_open_json(&small[2], CLO_STR(pieces), CLO_STR(""), &err) || !clo_tok_save(small[0], &blob, &err))
        abort();
    clo_buf_free(&b);
}

static void damaged(const uint8_t *data, size_t size)
{
    clo_err err = {0};
    clo_tok *t = NULL;
    char *p = malloc(blob.len);
    if (!p) return;
    memcpy(p, blob.ptr, blob.len);
    for (size_t i = 0; i + 2 < size && i < 24; i += 3) p[(data[i] | (size_t)data[i + 1] << 8) % blob.len] ^= (char)data[i + 2];
    if (clo_tok_open_compiled(&t, (clo_bytes){(const uint8_t *)p, blob.len}, &err)) {
        clo_ids ids = {0};
        clo_buf out = {0};
        bool ok = clo_tok_encode(t, &ids, (clo_str){(const char *)data, size}, (clo_tok_opts){true, true}, &err) &&
                  clo_tok_decode(t, &out, ids.ids, ids.n, true, &err);
        (void)ok;
        clo_ids_free(&ids);
        clo_buf_free(&out);
        clo_tok_close(t);
    }
    free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!small[0]) open_all();
    clo_str text = {(const char *)data, size};
    for (int i = 0; i < 3; i++) {
        clo_err err = {0};
        clo_ids ids = {0};
        clo_buf out = {0};
        if (!clo_tok_encode(small[i], &ids, text, (clo_tok_opts){0}, &err)) abort();
        if (!clo_tok_decode(small[i], &out, ids.ids, ids.n, true, &err)) abort();
        bool ascii = true;
        for (size_t k = 0; k < size; k++) ascii = ascii && data[k] < 0x80;
        if (i == 0 && ascii && !clo_str_eq(clo_buf_str(&out), text)) abort();
        if (i == 0 && !clo_utf8_valid(clo_buf_str(&out))) abort();
        clo_ids_free(&ids);
        clo_buf_free(&out);
    }
    damaged(data, size);
    return 0;
}
