/* Tool calls: what a reader makes of an answer, however it is cut, and that grammars write what readers read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/random.h"
#include "infer/matcher.h"
#include "infer/grammar_source.h"
#include "unit/byte_tok.h"

static const char tools_text[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"get_weather\",\"strict\":true,\"parameters\":{\"type\":\"object\","
    "\"properties\":{\"city\":{\"type\":\"string\",\"maxLength\":12},\"days\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":7}},"
    "\"required\":[\"city\"],\"additionalProperties\":false}}},"
    "{\"type\":\"function\",\"function\":{\"name\":\"now\"}}]";

static json_t *load(const char *text)
{
    json_t *v = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(v);
    return v;
}

/* Events as text: "T:hello|B0:f|A0:{}|E0|". */
static void drain(clo_buf *out, clo_tool_reader *r, bool *in_text, bool *in_args)
{
    clo_tool_event e;
    while (clo_tool_reader_take(r, &e)) {
        bool goes_on = (e.kind == CLO_TOOL_TEXT && *in_text) || (e.kind == CLO_TOOL_ARGS && *in_args);
        if (goes_on)
            out->len--; /* the bar: pieces are joined */
        else if (e.kind == CLO_TOOL_TEXT)
            clo_buf_addf(out, "T:");
        else
            clo_buf_addf(out, "%c%zu%s", " BAE"[e.kind], e.index, e.kind == CLO_TOOL_END ? "" : ":");
        clo_buf_add(out, e.text);
        clo_buf_add_char(out, '|');
        *in_text = e.kind == CLO_TOOL_TEXT;
        *in_args = e.kind == CLO_TOOL_ARGS;
    }
}

static void read_all(clo_buf *out, clo_tool_syntax s, const json_t *tools, clo_str text, size_t piece)
{
    clo_tool_reader *r = NULL;
    clo_err err = {0};
    bool in_text = false, in_args = false;
    out->len = 0;
    clo_buf_add(out, CLO_STR(""));
    assert_true(clo_tool_reader_open(&r, s, tools, &err));
    for (size_t at = 0; at < text.len; at += piece) {
        clo_tool_reader_add(r, (clo_str){text.ptr + at, text.len - at < piece ? text.len - at : piece});
        drain(out, r, &in_text, &in_args);
    }
    clo_tool_reader_end(r);
    drain(out, r, &in_text, &in_args);
    assert_true(clo_tool_reader_ok(r, &err));
    clo_tool_reader_close(r);
}

