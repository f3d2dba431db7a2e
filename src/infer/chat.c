/* See chat.h. */
#include "infer/chat.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "model/template.h"

#define ROLE_BYTES_MAX 64

struct clo_chat {
    const clo_tok *tok; /* borrowed */
    clo_template *t;    /* owned */
    clo_sha256 digest;
    clo_str *special;   /* [n_special] owned; strings borrowed from tok: names of special tokens, longest first */
    size_t n_special;
    bool first[256];    /* bytes that begin one */
};

/* --- life ---------------------------------------------------------------------------------------------------------*/

static int longer_first(const void *a, const void *b)
{
    const clo_str *x = (const clo_str *)a, *y = (const clo_str *)b;
    return x->len > y->len ? -1 : x->len < y->len;
}

static bool collect_special(clo_chat *c, clo_err *err)
{
    size_t n_vocab = clo_tok_n_vocab(c->tok), n = 0;
    for (size_t id = 0; id < n_vocab; id++) n += clo_tok_is_special(c->tok, (int32_t)id);
    c->special = (clo_str *)calloc(n + 1, sizeof *c->special);
    if (!c->special) return clo_fail(err, CLO_ERR_MEMORY, "%zu special tokens", n);
    for (size_t id = 0; id < n_vocab; id++) {
        if (!clo_tok_is_special(c->tok, (int32_t)id)) continue;
        clo_str name = clo_tok_name(c->tok, (int32_t)id);
        if (name.len == 0) continue;
        c->special[c->n_special++] = name;
        c->first[(uint8_t)name.ptr[0]] = true;
    }
    qsort(c->special, c->n_special, sizeof *c->special, longer_first);
    return true;
}

bool clo_chat_open_with(clo_chat **out, const clo_tok *tok, clo_str text, clo_err *err)
{
    clo_chat *c = (clo_chat *)calloc(1, sizeof *c);
    if (!c) return clo_fail(err, CLO_ERR_MEMORY, "chat");
    c->tok = tok;
    c->digest = clo_sha256_of(text.ptr, text.len);
    if (!clo_template_parse(&c->t, text, err)) {
        clo_err_context(err, "chat template");
        goto fail;
    }
    if (!collect_special(c, err)) goto fail;
    *out = c;
    return true;
fail:
    clo_chat_close(c);
    return false;
}

bool clo_chat_open(clo_chat **out, const clo_model *m, bool tools, clo_err *err)
{
    const clo_tok *tok = clo_model_tokenizer(m);
    if (!tok) return clo_fail(err, CLO_ERR_NOT_FOUND, "the model has no tokenizer");
    clo_str text = clo_tok_template(tok, tools);
    if (text.len == 0) return clo_fail(err, CLO_ERR_NOT_FOUND, "the model has no chat template");
    return clo_chat_open_with(out, tok, text, err);
}

void clo_chat_close(clo_chat *c)
{
    if (!c) return;
    if (c->t) clo_template_free(c->t);
    free(c->special);
    free(c);
}

clo_sha256 clo_chat_digest(const clo_chat *c)
{
    return c->digest;
}

/* --- rendering ----------------------------------------------------------------------------------------------------*/

