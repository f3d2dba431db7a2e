/* Bytes as a tokenizer.json: what opens encodes and decodes a text with something of everything, and its compiled form
 * opens too. */
#include <stdint.h>
#include <stdlib.h>

#include "model/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char text[] = "Hello  world's 123\r\n <e> \xE2\x96\x81 e\xCC\x81 \xF0\x9F\x98\x80 \xFF [MASK]";
    clo_err err = {0};
    clo_tok *t = NULL, *u = NULL;
    if (size > 65536 || !clo_tok_open_json(&t, (clo_str){(const char *)data, size}, CLO_STR(""), &err)) return 0;
    clo_buf blob = {0}, out = {0};
    clo_ids ids = {0};
    bool ok = clo_tok_save(t, &blob, &err) &&
              clo_tok_open_compiled(&u, (clo_bytes){(const uint8_t *)blob.ptr, blob.len}, &err);
    if (!ok) abort(); /* what was just made must open */
    if (clo_tok_encode(u, &ids, CLO_STR(text), (clo_tok_opts){true, true}, &err)) {
        for (size_t i = 0; i < ids.n; i++) {
            if (ids.ids[i] < 0 || (size_t)ids.ids[i] >= clo_tok_n_vocab(u)) abort();
        }
        ok = clo_tok_decode(u, &out, ids.ids, ids.n, true, &err);
    }
    clo_ids_free(&ids);
    clo_buf_free(&out);
    clo_tok_close(u);
    clo_tok_close(t);
    clo_buf_free(&blob);
    return 0;
}
