/* Receipts: the text form and its strict reader. See receipt.h and docs/formats/receipt.md; replay.c checks them. */
#include "infer/receipt.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/check.h"
#include "base/file.h"
#include "base/half.h"
#include "base/json.h"
#include "infer/receipt_impl.h"
#include "infer/seq.h"

/* Sampling parameters that are floats, in the order in which they are written. */
static const struct {
    const char *name;
    size_t off;
} floats[] = {
    {"temp", offsetof(clo_sampler_params, temp)},
    {"top_p", offsetof(clo_sampler_params, top_p)},
    {"min_p", offsetof(clo_sampler_params, min_p)},
    {"typical_p", offsetof(clo_sampler_params, typical_p)},
    {"top_n_sigma", offsetof(clo_sampler_params, top_n_sigma)},
    {"xtc_probability", offsetof(clo_sampler_params, xtc_probability)},
    {"xtc_threshold", offsetof(clo_sampler_params, xtc_threshold)},
    {"repeat_penalty", offsetof(clo_sampler_params, repeat_penalty)},
    {"presence_penalty", offsetof(clo_sampler_params, presence_penalty)},
    {"frequency_penalty", offsetof(clo_sampler_params, frequency_penalty)},
};
#define N_FLOATS (sizeof floats / sizeof *floats)

/* --- making -------------------------------------------------------------------------------------------------------*/

clo_sha256 clo_receipt_prompt_digest(const uint8_t salt[16], const int32_t *ids, size_t n)
{
    clo_sha256_ctx c;
    clo_sha256_begin(&c);
    clo_sha256_add(&c, salt, 16);
    for (size_t i = 0; i < n; i++) {
        uint32_t v = (uint32_t)ids[i];
        const uint8_t le[4] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)};
        clo_sha256_add(&c, le, 4);
    }
    return clo_sha256_end(&c);
}

/* Of the running program: read once, for a server makes many receipts. */
static struct {
    pthread_once_t once;
    bool ok;
    clo_err err;
    clo_sha256 digest;
} this_program = {.once = PTHREAD_ONCE_INIT};

static void hash_program(void)
{
    clo_map map;
    this_program.ok = clo_map_open(&map, "/proc/self/exe", &this_program.err);
    if (!this_program.ok) return;
    this_program.digest = clo_sha256_of(map.bytes.ptr, map.bytes.len);
    clo_map_close(&map);
}

bool clo_receipt_program_digest(clo_sha256 *out, clo_err *err)
{
    pthread_once(&this_program.once, hash_program);
    *out = this_program.digest;
    if (!this_program.ok && err) *err = this_program.err;
    return this_program.ok;
}

const char *clo_receipt_kv_name(const clo_decoder *d)
{
    return clo_dtype_info_of(clo_decoder_kv_layout(d)->dtype)->name;
}

static bool copy_ids(clo_ids *out, const int32_t *ids, size_t n, clo_err *err)
{
    if (n > CLO_RECEIPT_TOKENS_MAX) return clo_fail(err, CLO_ERR_LIMIT, "a receipt of %zu tokens", n);
    for (size_t i = 0; i < n; i++)
        if (!clo_ids_push(out, ids[i], err)) return false;
    return true;
}

static bool copy_sampler(clo_receipt *r, const clo_sampler_params *p, clo_err *err)
{
    r->sampler = *p;
    r->sampler.bias = NULL;
    r->sampler.n_bias = 0;
    if (p->n_bias == 0) return true;
    clo_logit_bias *bias = (clo_logit_bias *)calloc(p->n_bias, sizeof *bias);
    if (!bias) return clo_fail(err, CLO_ERR_MEMORY, "receipt");
    memcpy(bias, p->bias, p->n_bias * sizeof *bias);
    r->sampler.bias = bias;
    r->sampler.n_bias = p->n_bias;
    return true;
}

static bool copy_grammar(clo_receipt *r, const clo_grammar_source *s, clo_err *err)
{
    if (!s || s->kind == CLO_GRAMMAR_SOURCE_NONE) return true;
    snprintf(r->grammar_version, sizeof r->grammar_version, "%s", CLO_GRAMMAR_VERSION);
    return clo_grammar_source_copy(&r->grammar, s, err);
}

