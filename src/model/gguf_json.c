/* Keys of GGUF files as JSON. See gguf.h. */
#include "base/check.h"
#include "base/utf8.h"
#include "model/gguf.h"

#define FIRST_ELEMENTS 6u /* of an array */

const char *clo_gguf_type_name(clo_gguf_type t)
{
    static const char *const names[] = {"u8",   "i8",  "u16",   "i16", "u32", "i32", "f32",
                                        "bool", "str", "array", "u64", "i64", "f64"};
    return names[t];
}

static json_t *text(clo_str s, size_t max)
{
    if (s.len > max) {
        s.len = max;
        s.len -= clo_utf8_incomplete_tail(s);
    }
    return clo_json_text(s);
}

static json_t *number(const clo_gguf_kv *kv, clo_gguf_type t, uint64_t i)
{
    /* A scalar reads like an array of one. */
    const clo_gguf_kv one = {.type = CLO_GGUF_ARRAY, .elem = t, .n = kv->n, .raw = kv->raw};
    if (t == CLO_GGUF_BOOL) return json_boolean(clo_gguf_array_int(&one, i) != 0);
    if (t == CLO_GGUF_F32 || t == CLO_GGUF_F64) {
        json_t *v = json_real(clo_gguf_array_num(&one, i));
        return v ? v : json_null(); /* infinity and NaN have no JSON */
    }
    return json_integer(clo_gguf_array_int(&one, i));
}

static json_t *array(const clo_gguf_kv *kv, size_t text_max)
{
    clo_gguf_kv head = *kv;
    clo_str some[FIRST_ELEMENTS];
    json_t *first = json_array();
    head.n = kv->n < FIRST_ELEMENTS ? kv->n : FIRST_ELEMENTS;
    if (kv->elem == CLO_GGUF_STR) clo_gguf_array_strs(&head, some);
    for (uint64_t i = 0; i < head.n; i++)
        json_array_append_new(first, kv->elem == CLO_GGUF_STR ? text(some[i], text_max) : number(kv, kv->elem, i));
    return json_pack("{s:s, s:I, s:o}", "elements", clo_gguf_type_name(kv->elem), "n", (json_int_t)kv->n, "first", first);
}

json_t *clo_gguf_json(const clo_gguf_kv *kv, size_t text_max)
{
    if (kv->type == CLO_GGUF_ARRAY) return array(kv, text_max);
    if (kv->type == CLO_GGUF_STR) return text((clo_str){(const char *)kv->raw.ptr + 8, kv->raw.len - 8}, text_max);
    return number(kv, kv->type, 0);
}
