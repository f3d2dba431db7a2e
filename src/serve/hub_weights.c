/* See hub_weights.h. */
#include "serve/hub_weights.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/check.h"
#include "hub/tree.h"
#include "serve/hub_head.h"

#define SLOTS 256
#define KEPT_BYTES_MAX ((size_t)32 << 10) /* of one commit's facts */
#define FILES_MAX 1024                    /* of a commit's root that are looked at */
#define READ_BYTES_MAX ((size_t)64 << 20) /* of headers, for one commit */
#define TEMPLATE_BYTES_MAX 16384

/* --- what is kept -------------------------------------------------------------------------------------------------*/

struct clo_weights_cache {
    pthread_mutex_t lock;
    struct {
        clo_oid commit;
        char *text; /* owned: JSON; NULL: an empty slot */
    } slots[SLOTS]; /* guarded by lock */
};

clo_weights_cache *clo_weights_cache_new(void)
{
    clo_weights_cache *w = (clo_weights_cache *)calloc(1, sizeof *w);
    if (w) pthread_mutex_init(&w->lock, NULL);
    return w;
}

void clo_weights_cache_free(clo_weights_cache *w)
{
    if (!w) return;
    for (size_t i = 0; i < SLOTS; i++) free(w->slots[i].text);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

static json_t *find_kept(clo_weights_cache *w, const clo_oid *commit)
{
    json_t *out = NULL;
    size_t i = commit->b[0] % SLOTS;
    pthread_mutex_lock(&w->lock);
    if (w->slots[i].text && clo_oid_eq(&w->slots[i].commit, commit)) out = json_loads(w->slots[i].text, 0, NULL);
    pthread_mutex_unlock(&w->lock);
    return out;
}

static void keep(clo_weights_cache *w, const clo_oid *commit, const json_t *facts)
{
    char *text = json_dumps(facts, JSON_COMPACT);
    size_t i = commit->b[0] % SLOTS;
    if (text && strlen(text) > KEPT_BYTES_MAX) {
        free(text);
        text = NULL;
    }
    if (!text) return;
    pthread_mutex_lock(&w->lock);
    free(w->slots[i].text);
    w->slots[i].commit = *commit;
    w->slots[i].text = text;
    pthread_mutex_unlock(&w->lock);
}

/* --- which files --------------------------------------------------------------------------------------------------*/

typedef struct {
    clo_entry *files; /* owned [n]: safetensors of the root */
    size_t n;
    clo_entry gguf;
    bool has_gguf;
} found;

static bool add_entry(void *ctx, const clo_entry *e, clo_err *err)
{
    found *f = (found *)ctx;
    clo_hub_head_kind kind = clo_hub_head_kind_of(clo_str_from(e->path));
    if (e->kind != CLO_ENTRY_FILE || kind == CLO_HEAD_NONE) return true;
    if (kind == CLO_HEAD_GGUF) {
        if (!f->has_gguf) f->gguf = *e;
        f->has_gguf = true;
        return true;
    }
    clo_entry *p = (clo_entry *)realloc(f->files, (f->n + 1) * sizeof *p);
    if (!p) return clo_fail(err, CLO_ERR_MEMORY, "weights");
    f->files = p;
    f->files[f->n++] = *e;
    return true;
}

/* Leaves those that belong together. */
static void choose(found *f)
{
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->files[i].path, "model.safetensors") == 0) {
            f->files[0] = f->files[i];
            f->n = 1;
            return;
        }
    for (size_t i = 0; i < f->n; i++)
        if (clo_str_starts_with(clo_str_from(f->files[i].path), CLO_STR("model-")) && strstr(f->files[i].path, "-of-"))
            f->files[n++] = f->files[i];
    f->n = n > 0 ? n : f->n == 1 ? 1 : 0;
}

/* --- facts --------------------------------------------------------------------------------------------------------*/

/* False when the file cannot be understood. *fault: it was the store. */
static bool open_head(clo_hub_head *h, clo_hub_call *c, clo_git *g, const clo_entry *e, size_t *left, clo_err *fault)
{
    clo_content f = {0};
    clo_err err = {0};
    clo_hub_head_kind kind = clo_hub_head_kind_of(clo_str_from(e->path));
    bool ok = clo_content_open(&f, &c->files, g, e, &err) && clo_hub_head_open(h, &f, kind, clo_min(*left, CLO_HUB_HEAD_BYTES_MAX), &err);
    clo_content_close(&f);
    if (ok) *left -= clo_min(*left, h->bytes.len);
    if (!ok && (err.code == CLO_ERR_MEMORY || err.code == CLO_ERR_IO || err.code == CLO_ERR_DAMAGED)) *fault = err;
    return ok;
}