static void calls_are_read_however_they_are_cut(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        clo_tool_syntax syntax;
        const char *text, *want;
    } rows[] = {
        {"text alone", CLO_TOOL_SYNTAX_HERMES, "Hello <b>you</b>. \n", "T:Hello <b>you</b>. \n|"},
        {"nothing", CLO_TOOL_SYNTAX_HERMES, "", ""},
        {"a call", CLO_TOOL_SYNTAX_HERMES, "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": [1, {\"b\": \"}\\\"\"}]}}\n</tool_call>",
         "B0:f|A0:{\"a\": [1, {\"b\": \"}\\\"\"}]}|E0|"},
        {"text before and after", CLO_TOOL_SYNTAX_HERMES, "Let me see.\n\n<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>\nDone.",
         "T:Let me see.|B0:f|A0:{}|E0|T:Done.|"},
        {"two calls", CLO_TOOL_SYNTAX_HERMES,
         "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": 1}}\n</tool_call>\n<tool_call>\n{\"name\": \"g\", \"arguments\": {}}\n</tool_call>",
         "B0:f|A0:{\"x\": 1}|E0|B1:g|A1:{}|E1|"},
        {"arguments before the name, and more keys", CLO_TOOL_SYNTAX_HERMES,
         "<tool_call>{\"id\": [1, \"}\"], \"arguments\": {\"x\": true}, \"n\": null, \"name\": \"f\\u00e9\"}</tool_call>",
         "B0:f\xc3\xa9|A0:{\"x\": true}|E0|"},
        {"no arguments", CLO_TOOL_SYNTAX_HERMES, "<tool_call>{\"name\": \"f\"}</tool_call>", "B0:f|A0:{}|E0|"},
        {"arguments that are null", CLO_TOOL_SYNTAX_HERMES, "<tool_call>{\"name\": \"f\", \"arguments\": null}</tool_call>", "B0:f|A0:{}|E0|"},
        {"arguments in a string", CLO_TOOL_SYNTAX_HERMES, "<tool_call>{\"name\": \"f\", \"arguments\": \"{\\\"a\\\": 1}\"}</tool_call>",
         "B0:f|A0:{\"a\": 1}|E0|"},
        {"llama's key in hermes' marks", CLO_TOOL_SYNTAX_HERMES, "<tool_call>{\"name\": \"f\", \"parameters\": {\"a\": 1}}</tool_call>",
         "B0:f|A0:{\"a\": 1}|E0|"},
        {"a call that is cut in its arguments", CLO_TOOL_SYNTAX_HERMES, "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"x",
         "B0:f|A0:{\"a\": \"x|"},
        {"a call that is cut in its name", CLO_TOOL_SYNTAX_HERMES, "ok\n<tool_call>\n{\"name\": \"f", "T:ok\n<tool_call>\n{\"name\": \"f|"},
        {"a closing mark that is cut", CLO_TOOL_SYNTAX_HERMES, "<tool_call>{\"name\": \"f\", \"arguments\": {}}\n</tool_c", "B0:f|A0:{}|E0|"},
        {"a call without its closing mark", CLO_TOOL_SYNTAX_HERMES, "<tool_call>{\"name\": \"f\", \"arguments\": {}}<b>", "B0:f|A0:{}|E0|T:<b>|"},
        {"a mark and no call", CLO_TOOL_SYNTAX_HERMES, "Use <tool_call> so. \n", "T:Use <tool_call> so. \n|"},
        {"a mark twice", CLO_TOOL_SYNTAX_HERMES, "<tool_call><tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>",
         "T:<tool_call>|B0:f|A0:{}|E0|"},
        {"half a mark", CLO_TOOL_SYNTAX_HERMES, "a <tool_ b <tool_call", "T:a <tool_ b <tool_call|"},
        {"a name that is no text", CLO_TOOL_SYNTAX_HERMES, "<tool_call>{\"name\": 5} x", "T:<tool_call>{\"name\": 5} x|"},
        {"no name at all", CLO_TOOL_SYNTAX_HERMES, "<tool_call>{\"arguments\": {}}</tool_call>", "T:<tool_call>{\"arguments\": {}}</tool_call>|"},
        {"broken JSON", CLO_TOOL_SYNTAX_HERMES, "<tool_call>{name: \"f\"}</tool_call>", "T:<tool_call>{name: \"f\"}</tool_call>|"},
        {"a whole answer that is a call", CLO_TOOL_SYNTAX_LLAMA3, "{\"name\": \"now\", \"parameters\": {}}", "B0:now|A0:{}|E0|"},
        {"JSON that is no call", CLO_TOOL_SYNTAX_LLAMA3, "{\"name\": \"Ada\", \"age\": 36}", "T:{\"name\": \"Ada\", \"age\": 36}|"},
        {"JSON after text", CLO_TOOL_SYNTAX_LLAMA3, "See: {\"name\": \"now\"}", "T:See: {\"name\": \"now\"}|"},
        {"a list of calls", CLO_TOOL_SYNTAX_MISTRAL,
         "[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {\"a\": 1}, \"id\": \"abc123xyz\"}, {\"name\": \"g\", \"arguments\": {}}]",
         "B0:f|A0:{\"a\": 1}|E0|B1:g|A1:{}|E1|"},
        {"a list behind text", CLO_TOOL_SYNTAX_GRANITE, "Well <|tool_call|>[{\"name\": \"f\", \"arguments\": {}}]", "T:Well|B0:f|A0:{}|E0|"},
        {"names as keys", CLO_TOOL_SYNTAX_APERTUS, "<|tools_prefix|>[{\"f\": {\"a\": 1}}, {\"g\": {}}]<|tools_suffix|> so",
         "B0:f|A0:{\"a\": 1}|E0|B1:g|A1:{}|E1|T:so|"},
        {"no syntax", CLO_TOOL_SYNTAX_NONE, "<tool_call>{}</tool_call>", "T:<tool_call>{}</tool_call>|"},
    };
    json_t *tools = load(tools_text);
    clo_buf got = {0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (size_t piece = 1; piece < 40; piece++) {
            read_all(&got, rows[i].syntax, tools, clo_str_from(rows[i].text), piece);
            if (strcmp(got.ptr, rows[i].want) != 0) fail_msg("%s, %zu bytes at a time: %s", rows[i].why, piece, got.ptr);
        }
    }
    clo_buf_free(&got);
    json_decref(tools);
}

