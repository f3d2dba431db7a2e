/* Tokenizers: a small byte-level file written here is opened, cut, flipped and compiled; rules of special tokens, long
 * words, invalid UTF-8; real files against recorded ids. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/utf8.h"
#include "model/gguf.h"
#include "model/tokenizer.h"

/* A whole tokenizer: every byte that the texts here use, a few merges, special and other added tokens. */
#define VOCAB "\"a\":0,\"b\":1,\"c\":2,\"\\u0120\":3,\"ab\":4,\"abc\":5,\"\\u0120a\":6,\"1\":7,\"2\":8,\"'\":9,\"s\":10," \
              "\"\\u00ef\":11,\"\\u00bf\":12,\"\\u00bd\":13,\"\\u010a\":14,\"aa\":15,\"aaaa\":16,\"<\":17,\"e\":18,\">\":19"
#define ADDED "{\"id\":20,\"content\":\"<e>\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false," \
              "\"normalized\":false,\"special\":true}," \
              "{\"id\":21,\"content\":\"<ee>\",\"single_word\":false,\"lstrip\":true,\"rstrip\":true," \
              "\"normalized\":false,\"special\":false}"
#define FILE_OF(added, pre, vocab, merges) \
    "{\"version\":\"1.0\",\"added_tokens\":[" added "],\"normalizer\":null,\"pre_tokenizer\":" pre "," \
    "\"post_processor\":null,\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"vocab\":{" vocab "}," \
    "\"merges\":[" merges "]}}"
#define BYTE_LEVEL "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true}"
#define MERGES "\"a b\",\"ab c\",\"\\u0120 a\",[\"a\",\"a\"],[\"aa\",\"aa\"]"
#define SMALL FILE_OF(ADDED, BYTE_LEVEL, VOCAB, MERGES)
#define CONFIG "{\"model_max_length\":1000000000000000019884624838656,\"eos_token\":{\"content\":\"<e>\"}," \
               "\"chat_template\":[{\"name\":\"default\",\"template\":\"D\"},{\"name\":\"tool_use\",\"template\":\"T\"}]}"

static clo_tok *open_small(void)
{
    clo_err err = {0};
    clo_tok *t = NULL;
    if (!clo_tok_open_json(&t, CLO_STR(SMALL), CLO_STR(CONFIG), &err)) fail_msg("%s", err.text);
    return t;
}

/* The ids of text, as "1 2 3". */
static const char *ids_of(const clo_tok *t, clo_str text, bool special, char out[4096])
{
    clo_err err = {0};
    clo_ids ids = {0};
    if (!clo_tok_encode(t, &ids, text, (clo_tok_opts){.parse_special = special}, &err)) fail_msg("%s", err.text);
    size_t at = 0;
    out[0] = 0;
    for (size_t i = 0; i < ids.n && at < 4000; i++)
        at += (size_t)snprintf(out + at, 4096 - at, "%s%d", i ? " " : "", (int)ids.ids[i]);
    clo_ids_free(&ids);
    return out;
}

static void text_becomes_the_ids_that_the_merges_say(void **state)
{
    static const struct {
        const char *why;
        clo_str in;
        bool special;
        const char *want;
    } rows[] = {
        {"the empty text", {"", 0}, false, ""},
        {"a word made by two merges", {"abc", 3}, false, "5"},
        {"lowest rank first", {"aab", 3}, false, "0 4"},
        {"leftmost of equals", {"aaa", 3}, false, "15 0"},
        {"a space goes with the word behind it", {"a ac", 4}, false, "0 6 2"},
        {"a run of spaces leaves its last to the word", {"a  a", 4}, false, "0 3 6"},
        {"a special token is text to a user", {"<e>", 3}, false, "17 18 19"},
        {"and itself to a template", {"<e>", 3}, true, "20"},
        {"an added token that is not special always counts", {"a<ee>b", 6}, false, "0 21 1"},
        {"the longest of two added tokens", {"<ee>", 4}, true, "21"},
        {"lstrip and rstrip swallow white space", {"a \n<ee>  b", 10}, false, "0 21 1"},
        {"invalid UTF-8 is U+FFFD", {"a\xFF", 2}, false, "0 11 12 13"},
        {"a byte without token vanishes and its neighbours meet", {"aZb", 3}, false, "4"},
    };
    (void)state;
    clo_tok *t = open_small();
    char got[4096];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ids_of(t, rows[i].in, rows[i].special, got);
        if (strcmp(got, rows[i].want) != 0) fail_msg("%s: want %s, got %s", rows[i].why, rows[i].want, got);
    }
    clo_tok_close(t);
}

