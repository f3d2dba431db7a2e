/* Normaliser, pre-tokeniser, decoder and post-processor objects of a tokenizer.json, read into steps. */
#include "model/tok_json.h"

#include "model/tok_unicode.h"

static bool is(const json_t *o, const char *type)
{
    return clo_str_eq(clo_json_str(o, "type", CLO_STR("")), clo_str_from(type));
}

static bool unknown(const json_t *o, const char *stage, clo_err *err)
{
    clo_str type = clo_json_str(o, "type", CLO_STR("?"));
    return clo_fail(err, CLO_ERR_UNSUPPORTED, "%s of type '" CLO_STR_FMT "'", stage, CLO_STR_ARG(type));
}

/* The items of a Sequence; false when o is none. */
static bool sequence(const json_t *o, const char *key, const json_t **items)
{
    *items = is(o, "Sequence") ? json_object_get(o, key) : NULL;
    return json_is_array(*items);
}

static bool too_deep(int depth, const char *stage, clo_err *err)
{
    return clo_fail(err, CLO_ERR_LIMIT, "%s: %d sequences in each other", stage, depth);
}

/* {"String": s} or {"Regex": r}. */
static bool read_pattern(const json_t *o, clo_str *text, bool *regex, clo_err *err)
{
    const json_t *p = json_object_get(o, "pattern");
    *text = clo_json_str(p, "String", (clo_str){NULL, 0});
    *regex = !text->ptr;
    if (*regex) *text = clo_json_str(p, "Regex", (clo_str){NULL, 0});
    return text->ptr || clo_fail(err, CLO_ERR_FORMAT, "a pattern is neither String nor Regex");
}

/* --- normaliser ----------------------------------------------------------------------------------------------------*/

static bool add(tok_build *b, int stage, uint32_t kind, clo_err *err)
{
    return clo_tokb_step(b, stage, (tok_step_def){.kind = kind}, err);
}

static bool bert_normalizer(tok_build *b, const json_t *o, clo_err *err)
{
    bool lowercase = clo_json_bool(o, "lowercase", true), accents = clo_json_bool(o, "strip_accents", lowercase);
    int n = TOK_STAGE_NORM;
    return (!clo_json_bool(o, "clean_text", true) || add(b, n, TOK_NORM_BERT_CLEAN, err)) &&
           (!clo_json_bool(o, "handle_chinese_chars", true) || add(b, n, TOK_NORM_BERT_CJK, err)) &&
           (!accents || (add(b, n, TOK_NORM_NFD, err) && add(b, n, TOK_NORM_STRIP_ACCENTS, err))) &&
           (!lowercase || add(b, n, TOK_NORM_LOWER, err));
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static bool precompiled(tok_build *b, const json_t *o, clo_err *err)
{
    clo_str in = clo_json_str(o, "precompiled_charsmap", CLO_STR(""));
    if (in.len == 0) return true; /* an empty map changes nothing */
    char *out = CLO_NEW(&b->arena, char, in.len);
    if (!out) return clo_arena_full(&b->arena, err);
    uint32_t bits = 0;
    size_t n_bits = 0, n = 0;
    for (size_t i = 0; i < in.len && in.ptr[i] != '='; i++) {
        int d = base64_digit(in.ptr[i]);
        if (d < 0) return clo_fail(err, CLO_ERR_FORMAT, "precompiled_charsmap: no base64 at byte %zu", i);
        bits = bits << 6 | (uint32_t)d;
        n_bits += 6;
        if (n_bits < 8) continue;
        n_bits -= 8;
        out[n++] = (char)(bits >> n_bits & 0xFF);
    }
    return clo_tokb_step(b, TOK_STAGE_NORM, (tok_step_def){.kind = TOK_NORM_CHARSMAP, .a = 1, .s1 = {out, n}}, err);
}

static bool replace_normalizer(tok_build *b, const json_t *o, clo_err *err)
{
    tok_step_def s = {.s2 = clo_json_str(o, "content", CLO_STR(""))};
    bool regex;
    if (!read_pattern(o, &s.s1, &regex, err)) return false;
    s.kind = regex ? TOK_NORM_REPLACE_RE : TOK_NORM_REPLACE;
    return clo_tokb_step(b, TOK_STAGE_NORM, s, err);
}

bool clo_tokj_normalizer(tok_build *b, const json_t *o, int depth, clo_err *err)
{
    static const struct {
        const char *type;
        uint32_t kind;
    } plain[] = {
        {"NFC", TOK_NORM_NFC},
        {"NFD", TOK_NORM_NFD},
        {"NFKC", TOK_NORM_NFKC},
        {"NFKD", TOK_NORM_NFKD},
        {"Lowercase", TOK_NORM_LOWER},
        {"ByteLevel", TOK_NORM_BYTE_LEVEL},
        {"StripAccents", TOK_NORM_STRIP_MARKS},
    };
    const json_t *items;
    if (!o || json_is_null(o)) return true;
    if (depth > TOK_JSON_DEPTH_MAX) return too_deep(depth, "normalizer", err);
    if (sequence(o, "normalizers", &items)) {
        for (size_t i = 0; i < json_array_size(items); i++) {
            if (!clo_tokj_normalizer(b, json_array_get(items, i), depth + 1, err)) return false;
        }
        return true;
    }
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        if (is(o, plain[i].type)) return add(b, TOK_STAGE_NORM, plain[i].kind, err);
    }
    if (is(o, "Replace")) return replace_normalizer(b, o, err);
    if (is(o, "BertNormalizer")) return bert_normalizer(b, o, err);
    if (is(o, "Precompiled")) return precompiled(b, o, err);
    if (is(o, "Prepend")) {
        clo_str head = clo_json_str(o, "prepend", CLO_STR(""));
        return clo_tokb_step(b, TOK_STAGE_NORM, (tok_step_def){.kind = TOK_NORM_PREPEND, .s1 = head}, err);
    }
    if (is(o, "Strip")) {
        tok_step_def s = {.kind = TOK_NORM_STRIP,
                          .a = clo_json_bool(o, "strip_left", true),
                          .b = clo_json_bool(o, "strip_right", true)};
        return clo_tokb_step(b, TOK_STAGE_NORM, s, err);
    }
    return unknown(o, "normalizer", err);
}

