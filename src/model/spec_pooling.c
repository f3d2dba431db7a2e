/* How a folder's texts become vectors, as sentence-transformers writes it down:
 *
 *   modules.json                [{"type":"...Transformer","path":""}, {"type":"...Pooling","path":"1_Pooling"}, ...]
 *   1_Pooling/config.json       {"pooling_mode_mean_tokens":true, ...}, newer files {"pooling_mode":"mean", ...}
 *   sentence_bert_config.json   {"max_seq_length":256,"do_lower_case":false}
 *
 * A module that would change the vector (a dense layer after pooling) is refused by name; Normalize is what is done always.
 * Source: sentence_transformers 2 to 5, SentenceTransformer.load and models/Pooling.py. */
#include "base/check.h"
#include "base/file.h"
#include "base/json.h"
#include "model/spec_impl.h"

#define MODULES_MAX 16

bool clo_pooling_folder_name(clo_str name)
{
    const clo_str tail = CLO_STR("_Pooling");
    if (!clo_str_ends_with(name, tail) || name.len == tail.len || name.len > tail.len + 3) return false;
    for (size_t i = 0; i < name.len - tail.len; i++)
        if (name.ptr[i] < '0' || name.ptr[i] > '9') return false;
    return true;
}

static bool parse(json_t **out, clo_str text, const char *what, clo_err *err)
{
    if (clo_json_parse(out, text, SPEC_TOKENIZER_BYTES_MAX, err)) return true;
    clo_err_context(err, "%s", what);
    return false;
}

/* --- modules ------------------------------------------------------------------------------------------------------- */

static clo_str last_part(clo_str dotted)
{
    size_t at = dotted.len;
    while (at > 0 && dotted.ptr[at - 1] != '.') at--;
    return clo_str_from_off(dotted, at);
}

static bool note_module(char out[CLO_POOLING_FOLDER_MAX], const json_t *module, clo_err *err)
{
    clo_str type = last_part(clo_json_str(module, "type", CLO_STR(""))), path = clo_json_str(module, "path", CLO_STR(""));
    if (clo_str_eq(type, CLO_STR("Transformer")) || clo_str_eq(type, CLO_STR("Normalize"))) return true;
    if (!clo_str_eq(type, CLO_STR("Pooling")))
        return clo_fail(err, CLO_ERR_UNSUPPORTED, "module '" CLO_STR_FMT "' is not built",
                        CLO_STR_ARG(((clo_str){type.ptr, clo_min(type.len, 60)})));
    if (out[0] || !clo_pooling_folder_name(path))
        return clo_fail(err, CLO_ERR_UNSUPPORTED, "one pooling is expected, in a folder as '1_Pooling'");
    memcpy(out, path.ptr, path.len);
    out[path.len] = '\0';
    return true;
}

bool clo_spec_pooling_folder(char out[CLO_POOLING_FOLDER_MAX], clo_str modules, clo_err *err)
{
    json_t *root = NULL, *m;
    size_t i;
    out[0] = '\0';
    if (!parse(&root, modules, "modules.json", err)) return false;
    bool ok = json_is_array(root) && json_array_size(root) <= MODULES_MAX;
    if (!ok) clo_fail(err, CLO_ERR_FORMAT, "a list of up to %d modules is expected", MODULES_MAX);
    json_array_foreach (root, i, m)
        ok = ok && note_module(out, m, err);
    if (!ok) clo_err_context(err, "modules.json");
    json_decref(root);
    return ok;
}

/* --- what they say -------------------------------------------------------------------------------------------------- */

static const struct {
    const char *flag, *mode;
    clo_pool_kind kind; /* NONE: not built */
} modes[] = {
    {"pooling_mode_mean_tokens", "mean", CLO_POOL_MEAN},
    {"pooling_mode_cls_token", "cls", CLO_POOL_FIRST},
    {"pooling_mode_lasttoken", "lasttoken", CLO_POOL_LAST},
    {"pooling_mode_max_tokens", "max", CLO_POOL_NONE},
    {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", CLO_POOL_NONE},
    {"pooling_mode_weightedmean_tokens", "weightedmean", CLO_POOL_NONE},
};

static bool read_mode(clo_spec *s, const json_t *c, clo_err *err)
{
    clo_str named = clo_json_str(c, "pooling_mode", CLO_STR(""));
    int64_t n_dim = clo_json_int(c, "word_embedding_dimension", clo_json_int(c, "embedding_dimension", s->n_dim));
    const char *found = NULL;
    if (!json_is_object(c)) return clo_fail(err, CLO_ERR_FORMAT, "not an object");
    if (n_dim != s->n_dim)
        return clo_fail(err, CLO_ERR_FORMAT, "vectors of %lld, the model's are of %u", (long long)n_dim, s->n_dim);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        bool is = named.len > 0 ? clo_str_eq(named, clo_str_from(modes[i].mode)) : clo_json_bool(c, modes[i].flag, false);
        if (!is) continue;
        if (found) return clo_fail(err, CLO_ERR_UNSUPPORTED, "'%s' and '%s' at once", found, modes[i].mode);
        if (modes[i].kind == CLO_POOL_NONE)
            return clo_fail(err, CLO_ERR_UNSUPPORTED, "pooling '%s' is not built", modes[i].mode);
        found = modes[i].mode;
        s->pooling = modes[i].kind;
    }
    return found || clo_fail(err, CLO_ERR_UNSUPPORTED, "none of the poolings that are built: mean, cls, lasttoken");
}