static void what_is_known_of_ids_is_told(void **state)
{
    (void)state;
    clo_tok *t = open_small();
    int32_t stop[4];
    assert_int_equal(clo_tok_n_vocab(t), 22);
    assert_int_equal(clo_tok_eos(t), 20);
    assert_int_equal(clo_tok_bos(t), -1);
    assert_true(clo_tok_is_special(t, 20));
    assert_false(clo_tok_is_special(t, 21));
    assert_false(clo_tok_is_special(t, -5));
    assert_int_equal(clo_tok_stop_ids(t, stop, 4), 1);
    assert_int_equal(stop[0], 20);
    assert_int_equal(clo_tok_id(t, CLO_STR("abc")), 5);
    assert_int_equal(clo_tok_id(t, CLO_STR("nothing")), -1);
    assert_true(clo_str_eq(clo_tok_name(t, 6), CLO_STR("\xC4\xA0" "a")));
    assert_true(clo_str_eq(clo_tok_piece(t, 6, false), CLO_STR(" a")));
    assert_int_equal(clo_tok_piece(t, 20, false).len, 0);
    assert_true(clo_str_eq(clo_tok_piece(t, 20, true), CLO_STR("<e>")));
    assert_int_equal(clo_tok_piece(t, 1000, true).len, 0);
    assert_true(clo_str_eq(clo_tok_template(t, false), CLO_STR("D")));
    assert_true(clo_str_eq(clo_tok_template(t, true), CLO_STR("T")));
    assert_true(clo_str_eq(clo_tok_special(t, "eos_token"), CLO_STR("<e>")));
    assert_int_equal(clo_tok_special(t, "pad_token").len, 0);
    clo_tok_close(t);
}

static void decoding_gives_the_text_back(void **state)
{
    static const int32_t ids[] = {5, 6, 20, 11, 12, 13, 11, -1, 99, 4};
    (void)state;
    clo_tok *t = open_small();
    clo_err err = {0};
    clo_buf out = {0};
    assert_true(clo_tok_decode(t, &out, ids, 10, false, &err));
    assert_true(clo_str_eq(clo_buf_str(&out), CLO_STR("abc a\xEF\xBF\xBD\xEF\xBF\xBD" "ab")));
    out.len = 0;
    assert_true(clo_tok_decode(t, &out, ids, 3, true, &err));
    assert_true(clo_str_eq(clo_buf_str(&out), CLO_STR("abc a<e>")));
    clo_buf_free(&out);
    clo_tok_close(t);
}

