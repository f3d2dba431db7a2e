/* tokenizer.json (and what tokenizer_config.json adds) into the building table. Jansson's tree is borrowed until the
 * blob is made. Format: Hugging Face tokenizers, version "1.0".
 */
#include "model/tok_json.h"

#include "base/check.h"

#define CONFIG_BYTES_MAX ((size_t)64 << 20)

/* Tables are by id, so a small file with one huge id would take memory without proportion. Real files have few gaps. */
#define IDS_PER_TOKEN_MAX 16
#define IDS_SPARE 16384

static clo_str text_of(const json_t *v)
{
    return json_is_string(v) ? (clo_str){json_string_value(v), json_string_length(v)} : (clo_str){NULL, 0};
}

/* --- vocabularies --------------------------------------------------------------------------------------------------*/

static bool vocab_object(tok_build *b, const json_t *vocab, clo_err *err)
{
    if (!json_is_object(vocab)) return clo_fail(err, CLO_ERR_FORMAT, "model.vocab is not an object");
    if (json_object_size(vocab) > TOK_VOCAB_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "vocabulary of %zu, limit %u", json_object_size(vocab), TOK_VOCAB_MAX);
    for (void *it = json_object_iter((json_t *)(uintptr_t)vocab); it;
         it = json_object_iter_next((json_t *)(uintptr_t)vocab, it)) {
        clo_str name = {json_object_iter_key(it), json_object_iter_key_len(it)};
        const json_t *id = json_object_iter_value(it);
        int64_t n = json_is_integer(id) ? (int64_t)json_integer_value(id) : -1;
        if (n >= 0 && (size_t)n < b->n_vocab && (b->id_flags[n] & TOK_PRESENT))
            return clo_fail(err, CLO_ERR_FORMAT, "model.vocab: two tokens with id %lld", (long long)n);
        if (!clo_tokb_token(b, n, name, TOK_IN_MODEL, 0, err)) return false;
    }
    return true;
}

static bool vocab_scored(tok_build *b, const json_t *vocab, clo_err *err)
{
    size_t n = json_array_size(vocab);
    if (n == 0 || n > TOK_VOCAB_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "vocabulary of %zu, limit %u", n, TOK_VOCAB_MAX);
    b->min_score = 0;
    for (size_t i = 0; i < n; i++) {
        const json_t *pair = json_array_get(vocab, i), *score = json_array_get(pair, 1);
        clo_str name = text_of(json_array_get(pair, 0));
        if (!name.ptr || !json_is_number(score)) return clo_fail(err, CLO_ERR_FORMAT, "model.vocab: item %zu", i);
        double s = json_number_value(score);
        if (i == 0 || s < b->min_score) b->min_score = s;
        if (!clo_tokb_token(b, (int64_t)i, name, TOK_IN_MODEL, s, err)) return false;
    }
    return true;
}

static bool merge_parts(const json_t *m, clo_str *left, clo_str *right)
{
    if (json_is_array(m)) {
        *left = text_of(json_array_get(m, 0));
        *right = text_of(json_array_get(m, 1));
        return json_array_size(m) == 2 && left->ptr && right->ptr;
    }
    clo_str s = text_of(m);
    if (!s.ptr) return false;
    size_t at = clo_str_find(s, 0, ' ');
    *left = (clo_str){s.ptr, at};
    *right = clo_str_from_off(s, at + 1);
    return at < s.len && clo_str_find(*right, 0, ' ') == right->len;
}

static bool read_merges(tok_build *b, const json_t *merges, clo_err *err)
{
    size_t n = json_array_size(merges);
    if (!json_is_array(merges)) return clo_fail(err, CLO_ERR_FORMAT, "model.merges is not a list");
    if (n > TOK_MERGES_MAX) return clo_fail(err, CLO_ERR_LIMIT, "%zu merges, limit %u", n, TOK_MERGES_MAX);
    for (size_t i = 0; i < n; i++) {
        clo_str left, right;
        bool known;
        if (!merge_parts(json_array_get(merges, i), &left, &right))
            return clo_fail(err, CLO_ERR_FORMAT, "merge %zu has no two parts", i);
        if (!clo_tokb_merge(b, left, right, (uint32_t)i, &known, err)) return false;
        if (!known)
            return clo_fail(err, CLO_ERR_FORMAT, "merge %zu ('" CLO_STR_FMT "', '" CLO_STR_FMT "') is no token", i,
                            CLO_STR_ARG(left), CLO_STR_ARG(right));
    }
    return true;
}

/* --- models --------------------------------------------------------------------------------------------------------*/

