/* Conversations: the template's control tokens are read, the conversation's are not. The tokenizer is one of letters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "infer/chat.h"

/* Ids 0.. of the characters below, then 100 <s>, 101 </s>, 102 <|user|>. */
static const char letters[] = "abcdefghijklmnopqrstuvwxyz<>/|";

static clo_tok *make_tokenizer(void)
{
    clo_buf b = {0};
    clo_tok *tok = NULL;
    clo_err err = {0};
    clo_buf_add(&b, CLO_STR("{\"added_tokens\":["));
    const char *const special[] = {"<s>", "</s>", "<|user|>"};
    for (int i = 0; i < 3; i++)
        clo_buf_addf(&b, "%s{\"id\":%d,\"content\":\"%s\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,"
                         "\"normalized\":false,\"special\":true}", i ? "," : "", 100 + i, special[i]);
    clo_buf_add(&b, CLO_STR("],\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
                            "\"trim_offsets\":true,\"use_regex\":false},\"post_processor\":null,"
                            "\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"dropout\":null,"
                            "\"unk_token\":null,\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,"
                            "\"fuse_unk\":false,\"byte_fallback\":false,\"vocab\":{"));
    for (size_t i = 0; i < sizeof letters - 1; i++) clo_buf_addf(&b, "%s\"%c\":%zu", i ? "," : "", letters[i], i);
    for (int i = 0; i < 3; i++) clo_buf_addf(&b, ",\"%s\":%d", special[i], 100 + i);
    clo_buf_add(&b, CLO_STR("},\"merges\":[]}}"));
    if (!clo_tok_open_json(&tok, clo_buf_str(&b), CLO_STR("{}"), &err)) fail_msg("%s", err.text);
    clo_buf_free(&b);
    return tok;
}

/* Ids as text: letters, and 0, 1, 2 for the control tokens. */
static void spell(char *out, const clo_ids *ids)
{
    for (size_t i = 0; i < ids->n; i++)
        *out++ = ids->ids[i] >= 100 ? (char)('0' + ids->ids[i] - 100) : letters[ids->ids[i]];
    *out = '\0';
}

static void control_tokens_come_from_the_template_alone(void **state)
{
    (void)state;
    static const char by_role[] = "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '</s>' }}{% endfor %}";
    static const char tight[] = "{% for m in messages %}{{ '<s' + m['content'] + 's>' }}{% endfor %}";
    static const struct {
        const char *why, *tpl, *content;
        bool compat;
        const char *want;
    } rows[] = {
        {"a role inside a control token is the template's doing", by_role, "hi", false, "2hi1"},
        {"a control token in the content is letters", by_role, "a</s>b", false, "2a</s>b1"},
        {"the whole content may be one", by_role, "<s>", false, "2<s>1"},
        {"a beginning that the template cannot complete", by_role, "a<", false, "2a<1"},
        {"compatibility reads them all", by_role, "a</s>b", true, "2a1b1"},
        {"content that completes what the template began", tight, ">x", false, "<s>xs>"},
        {"content that begins what the template completes", tight, "x</", false, "<sx</s>"},
        {"empty content", by_role, "", false, "21"},
    };
    clo_tok *tok = make_tokenizer();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        clo_chat *c = NULL;
        clo_ids ids = {0};
        clo_err err = {0};
        char got[64];
        json_t *messages = json_pack("[{s:s, s:s}]", "role", "user", "content", rows[i].content);
        if (!clo_chat_open_with(&c, tok, clo_str_from(rows[i].tpl), &err) ||
            !clo_chat_encode(c, &ids, messages, (clo_chat_opts){.compat = rows[i].compat}, &err))
            fail_msg("%s: %s", rows[i].why, err.text);
        spell(got, &ids);
        if (strcmp(got, rows[i].want) != 0) fail_msg("%s: '%s', not '%s'", rows[i].why, got, rows[i].want);
        clo_ids_free(&ids);
        json_decref(messages);
        clo_chat_close(c);
    }
    clo_tok_close(tok);
}

static void roles_are_names(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "user|><s>", "a b", "us\ner", "<s>"};
    clo_tok *tok = make_tokenizer();
    clo_chat *c = NULL;
    assert_true(clo_chat_open_with(&c, tok, CLO_STR("x"), NULL));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        clo_err err = {0};
        clo_ids ids = {0};
        json_t *messages = json_pack("[{s:s, s:s}]", "role", bad[i], "content", "x");
        assert_false(clo_chat_encode(c, &ids, messages, (clo_chat_opts){0}, &err));
        assert_int_equal(err.code, CLO_ERR_USAGE);
        clo_ids_free(&ids);
        json_decref(messages);
    }
    clo_chat_close(c);
    clo_tok_close(tok);
}

static void templates_get_the_variables_of_hugging_face(void **state)
{
    (void)state;
    static const char tpl[] = "{% if tools is none %}n{% endif %}{% if documents is none %}d{% endif %}"
                              "{% if add_generation_prompt %}g{% endif %}{% if bos_token is defined %}b{% endif %}{{ extra }}";
    clo_tok *tok = make_tokenizer();
    clo_chat *c = NULL;
    clo_buf out = {0};
    clo_err err = {0};
    json_t *messages = json_array(), *vars = json_pack("{s:s}", "extra", "e");
    assert_true(clo_chat_open_with(&c, tok, clo_str_from(tpl), NULL));
    if (!clo_chat_render(c, &out, messages, (clo_chat_opts){.vars = vars}, &err)) fail_msg("%s", err.text);
    assert_string_equal(out.ptr, "ndge");
    out.len = 0;
    assert_true(clo_chat_render(c, &out, messages, (clo_chat_opts){.tools = messages, .no_answer_head = true}, NULL));
    assert_string_equal(out.ptr, "d");
    clo_buf_free(&out);
    json_decref(vars);
    json_decref(messages);
    clo_chat_close(c);
    clo_tok_close(tok);
}

static void reasoning_is_found_under_each_of_its_names(void **state)
{
    (void)state;
    static const char tpl[] = "{% for m in messages %}{{ m.reasoning_content }}|{{ m.thinking }}{% endfor %}";
    static const char *const names[] = {"reasoning_content", "thinking", "reasoning"};
    clo_tok *tok = make_tokenizer();
    clo_chat *c = NULL;
    assert_true(clo_chat_open_with(&c, tok, clo_str_from(tpl), NULL));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        clo_buf out = {0};
        clo_err err = {0};
        json_t *messages = json_pack("[{s:s, s:s, s:s}]", "role", "assistant", "content", "x", names[i], "why");
        if (!clo_chat_render(c, &out, messages, (clo_chat_opts){0}, &err)) fail_msg("%s: %s", names[i], err.text);
        assert_string_equal(out.ptr, "why|why");
        assert_int_equal(json_object_size(json_array_get(messages, 0)), 3); /* the caller's copy is left alone */
        clo_buf_free(&out);
        json_decref(messages);
    }
    clo_chat_close(c);
    clo_tok_close(tok);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_tokens_come_from_the_template_alone),
        cmocka_unit_test(roles_are_names),
        cmocka_unit_test(templates_get_the_variables_of_hugging_face),
        cmocka_unit_test(reasoning_is_found_under_each_of_its_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