/* --- grammars -----------------------------------------------------------------------------------------------------*/

static const clo_str tokens[] = {CLO_STR("<tool_call>"), CLO_STR("{\""), CLO_STR("\": "), CLO_STR("get_"), CLO_STR("</"), CLO_STR("the ")};
enum { N_TOKENS = sizeof tokens / sizeof *tokens, END = 256 + N_TOKENS };

static bool allowed(const uint32_t *bits, int32_t id)
{
    return bits[id / 32] >> (id % 32) & 1;
}

/* A random text of a grammar; false when it became too long. */
static bool random_text(clo_buf *out, clo_grammar *g, const clo_tok *tok, const clo_vocab_trie *trie, uint64_t seed)
{
    clo_matcher *m = NULL;
    clo_err err = {0};
    const int32_t stop = END;
    int32_t ids[600];
    bool ended = false;
    out->len = 0;
    clo_buf_add(out, CLO_STR(""));
    if (!clo_matcher_open(&m, g, trie, &stop, 1, &err)) fail_msg("%s", err.text);
    for (size_t n = 0; n < 600 && !ended; n++) {
        const uint32_t *bits = clo_matcher_mask(m, ids, n);
        assert_non_null(bits);
        double u = clo_random_unit(seed, CLO_RANDOM_TEST, 0, n);
        int32_t id = (int32_t)(u * (END + 2));
        for (int32_t i = 0; i < END + 2 && !allowed(bits, id); i++)
            id = (id + 1) % (END + 2);
        if (n > 100 && allowed(bits, '"')) id = '"';
        if (n > 100 && allowed(bits, END)) id = END;
        ids[n] = id;
        ended = id == END;
        if (!ended) clo_buf_add(out, clo_tok_piece(tok, id, true));
    }
    clo_matcher_close(m);
    return ended;
}

/* What a call's arguments must be; counts the calls. */
static size_t check_calls(clo_tool_syntax s, const json_t *tools, const clo_buf *text, const char *only)
{
    clo_tool_reader *r = NULL;
    clo_tool_event e;
    clo_buf args = {0}, name = {0};
    size_t n_whole = 0;
    assert_true(clo_tool_reader_open(&r, s, tools, NULL));
    clo_tool_reader_add(r, clo_buf_str(text));
    clo_tool_reader_end(r);
    while (clo_tool_reader_take(r, &e)) {
        if (e.kind == CLO_TOOL_BEGIN) {
            name.len = args.len = 0;
            clo_buf_add(&name, e.text);
            if (only) assert_string_equal(name.ptr, only);
        }
        if (e.kind == CLO_TOOL_ARGS) clo_buf_add(&args, e.text);
        if (e.kind != CLO_TOOL_END) continue;
        json_t *v = NULL;
        clo_err err = {0};
        if (!clo_json_parse(&v, clo_buf_str(&args), 1u << 20, &err)) fail_msg("%s: %s", args.ptr, err.text);
        if (strcmp(name.ptr, "get_weather") == 0) {
            json_int_t days = clo_json_int(v, "days", 1);
            if (!json_is_string(json_object_get(v, "city")) || days < 1 || days > 7) fail_msg("%s", args.ptr);
        }
        json_decref(v);
        n_whole++;
    }
    assert_int_equal(n_whole, clo_tool_reader_calls(r));
    clo_buf_free(&args);
    clo_buf_free(&name);
    clo_tool_reader_close(r);
    return n_whole;
}

