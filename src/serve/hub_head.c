/* See hub_head.h. */
#include "serve/hub_head.h"

#include "base/check.h"

#define FIRST_BYTES ((size_t)64 << 10)
#define GROWTH 4
#define ARENA_BYTES_MAX ((size_t)256 << 20)

clo_hub_head_kind clo_hub_head_kind_of(clo_str path)
{
    if (clo_str_ends_with(path, CLO_STR(".safetensors"))) return CLO_HEAD_SAFETENSORS;
    return clo_str_ends_with(path, CLO_STR(".gguf")) ? CLO_HEAD_GGUF : CLO_HEAD_NONE;
}

static bool parse(clo_hub_head *h, bool *is_short, uint64_t file_bytes, clo_err *err)
{
    clo_bytes head = clo_bytes_of(clo_buf_str(&h->bytes));
    clo_arena_free(&h->arena);
    h->arena = clo_arena_make(ARENA_BYTES_MAX);
    if (h->kind == CLO_HEAD_GGUF) {
        if (!clo_gguf_parse_head(&h->gguf, is_short, head, file_bytes, &h->arena, err)) return false;
        h->tensors = h->gguf.tensors;
        h->n_tensors = h->gguf.n_tensors;
        return true;
    }
    if (!clo_safetensors_parse_head(&h->st, is_short, head, file_bytes, &h->arena, err)) return false;
    h->tensors = h->st.tensors;
    h->n_tensors = h->st.n_tensors;
    return true;
}

/* Ever more of the file's beginning is read, until the header is whole. */
bool clo_hub_head_open(clo_hub_head *out, const clo_content *f, clo_hub_head_kind kind, size_t max, clo_err *err)
{
    clo_hub_head h = {.kind = kind, .bytes = {.max = max + 1}};
    bool ok = false, is_short = true;
    for (size_t want = clo_min(FIRST_BYTES, max); is_short; want = clo_min(want * GROWTH, max)) {
        size_t to = f->size < want ? (size_t)f->size : want, n = to - h.bytes.len;
        char *p = clo_buf_reserve(&h.bytes, n);
        clo_err own = {0};
        is_short = false;
        if (!p) clo_fail(err, CLO_ERR_MEMORY, "header of %zu bytes", to);
        else if (clo_content_read(f, h.bytes.len, p, n, err)) {
            h.bytes.len = to;
            ok = parse(&h, &is_short, f->size, &own);
            if (!ok && is_short && to == max) is_short = clo_fail(&own, CLO_ERR_LIMIT, "a header of more than %zu bytes", max);
            if (!ok && !is_short && err) *err = own;
        }
    }
    if (ok) *out = h;
    else clo_hub_head_close(&h);
    return ok;
}

void clo_hub_head_close(clo_hub_head *h)
{
    clo_buf_free(&h->bytes);
    clo_arena_free(&h->arena);
    *h = (clo_hub_head){0};
}

uint64_t clo_hub_tensor_elements(const clo_tensor *t)
{
    uint64_t n = 1;
    for (uint32_t i = 0; i < t->n_dims; i++) n *= t->dims[i]; /* the parser knows that the bytes of as many fit */
    return n;
}
