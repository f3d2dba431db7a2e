/* The tokenizer of a GGUF file, from its tokenizer.ggml.* keys (docs/formats/gguf.md).
 *
 * GGUF names a pre-tokenizer and carries no normaliser; `pres` gives both for the names we know, so that ids equal those
 * of the tokenizer.json the file was made from (Qwen and OLMo 1 normalise to NFC).
 */
#include <stdlib.h>

#include "model/gguf.h"
#include "model/tok_build.h"
#include "model/tok_unicode.h"

#define KEY "tokenizer.ggml."

enum { TYPE_NORMAL = 1, TYPE_UNKNOWN, TYPE_CONTROL, TYPE_USER_DEFINED, TYPE_UNUSED, TYPE_BYTE };

#define SPACE_MARK CLO_STR("\xE2\x96\x81") /* U+2581 */

/* Patterns without a scanner. */
#define HEAD_UPPER "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define RUN_LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define SHORT_FORM "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
#define OTHERS "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
static const char o200k[] =
    HEAD_UPPER "*" RUN_LOWER "+" SHORT_FORM "|" HEAD_UPPER "+" RUN_LOWER "*" SHORT_FORM "|\\p{N}{1,3}" OTHERS;
static const char tekken[] = HEAD_UPPER "*" RUN_LOWER "+|" HEAD_UPPER "+" RUN_LOWER "*|\\p{N}" OTHERS;

static const struct {
    const char *name;
    tok_scan scan; /* 0: by a pattern */
    bool digits;   /* each digit by itself first */
    bool nfc;
    bool ignore_merges;
    bool add_bos; /* when the file does not say */
    const char *pattern;
} pres[] = {
    {"gpt-2", TOK_SCAN_GPT2, false, false, false, false, NULL},
    {"phi-2", TOK_SCAN_GPT2, false, false, false, false, NULL},
    {"roberta-bpe", TOK_SCAN_GPT2, false, false, false, false, NULL},
    {"olmo", TOK_SCAN_GPT2, false, true, false, false, NULL},
    {"mpt", TOK_SCAN_GPT2, false, false, false, false, NULL},
    {"smollm", TOK_SCAN_GPT2, true, false, false, false, NULL},
    {"starcoder", TOK_SCAN_GPT2, true, false, false, false, NULL},
    {"refact", TOK_SCAN_GPT2, true, false, false, false, NULL},
    {"command-r", TOK_SCAN_GPT2, true, true, false, false, NULL},
    {"codeshell", TOK_SCAN_GPT2, true, false, false, false, NULL},
    {"llama3", TOK_SCAN_CL100K, false, false, true, true, NULL},
    {"llama-v3", TOK_SCAN_CL100K, false, false, true, true, NULL},
    {"llama-bpe", TOK_SCAN_CL100K, false, false, true, true, NULL},
    {"falcon3", TOK_SCAN_CL100K, false, false, true, true, NULL},
    {"smaug-bpe", TOK_SCAN_CL100K, false, false, false, false, NULL},
    {"dbrx", TOK_SCAN_CL100K, false, false, false, false, NULL},
    {"qwen2", TOK_SCAN_QWEN2, false, true, false, false, NULL},
    {"deepseek-r1-qwen", TOK_SCAN_QWEN2, false, true, false, false, NULL},
    {"megrez", TOK_SCAN_QWEN2, false, true, false, false, NULL},
    {"stablelm2", TOK_SCAN_QWEN2, false, false, false, false, NULL},
    {"gpt-4o", (tok_scan)0, false, false, false, false, o200k},
    {"llama4", (tok_scan)0, false, false, false, false, o200k},
    {"tekken", (tok_scan)0, false, false, true, true, tekken},
    {"hunyuan", TOK_SCAN_QWEN2, false, false, false, false, NULL},
};

/* A string array of the file in the arena; empty when the key is absent. */
static bool strings_of(tok_build *b, const clo_gguf *g, const char *key, size_t max, clo_str **out, size_t *n,
                       clo_err *err)
{
    *out = NULL;
    *n = 0;
    const clo_gguf_kv *kv = clo_gguf_find(g, key);
    if (!kv) return true;
    if (kv->type != CLO_GGUF_ARRAY || kv->elem != CLO_GGUF_STR)
        return clo_fail(err, CLO_ERR_FORMAT, "key '%s' is not a list of strings", key);
    if (kv->n > max)
        return clo_fail(err, CLO_ERR_LIMIT, "key '%s': %llu strings, limit %zu", key, (unsigned long long)kv->n, max);
    if (!(*out = CLO_NEW(&b->arena, clo_str, (size_t)kv->n + 1))) return clo_arena_full(&b->arena, err);
    clo_gguf_array_strs(kv, *out);
    *n = (size_t)kv->n;
    return true;
}