static void grammars_write_what_readers_read(void **state)
{
    (void)state;
    static const struct {
        const char *why, *only;
        bool must, parallel;
        size_t min, max;
        const char *after;
    } rows[] = {
        {"some tool", NULL, true, false, 1, 1, ""},
        {"some tools", NULL, true, true, 1, 100, ""},
        {"one tool", "get_weather", true, false, 1, 1, ""},
        {"a thought first", "now", true, false, 1, 1, "</think>"},
        {"text or calls", NULL, false, true, 0, 100, ""},
    };
    json_t *tools = load(tools_text);
    clo_tok *tok = byte_tok_open(tokens, N_TOKENS, NULL);
    clo_vocab_trie *trie = NULL;
    clo_buf text = {0};
    size_t n_many = 0;
    assert_true(clo_vocab_trie_open(&trie, tok, END + 2, NULL));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (clo_tool_syntax s = CLO_TOOL_SYNTAX_HERMES; s <= CLO_TOOL_SYNTAX_APERTUS; s++) {
            clo_grammar *g = NULL;
            clo_err err = {0};
            const clo_tool_choice c = {s, tools, rows[i].only, rows[i].must, rows[i].parallel, clo_str_from(rows[i].after)};
            if (!clo_tool_grammar(&g, &c, NULL, &err)) fail_msg("%s: %s", rows[i].why, err.text);
            for (uint64_t seed = 0; seed < 20; seed++) {
                if (!random_text(&text, g, tok, trie, seed + 100 * i + 1000 * s)) continue;
                const char *from = *rows[i].after ? strstr(text.ptr, rows[i].after) : NULL;
                if (from) {
                    size_t cut = (size_t)(from - text.ptr) + strlen(rows[i].after);
                    memmove(text.ptr, text.ptr + cut, text.len - cut + 1);
                    text.len -= cut;
                }
                size_t n = check_calls(s, tools, &text, rows[i].only);
                if (n < rows[i].min || n > rows[i].max)
                    fail_msg("%s, %s: %zu calls in '%s'", rows[i].why, clo_tool_syntax_name(s), n, text.ptr);
                n_many += n > 1;
            }
            clo_grammar_close(g);
        }
    }
    assert_true(n_many > 10);
    clo_buf_free(&text);
    clo_vocab_trie_close(trie);
    clo_tok_close(tok);
    json_decref(tools);
}

/* What is stored of a grammar gives its masks again: the same text for the same draws. */
static void a_grammar_comes_back_from_its_source(void **state)
{
    (void)state;
    json_t *tools = load(tools_text);
    clo_tok *tok = byte_tok_open(tokens, N_TOKENS, NULL);
    clo_vocab_trie *trie = NULL;
    assert_true(clo_vocab_trie_open(&trie, tok, END + 2, NULL));
    for (clo_tool_syntax s = CLO_TOOL_SYNTAX_HERMES; s <= CLO_TOOL_SYNTAX_APERTUS; s++) {
        const clo_tool_choice c = {s, tools, s % 2 ? "now" : NULL, s != CLO_TOOL_SYNTAX_LLAMA3, s % 2 == 0,
                                   s % 2 ? CLO_STR("</think>") : CLO_STR("")};
        clo_grammar *g = NULL, *again = NULL;
        clo_grammar_source src = {0}, read = {0};
        clo_buf one = {0}, two = {0};
        assert_true(clo_tool_grammar(&g, &c, NULL, NULL));
        assert_true(clo_grammar_source_of_tools(&src, &c, NULL));
        assert_true(clo_grammar_source_read(&read, CLO_STR("tools"), clo_buf_str(&src.text), NULL));
        assert_true(clo_grammar_source_compile(&again, &read, NULL));
        for (uint64_t seed = 0; seed < 10; seed++) {
            one.len = two.len = 0;
            assert_int_equal(random_text(&one, g, tok, trie, seed), random_text(&two, again, tok, trie, seed));
            assert_true(clo_str_eq(clo_buf_str(&one), clo_buf_str(&two)));
        }
        clo_buf_free(&one);
        clo_buf_free(&two);
        clo_grammar_source_free(&src);
        clo_grammar_source_free(&read);
        clo_grammar_close(g);
        clo_grammar_close(again);
    }
    clo_vocab_trie_close(trie);
    clo_tok_close(tok);
    json_decref(tools);
}