static bool copy_links(clo_receipt *r, const clo_gen_result *g, clo_err *err)
{
    r->links = (uint8_t *)calloc(g->n_ids + 1, CLO_RECEIPT_LINK_BYTES);
    if (!r->links) return clo_fail(err, CLO_ERR_MEMORY, "receipt");
    for (size_t i = 0; i < g->n_ids; i++)
        memcpy(r->links + i * CLO_RECEIPT_LINK_BYTES, g->chain[i].b, CLO_RECEIPT_LINK_BYTES);
    if (g->n_ids > 0) r->chain = g->chain[g->n_ids - 1];
    return true;
}

bool clo_receipt_make(clo_receipt *out, const clo_decoder *d, const clo_receipt_facts *f, clo_err *err)
{
    const clo_gen_result *g = f->result;
    const clo_model *m = clo_decoder_model(d);
    clo_receipt r = {.profile = "n1", .seed = f->seed, .n_prompt = g->n_prompt};
    bool ok = false;

    if (!g->chain) return clo_fail(err, CLO_ERR_USAGE, "a receipt needs a run with its logits chain");
    snprintf(r.kv, sizeof r.kv, "%s", clo_receipt_kv_name(d));
    snprintf(r.version, sizeof r.version, "%s", f->version);
    snprintf(r.finish, sizeof r.finish, "%s", clo_finish_name(g->finish));
    r.model = clo_model_digest(m);
    r.tokenizer = clo_model_tokenizer_digest(m);
    r.has_template = f->template_text != NULL;
    if (f->template_text) r.template_text = *f->template_text;
    if (getrandom(r.salt, sizeof r.salt, 0) != (ssize_t)sizeof r.salt) {
        clo_fail(err, CLO_ERR_IO, "no random bytes for a salt");
        goto done;
    }
    r.prompt_sha256 = clo_receipt_prompt_digest(r.salt, f->prompt, g->n_prompt);
    if (!clo_receipt_program_digest(&r.program, err)) goto done;
    if (!f->private_prompt && !copy_ids(&r.prompt, f->prompt, g->n_prompt, err)) goto done;
    if (!copy_ids(&r.output, g->ids, g->n_ids, err)) goto done;
    if (!copy_sampler(&r, f->sampler, err) || !copy_links(&r, g, err) || !copy_grammar(&r, f->grammar, err)) goto done;
    *out = r;
    ok = true;
done:
    if (!ok) clo_receipt_free(&r);
    return ok;
}

void clo_receipt_free(clo_receipt *r)
{
    clo_ids_free(&r->prompt);
    clo_ids_free(&r->output);
    free((void *)(uintptr_t)r->sampler.bias);
    clo_grammar_source_free(&r->grammar);
    free(r->links);
    *r = (clo_receipt){0};
}

/* --- writing ------------------------------------------------------------------------------------------------------*/

static void put_hex(clo_buf *b, const uint8_t *p, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        clo_buf_add_char(b, digits[p[i] >> 4]);
        clo_buf_add_char(b, digits[p[i] & 15]);
    }
}

static void put_ids(clo_buf *b, const char *name, const clo_ids *l)
{
    clo_buf_addf(b, "\"%s\": [", name);
    for (size_t i = 0; i < l->n; i++) clo_buf_addf(b, "%s%d", i ? "," : "", l->ids[i]);
    clo_buf_add_char(b, ']');
}

static void put_digest(clo_buf *b, const char *name, const clo_sha256 *d)
{
    clo_buf_addf(b, "\"%s\": \"", name);
    put_hex(b, d->b, sizeof d->b);
    clo_buf_add_char(b, '"');
}

/* A float's one spelling: C's %a, "-inf" for the ban of a bias. Exact, and readable by strtod and float.fromhex. */
static void spell_float(char out[40], float v)
{
    snprintf(out, 40, "%a", (double)v);
}