static bool find_unknown(tok_build *b, const json_t *m, clo_err *err)
{
    clo_str unk = clo_json_str(m, "unk_token", (clo_str){NULL, 0});
    if (!unk.ptr) return true;
    b->unk = clo_tokb_find(b, unk);
    return b->unk >= 0 || clo_fail(err, CLO_ERR_FORMAT, "unk_token '" CLO_STR_FMT "' is no token", CLO_STR_ARG(unk));
}

static bool model_bpe(tok_build *b, const json_t *m, bool byte_level, clo_err *err)
{
    b->model = byte_level ? TOK_MODEL_BPE_BYTES : TOK_MODEL_BPE_CHARS;
    b->prefix = clo_json_str(m, "continuing_subword_prefix", CLO_STR(""));
    b->suffix = clo_json_str(m, "end_of_word_suffix", CLO_STR(""));
    if (clo_json_num(m, "dropout", 0) != 0) return clo_fail(err, CLO_ERR_UNSUPPORTED, "BPE with dropout");
    if (byte_level && (b->prefix.len || b->suffix.len))
        return clo_fail(err, CLO_ERR_UNSUPPORTED, "byte-level BPE with a subword prefix or suffix");
    if (clo_json_bool(m, "ignore_merges", false)) b->flags |= TOK_IGNORE_MERGES;
    if (clo_json_bool(m, "byte_fallback", false)) b->flags |= TOK_BYTE_FALLBACK;
    if (clo_json_bool(m, "fuse_unk", false)) b->flags |= TOK_FUSE_UNK;
    return vocab_object(b, json_object_get(m, "vocab"), err) && clo_tokb_index(b, err) && find_unknown(b, m, err) &&
           read_merges(b, json_object_get(m, "merges"), err);
}

static bool model_unigram(tok_build *b, const json_t *m, clo_err *err)
{
    b->model = TOK_MODEL_UNIGRAM;
    if (clo_json_bool(m, "byte_fallback", false)) b->flags |= TOK_BYTE_FALLBACK;
    if (!vocab_scored(b, json_object_get(m, "vocab"), err) || !clo_tokb_index(b, err)) return false;
    int64_t unk = clo_json_int(m, "unk_id", -1);
    if (unk >= (int64_t)b->n_vocab) return clo_fail(err, CLO_ERR_FORMAT, "unk_id %lld", (long long)unk);
    b->unk = unk < 0 ? -1 : (int32_t)unk;
    return true;
}

static bool model_wordpiece(tok_build *b, const json_t *m, clo_err *err)
{
    int64_t max = clo_json_int(m, "max_input_chars_per_word", 100);
    if (max < 0 || max > 100000) return clo_fail(err, CLO_ERR_LIMIT, "max_input_chars_per_word %lld", (long long)max);
    b->model = TOK_MODEL_WORDPIECE;
    b->max_chars = (uint32_t)max;
    b->prefix = clo_json_str(m, "continuing_subword_prefix", CLO_STR("##"));
    return vocab_object(b, json_object_get(m, "vocab"), err) && clo_tokb_index(b, err) && find_unknown(b, m, err);
}

/* Old files leave the model's type out; its members then tell. */
static bool read_model(tok_build *b, const json_t *m, bool byte_level, clo_err *err)
{
    clo_str type = clo_json_str(m, "type", CLO_STR(""));
    if (!json_is_object(m)) return clo_fail(err, CLO_ERR_FORMAT, "no model");
    if (type.len == 0 && json_object_get(m, "merges")) type = CLO_STR("BPE");
    if (byte_level && !clo_str_eq(type, CLO_STR("BPE")))
        return clo_fail(err, CLO_ERR_UNSUPPORTED, "ByteLevel before a model of type '" CLO_STR_FMT "'",
                        CLO_STR_ARG(type));
    if (clo_str_eq(type, CLO_STR("BPE"))) return model_bpe(b, m, byte_level, err);
    if (clo_str_eq(type, CLO_STR("Unigram"))) return model_unigram(b, m, err);
    if (clo_str_eq(type, CLO_STR("WordPiece"))) return model_wordpiece(b, m, err);
    return clo_fail(err, CLO_ERR_UNSUPPORTED, "model of type '" CLO_STR_FMT "'", CLO_STR_ARG(type));
}

/* --- added tokens --------------------------------------------------------------------------------------------------*/

/* A tokenizer that only normalises, to see what a token's content becomes: its steps are b's. */
static bool open_normalizer(clo_tok **out, const tok_build *b, clo_err *err)
{
    tok_build n;
    clo_tokb_init(&n);
    n.model = TOK_MODEL_WORDPIECE;
    memcpy(n.steps[TOK_STAGE_NORM], b->steps[TOK_STAGE_NORM], sizeof n.steps[0]);
    n.n_steps[TOK_STAGE_NORM] = b->n_steps[TOK_STAGE_NORM];
    bool ok = clo_tokb_token(&n, 0, CLO_STR("?"), TOK_IN_MODEL, 0, err) && clo_tokb_index(&n, err) &&
              clo_tokb_finish(&n, out, err);
    clo_tokb_free(&n);
    return ok;
}