/* A source that asks nothing, or is none, is no grammar. */
static void sources_that_are_none_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *why, *kind, *text;
        bool reads;
    } rows[] = {
        {"no kind", "none", "{}", false},
        {"an object that is not empty", "json", "{\"a\":1}", false},
        {"white space", "schema", "{ }", false},
        {"a key twice", "schema", "{\"a\":1,\"a\":2}", false},
        {"bytes after it", "schema", "{}x", false},
        {"a real with few digits", "schema", "{\"enum\":[0.1]}", false},
        {"no schema", "schema", "3", true},
        {"no tools", "tools", "{}", true},
        {"tools that ask nothing", "tools",
         "{\"syntax\":\"hermes\",\"only\":null,\"must\":false,\"parallel\":true,\"after\":\"\",\"tools\":[]}", true},
        {"a member more", "tools",
         "{\"syntax\":\"hermes\",\"only\":null,\"must\":false,\"parallel\":true,\"after\":\"\",\"tools\":[],\"x\":1}", true},
        {"a syntax that is none", "tools",
         "{\"syntax\":\"none\",\"only\":null,\"must\":true,\"parallel\":true,\"after\":\"\",\"tools\":[]}", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        clo_grammar_source s = {0};
        clo_grammar *g = NULL;
        clo_err err = {0};
        bool ok = clo_grammar_source_read(&s, clo_str_from(rows[i].kind), clo_str_from(rows[i].text), &err);
        if (ok != rows[i].reads) fail_msg("%s: %s", rows[i].why, ok ? "was read" : err.text);
        if (ok && clo_grammar_source_compile(&g, &s, &err)) fail_msg("%s was compiled", rows[i].why);
        clo_grammar_source_free(&s);
    }
}

/* Where the vocabulary has the mark as a control token, that token comes and not its text. */
static void marks_are_control_tokens_where_there_are_any(void **state)
{
    (void)state;
    json_t *tools = load(tools_text);
    clo_tok *tok = byte_tok_open(tokens, N_TOKENS, NULL);
    clo_vocab_trie *trie = NULL;
    clo_grammar *g = NULL;
    clo_matcher *m = NULL;
    const int32_t stop = END, call = END + 1; /* <|tool_call|> */
    assert_true(clo_vocab_trie_open(&trie, tok, END + 2, NULL));
    clo_tool_choice c = {.syntax = CLO_TOOL_SYNTAX_GRANITE, .tools = tools, .must = true};
    assert_true(clo_tool_grammar(&g, &c, NULL, NULL));
    assert_true(clo_matcher_open(&m, g, trie, &stop, 1, NULL));
    const uint32_t *bits = clo_matcher_mask(m, NULL, 0);
    assert_true(allowed(bits, call));
    assert_false(allowed(bits, '<'));
    assert_false(allowed(bits, '['));
    bits = clo_matcher_mask(m, &call, 1);
    assert_true(allowed(bits, '['));
    assert_false(allowed(bits, call));
    clo_matcher_close(m);
    clo_grammar_close(g);
    c.syntax = CLO_TOOL_SYNTAX_APERTUS; /* whose marks this vocabulary has not */
    assert_true(clo_tool_grammar(&g, &c, NULL, NULL));
    assert_true(clo_matcher_open(&m, g, trie, &stop, 1, NULL));
    bits = clo_matcher_mask(m, NULL, 0);
    assert_true(allowed(bits, '<'));
    assert_false(allowed(bits, call));
    clo_matcher_close(m);
    clo_grammar_close(g);
    clo_vocab_trie_close(trie);
    clo_tok_close(tok);
    json_decref(tools);
}

static void faults_of_tools_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *why, *tools;
        clo_tool_choice choice;
        clo_code code;
        const char *path;
    } rows[] = {
        {"no syntax", "[]", {.syntax = CLO_TOOL_SYNTAX_NONE, .must = true}, CLO_ERR_UNSUPPORTED, ""},
        {"no tools", "[]", {.syntax = CLO_TOOL_SYNTAX_HERMES, .must = true}, CLO_ERR_FORMAT, ""},
        {"a name that is none", "[{\"function\":{\"name\":\"a b\"}}]", {.syntax = CLO_TOOL_SYNTAX_HERMES, .must = true}, CLO_ERR_FORMAT,
         "0.function.name"},
        {"a tool that is not there", "[{\"function\":{\"name\":\"a\"}}]", {.syntax = CLO_TOOL_SYNTAX_HERMES, .only = "b", .must = true},
         CLO_ERR_NOT_FOUND, ""},
        {"a strict tool's unknown keyword",
         "[{\"function\":{\"name\":\"a\"}},{\"function\":{\"name\":\"b\",\"strict\":true,\"parameters\":{\"properties\":{\"x\":{\"not\":{}}}}}}]",
         {.syntax = CLO_TOOL_SYNTAX_HERMES, .must = true}, CLO_ERR_UNSUPPORTED, "1.function.parameters.properties.x.not"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        clo_grammar *g = NULL;
        clo_grammar_notes notes = {0};
        clo_err err = {0};
        clo_tool_choice c = rows[i].choice;
        json_t *tools = load(rows[i].tools);
        c.tools = tools;
        if (clo_tool_grammar(&g, &c, &notes, &err)) fail_msg("%s: accepted", rows[i].why);
        if (err.code != rows[i].code || strcmp(notes.path, rows[i].path) != 0)
            fail_msg("%s: code %d, '%s': %s", rows[i].why, err.code, notes.path, err.text);
        clo_grammar_notes_free(&notes);
        json_decref(tools);
    }
}

