/* What handlers of the Ollama interface share. See ollama.h. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "serve/duration.h"
#include "serve/ollama.h"
#include "serve/params.h"

/* "1.5B", "135M" */
static const char *size_text(char out[16], uint64_t n)
{
    if (n >= 1000000000) snprintf(out, 16, "%.1fB", (double)n / 1e9);
    else if (n >= 1000000) snprintf(out, 16, "%.2fM", (double)n / 1e6);
    else snprintf(out, 16, "%.1fK", (double)n / 1e3);
    return out;
}

json_t *clo_ollama_details(const clo_model_info *m)
{
    char size[16];
    const char *format = m->facts.gguf ? "gguf" : "safetensors";
    return json_pack("{s:s, s:s, s:s, s:[s], s:s, s:s}", "parent_model", "", "format", format, "family", m->facts.family,
                     "families", m->facts.family, "parameter_size", size_text(size, m->facts.n_weights),
                     "quantization_level", clo_dtype_info_of(m->facts.main_dtype)->name);
}

json_t *clo_ollama_name(const char *name)
{
    char text[CLO_SERVED_NAME_MAX + 8];
    snprintf(text, sizeof text, "%s%s", name, strpbrk(name, ":@") ? "" : ":latest");
    return json_string(text);
}

json_t *clo_ollama_capabilities(const clo_model_info *m)
{
    json_t *list = json_array();
    if (!m->facts.encoder) json_array_append_new(list, json_string("completion"));
    if (m->facts.shows_tools) json_array_append_new(list, json_string("tools"));
    if (m->facts.shows_thinking) json_array_append_new(list, json_string("thinking"));
    if (m->facts.embeds) json_array_append_new(list, json_string("embedding"));
    return list;
}

bool clo_ollama_model_name(clo_str *out, const json_t *body, clo_api_error *e)
{
    if (!clo_body_str(out, body, "model", false, e)) return false;
    if (out->len == 0 && !clo_body_str(out, body, "name", false, e)) return false;
    return out->len > 0 || clo_api_fail(e, CLO_API_INVALID, "model", "model is required");
}

bool clo_ollama_keep_alive(double *out_s, const json_t *body, clo_api_error *e)
{
    const json_t *v = json_object_get(body, "keep_alive");
    *out_s = (double)NAN;
    if (!v || json_is_null(v)) return true;
    if (json_is_number(v)) {
        *out_s = json_number_value(v);
        return true;
    }
    if (json_is_string(v) && clo_duration_parse(out_s, (clo_str){json_string_value(v), json_string_length(v)})) return true;
    return clo_api_fail(e, CLO_API_INVALID, "keep_alive", "keep_alive: seconds, or a duration as 5m, is expected");
}
