/* Text as config.json, and what follows a NUL as generation_config.json. A spec that is read has its tables computed. */
#include <assert.h>
#include <stdint.h>

#include "model/spec_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    clo_str all = {(const char *)data, size};
    size_t cut = clo_str_find(all, 0, '\0');
    clo_err err = {0};
    clo_spec s;
    const clo_family *f = NULL;
    if (!clo_spec_from_config(&s, &f, (clo_str){all.ptr, cut}, clo_str_from_off(all, cut + 1), &err)) return 0;
    assert(s.n_layer >= 1 && s.n_layer <= CLO_LAYERS_MAX && s.head_dim % 16 == 0 && s.n_head % s.n_kv_head == 0);
    assert(s.n_rot % 2 == 0 && s.n_rot <= s.head_dim && s.head_dim <= SPEC_HEAD_DIM_MAX &&
           s.n_stop_ids <= CLO_STOP_IDS_MAX);
    float inv[SPEC_HEAD_DIM_MAX / 2];
    for (int r = 0; r < 2; r++) {
        clo_rope_inv_freq(inv, &s.rope[r], s.n_rot);
        for (uint32_t i = 0; i < s.n_rot / 2; i++)
            assert(inv[i] >= 0 && inv[i] <= 1.001f);
    }
    return 0;
}