/* --- pre-tokeniser -------------------------------------------------------------------------------------------------*/

static bool behaviour(const json_t *o, uint32_t *out, clo_err *err)
{
    static const struct {
        const char *name;
        tok_behaviour value;
    } table[] = {
        {"Removed", TOK_SPLIT_REMOVED},
        {"Isolated", TOK_SPLIT_ISOLATED},
        {"Contiguous", TOK_SPLIT_CONTIGUOUS},
        {"MergedWithPrevious", TOK_SPLIT_MERGED_PREVIOUS},
        {"MergedWithNext", TOK_SPLIT_MERGED_NEXT},
    };
    clo_str name = clo_json_str(o, "behavior", CLO_STR(""));
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (!clo_str_eq(name, clo_str_from(table[i].name))) continue;
        *out = table[i].value;
        return true;
    }
    return clo_fail(err, CLO_ERR_UNSUPPORTED, "split behavior '" CLO_STR_FMT "'", CLO_STR_ARG(name));
}

/* A known pattern covers every character by a match, so keeping the matches is all that its behaviour can mean. */
static bool split(tok_build *b, const json_t *o, clo_err *err)
{
    tok_step_def s = {.b = clo_json_bool(o, "invert", false)};
    bool regex;
    if (!read_pattern(o, &s.s1, &regex, err) || !behaviour(o, &s.a, err)) return false;
    tok_scan known = regex ? clo_tok_scan_of_pattern(s.s1) : (tok_scan)0;
    bool keeps = s.a == TOK_SPLIT_ISOLATED || (s.a == TOK_SPLIT_REMOVED && s.b);
    if (known && keeps)
        s = (tok_step_def){.kind = TOK_PRE_SCAN, .a = (uint32_t)known};
    else
        s.kind = regex ? TOK_PRE_REGEX : TOK_PRE_STRING;
    return clo_tokb_step(b, TOK_STAGE_PRE, s, err);
}

/* What Metaspace puts for a space: one character. */
static bool replacement(clo_str *out, const json_t *o, clo_err *err)
{
    *out = clo_json_str(o, "replacement", CLO_STR("\xE2\x96\x81"));
    return (out->len > 0 && out->len == clo_tok_cp_len(out->ptr[0])) ||
           clo_fail(err, CLO_ERR_FORMAT, "Metaspace's replacement '" CLO_STR_FMT "' is not one character",
                    CLO_STR_ARG(*out));
}

static bool metaspace(tok_build *b, const json_t *o, clo_err *err)
{
    clo_str scheme = clo_json_str(o, "prepend_scheme", CLO_STR(""));
    tok_step_def s = {.kind = TOK_PRE_METASPACE, .b = clo_json_bool(o, "split", true)};
    if (!replacement(&s.s1, o, err)) return false;
    if (clo_str_eq(scheme, CLO_STR("first")))
        s.a = TOK_PREPEND_FIRST;
    else if (clo_str_eq(scheme, CLO_STR("never")))
        s.a = TOK_PREPEND_NEVER;
    else if (clo_str_eq(scheme, CLO_STR("always")))
        s.a = TOK_PREPEND_ALWAYS;
    else
        s.a = clo_json_bool(o, "add_prefix_space", true) ? TOK_PREPEND_ALWAYS : TOK_PREPEND_NEVER;
    return clo_tokb_step(b, TOK_STAGE_PRE, s, err);
}