static void files_that_cannot_be_trusted_are_refused(void **state)
{
#define X(pre) FILE_OF(ADDED, pre, VOCAB, MERGES)
    static const struct {
        const char *why;
        const char *json;
        clo_code want;
    } rows[] = {
        {"no JSON", "hello", CLO_ERR_FORMAT},
        {"no object", "[]", CLO_ERR_FORMAT},
        {"no model", "{}", CLO_ERR_FORMAT},
        {"an unknown pre-tokenizer", X("{\"type\":\"Magic\"}"), CLO_ERR_UNSUPPORTED},
        {"a step behind ByteLevel", X("{\"type\":\"Sequence\",\"pretokenizers\":[" BYTE_LEVEL ",{\"type\":\"Whitespace\"}]}"),
         CLO_ERR_UNSUPPORTED},
        {"two tokens with one id", FILE_OF("", BYTE_LEVEL, "\"a\":0,\"b\":0", ""), CLO_ERR_FORMAT},
        {"one token with two ids", FILE_OF("", BYTE_LEVEL, "\"a\":0,\"a\":1", ""), CLO_ERR_FORMAT},
        {"a negative id", FILE_OF("", BYTE_LEVEL, "\"a\":-1", ""), CLO_ERR_LIMIT},
        {"an id that is no integer", FILE_OF("", BYTE_LEVEL, "\"a\":0.5", ""), CLO_ERR_LIMIT},
        {"an id of billions", FILE_OF("", BYTE_LEVEL, "\"a\":4000000000", ""), CLO_ERR_LIMIT},
        {"an id far above what there are tokens for", FILE_OF("", BYTE_LEVEL, "\"a\":3999999", ""), CLO_ERR_LIMIT},
        {"no token at all", FILE_OF("", BYTE_LEVEL, "", ""), CLO_ERR_FORMAT},
        {"a merge of three", FILE_OF("", BYTE_LEVEL, VOCAB, "\"a b c\""), CLO_ERR_FORMAT},
        {"a merge of one", FILE_OF("", BYTE_LEVEL, VOCAB, "\"a\""), CLO_ERR_FORMAT},
        {"a merge into no token", FILE_OF("", BYTE_LEVEL, VOCAB, "\"c c\""), CLO_ERR_FORMAT},
        {"an added token with another's id", FILE_OF("{\"id\":0,\"content\":\"x\"}", BYTE_LEVEL, VOCAB, ""), CLO_ERR_FORMAT},
        {"a pattern that does not compile",
         X("{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(\"},\"behavior\":\"Isolated\"}"), CLO_ERR_UNSUPPORTED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        clo_err err = {0};
        clo_tok *t = NULL;
        if (clo_tok_open_json(&t, clo_str_from(rows[i].json), CLO_STR(""), &err)) fail_msg("%s: accepted", rows[i].why);
        if (err.code != rows[i].want) fail_msg("%s: code %d, want %d: %s", rows[i].why, (int)err.code, (int)rows[i].want, err.text);
        assert_null(t);
    }
#undef X
}

/* Ten bytes a step: six steps of a normaliser, then of a decoder, would make a million of one. */
static void steps_that_replace_cannot_make_a_text_huge(void **state)
{
#define TEN "{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"aaaaaaaaaa\"}"
#define SIX(list) "{\"type\":\"Sequence\",\"" list "\":[" TEN "," TEN "," TEN "," TEN "," TEN "," TEN "]}"
#define MODEL "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}}"
    (void)state;
    for (int decoding = 0; decoding < 2; decoding++) {
        clo_err err = {0};
        clo_tok *t = NULL;
        clo_ids ids = {0};
        clo_buf out = {0};
        clo_str json = decoding ? CLO_STR("{\"decoder\":" SIX("decoders") "," MODEL)
                                : CLO_STR("{\"normalizer\":" SIX("normalizers") "," MODEL);
        assert_true(clo_tok_open_json(&t, json, CLO_STR(""), &err));
        assert_int_equal(clo_tok_encode(t, &ids, CLO_STR("a"), (clo_tok_opts){0}, &err), decoding);
        if (decoding) assert_false(clo_tok_decode(t, &out, ids.ids, ids.n, true, &err));
        assert_int_equal(err.code, CLO_ERR_LIMIT);
        clo_buf_free(&out);
        clo_ids_free(&ids);
        clo_tok_close(t);
    }
#undef TEN
#undef SIX
#undef MODEL
}

static void every_cut_off_prefix_is_refused(void **state)
{
    clo_str whole = CLO_STR(SMALL);
    (void)state;
    for (size_t n = 0; n < whole.len; n++) {
        clo_err err = {0};
        clo_tok *t = NULL;
        if (clo_tok_open_json(&t, (clo_str){whole.ptr, n}, CLO_STR(""), &err)) fail_msg("%zu bytes were accepted", n);
    }
}

static void every_flipped_byte_is_survived(void **state)
{
    clo_str whole = CLO_STR(SMALL);
    char *copy = malloc(whole.len), got[4096];
    (void)state;
    assert_non_null(copy);
    for (size_t i = 0; i < whole.len; i++) {
        clo_err err = {0};
        clo_tok *t = NULL;
        memcpy(copy, whole.ptr, whole.len);
        copy[i] = (char)(copy[i] ^ (1 << i % 8));
        if (!clo_tok_open_json(&t, (clo_str){copy, whole.len}, CLO_STR(""), &err)) continue;
        clo_ids ids = {0};
        if (clo_tok_encode(t, &ids, CLO_STR("abc a<ee>'s 12\n"), (clo_tok_opts){.parse_special = true}, &err))
            ids_of(t, CLO_STR("abc"), false, got);
        clo_ids_free(&ids);
        clo_tok_close(t);
    }
    free(copy);
}

static void the_compiled_form_is_the_same_and_survives_damage(void **state)
{
    (void)state;
    clo_tok *t = open_small(), *u = NULL;
    clo_err err = {0};
    clo_buf blob = {0};
    char a[4096], b[4096];
    assert_true(clo_tok_save(t, &blob, &err));
    clo_bytes bytes = {(const uint8_t *)blob.ptr, blob.len};
    assert_true(clo_tok_open_compiled(&u, bytes, &err));
    clo_str text = CLO_STR("abc a <ee> <e>'s\n12 aaaaaaa");
    assert_string_equal(ids_of(t, text, true, a), ids_of(u, text, true, b));
    clo_tok_close(u);
    for (size_t n = 0; n < blob.len; n += 7) assert_false(clo_tok_open_compiled(&u, (clo_bytes){bytes.ptr, n}, &err));
    for (size_t i = 0; i < blob.len; i++) {
        char was = blob.ptr[i];
        blob.ptr[i] = (char)(was ^ (0x80 >> i % 8));
        if (clo_tok_open_compiled(&u, bytes, &err)) {
            clo_ids ids = {0};
            clo_buf out = {0};
            bool ok = clo_tok_encode(u, &ids, text, (clo_tok_opts){true, true}, &err) &&
                      clo_tok_decode(u, &out, ids.ids, ids.n, true, &err);
            (void)ok;
            (void)clo_tok_template(u, true);
            clo_ids_free(&ids);
            clo_buf_free(&out);
            clo_tok_close(u);
        }
        blob.ptr[i] = was;
    }
    clo_buf_free(&blob);
    clo_tok_close(t);
}

static void a_long_word_costs_no_more_a_byte_than_its_logarithm(void **state)
{
    enum { N = 1000000 };
    (void)state;
    clo_tok *t = open_small();
    clo_err err = {0};
    clo_ids ids = {0};
    char *word = malloc(N);
    assert_non_null(word);
    memset(word, 'a', N);
    assert_true(clo_tok_encode(t, &ids, (clo_str){word, N}, (clo_tok_opts){0}, &err));
    assert_int_equal(ids.n, N / 4);
    for (size_t i = 0; i < ids.n; i++) assert_int_equal(ids.ids[i], 16);
    free(word);
    clo_ids_free(&ids);
    clo_tok_close(t);
}

/* --- real files ----------------------------------------------------------------------------------------------------*/

static const char *shared_path(const char *name, char out[4096])
{
    const char *shared = getenv("CLOCHE_SHARED");
    snprintf(out, 4096, "%s/data/%s", shared ? shared : "../shared", name);
    return clo_path_exists(out) ? out : NULL;
}

static void olmo_2_gives_the_ids_of_the_library(void **state)
{
    char path[4096], got[4096];
    (void)state;
    if (!shared_path("tokenizers/olmo2-dolma2-tokenizer.json", path)) skip();
    clo_arena arena = clo_arena_make((size_t)64 << 20);
    clo_err err = {0};
    clo_str json;
    clo_tok *t = NULL;
    assert_true(clo_file_read(&json, path, (size_t)32 << 20, &arena, &err));
    assert_true(clo_tok_open_json(&t, json, CLO_STR(""), &err));
    assert_string_equal(ids_of(t, CLO_STR("Hello world"), false, got), "9906 1917");
    assert_string_equal(ids_of(t, CLO_STR("1234567"), false, got), "4513 10961 22");
    assert_string_equal(ids_of(t, CLO_STR("<|im_start|>"), true, got), "100264");
    clo_tok_close(t);
    clo_arena_free(&arena);
}

static void gguf_vocabularies_give_their_published_ids(void **state)
{
    static const char *const names[] = {"gpt-2", "starcoder", "llama-spm", "bert-bge"};
    char path[4096], got[4096], want[4096];
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        char name[64];
        clo_err err = {0};
        clo_arena arena = clo_arena_make((size_t)64 << 20);
        clo_map map = {0};
        clo_gguf g;
        clo_tok *t = NULL;
        clo_str in, out, mark = CLO_STR("\n__ggml_vocab_test__\n");
        snprintf(name, sizeof name, "vocab/%s.gguf.inp", names[i]);
        if (!shared_path(name, path)) skip();
        assert_true(clo_file_read(&in, path, 1u << 20, &arena, &err));
        snprintf(name, sizeof name, "vocab/%s.gguf.out", names[i]);
        assert_true(clo_file_read(&out, shared_path(name, path), 1u << 20, &arena, &err));
        snprintf(name, sizeof name, "vocab/%s.gguf", names[i]);
        assert_true(clo_map_open(&map, shared_path(name, path), &err) && clo_gguf_parse(&g, map.bytes, &arena, &err));
        if (!clo_tok_open_gguf(&t, &g, &err)) fail_msg("%s: %s", names[i], err.text);
        for (size_t a = 0, o = 0; a <= in.len && o < out.len;) {
            const char *m = memmem(in.ptr + a, in.len - a, mark.ptr, mark.len);
            size_t end = m ? (size_t)(m - in.ptr) : in.len, line = clo_str_find(out, o, '\n');
            size_t skip_space = o < line && out.ptr[o] == ' ';
            snprintf(want, sizeof want, "%.*s", (int)(line - o - skip_space), out.ptr + o + skip_space);
            assert_string_equal(ids_of(t, (clo_str){in.ptr + a, end - a}, false, got), want);
            a = end + mark.len;
            o = line + 1;
        }
        clo_tok_close(t);
        clo_map_close(&map);
        clo_arena_free(&arena);
    }
}