static bool normalized_content(tok_build *b, const clo_tok *norm, clo_str content, clo_str *out, clo_err *err)
{
    clo_buf pair[2] = {{0}, {0}};
    bool ok = clo_tok_normalize(norm, pair, content, out, err);
    if (ok) {
        *out = clo_arena_copy_str(&b->arena, *out);
        ok = out->ptr || clo_arena_full(&b->arena, err);
    }
    clo_buf_free(&pair[0]);
    clo_buf_free(&pair[1]);
    return ok;
}

static uint8_t added_flags(const json_t *o)
{
    unsigned f = TOK_ADDED;
    if (clo_json_bool(o, "special", false)) f |= TOK_SPECIAL;
    if (clo_json_bool(o, "single_word", false)) f |= TOK_SINGLE_WORD;
    if (clo_json_bool(o, "lstrip", false)) f |= TOK_LSTRIP;
    if (clo_json_bool(o, "rstrip", false)) f |= TOK_RSTRIP;
    return (uint8_t)f;
}

/* A content that is in the vocabulary keeps the id it has there. */
static bool read_added(tok_build *b, const json_t *list, clo_err *err)
{
    if (!list || json_is_null(list)) return true;
    if (!json_is_array(list)) return clo_fail(err, CLO_ERR_FORMAT, "added_tokens is not a list");
    if (json_array_size(list) > TOK_ADDED_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "%zu added tokens, limit %u", json_array_size(list), TOK_ADDED_MAX);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *o = json_array_get(list, i);
        clo_str content = clo_json_str(o, "content", (clo_str){NULL, 0});
        if (!content.ptr) return clo_fail(err, CLO_ERR_FORMAT, "added token %zu has no content", i);
        if (content.len == 0) continue;
        int32_t known = clo_tokb_find(b, content);
        int64_t id = known >= 0 ? known : clo_json_int(o, "id", -1);
        if (!clo_tokb_token(b, id, content, added_flags(o), 0, err)) return false;
    }
    return clo_tokb_index(b, err);
}

/* Enters the contents into the two sets, after read_added gave them ids. */
static bool match_added(tok_build *b, const json_t *list, clo_err *err)
{
    clo_tok *norm = NULL;
    bool ok = true;
    for (size_t i = 0; i < json_array_size(list) && ok; i++) {
        const json_t *o = json_array_get(list, i);
        clo_str content = clo_json_str(o, "content", CLO_STR(""));
        bool normalized = clo_json_bool(o, "normalized", !clo_json_bool(o, "special", false));
        if (normalized && b->n_steps[TOK_STAGE_NORM] > 0) {
            ok = (norm || open_normalizer(&norm, b, err)) && normalized_content(b, norm, content, &content, err);
        }
        int32_t id = clo_tokb_find(b, clo_json_str(o, "content", CLO_STR("")));
        if (ok && id >= 0) ok = clo_tokb_added(b, normalized, content, id, err);
    }
    clo_tok_close(norm);
    return ok;
}

/* --- tokenizer_config.json -----------------------------------------------------------------------------------------*/

/* A named token: a string, or an object with "content". */
static clo_str token_content(const json_t *v)
{
    if (json_is_object(v)) v = json_object_get(v, "content");
    clo_str s = text_of(v);
    return s.ptr ? s : (clo_str){"", 0};
}

static bool read_template(tok_build *b, const json_t *v, clo_err *err)
{
    if (json_is_string(v)) return clo_tokb_template(b, CLO_STR("default"), text_of(v), err);
    for (size_t i = 0; i < json_array_size(v); i++) {
        const json_t *o = json_array_get(v, i);
        clo_str name = clo_json_str(o, "name", CLO_STR("")), text = clo_json_str(o, "template", CLO_STR(""));
        if (name.len && text.len && !clo_tokb_template(b, name, text, err)) return false;
    }
    return true;
}

static bool read_config(tok_build *b, const json_t *c, clo_err *err)
{
    static const char *const names[] = {"bos_token", "eos_token", "unk_token", "pad_token",
                                        "sep_token", "cls_token", "mask_token"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        clo_str content = token_content(json_object_get(c, names[i]));
        if (content.len && !clo_tokb_named(b, clo_str_from(names[i]), content, err)) return false;
        int32_t id = content.len ? clo_tokb_find(b, content) : -1;
        if (i == 0) b->bos = id;
        if (i == 1) b->eos = id;
    }
    return true;
}