static bool byte_level(tok_build *b, const json_t *o, clo_err *err)
{
    if (clo_json_bool(o, "add_prefix_space", true) && !add(b, TOK_STAGE_PRE, TOK_PRE_PREFIX_SPACE, err)) return false;
    if (!clo_json_bool(o, "use_regex", true)) return true;
    return clo_tokb_step(b, TOK_STAGE_PRE, (tok_step_def){.kind = TOK_PRE_SCAN, .a = TOK_SCAN_GPT2}, err);
}

bool clo_tokj_pre_tokenizer(tok_build *b, const json_t *o, int depth, bool *is_bytes, clo_err *err)
{
    const json_t *items;
    if (!o || json_is_null(o)) return true;
    if (depth > TOK_JSON_DEPTH_MAX) return too_deep(depth, "pre_tokenizer", err);
    if (sequence(o, "pretokenizers", &items)) {
        for (size_t i = 0; i < json_array_size(items); i++) {
            if (!clo_tokj_pre_tokenizer(b, json_array_get(items, i), depth + 1, is_bytes, err)) return false;
        }
        return true;
    }
    if (*is_bytes) return clo_fail(err, CLO_ERR_UNSUPPORTED, "a pre_tokenizer behind ByteLevel");
    if (is(o, "ByteLevel")) {
        *is_bytes = true;
        return byte_level(b, o, err);
    }
    if (is(o, "Split")) return split(b, o, err);
    if (is(o, "Metaspace")) return metaspace(b, o, err);
    if (is(o, "BertPreTokenizer")) return add(b, TOK_STAGE_PRE, TOK_PRE_BERT, err);
    if (is(o, "Whitespace")) return add(b, TOK_STAGE_PRE, TOK_PRE_WHITESPACE, err);
    if (is(o, "WhitespaceSplit")) return add(b, TOK_STAGE_PRE, TOK_PRE_WHITESPACE_SPLIT, err);
    tok_step_def s = {0};
    if (is(o, "Digits")) {
        s = (tok_step_def){.kind = TOK_PRE_DIGITS, .a = clo_json_bool(o, "individual_digits", false)};
        return clo_tokb_step(b, TOK_STAGE_PRE, s, err);
    }
    if (is(o, "Punctuation")) {
        s = (tok_step_def){.kind = TOK_PRE_PUNCT, .a = TOK_SPLIT_ISOLATED};
        if (json_object_get(o, "behavior") && !behaviour(o, &s.a, err)) return false;
        return clo_tokb_step(b, TOK_STAGE_PRE, s, err);
    }
    return unknown(o, "pre_tokenizer", err);
}

/* --- decoder -------------------------------------------------------------------------------------------------------*/

static bool plain_decoder(tok_build *b, const json_t *o, clo_err *err)
{
    tok_step_def s = {0};
    if (is(o, "ByteLevel")) {
        s.kind = TOK_DEC_BYTE_LEVEL;
    } else if (is(o, "ByteFallback")) {
        s.kind = TOK_DEC_BYTE_FALLBACK;
    } else if (is(o, "Fuse")) {
        s.kind = TOK_DEC_FUSE;
    } else if (is(o, "Strip")) {
        int64_t start = clo_json_int(o, "start", 0), stop = clo_json_int(o, "stop", 0);
        if (start < 0 || start > 1000 || stop < 0 || stop > 1000)
            return clo_fail(err, CLO_ERR_LIMIT, "decoder strips %lld and %lld", (long long)start, (long long)stop);
        s = (tok_step_def){.kind = TOK_DEC_STRIP,
                           .s1 = clo_json_str(o, "content", CLO_STR(" ")),
                           .a = (uint32_t)start,
                           .b = (uint32_t)stop};
    } else if (is(o, "Replace")) {
        bool regex;
        s = (tok_step_def){.kind = TOK_DEC_REPLACE, .s2 = clo_json_str(o, "content", CLO_STR(""))};
        if (!read_pattern(o, &s.s1, &regex, err)) return false;
        if (regex) return clo_fail(err, CLO_ERR_UNSUPPORTED, "decoder Replace with a regular expression");
    } else if (is(o, "Metaspace")) {
        clo_str scheme = clo_json_str(o, "prepend_scheme", CLO_STR(""));
        bool never = scheme.len ? clo_str_eq(scheme, CLO_STR("never")) : !clo_json_bool(o, "add_prefix_space", true);
        s = (tok_step_def){.kind = TOK_DEC_METASPACE, .a = !never};
        if (!replacement(&s.s1, o, err)) return false;
    } else if (is(o, "WordPiece")) {
        s = (tok_step_def){.kind = TOK_DEC_WORDPIECE,
                           .a = clo_json_bool(o, "cleanup", true),
                           .s1 = clo_json_str(o, "prefix", CLO_STR("##"))};
    } else if (is(o, "BPEDecoder")) {
        s = (tok_step_def){.kind = TOK_DEC_BPE, .s1 = clo_json_str(o, "suffix", CLO_STR("</w>"))};
    } else {
        return unknown(o, "decoder", err);
    }
    return clo_tokb_step(b, TOK_STAGE_DEC, s, err);
}