static void put_file(const char *folder, const char *name, clo_str text)
{
    char path[4096];
    clo_err err = {0};
    if (!clo_path_join(path, &err, "%s/%s", folder, name) ||
        !clo_file_write_atomic(path, (clo_bytes){(const uint8_t *)text.ptr, text.len}, &err))
        fail_msg("%s", err.text);
}

/* Opens folder/name and compares its template; "" is the folder itself. */
static void expect_template(const char *folder, const char *name, const char *want)
{
    char path[4096];
    clo_err err = {0};
    clo_map map = {0};
    clo_arena keep = clo_arena_make(0);
    clo_tok *t = NULL;
    if (!clo_path_join(path, &err, "%s/%s", folder, name) || !clo_tok_open_path(&t, &map, path, &keep, &err))
        fail_msg("%s: %s", name, err.text);
    assert_true(clo_str_eq(clo_tok_template(t, false), clo_str_from(want)));
    clo_tok_close(t);
    clo_map_close(&map);
    clo_arena_free(&keep);
}

static void a_tokenizer_opens_from_where_it_lies(void **state)
{
    (void)state;
    char folder[] = "/tmp/cloche-tok-XXXXXX", line[4200];
    clo_err err = {0};
    clo_map map = {0};
    clo_arena keep = clo_arena_make(0);
    clo_buf blob = {0};
    assert_non_null(mkdtemp(folder));
    clo_tok *t = NULL;
    assert_false(clo_tok_open_path(&t, &map, folder, &keep, &err));
    assert_int_equal(err.code, CLO_ERR_NOT_FOUND);
    put_file(folder, "tokenizer.json", CLO_STR(SMALL));
    expect_template(folder, "", "");
    put_file(folder, "tokenizer_config.json", CLO_STR(CONFIG));
    expect_template(folder, "", "D");
    put_file(folder, "chat_template.jinja", CLO_STR("J"));
    expect_template(folder, "", "J");
    expect_template(folder, "tokenizer.json", "J");
    t = open_small();
    assert_true(clo_tok_save(t, &blob, &err));
    put_file(folder, "compiled", clo_buf_str(&blob));
    expect_template(folder, "compiled", "D");
    clo_tok_close(t);
    clo_buf_free(&blob);
    clo_arena_free(&keep);
    snprintf(line, sizeof line, "rm -r %s", folder);
    assert_int_equal(system(line), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_becomes_the_ids_that_the_merges_say),
        cmocka_unit_test(what_is_known_of_ids_is_told),
        cmocka_unit_test(decoding_gives_the_text_back),
        cmocka_unit_test(files_that_cannot_be_trusted_are_refused),
        cmocka_unit_test(steps_that_replace_cannot_make_a_text_huge),
        cmocka_unit_test(every_cut_off_prefix_is_refused),
        cmocka_unit_test(every_flipped_byte_is_survived),
        cmocka_unit_test(the_compiled_form_is_the_same_and_survives_damage),
        cmocka_unit_test(a_tokenizer_opens_from_where_it_lies),
        cmocka_unit_test(a_long_word_costs_no_more_a_byte_than_its_logarithm),
        cmocka_unit_test(olmo_2_gives_the_ids_of_the_library),
        cmocka_unit_test(gguf_vocabularies_give_their_published_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
