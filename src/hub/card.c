/* See card.h: cutting and reading. */
#include "hub/card.h"

#include "hub/yaml.h"

static bool is_newline(char c)
{
    return c == '\n' || c == '\r';
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\f' || c == '\v' || is_newline(c);
}

/* Whether a closing line stands at `at`; *after is past it. */
static bool closes(clo_str t, size_t at, size_t *after)
{
    if (!clo_str_starts_with(clo_str_from_off(t, at), CLO_STR("---"))) return false;
    at += 3;
    if (at < t.len && t.ptr[at] == '\r' && at + 1 < t.len && t.ptr[at + 1] == '\n') at++;
    if (at < t.len && t.ptr[at] != '\n') return false;
    *after = at < t.len ? at + 1 : at;
    return true;
}

void clo_card_split(clo_str *yaml, clo_str *body, clo_str text)
{
    clo_str t = clo_str_starts_with(text, CLO_STR("\xef\xbb\xbf")) ? clo_str_from_off(text, 3) : text;
    size_t at = 0, after;
    *yaml = (clo_str){0};
    *body = t;
    while (at < t.len && is_space(t.ptr[at])) at++;
    if (!clo_str_starts_with(clo_str_from_off(t, at), CLO_STR("---"))) return;
    at += 3;
    if (at >= t.len || !is_newline(t.ptr[at])) return;
    size_t begin = at;
    while (at < t.len && is_newline(t.ptr[at])) at++;
    for (size_t start = at; at <= t.len; at++) {
        if (at > start && !is_newline(t.ptr[at - 1])) continue;
        if (!closes(t, at, &after)) continue;
        *yaml = (clo_str){t.ptr + begin, at - begin};
        *body = clo_str_from_off(t, after);
        return;
    }
}

bool clo_card_read(clo_card *out, clo_str text, clo_err *err)
{
    *out = (clo_card){0};
    if (text.len > CLO_CARD_BYTES_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "a card of %zu bytes, limit %zu", text.len, CLO_CARD_BYTES_MAX);
    clo_card_split(&out->yaml, &out->body, text);
    if (!out->yaml.ptr) return true;
    if (!clo_yaml_parse(&out->data, out->yaml, err)) {
        clo_err_context(err, "front matter");
        return false;
    }
    if (json_is_null(out->data)) clo_card_free(out);
    if (!out->data || json_is_object(out->data)) return true;
    clo_card_free(out);
    return clo_fail_at(err, 0, "front matter: no mapping of names to values");
}

void clo_card_free(clo_card *c)
{
    json_decref(c->data);
    c->data = NULL;
}