/* do_lower_case here asks for lower case before a tokenizer that may keep it: only one that does so itself is built. */
static bool read_sentence(clo_spec *s, const json_t *c, const json_t *tokenizer, clo_err *err)
{
    const json_t *n = json_object_get(c, "max_seq_length");
    if (!json_is_object(c)) return clo_fail(err, CLO_ERR_FORMAT, "not an object");
    if (n && !json_is_null(n)) {
        if (!json_is_integer(n) || json_integer_value(n) < 1)
            return clo_fail(err, CLO_ERR_FORMAT, "'max_seq_length' is no count");
        s->n_text = (uint32_t)clo_min((uint64_t)json_integer_value(n), s->n_ctx);
    }
    if (clo_json_bool(c, "do_lower_case", false) && !clo_json_bool(tokenizer, "do_lower_case", s->encoder))
        return clo_fail(err, CLO_ERR_UNSUPPORTED, "'do_lower_case' with a tokenizer that keeps case");
    return true;
}

bool clo_spec_pooling_from_texts(clo_spec *s, const clo_pooling_texts *t, clo_err *err)
{
    json_t *pooling = NULL, *sentence = NULL, *tokenizer = NULL;
    bool ok = true;
    s->pooling = s->encoder ? CLO_POOL_MEAN : CLO_POOL_NONE;
    if (t->pooling.len > 0) {
        ok = parse(&pooling, t->pooling, "pooling", err);
        if (ok && !read_mode(s, pooling, err)) {
            ok = false;
            clo_err_context(err, "pooling");
        }
    }
    if (ok && t->sentence.len > 0 && s->pooling != CLO_POOL_NONE) {
        ok = parse(&sentence, t->sentence, "sentence_bert_config.json", err);
        if (ok && t->tokenizer.len > 0) ok = parse(&tokenizer, t->tokenizer, "tokenizer_config.json", err);
        if (ok && !read_sentence(s, sentence, tokenizer, err)) {
            ok = false;
            clo_err_context(err, "sentence_bert_config.json");
        }
    }
    json_decref(pooling);
    json_decref(sentence);
    json_decref(tokenizer);
    return ok;
}

static bool read_folder(clo_spec *s, const char *folder, clo_arena *scratch, clo_err *err)
{
    char name[CLO_POOLING_FOLDER_MAX] = "1_Pooling", path[4096];
    clo_str modules;
    clo_pooling_texts t = {0};
    if (!clo_file_read_beside(&modules, folder, "modules.json", SPEC_CONFIG_BYTES_MAX, scratch, err)) return false;
    if (modules.ptr && !clo_spec_pooling_folder(name, modules, err)) return false;
    if (name[0] && (!clo_path_join(path, err, "%s/%s", folder, name) ||
                    !clo_file_read_beside(&t.pooling, path, "config.json", SPEC_CONFIG_BYTES_MAX, scratch, err)))
        return false;
    if (modules.ptr && name[0] && !t.pooling.ptr)
        return clo_fail(err, CLO_ERR_NOT_FOUND, "modules.json names '%s/config.json', which is not there", name);
    return clo_file_read_beside(&t.sentence, folder, "sentence_bert_config.json", SPEC_CONFIG_BYTES_MAX, scratch, err) &&
           clo_file_read_beside(&t.tokenizer, folder, "tokenizer_config.json", SPEC_TOKENIZER_BYTES_MAX, scratch, err) &&
           clo_spec_pooling_from_texts(s, &t, err);
}

bool clo_spec_pooling_from_folder(clo_spec *s, const char *folder, clo_err *err)
{
    clo_arena scratch = clo_arena_make(2 * SPEC_TOKENIZER_BYTES_MAX);
    bool ok = read_folder(s, folder, &scratch, err);
    clo_arena_free(&scratch);
    return ok;
}