static const clo_gguf_kv *numbers_of(const clo_gguf *g, const char *key, size_t n)
{
    const clo_gguf_kv *kv = clo_gguf_find(g, key);
    return kv && kv->type == CLO_GGUF_ARRAY && kv->elem != CLO_GGUF_STR && kv->n == n ? kv : NULL;
}

static uint8_t flags_of_type(int64_t type)
{
    switch (type) {
    case TYPE_UNKNOWN:
    case TYPE_CONTROL:
        return TOK_ADDED | TOK_SPECIAL;
    case TYPE_USER_DEFINED:
        return TOK_IN_MODEL | TOK_ADDED;
    case TYPE_BYTE:
        return TOK_IN_MODEL | TOK_BYTE;
    default:
        return TOK_IN_MODEL;
    }
}

static bool read_vocab(tok_build *b, const clo_gguf *g, clo_err *err)
{
    clo_str *tokens;
    size_t n;
    if (!strings_of(b, g, KEY "tokens", TOK_VOCAB_MAX, &tokens, &n, err)) return false;
    if (n == 0) return clo_fail(err, CLO_ERR_FORMAT, "no " KEY "tokens");
    const clo_gguf_kv *types = numbers_of(g, KEY "token_type", n), *scores = numbers_of(g, KEY "scores", n);
    for (size_t i = n; i-- > 0;) { /* from the end: tables grow once */
        uint8_t f = types ? flags_of_type(clo_gguf_array_int(types, i)) : TOK_IN_MODEL;
        double score = scores ? clo_gguf_array_num(scores, i) : 0;
        if (!clo_tokb_token(b, (int64_t)i, tokens[i], f, score, err)) return false;
    }
    if (!clo_tokb_index(b, err)) return false;
    for (size_t i = 0; i < n; i++) {
        if ((b->id_flags[i] & TOK_ADDED) && !clo_tokb_added(b, 0, tokens[i], (int32_t)i, err)) return false;
    }
    return true;
}

static bool read_merges(tok_build *b, const clo_gguf *g, clo_err *err)
{
    clo_str *merges;
    size_t n;
    if (!strings_of(b, g, KEY "merges", TOK_MERGES_MAX, &merges, &n, err)) return false;
    for (size_t i = 0; i < n; i++) {
        size_t at = clo_str_find(merges[i], 1, ' ');
        bool known;
        if (at >= merges[i].len) return clo_fail(err, CLO_ERR_FORMAT, "merge %zu has no two parts", i);
        clo_str left = {merges[i].ptr, at}, right = clo_str_from_off(merges[i], at + 1);
        if (!clo_tokb_merge(b, left, right, (uint32_t)i, &known, err)) return false;
    }
    return true;
}

static int32_t id_of(const tok_build *b, const clo_gguf *g, const char *key, int64_t fallback)
{
    int64_t id = clo_gguf_int(g, key, fallback);
    return id >= 0 && id < (int64_t)b->n_vocab ? (int32_t)id : -1;
}

/* --- models --------------------------------------------------------------------------------------------------------*/

static bool step(tok_build *b, int stage, tok_step_def s, clo_err *err)
{
    return clo_tokb_step(b, stage, s, err);
}

static bool model_gpt2(tok_build *b, const clo_gguf *g, bool *add_bos, clo_err *err)
{
    clo_str pre = clo_gguf_str(g, KEY "pre", CLO_STR("gpt-2"));
    size_t i = 0;
    while (i < sizeof pres / sizeof *pres && !clo_str_eq(pre, clo_str_from(pres[i].name)))
        i++;
    if (i == sizeof pres / sizeof *pres)
        return clo_fail(err, CLO_ERR_UNSUPPORTED, "pre-tokenizer '" CLO_STR_FMT "'", CLO_STR_ARG(pre));
    b->model = TOK_MODEL_BPE_BYTES;
    if (pres[i].ignore_merges) b->flags |= TOK_IGNORE_MERGES;
    *add_bos = pres[i].add_bos;
    if (pres[i].nfc && !step(b, TOK_STAGE_NORM, (tok_step_def){.kind = TOK_NORM_NFC}, err)) return false;
    if (pres[i].digits && !step(b, TOK_STAGE_PRE, (tok_step_def){.kind = TOK_PRE_DIGITS, .a = 1}, err)) return false;
    tok_step_def cut = {.kind = TOK_PRE_SCAN, .a = (uint32_t)pres[i].scan};
    if (pres[i].pattern)
        cut = (tok_step_def){.kind = TOK_PRE_REGEX, .a = TOK_SPLIT_ISOLATED, .s1 = clo_str_from(pres[i].pattern)};
    return step(b, TOK_STAGE_PRE, cut, err) &&
           step(b, TOK_STAGE_DEC, (tok_step_def){.kind = TOK_DEC_BYTE_LEVEL}, err) && read_merges(b, g, err);
}