static void put_sampler(clo_buf *b, const clo_receipt *r)
{
    const clo_sampler_params *p = &r->sampler;
    char text[40];
    clo_buf_addf(b, "  \"sampler\": {\"order\": \"%s\", ", p->order == CLO_SAMPLER_ORDER_HF ? "hf" : "llama");
    for (size_t i = 0; i < N_FLOATS; i++) {
        float v;
        memcpy(&v, (const char *)p + floats[i].off, sizeof v);
        spell_float(text, v);
        clo_buf_addf(b, "\"%s\": \"%s\", ", floats[i].name, text);
    }
    clo_buf_addf(b, "\"top_k\": %d, \"penalty_last_n\": %d, \"bias\": [", p->top_k, p->penalty_last_n);
    for (size_t i = 0; i < p->n_bias; i++) {
        spell_float(text, p->bias[i].bias);
        clo_buf_addf(b, "%s[%d, \"%s\"]", i ? ", " : "", p->bias[i].id, text);
    }
    clo_buf_addf(b, "]},\n  \"seed\": \"%llu\",\n", (unsigned long long)r->seed);
}

/* Its text is JSON inside JSON. */
static void put_grammar(clo_buf *b, const clo_receipt *r)
{
    clo_str s = clo_buf_str(&r->grammar.text);
    clo_sha256 digest = clo_grammar_source_digest(&r->grammar);
    json_t *v = json_stringn(s.ptr, s.len);
    char *text = v ? json_dumps(v, JSON_ENCODE_ANY) : NULL;
    clo_buf_addf(b, "  \"grammar\": {\"version\": \"%s\", \"kind\": \"%s\", ", r->grammar_version,
                 clo_grammar_source_kind_name(r->grammar.kind));
    put_digest(b, "sha256", &digest);
    clo_buf_add(b, CLO_STR(", \"text\": "));
    if (text) clo_buf_add(b, clo_str_from(text));
    else b->failed = true;
    clo_buf_add(b, CLO_STR("},\n"));
    free(text);
    json_decref(v);
}

bool clo_receipt_format(clo_buf *b, const clo_receipt *r, clo_err *err)
{
    clo_buf_addf(b, "{\n  \"receipt\": \"rcp1\",\n  \"profile\": \"%s\",\n  \"kv\": \"%s\",\n  \"program\": {\"version\": \"%s\", ",
                 r->profile, r->kv, r->version);
    put_digest(b, "sha256", &r->program);
    clo_buf_add(b, CLO_STR("},\n  "));
    put_digest(b, "model", &r->model);
    clo_buf_add(b, CLO_STR(",\n  "));
    put_digest(b, "tokenizer", &r->tokenizer);
    clo_buf_add(b, CLO_STR(",\n  "));
    if (r->has_template) put_digest(b, "template", &r->template_text);
    else clo_buf_add(b, CLO_STR("\"template\": null"));
    clo_buf_add(b, CLO_STR(",\n"));
    put_sampler(b, r);
    if (r->grammar.kind != CLO_GRAMMAR_SOURCE_NONE) put_grammar(b, r);
    clo_buf_add(b, CLO_STR("  \"salt\": \""));
    put_hex(b, r->salt, sizeof r->salt);
    clo_buf_addf(b, "\",\n  \"prompt\": {\"n\": %zu, ", r->n_prompt);
    put_digest(b, "sha256", &r->prompt_sha256);
    clo_buf_add(b, CLO_STR(", "));
    if (r->prompt.n > 0) put_ids(b, "tokens", &r->prompt);
    else clo_buf_add(b, CLO_STR("\"tokens\": null"));
    clo_buf_addf(b, "},\n  \"output\": {\"n\": %zu, \"finish\": \"%s\", ", r->output.n, r->finish);
    put_ids(b, "tokens", &r->output);
    clo_buf_add(b, CLO_STR("},\n  \"chain\": {"));
    put_digest(b, "head", &r->chain);
    clo_buf_add(b, CLO_STR(", \"links\": \""));
    put_hex(b, r->links, r->output.n * CLO_RECEIPT_LINK_BYTES);
    clo_buf_add(b, CLO_STR("\"}\n}\n"));
    return clo_buf_ok(b, err);
}

