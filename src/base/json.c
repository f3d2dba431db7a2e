#include "base/json.h"

#include "base/buf.h"
#include "base/utf8.h"

bool clo_json_parse(json_t **out, clo_str text, size_t max_bytes, clo_err *err)
{
    *out = NULL;
    if (text.len > max_bytes)
        return clo_fail(err, CLO_ERR_LIMIT, "JSON of %zu bytes, limit %zu", text.len, max_bytes);
    json_error_t why;
    json_t *v = json_loadb(text.ptr ? text.ptr : "", text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL,
                           &why);
    if (!v) {
        if (json_error_code(&why) == json_error_out_of_memory) return clo_fail(err, CLO_ERR_MEMORY, "JSON: no memory");
        return clo_fail_at(err, why.position > 0 ? (uint64_t)why.position : 0, "JSON: %s, line %d", why.text, why.line);
    }
    *out = v;
    return true;
}

json_t *clo_json_text(clo_str s)
{
    clo_buf b = {0};
    size_t n;
    if (clo_utf8_valid(s)) return json_stringn(s.ptr ? s.ptr : "", s.len);
    for (size_t i = 0; i < s.len; i += n) {
        uint32_t cp = clo_utf8_decode(s, i, &n);
        clo_buf_add_utf8(&b, cp == CLO_UTF8_BAD ? 0xfffd : cp);
    }
    json_t *out = b.failed ? NULL : json_stringn(clo_buf_str(&b).ptr, b.len);
    clo_buf_free(&b);
    return out;
}

clo_str clo_json_str(const json_t *obj, const char *key, clo_str fallback)
{
    const json_t *v = json_object_get(obj, key);
    return json_is_string(v) ? (clo_str){json_string_value(v), json_string_length(v)} : fallback;
}

int64_t clo_json_int(const json_t *obj, const char *key, int64_t fallback)
{
    const json_t *v = json_object_get(obj, key);
    return json_is_integer(v) ? (int64_t)json_integer_value(v) : fallback;
}

double clo_json_num(const json_t *obj, const char *key, double fallback)
{
    const json_t *v = json_object_get(obj, key);
    return json_is_number(v) ? json_number_value(v) : fallback;
}

bool clo_json_bool(const json_t *obj, const char *key, bool fallback)
{
    const json_t *v = json_object_get(obj, key);
    return json_is_boolean(v) ? json_is_true(v) : fallback;
}
