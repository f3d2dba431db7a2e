/* Bytes as the body of a request: fields, messages, tools and the sampler, for every interface. What messages come to is a
 * form that reads as itself again. */
#include <stdint.h>
#include <stdlib.h>

#include "serve/duration.h"
#include "serve/messages.h"
#include "serve/params.h"

static void read_fields(const json_t *body, unsigned kinds)
{
    const clo_sampler_params base = {.temp = 1};
    clo_arena a = clo_arena_make((size_t)1 << 20);
    clo_params p = clo_params_make(false);
    clo_sampler_params s;
    clo_api_error e = {0};
    if (clo_params_read(&p, body, kinds, &a, &e)) (void)clo_params_sampler(&s, &p, &base, &e);
    else if (e.kind == CLO_API_OK || e.message[0] == '\0') abort();
    clo_arena_free(&a);
}

static void read_messages(const json_t *list)
{
    json_t *once = NULL, *twice = NULL;
    clo_api_error e = {0};
    if (!clo_messages_read(&once, list, &e)) return;
    (void)clo_messages_go_on(once);
    if (!clo_messages_read(&twice, once, &e) || !json_equal(once, twice)) abort();
    json_decref(once);
    json_decref(twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned kinds[] = {CLO_PARAMS_CHAT, CLO_PARAMS_COMPLETIONS, CLO_PARAMS_OPTIONS, CLO_PARAMS_OLLAMA};
    json_t *body = NULL, *list = NULL, *tools = NULL;
    clo_api_error e = {0};
    clo_str text;
    double seconds;
    (void)clo_duration_parse(&seconds, (clo_str){(const char *)data, size});
    if (!clo_body_parse(&body, (clo_str){(const char *)data, size}, &e)) return 0;
    (void)clo_body_str(&text, body, "model", true, &e);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) read_fields(body, kinds[i]);
    if (clo_body_array(&list, body, "messages", &e)) read_messages(list);
    if (clo_body_array(&tools, body, "tools", &e)) (void)clo_tools_check(tools, &e);
    json_decref(body);
    return 0;
}