static void nothing_is_asked_of_free_text(void **state)
{
    (void)state;
    json_t *tools = load("[{\"function\":{\"name\":\"a\"}}]");
    clo_grammar *g = NULL;
    const clo_tool_choice c = {.syntax = CLO_TOOL_SYNTAX_HERMES, .tools = tools};
    assert_true(clo_tool_grammar(&g, &c, NULL, NULL));
    assert_null(g);
    json_decref(tools);
}

/* The templates of real models show their syntax. */
static void templates_show_their_syntax(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        clo_tool_syntax want;
    } rows[] = {
        {"Qwen-Qwen2.5-7B-Instruct", CLO_TOOL_SYNTAX_HERMES},
        {"Qwen-Qwen3-0.6B", CLO_TOOL_SYNTAX_HERMES},
        {"Qwen-QwQ-32B", CLO_TOOL_SYNTAX_HERMES},
        {"NousResearch-Hermes-3-Llama-3.1-8B-tool_use", CLO_TOOL_SYNTAX_HERMES},
        {"meta-llama-Llama-3.1-8B-Instruct", CLO_TOOL_SYNTAX_LLAMA3},
        {"meta-llama-Llama-3.2-3B-Instruct", CLO_TOOL_SYNTAX_LLAMA3},
        {"mistralai-Mistral-Nemo-Instruct-2407", CLO_TOOL_SYNTAX_MISTRAL},
        {"ibm-granite-granite-3.3-2B-Instruct", CLO_TOOL_SYNTAX_GRANITE},
        {"Apertus-8B-Instruct", CLO_TOOL_SYNTAX_APERTUS},
        {"HuggingFaceTB-SmolLM3-3B", CLO_TOOL_SYNTAX_NONE}, /* an edition without tools */
        {"google-gemma-2-2b-it", CLO_TOOL_SYNTAX_NONE},
        {"microsoft-Phi-3.5-mini-instruct", CLO_TOOL_SYNTAX_NONE},
    };
    const char *shared = getenv("CLOCHE_SHARED");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char path[4096];
        clo_arena arena = {0};
        clo_str text = {0};
        snprintf(path, sizeof path, "%s/data/templates/%s.jinja", shared ? shared : "../shared", rows[i].file);
        if (!clo_path_exists(path)) skip();
        assert_true(clo_file_read(&text, path, 1u << 20, &arena, NULL));
        clo_tool_syntax got = clo_tool_syntax_of(text);
        if (got != rows[i].want) fail_msg("%s: %s", rows[i].file, clo_tool_syntax_name(got));
        clo_arena_free(&arena);
    }
    assert_int_equal(clo_tool_syntax_of(CLO_STR("")), CLO_TOOL_SYNTAX_NONE);
    assert_int_equal(clo_tool_syntax_of(CLO_STR("<tool_call>\n<function=f>\n<parameter=x> arguments")), CLO_TOOL_SYNTAX_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_read_however_they_are_cut),
        cmocka_unit_test(grammars_write_what_readers_read),
        cmocka_unit_test(a_grammar_comes_back_from_its_source),
        cmocka_unit_test(sources_that_are_none_are_refused),
        cmocka_unit_test(marks_are_control_tokens_where_there_are_any),
        cmocka_unit_test(faults_of_tools_are_told),
        cmocka_unit_test(nothing_is_asked_of_free_text),
        cmocka_unit_test(templates_show_their_syntax),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