static bool model_llama(tok_build *b, const clo_gguf *g, clo_err *err)
{
    bool space = clo_gguf_bool(g, KEY "add_space_prefix", true);
    b->model = TOK_MODEL_BPE_CHARS;
    b->flags |= TOK_BYTE_FALLBACK | TOK_FUSE_UNK;
    if (space && !step(b, TOK_STAGE_NORM, (tok_step_def){.kind = TOK_NORM_PREPEND, .s1 = CLO_STR(" ")}, err))
        return false;
    tok_step_def mark = {.kind = TOK_NORM_REPLACE, .s1 = CLO_STR(" "), .s2 = SPACE_MARK};
    tok_step_def back = {.kind = TOK_DEC_REPLACE, .s1 = SPACE_MARK, .s2 = CLO_STR(" ")};
    if (!step(b, TOK_STAGE_NORM, mark, err) || !step(b, TOK_STAGE_DEC, back, err) ||
        !step(b, TOK_STAGE_DEC, (tok_step_def){.kind = TOK_DEC_BYTE_FALLBACK}, err) ||
        !step(b, TOK_STAGE_DEC, (tok_step_def){.kind = TOK_DEC_FUSE}, err))
        return false;
    if (space && !step(b, TOK_STAGE_DEC, (tok_step_def){.kind = TOK_DEC_STRIP, .a = 1, .s1 = CLO_STR(" ")}, err))
        return false;
    return clo_tokb_merges_by_score(b, err);
}

static bool model_t5(tok_build *b, const clo_gguf *g, clo_err *err)
{
    const clo_gguf_kv *map = clo_gguf_find(g, KEY "precompiled_charsmap");
    b->model = TOK_MODEL_UNIGRAM;
    b->min_score = 0;
    for (size_t i = 0; i < b->n_vocab; i++) {
        if ((b->id_flags[i] & TOK_IN_MODEL) && b->scores[i] < b->min_score) b->min_score = b->scores[i];
    }
    if (map && map->type == CLO_GGUF_ARRAY && map->n > 0 &&
        !step(b, TOK_STAGE_NORM, (tok_step_def){.kind = TOK_NORM_CHARSMAP, .s1 = clo_str_of(map->raw)}, err))
        return false;
    if (clo_gguf_bool(g, KEY "remove_extra_whitespaces", true) &&
        !step(b, TOK_STAGE_PRE, (tok_step_def){.kind = TOK_PRE_WHITESPACE_SPLIT}, err))
        return false;
    tok_step_def mark = {.kind = TOK_PRE_METASPACE,
                         .s1 = SPACE_MARK,
                         .b = 1,
                         .a = clo_gguf_bool(g, KEY "add_space_prefix", true) ? TOK_PREPEND_ALWAYS : TOK_PREPEND_NEVER};
    return step(b, TOK_STAGE_PRE, mark, err) &&
           step(b, TOK_STAGE_DEC, (tok_step_def){.kind = TOK_DEC_METASPACE, .s1 = SPACE_MARK, .a = 1}, err);
}

static bool model_bert(tok_build *b, const clo_gguf *g, clo_err *err)
{
    static const uint32_t norm[] = {TOK_NORM_BERT_CLEAN, TOK_NORM_BERT_CJK, TOK_NORM_NFD, TOK_NORM_STRIP_ACCENTS,
                                    TOK_NORM_LOWER};
    (void)g;
    b->model = TOK_MODEL_WORDPIECE;
    b->flags |= TOK_WORDS_PLAIN;
    b->prefix = SPACE_MARK;
    for (size_t i = 0; i < sizeof norm / sizeof *norm; i++) {
        if (!step(b, TOK_STAGE_NORM, (tok_step_def){.kind = norm[i]}, err)) return false;
    }
    tok_step_def back = {.kind = TOK_DEC_REPLACE, .s1 = SPACE_MARK, .s2 = CLO_STR(" ")};
    return step(b, TOK_STAGE_PRE, (tok_step_def){.kind = TOK_PRE_BERT}, err) && step(b, TOK_STAGE_DEC, back, err) &&
           step(b, TOK_STAGE_DEC, (tok_step_def){.kind = TOK_DEC_FUSE}, err) &&
           step(b, TOK_STAGE_DEC, (tok_step_def){.kind = TOK_DEC_STRIP, .a = 1, .s1 = CLO_STR(" ")}, err);
}