static void add_elements(json_t *parameters, const clo_tensor *t, uint64_t *total)
{
    const char *name = clo_dtype_info_of(t->dtype)->name;
    uint64_t n = clo_hub_tensor_elements(t);
    json_object_set_new(parameters, name, json_integer(json_integer_value(json_object_get(parameters, name)) + (json_int_t)n));
    *total += n;
}

static json_t *safetensors_json(clo_hub_call *c, clo_git *g, const found *f, clo_err *fault)
{
    json_t *parameters = json_object();
    uint64_t total = 0;
    size_t left = READ_BYTES_MAX;
    bool ok = f->n > 0;
    for (size_t i = 0; ok && i < f->n; i++) {
        clo_hub_head h = {0};
        ok = open_head(&h, c, g, &f->files[i], &left, fault);
        for (size_t k = 0; k < h.n_tensors; k++) add_elements(parameters, &h.tensors[k], &total);
        clo_hub_head_close(&h);
    }
    if (ok) return json_pack("{s:o, s:I}", "parameters", parameters, "total", (json_int_t)total);
    json_decref(parameters);
    return NULL;
}

static void add_text(json_t *o, const char *name, clo_str s)
{
    if (s.len > 0 && s.len <= TEMPLATE_BYTES_MAX) json_object_set_new(o, name, clo_json_text(s));
}

/* The text of a token that a key numbers. */
static void add_token(json_t *o, const char *name, const clo_gguf *g, const char *key)
{
    const clo_gguf_kv *tokens = clo_gguf_find(g, "tokenizer.ggml.tokens");
    int64_t id = clo_gguf_int(g, key, -1);
    if (!tokens || tokens->type != CLO_GGUF_ARRAY || tokens->elem != CLO_GGUF_STR || id < 0 || (uint64_t)id >= tokens->n) return;
    clo_str *all = (clo_str *)calloc((size_t)tokens->n, sizeof *all);
    if (!all) return;
    clo_gguf_array_strs(tokens, all);
    add_text(o, name, all[id]);
    free(all);
}

static json_t *gguf_json(clo_hub_call *c, clo_git *g, const found *f, clo_err *fault)
{
    clo_hub_head h = {0};
    uint64_t total = 0;
    char key[256];
    size_t left = READ_BYTES_MAX;
    if (!f->has_gguf || !open_head(&h, c, g, &f->gguf, &left, fault)) return NULL;
    for (size_t i = 0; i < h.n_tensors; i++) total += clo_hub_tensor_elements(&h.tensors[i]);
    json_t *o = json_pack("{s:I}", "total", (json_int_t)total);
    clo_str arch = clo_gguf_str(&h.gguf, "general.architecture", CLO_STR(""));
    add_text(o, "architecture", arch);
    if (arch.len > 0 && arch.len < 100) {
        snprintf(key, sizeof key, "%.*s.context_length", (int)arch.len, arch.ptr);
        int64_t n = clo_gguf_int(&h.gguf, key, 0);
        if (n > 0) json_object_set_new(o, "context_length", json_integer(n));
    }
    add_text(o, "chat_template", clo_gguf_str(&h.gguf, "tokenizer.chat_template", CLO_STR("")));
    add_token(o, "bos_token", &h.gguf, "tokenizer.ggml.bos_token_id");
    add_token(o, "eos_token", &h.gguf, "tokenizer.ggml.eos_token_id");
    clo_hub_head_close(&h);
    return o;
}

bool clo_hub_weights(json_t **out, clo_hub_call *c, clo_git *g, const clo_oid *commit, clo_err *err)
{
    clo_weights_cache *kept = clo_hub_weights_cache(c);
    clo_tree_opts o = {.limit = FILES_MAX};
    found f = {0};
    clo_err fault = {0};
    bool more;
    *out = find_kept(kept, commit);
    if (*out) return true;
    bool ok = clo_tree_each(&more, g, commit, &o, add_entry, &f, err);
    if (ok) {
        choose(&f);
        json_t *st = safetensors_json(c, g, &f, &fault), *gguf = gguf_json(c, g, &f, &fault);
        *out = json_object();
        if (st) json_object_set_new(*out, "safetensors", st);
        if (gguf) json_object_set_new(*out, "gguf", gguf);
        if (*out && fault.code == CLO_OK) keep(kept, commit, *out);
        ok = *out || clo_fail(err, CLO_ERR_MEMORY, "weights");
    }
    free(f.files);
    return ok;
}