/* Without a config: what the post-processor puts first, and the usual names. */
static bool guess_named(tok_build *b, clo_err *err)
{
    static const char *const bos[] = {"<|begin_of_text|>", "<bos>", "<s>", "[CLS]"};
    static const char *const eos[] = {"<|end_of_text|>", "<eos>", "</s>", "<|endoftext|>", "[SEP]"};
    for (size_t i = 0; i < sizeof bos / sizeof *bos && b->bos < 0; i++)
        b->bos = clo_tokb_find(b, clo_str_from(bos[i]));
    for (size_t i = 0; i < sizeof eos / sizeof *eos && b->eos < 0; i++)
        b->eos = clo_tokb_find(b, clo_str_from(eos[i]));
    if (b->bos >= 0 && !clo_tokb_named(b, CLO_STR("bos_token"), b->names[b->bos], err)) return false;
    return b->eos < 0 || clo_tokb_named(b, CLO_STR("eos_token"), b->names[b->eos], err);
}

static bool finish_special(tok_build *b, const json_t *c, clo_str jinja, clo_err *err)
{
    if (json_is_object(c) ? !read_config(b, c, err) : !guess_named(b, err)) return false;
    if (jinja.len > 0 ? !clo_tokb_template(b, CLO_STR("default"), jinja, err)
                      : !read_template(b, json_object_get(c, "chat_template"), err))
        return false;
    if (b->n_prefix == 0 && b->bos >= 0 && clo_json_bool(c, "add_bos_token", false))
        b->prefix_ids[b->n_prefix++] = b->bos;
    if (b->n_suffix == 0 && b->eos >= 0 && clo_json_bool(c, "add_eos_token", false))
        b->suffix_ids[b->n_suffix++] = b->eos;
    clo_tokb_stop(b, b->eos);
    clo_tokb_stop_known(b);
    return true;
}

/* --- the whole -----------------------------------------------------------------------------------------------------*/

static size_t n_ids_max(const json_t *j)
{
    const json_t *vocab = json_object_get(json_object_get(j, "model"), "vocab");
    size_t n = json_object_size(vocab) + json_array_size(vocab) + json_array_size(json_object_get(j, "added_tokens"));
    return clo_min(n * IDS_PER_TOKEN_MAX + IDS_SPARE, TOK_VOCAB_MAX);
}

static bool read_all(tok_build *b, const json_t *j, const json_t *c, clo_str jinja, clo_err *err)
{
    bool byte_level = false;
    if (!json_is_object(j)) return clo_fail(err, CLO_ERR_FORMAT, "not an object");
    b->n_ids_max = n_ids_max(j);
    return clo_tokj_normalizer(b, json_object_get(j, "normalizer"), 0, err) &&
           clo_tokj_pre_tokenizer(b, json_object_get(j, "pre_tokenizer"), 0, &byte_level, err) &&
           clo_tokj_decoder(b, json_object_get(j, "decoder"), 0, err) &&
           read_model(b, json_object_get(j, "model"), byte_level, err) &&
           read_added(b, json_object_get(j, "added_tokens"), err) &&
           match_added(b, json_object_get(j, "added_tokens"), err) &&
           clo_tokj_post_processor(b, json_object_get(j, "post_processor"), 0, err) &&
           finish_special(b, c, jinja, err);
}

/* Configs hold a number that fits no integer (model_max_length 1e30 written out), so numbers are read as real. */
static bool parse_config(json_t **out, clo_str text, clo_err *err)
{
    json_error_t why;
    if (text.len > CONFIG_BYTES_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "JSON of %zu bytes, limit %zu", text.len, CONFIG_BYTES_MAX);
    *out = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &why);
    return *out ||
           clo_fail_at(err, why.position > 0 ? (uint64_t)why.position : 0, "JSON: %s, line %d", why.text, why.line);
}

bool clo_tokj_open(clo_tok **out, clo_str json, clo_str config, clo_str jinja, clo_err *err)
{
    json_t *j = NULL, *c = NULL;
    tok_build b;
    bool ok = false;

    clo_tokb_init(&b);
    *out = NULL;
    if (!clo_json_parse(&j, json, TOK_JSON_BYTES_MAX, err)) {
        clo_err_context(err, "tokenizer.json");
        goto done;
    }
    if (config.len > 0 && !parse_config(&c, config, err)) {
        clo_err_context(err, "tokenizer_config.json");
        goto done;
    }
    ok = read_all(&b, j, c, jinja, err) && clo_tokb_finish(&b, out, err);
    if (!ok) clo_err_context(err, "tokenizer.json");
done:
    clo_tokb_free(&b);
    json_decref(j);
    json_decref(c);
    return ok;
}

bool clo_tok_open_json(clo_tok **out, clo_str json, clo_str config, clo_err *err)
{
    return clo_tokj_open(out, json, config, (clo_str){0}, err);
}