bool clo_receipt_write(const clo_receipt *r, const char *path, clo_err *err)
{
    clo_buf b = {.max = CLO_RECEIPT_BYTES_MAX};
    bool ok = clo_receipt_format(&b, r, err) && clo_file_write_atomic(path, clo_bytes_of(clo_buf_str(&b)), err);
    clo_buf_free(&b);
    return ok;
}

/* --- reading ------------------------------------------------------------------------------------------------------*/

static bool bad(clo_err *err, const char *what)
{
    return clo_fail(err, CLO_ERR_FORMAT, "receipt: %s", what);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool get_hex(uint8_t *out, size_t n, const char *text, size_t len)
{
    if (len / 2 != n || len % 2 != 0) return false;
    for (size_t i = 0; i < n; i++) {
        int hi = hex_digit(text[2 * i]), lo = hex_digit(text[2 * i + 1]);
        if (hi < 0 || lo < 0) return false;
        out[i] = (uint8_t)(hi << 4 | lo);
    }
    return true;
}

static bool get_digest(clo_sha256 *out, const char *text)
{
    return clo_sha256_parse(out, text, strlen(text));
}

/* A short word: letters, digits, '.', '_', '-', '+'. */
static bool get_word(char *out, size_t cap, const char *text)
{
    size_t n = strlen(text);
    if (n == 0 || n >= cap) return false;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                    c == '_' || c == '-' || c == '+';
        if (!fits) return false;
    }
    memcpy(out, text, n + 1);
    return true;
}

static bool get_float(float *out, const char *text)
{
    char again[40];
    double v = strtod(text, NULL);
    if (isnan(v)) return false;
    *out = (float)v;
    spell_float(again, *out);
    return strcmp(again, text) == 0;
}

static bool get_ids(clo_ids *out, const json_t *list, json_int_t n, clo_err *err)
{
    if (!json_is_array(list) || n < 0 || (size_t)n > CLO_RECEIPT_TOKENS_MAX || json_array_size(list) != (size_t)n)
        return bad(err, "a list of tokens that is not as long as it says");
    for (size_t i = 0; i < (size_t)n; i++) {
        const json_t *v = json_array_get(list, i);
        if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > INT32_MAX)
            return bad(err, "a token that is no id");
        if (!clo_ids_push(out, (int32_t)json_integer_value(v), err)) return false;
    }
    return true;
}

static bool get_bias(clo_receipt *r, const json_t *list, clo_err *err)
{
    size_t n = json_array_size(list);
    if (!json_is_array(list) || n > CLO_LOGIT_BIAS_MAX) return bad(err, "its logit biases");
    clo_logit_bias *bias = (clo_logit_bias *)calloc(n + 1, sizeof *bias);
    if (!bias) return clo_fail(err, CLO_ERR_MEMORY, "receipt");
    r->sampler.bias = bias;
    r->sampler.n_bias = n;
    for (size_t i = 0; i < n; i++) {
        json_int_t id = 0;
        const char *text = NULL;
        if (json_unpack_ex(json_array_get(list, i), NULL, JSON_STRICT, "[I, s]", &id, &text) != 0 || id < 0 ||
            id > INT32_MAX || !get_float(&bias[i].bias, text))
            return bad(err, "a logit bias");
        bias[i].id = (int32_t)id;
    }
    return true;
}

