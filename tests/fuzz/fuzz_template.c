/* Bytes as a chat template: parsed, and when that works rendered on a small conversation under tight limits. The spans
 * must be sorted, disjoint, inside the output, and cover whole UTF-8 characters. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "model/template.h"

static const char vars_text[] =
    "{\"messages\":[{\"role\":\"system\",\"content\":\"s \\u00e9\"},{\"role\":\"user\",\"content\":\"<x> 'q' \\\"d\\\"\\n\"},"
    "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"type\":\"function\",\"function\":{\"name\":\"f\","
    "\"arguments\":{\"a\":1.5,\"b\":[true,null]}}}]},{\"role\":\"tool\",\"content\":[{\"type\":\"text\",\"text\":\"t\"}]}],"
    "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\"}}}],"
    "\"documents\":null,\"add_generation_prompt\":true,\"bos_token\":\"<s>\",\"x\":3,\"l\":[3,1,2],\"e\":\"\"}";

static void check(const clo_buf *out, const clo_template_spans *s)
{
    size_t at = 0;
    for (size_t i = 0; i < s->n; i++) {
        assert(s->spans[i].begin >= at && s->spans[i].begin < s->spans[i].end && s->spans[i].end <= out->len);
        clo_str part = {out->ptr + s->spans[i].begin, s->spans[i].end - s->spans[i].begin};
        assert(clo_utf8_valid(part));
        at = s->spans[i].end;
    }
    assert(clo_utf8_valid(clo_buf_str(out)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    clo_err err = {0};
    clo_template *t = NULL;
    clo_buf out = {0};
    clo_template_spans spans = {0};
    json_t *vars = NULL;
    if (!clo_template_parse(&t, (clo_str){(const char *)data, size}, &err)) return 0;
    if (clo_json_parse(&vars, clo_str_from(vars_text), sizeof vars_text, &err)) {
        clo_template_opts opts = {.now_unix = 1763800000, .output_bytes_max = 1u << 16, .steps_max = 20000};
        if (clo_template_render(t, vars, opts, &out, &spans, &err)) check(&out, &spans);
    }
    json_decref(vars);
    clo_template_spans_free(&spans);
    clo_buf_free(&out);
    clo_template_free(t);
    return 0;
}
