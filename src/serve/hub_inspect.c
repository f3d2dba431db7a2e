/* What is in a model's file: the tensors and the metadata of its header. */
#include "hub/tree.h"
#include "serve/hub_handlers.h"
#include "serve/hub_head.h"

#define TENSORS_MAX 50000
#define METADATA_MAX 5000
#define TEXT_BYTES_MAX 65536

static json_t *tensor_json(const clo_tensor *t)
{
    json_t *shape = json_array();
    for (uint32_t i = 0; i < t->n_dims; i++) json_array_append_new(shape, json_integer((json_int_t)t->dims[i]));
    return json_pack("{s:o, s:s, s:o, s:I}", "name", clo_json_text(t->name), "dtype", clo_dtype_info_of(t->dtype)->name, "shape", shape,
                     "bytes", (json_int_t)t->bytes);
}

/* Keys are any bytes: json_object_setn takes UTF-8 alone, so what is none is left out. */
static json_t *metadata_json(const clo_hub_head *h, bool *truncated)
{
    json_t *out = json_object();
    for (size_t i = 0; i < h->st.n_metadata && i < METADATA_MAX; i++) {
        clo_str v = h->st.metadata[i].value;
        *truncated = *truncated || v.len > TEXT_BYTES_MAX;
        if (v.len > TEXT_BYTES_MAX) v.len = TEXT_BYTES_MAX;
        json_object_setn_new(out, h->st.metadata[i].key.ptr, h->st.metadata[i].key.len, clo_json_text(v));
    }
    for (size_t i = 0; i < h->gguf.n_kv && i < METADATA_MAX; i++) {
        const clo_gguf_kv *kv = &h->gguf.kv[i];
        *truncated = *truncated || (kv->type == CLO_GGUF_STR && kv->raw.len > TEXT_BYTES_MAX + 8);
        json_object_setn_new(out, kv->key.ptr, kv->key.len, clo_gguf_json(kv, TEXT_BYTES_MAX));
    }
    *truncated = *truncated || h->st.n_metadata > METADATA_MAX || h->gguf.n_kv > METADATA_MAX;
    return out;
}

static json_t *head_json(const clo_hub_head *h)
{
    bool truncated = h->n_tensors > TENSORS_MAX;
    uint64_t parameters = 0;
    json_t *tensors = json_array(), *metadata = metadata_json(h, &truncated);
    for (size_t i = 0; i < h->n_tensors; i++) {
        parameters += clo_hub_tensor_elements(&h->tensors[i]);
        if (i < TENSORS_MAX) json_array_append_new(tensors, tensor_json(&h->tensors[i]));
    }
    return json_pack("{s:s, s:o, s:o, s:I, s:I, s:b}", "format", h->kind == CLO_HEAD_GGUF ? "gguf" : "safetensors", "metadata", metadata,
                     "tensors", tensors, "n_tensors", (json_int_t)h->n_tensors, "parameters", (json_int_t)parameters, "truncated", truncated);
}

void clo_hub_inspect(clo_hub_call *c)
{
    clo_entry e;
    clo_oid commit;
    clo_err err = {0};
    clo_content f = {0};
    clo_hub_head h = {0};
    clo_hub_head_kind kind = clo_hub_head_kind_of(c->a.rest);
    if (!clo_hub_find_entry(&e, &commit, c)) return;
    if (kind == CLO_HEAD_NONE) {
        clo_hub_fail(c, 400, "UnsupportedFile", "files that end in .safetensors or .gguf can be inspected");
        return;
    }
    if (clo_content_open(&f, &c->files, c->git, &e, &err) && clo_hub_head_open(&h, &f, kind, CLO_HUB_HEAD_BYTES_MAX, &err))
        clo_hub_json(c, 200, head_json(&h));
    else clo_hub_fail_err(c, &err);
    clo_hub_head_close(&h);
    clo_content_close(&f);
}