static bool get_sampler(clo_receipt *r, json_t *o, clo_err *err)
{
    const char *order = NULL;
    json_int_t top_k = 0, last_n = 0;
    json_t *bias = NULL;
    if (!json_is_object(o) || json_object_size(o) != N_FLOATS + 4 ||
        json_unpack(o, "{s:s, s:I, s:I, s:o}", "order", &order, "top_k", &top_k, "penalty_last_n", &last_n, "bias",
                    &bias) != 0)
        return bad(err, "its sampler");
    for (size_t i = 0; i < N_FLOATS; i++) {
        const json_t *v = json_object_get(o, floats[i].name);
        float f = 0;
        if (!json_is_string(v) || !get_float(&f, json_string_value(v)))
            return clo_fail(err, CLO_ERR_FORMAT, "receipt: its sampler's %s", floats[i].name);
        memcpy((char *)&r->sampler + floats[i].off, &f, sizeof f);
    }
    if (strcmp(order, "llama") != 0 && strcmp(order, "hf") != 0) return bad(err, "its sampler's order");
    r->sampler.order = order[0] == 'h' ? CLO_SAMPLER_ORDER_HF : CLO_SAMPLER_ORDER_LLAMA;
    if (top_k < INT32_MIN || top_k > INT32_MAX || last_n < -1 || last_n > INT32_MAX)
        return bad(err, "its sampler's numbers");
    r->sampler.top_k = (int32_t)top_k;
    r->sampler.penalty_last_n = (int32_t)last_n;
    if (!get_bias(r, bias, err)) return false;
    return clo_sampler_check(&r->sampler, err);
}

static bool get_seed(uint64_t *out, const char *text)
{
    char again[32];
    *out = strtoull(text, NULL, 10);
    snprintf(again, sizeof again, "%llu", (unsigned long long)*out);
    return strcmp(again, text) == 0;
}

static bool get_grammar(clo_receipt *r, json_t *o, clo_err *err)
{
    const char *version = NULL, *kind = NULL, *digest = NULL, *text = NULL;
    size_t text_len = 0;
    clo_sha256 stated;
    if (!o) return true;
    if (json_unpack_ex(o, NULL, JSON_STRICT, "{s:s, s:s, s:s, s:s%}", "version", &version, "kind", &kind, "sha256",
                       &digest, "text", &text, &text_len) != 0 ||
        !get_word(r->grammar_version, sizeof r->grammar_version, version) || !get_digest(&stated, digest))
        return bad(err, "its grammar");
    if (!clo_grammar_source_read(&r->grammar, clo_str_from(kind), (clo_str){text, text_len}, err)) {
        clo_err_context(err, "receipt");
        return false;
    }
    clo_sha256 found = clo_grammar_source_digest(&r->grammar);
    return clo_sha256_eq(&stated, &found) || bad(err, "its grammar does not have its digest");
}

static bool get_prompt(clo_receipt *r, json_t *o, clo_err *err)
{
    json_int_t n = 0;
    const char *digest = NULL;
    json_t *tokens = NULL;
    if (json_unpack_ex(o, NULL, JSON_STRICT, "{s:I, s:s, s:o}", "n", &n, "sha256", &digest, "tokens", &tokens) != 0 ||
        n < 1 || (size_t)n > CLO_RECEIPT_TOKENS_MAX || !get_digest(&r->prompt_sha256, digest))
        return bad(err, "its prompt");
    r->n_prompt = (size_t)n;
    if (json_is_null(tokens)) return true;
    if (!get_ids(&r->prompt, tokens, n, err)) return false;
    clo_sha256 d = clo_receipt_prompt_digest(r->salt, r->prompt.ids, r->prompt.n);
    return clo_sha256_eq(&d, &r->prompt_sha256) || bad(err, "its prompt's tokens do not have its prompt's digest");
}