/* --- the rest ------------------------------------------------------------------------------------------------------*/

static const struct {
    const char *key, *name;
} named[] = {
    {KEY "bos_token_id", "bos_token"},       {KEY "eos_token_id", "eos_token"},
    {KEY "unknown_token_id", "unk_token"},   {KEY "padding_token_id", "pad_token"},
    {KEY "seperator_token_id", "sep_token"}, {KEY "cls_token_id", "cls_token"},
    {KEY "mask_token_id", "mask_token"},     {KEY "eot_token_id", "eot_token"},
    {KEY "eom_token_id", "eom_token"},
};

static bool read_named(tok_build *b, const clo_gguf *g, clo_err *err)
{
    for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
        int32_t id = id_of(b, g, named[i].key, -1);
        if (id >= 0 && !clo_tokb_named(b, clo_str_from(named[i].name), b->names[id], err)) return false;
    }
    clo_tokb_stop(b, b->eos);
    clo_tokb_stop(b, id_of(b, g, KEY "eot_token_id", -1));
    clo_tokb_stop(b, id_of(b, g, KEY "eom_token_id", -1));
    clo_tokb_stop_known(b);
    return true;
}

static bool read_templates(tok_build *b, const clo_gguf *g, clo_err *err)
{
    clo_str main = clo_gguf_str(g, "tokenizer.chat_template", CLO_STR(""));
    if (main.len > 0 && !clo_tokb_template(b, CLO_STR("default"), main, err)) return false;
    clo_str *names;
    size_t n;
    if (!strings_of(b, g, "tokenizer.chat_templates", 16, &names, &n, err)) return false;
    for (size_t i = 0; i < n; i++) {
        clo_buf key = {.max = 512};
        clo_buf_addf(&key, "tokenizer.chat_template.%.*s", (int)(names[i].len < 400 ? names[i].len : 400),
                     names[i].ptr);
        clo_str text = key.failed ? CLO_STR("") : clo_gguf_str(g, key.ptr, CLO_STR(""));
        clo_buf_free(&key);
        if (text.len > 0 && b->n_templates < 16 && !clo_tokb_template(b, names[i], text, err)) return false;
    }
    return true;
}

static bool read_all(tok_build *b, const clo_gguf *g, clo_err *err)
{
    clo_str model = clo_gguf_str(g, KEY "model", CLO_STR(""));
    bool gpt2 = clo_str_eq(model, CLO_STR("gpt2")), llama = clo_str_eq(model, CLO_STR("llama"));
    bool bert = clo_str_eq(model, CLO_STR("bert")), t5 = clo_str_eq(model, CLO_STR("t5"));
    if (!gpt2 && !llama && !bert && !t5)
        return clo_fail(err, CLO_ERR_UNSUPPORTED, KEY "model '" CLO_STR_FMT "'", CLO_STR_ARG(model));
    bool add_bos = llama || bert, add_eos = bert || t5;
    if (!read_vocab(b, g, err)) return false;
    b->bos = id_of(b, g, bert ? KEY "cls_token_id" : KEY "bos_token_id", bert ? 101 : llama ? 1 : gpt2 ? 11 : -1);
    b->eos = id_of(b, g, bert ? KEY "seperator_token_id" : KEY "eos_token_id", bert ? 102 : t5 ? 1 : llama ? 2 : 11);
    b->unk = id_of(b, g, KEY "unknown_token_id", bert ? 100 : t5 ? 2 : llama ? 0 : -1);
    if (gpt2 && !model_gpt2(b, g, &add_bos, err)) return false;
    if (llama && !model_llama(b, g, err)) return false;
    if (t5 && !model_t5(b, g, err)) return false;
    if (bert && !model_bert(b, g, err)) return false;
    if (clo_gguf_bool(g, KEY "add_bos_token", add_bos) && b->bos >= 0) b->prefix_ids[b->n_prefix++] = b->bos;
    if (clo_gguf_bool(g, bert ? KEY "add_sep_token" : KEY "add_eos_token", add_eos) && b->eos >= 0)
        b->suffix_ids[b->n_suffix++] = b->eos;
    return read_named(b, g, err) && read_templates(b, g, err);
}

bool clo_tok_open_gguf(clo_tok **out, const clo_gguf *g, clo_err *err)
{
    tok_build b;
    clo_tokb_init(&b);
    *out = NULL;
    bool ok = read_all(&b, g, err) && clo_tokb_finish(&b, out, err);
    clo_tokb_free(&b);
    if (!ok) clo_err_context(err, "tokenizer of the GGUF file");
    return ok;
}