bool clo_tokj_decoder(tok_build *b, const json_t *o, int depth, clo_err *err)
{
    const json_t *items;
    if (!o || json_is_null(o)) return add(b, TOK_STAGE_DEC, TOK_DEC_SPACED, err);
    if (depth > TOK_JSON_DEPTH_MAX) return too_deep(depth, "decoder", err);
    if (!sequence(o, "decoders", &items)) return plain_decoder(b, o, err);
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *item = json_array_get(items, i);
        if (json_is_null(item)) return clo_fail(err, CLO_ERR_FORMAT, "a decoder is null");
        if (!clo_tokj_decoder(b, item, depth + 1, err)) return false;
    }
    return true;
}

/* --- post-processor ------------------------------------------------------------------------------------------------*/

static bool put_around(tok_build *b, bool after, int64_t id, clo_err *err)
{
    size_t *n = after ? &b->n_suffix : &b->n_prefix;
    int32_t *ids = after ? b->suffix_ids : b->prefix_ids;
    if (id < 0 || id >= (int64_t)b->n_vocab)
        return clo_fail(err, CLO_ERR_FORMAT, "post_processor adds token %lld of %zu", (long long)id, b->n_vocab);
    if (*n >= sizeof b->prefix_ids / sizeof *b->prefix_ids)
        return clo_fail(err, CLO_ERR_LIMIT, "post_processor adds more than 16 tokens");
    ids[(*n)++] = (int32_t)id;
    return true;
}

static bool template_processing(tok_build *b, const json_t *o, clo_err *err)
{
    const json_t *single = json_object_get(o, "single"), *specials = json_object_get(o, "special_tokens");
    bool after = false;
    for (size_t i = 0; i < json_array_size(single); i++) {
        const json_t *item = json_array_get(single, i), *special = json_object_get(item, "SpecialToken");
        if (!special) {
            if (after || !json_object_get(item, "Sequence"))
                return clo_fail(err, CLO_ERR_FORMAT, "post_processor: item %zu of 'single'", i);
            after = true;
            continue;
        }
        clo_str name = clo_json_str(special, "id", CLO_STR(""));
        const json_t *ids = json_object_get(json_object_getn(specials, name.ptr, name.len), "ids");
        if (!json_is_array(ids))
            return clo_fail(err, CLO_ERR_FORMAT, "post_processor: no ids for '" CLO_STR_FMT "'", CLO_STR_ARG(name));
        for (size_t k = 0; k < json_array_size(ids); k++) {
            const json_t *id = json_array_get(ids, k);
            if (!put_around(b, after, json_is_integer(id) ? (int64_t)json_integer_value(id) : -1, err)) return false;
        }
    }
    return after || clo_fail(err, CLO_ERR_FORMAT, "post_processor: 'single' has no sequence");
}

/* "cls" and "sep" are [text, id]. */
static bool cls_sep(tok_build *b, const json_t *o, clo_err *err)
{
    const json_t *cls = json_array_get(json_object_get(o, "cls"), 1),
                 *sep = json_array_get(json_object_get(o, "sep"), 1);
    if (!json_is_integer(cls) || !json_is_integer(sep))
        return clo_fail(err, CLO_ERR_FORMAT, "post_processor: 'cls' or 'sep' has no id");
    return put_around(b, false, (int64_t)json_integer_value(cls), err) &&
           put_around(b, true, (int64_t)json_integer_value(sep), err);
}

bool clo_tokj_post_processor(tok_build *b, const json_t *o, int depth, clo_err *err)
{
    const json_t *items;
    if (!o || json_is_null(o) || is(o, "ByteLevel")) return true; /* ByteLevel moves offsets, not ids */
    if (depth > TOK_JSON_DEPTH_MAX) return too_deep(depth, "post_processor", err);
    if (sequence(o, "processors", &items)) {
        for (size_t i = 0; i < json_array_size(items); i++) {
            if (!clo_tokj_post_processor(b, json_array_get(items, i), depth + 1, err)) return false;
        }
        return true;
    }
    if (is(o, "TemplateProcessing")) return template_processing(b, o, err);
    if (is(o, "BertProcessing") || is(o, "RobertaProcessing")) return cls_sep(b, o, err);
    return unknown(o, "post_processor", err);
}
