/* Bytes as a README: cut, read, checked, made into tags and into HTML. The first byte chooses the kind of repository; the
 * front matter also plays config.json. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "hub/card.h"
#include "unit/tame_html.h"

static void check_tags(const clo_card *card, const char *type)
{
    static const clo_str files[] = {CLO_STR("config.json"), CLO_STR("model.safetensors"), CLO_STR("x/adapter_config.json")};
    clo_tag_source s = {.type = type, .card = card->data, .body = card->body, .files = files, .n_files = 3, .config = card->data};
    json_t *tags = NULL;
    if (!clo_card_tags(&tags, &s, NULL)) abort();
    assert(json_array_size(tags) <= CLO_CARD_TAGS_MAX);
    for (size_t i = 0; i < json_array_size(tags); i++) {
        size_t n = json_string_length(json_array_get(tags, i));
        assert(n > 0 && n <= CLO_CARD_TAG_BYTES_MAX);
    }
    json_decref(tags);
}

static void check_html(clo_str body)
{
    clo_buf html = {0};
    size_t at = 0;
    if (clo_card_html(&html, body, &(clo_card_links){"/lab/m/blob/main/", "/lab/m/resolve/main/"}, NULL)) {
        const char *fault = html_fault(clo_buf_str(&html), &at);
        if (fault) fprintf(stderr, "%s at %zu: %s\n", fault, at, html.ptr);
        assert(!fault);
    }
    clo_buf_free(&html);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const types[] = {"model", "dataset", "space"};
    clo_card card = {0};
    clo_err err = {0};
    json_t *report = NULL;
    if (size == 0) return 0;
    const char *type = types[data[0] % 3];
    clo_str text = {(const char *)data + 1, size - 1};
    if (!clo_card_check(&report, text, type, &err)) abort();
    bool read = clo_card_read(&card, text, &err);
    assert(read || json_array_size(json_object_get(report, "errors")) > 0);
    assert(read || err.code == CLO_ERR_FORMAT || err.code == CLO_ERR_LIMIT);
    if (read && card.data) {
        char *dump = json_dumps(card.data, JSON_ENCODE_ANY); /* every value can be sent to a client */
        assert(dump);
        free(dump);
    }
    if (read) check_tags(&card, type);
    clo_card_free(&card);
    json_decref(report);
    check_html(text);
    return 0;
}