static bool is_name(clo_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char ch = s.ptr[i];
        if (!((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') || ch == '_' || ch == '-'))
            return false;
    }
    return s.len <= ROLE_BYTES_MAX;
}

/* A role may become part of a control token ('<|' + role + '|>'), so it is a name and nothing else. */
static bool check_roles(const json_t *messages, clo_err *err)
{
    if (!json_is_array(messages)) return clo_fail(err, CLO_ERR_USAGE, "messages are not a list");
    for (size_t i = 0; i < json_array_size(messages); i++) {
        const json_t *m = json_array_get(messages, i);
        clo_str role = clo_json_str(m, "role", CLO_STR(""));
        if (!json_is_object(m) || role.len == 0 || role.len > ROLE_BYTES_MAX)
            return clo_fail(err, CLO_ERR_USAGE, "message %zu has no role of 1 to %d bytes", i, ROLE_BYTES_MAX);
        if (!is_name(role))
            return clo_fail(err, CLO_ERR_USAGE, "message %zu: a role is a name of letters and digits", i);
    }
    return true;
}

/* The variables that Hugging Face gives: messages, tools and documents (none when there are none), the head of the
 * answer, every named special token, then the caller's. NULL: out of memory. */
static json_t *make_vars(const clo_chat *c, const json_t *messages, const clo_chat_opts *o)
{
    static const char *const names[] = {"bos_token", "eos_token", "pad_token", "unk_token", "sep_token", "cls_token",
                                        "mask_token"};
    json_t *copy = json_deep_copy(messages);
    json_t *vars = json_pack("{s:o, s:o, s:n, s:b}", "messages", copy, "tools",
                             o->tools ? json_deep_copy(o->tools) : json_null(), "documents", "add_generation_prompt",
                             !o->no_answer_head && !o->go_on);
    if (!vars) return NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        clo_str s = clo_tok_special(c->tok, names[i]);
        if (s.len == 0) continue;
        if (json_object_set_new(vars, names[i], json_stringn(s.ptr, s.len)) != 0) goto fail;
    }
    if (o->vars && json_object_update(vars, o->vars) != 0) goto fail;
    return vars;
fail:
    json_decref(vars);
    return NULL;
}

/* Ends the rendered text with the text of the last message, as Hugging Face's continue_final_message does: white space
 * around it is the template's affair. */
static bool cut_after_last(clo_buf *out, clo_template_spans *spans, const json_t *messages, clo_err *err)
{
    const json_t *last = json_array_get(messages, json_array_size(messages) - 1);
    clo_str want = clo_json_str(last, "content", CLO_STR("")), text = clo_buf_str(out);
    while (want.len > 0 && strchr(" \t\r\n", want.ptr[want.len - 1])) want.len--;
    while (want.len > 0 && strchr(" \t\r\n", want.ptr[0])) want = clo_str_from_off(want, 1);
    if (want.len == 0 || want.len > text.len) return clo_fail(err, CLO_ERR_USAGE, "the last message has no text to go on from");
    size_t at = text.len - want.len;
    while (at > 0 && memcmp(text.ptr + at, want.ptr, want.len) != 0) at--;
    if (memcmp(text.ptr + at, want.ptr, want.len) != 0)
        return clo_fail(err, CLO_ERR_USAGE, "the chat template does not show the last message");
    out->len = at + want.len;
    while (spans && spans->n > 0 && spans->spans[spans->n - 1].begin >= out->len) spans->n--;
    if (spans && spans->n > 0) spans->spans[spans->n - 1].end = clo_min(spans->spans[spans->n - 1].end, out->len);
    return true;
}

static bool render(const clo_chat *c, clo_buf *out, clo_template_spans *spans, const json_t *messages,
                   const clo_chat_opts *o, clo_err *err)
{
    if (!check_roles(messages, err)) return false;
    json_t *vars = make_vars(c, messages, o);
    if (!vars) return clo_fail(err, CLO_ERR_MEMORY, "template variables");
    bool ok = clo_template_alias_reasoning(json_object_get(vars, "messages"), err) &&
              clo_template_render(c->t, vars, (clo_template_opts){.now_unix = o->now_unix}, out, spans, err);
    json_decref(vars);
    if (!ok) clo_err_context(err, "chat template");
    if (ok && o->go_on) ok = cut_after_last(out, spans, messages, err);
    return ok && clo_buf_ok(out, err);
}

bool clo_chat_render(const clo_chat *c, clo_buf *out, const json_t *messages, clo_chat_opts opts, clo_err *err)
{
    return render(c, out, NULL, messages, &opts, err);
}

/* --- encoding -----------------------------------------------------------------------------------------------------*/

/* The longest special token that text spells at `at`, or 0. */
static size_t special_at(const clo_chat *c, clo_str text, size_t at)
{
    if (!c->first[(uint8_t)text.ptr[at]]) return 0;
    clo_str rest = clo_str_from_off(text, at);
    for (size_t i = 0; i < c->n_special; i++)
        if (clo_str_starts_with(rest, c->special[i])) return c->special[i].len;
    return 0;
}

/* True when the conversation's part [begin, end) has a share in a special token's text: one that begins in it (though
 * the template may complete it), or one that the template begins and it completes. A name inside a token that the
 * template writes around it ('<|' + role + '|>') is the template's own doing. */
static bool spells_special(const clo_chat *c, clo_str text, size_t begin, size_t end)
{
    for (size_t at = begin; at < end; at++)
        if (special_at(c, text, at) > 0) return true;
    if (c->n_special == 0 || is_name((clo_str){text.ptr + begin, end - begin})) return false;
    size_t reach = clo_min(begin, c->special[0].len);
    for (size_t at = begin - reach; at < begin; at++)
        if (special_at(c, text, at) > begin - at) return true;
    return false;
}

bool clo_chat_encode(const clo_chat *c, clo_ids *out, const json_t *messages, clo_chat_opts opts, clo_err *err)
{
    clo_buf text = {0};
    clo_template_spans spans = {0};
    const clo_tok_opts trusted = {.parse_special = true}, plain = {0};
    bool ok = render(c, &text, &spans, messages, &opts, err);
    clo_str s = clo_buf_str(&text);
    size_t at = 0;

    for (size_t i = 0; ok && !opts.compat && i < spans.n; i++) {
        size_t begin = spans.spans[i].begin, end = spans.spans[i].end;
        if (!spells_special(c, s, begin, end)) continue;
        if (begin > at) ok = clo_tok_encode(c->tok, out, (clo_str){s.ptr + at, begin - at}, trusted, err);
        ok = ok && clo_tok_encode(c->tok, out, (clo_str){s.ptr + begin, end - begin}, plain, err);
        at = end;
    }
    if (ok && at < s.len) ok = clo_tok_encode(c->tok, out, clo_str_from_off(s, at), trusted, err);
    clo_template_spans_free(&spans);
    clo_buf_free(&text);
    return ok;
}