static bool get_output(clo_receipt *r, json_t *output, json_t *chain, clo_err *err)
{
    json_int_t n = 0;
    const char *finish = NULL, *head = NULL, *links = NULL;
    size_t links_len = 0;
    json_t *tokens = NULL;
    if (json_unpack_ex(output, NULL, JSON_STRICT, "{s:I, s:s, s:o}", "n", &n, "finish", &finish, "tokens", &tokens) !=
            0 ||
        (strcmp(finish, "stop") != 0 && strcmp(finish, "length") != 0 && strcmp(finish, "cancelled") != 0) ||
        !get_word(r->finish, sizeof r->finish, finish))
        return bad(err, "its output");
    if (!get_ids(&r->output, tokens, n, err)) return false;
    if (json_unpack_ex(chain, NULL, JSON_STRICT, "{s:s, s:s%}", "head", &head, "links", &links, &links_len) != 0 ||
        !get_digest(&r->chain, head))
        return bad(err, "its chain");
    r->links = (uint8_t *)calloc(r->output.n + 1, CLO_RECEIPT_LINK_BYTES);
    if (!r->links) return clo_fail(err, CLO_ERR_MEMORY, "receipt");
    if (!get_hex(r->links, r->output.n * CLO_RECEIPT_LINK_BYTES, links, links_len)) return bad(err, "its chain's links");
    static const clo_sha256 zero;
    const uint8_t *last = r->output.n ? r->links + (r->output.n - 1) * CLO_RECEIPT_LINK_BYTES : zero.b;
    return memcmp(last, r->chain.b, CLO_RECEIPT_LINK_BYTES) == 0 || bad(err, "its chain's head is not its last link");
}

static bool get_all(clo_receipt *r, json_t *root, clo_err *err)
{
    const char *kind, *profile, *kv, *version, *program, *model, *tokenizer, *seed, *salt;
    json_t *template_text, *sampler, *grammar = NULL, *prompt, *output, *chain;
    if (json_unpack_ex(root, NULL, JSON_STRICT,
                       "{s:s, s:s, s:s, s:{s:s, s:s}, s:s, s:s, s:o, s:o, s:s, s?o, s:s, s:o, s:o, s:o}",
                       "receipt", &kind,
                       "profile", &profile, "kv", &kv, "program", "version", &version, "sha256", &program, "model",
                       &model, "tokenizer", &tokenizer, "template", &template_text, "sampler", &sampler, "seed", &seed,
                       "grammar", &grammar,
                       "salt", &salt, "prompt", &prompt, "output", &output, "chain", &chain) != 0)
        return bad(err, "not the fields of a receipt");
    if (strcmp(kind, "rcp1") != 0) return clo_fail(err, CLO_ERR_UNSUPPORTED, "receipt: not of the kind rcp1");
    if (!get_word(r->profile, sizeof r->profile, profile) || !get_word(r->kv, sizeof r->kv, kv) ||
        !get_word(r->version, sizeof r->version, version) || !get_digest(&r->program, program))
        return bad(err, "its profile or program");
    if (!get_digest(&r->model, model) || !get_digest(&r->tokenizer, tokenizer)) return bad(err, "a digest");
    r->has_template = !json_is_null(template_text);
    if (r->has_template &&
        (!json_is_string(template_text) || !get_digest(&r->template_text, json_string_value(template_text))))
        return bad(err, "its template's digest");
    if (!get_seed(&r->seed, seed)) return bad(err, "its seed");
    if (!get_hex(r->salt, sizeof r->salt, salt, strlen(salt))) return bad(err, "its salt");
    return get_sampler(r, sampler, err) && get_grammar(r, grammar, err) && get_prompt(r, prompt, err) &&
           get_output(r, output, chain, err);
}

bool clo_receipt_parse(clo_receipt *out, clo_str text, clo_err *err)
{
    clo_receipt r = {0};
    json_t *root = NULL;
    if (text.len == 0 || text.ptr[text.len - 1] != '\n') return bad(err, "it does not end in a newline: it is cut off");
    if (!clo_json_parse(&root, text, CLO_RECEIPT_BYTES_MAX, err)) return false;
    bool ok = get_all(&r, root, err);
    json_decref(root);
    if (ok) *out = r;
    else clo_receipt_free(&r);
    return ok;
}

bool clo_receipt_read(clo_receipt *out, const char *path, clo_err *err)
{
    clo_arena arena = clo_arena_make(2 * CLO_RECEIPT_BYTES_MAX);
    clo_str text;
    bool ok = clo_file_read(&text, path, CLO_RECEIPT_BYTES_MAX, &arena, err) && clo_receipt_parse(out, text, err);
    clo_arena_free(&arena);
    if (!ok) clo_err_context(err, "read '%s'", path);
    return ok;
}
