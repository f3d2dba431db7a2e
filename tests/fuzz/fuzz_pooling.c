/* Four texts, cut at NULs: modules.json, N_Pooling/config.json, sentence_bert_config.json, tokenizer_config.json. */
#include <assert.h>
#include <stdint.h>

#include "model/spec_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    clo_str rest = {(const char *)data, size}, texts[4];
    char folder[CLO_POOLING_FOLDER_MAX];
    clo_err err = {0};
    for (int i = 0; i < 4; i++) {
        size_t cut = clo_str_find(rest, 0, '\0');
        texts[i] = (clo_str){rest.ptr, cut};
        rest = clo_str_from_off(rest, cut + 1);
    }
    if (clo_spec_pooling_folder(folder, texts[0], &err))
        assert(folder[0] == '\0' || clo_pooling_folder_name(clo_str_from(folder)));
    for (int encoder = 0; encoder < 2; encoder++) {
        clo_spec s = {.encoder = encoder != 0, .n_dim = 384, .n_ctx = 512, .n_text = 512};
        if (clo_spec_pooling_from_texts(&s, &(clo_pooling_texts){texts[1], texts[2], texts[3]}, &err))
            assert(s.n_text >= 1 && s.n_text <= s.n_ctx && (!encoder || s.pooling != CLO_POOL_NONE));
    }
    return 0;
}
