/* See hub_props.h. */
#include "serve/hub_props.h"

#include <inttypes.h>
#include <stdlib.h>

#include "hub/card.h"
#include "hub/index.h"
#include "hub/stamp.h"
#include "hub/tree.h"
#include "serve/hub_weights.h"
#include "serve/json_out.h"

/* What properties are written from; read when the first of them asks. */
typedef struct {
    clo_hub_call *c;
    const clo_repo *r;
    clo_git *git;      /* owned when it is not the call's */
    clo_oid commit;
    bool has_commit;
    clo_index_row f;   /* its texts are the row's, or in the request's arena */
    json_t *card;      /* owned: f.card, where something inside is asked for */
    bool blobs;
    bool alone;        /* no list: files may be looked into */
    json_t *weights;   /* owned: hub_weights.h; NULL: not yet read */
    clo_err *err;
} source;

static void add_text(clo_buf *out, const char *text)
{
    clo_json_add_str(out, clo_str_from(text));
}

static void add_bool(clo_buf *out, bool yes)
{
    clo_buf_add(out, yes ? CLO_STR("true") : CLO_STR("false"));
}

/* JSON as it is stored, or what stands for none. */
static void add_json(clo_buf *out, clo_str text, const char *none)
{
    clo_buf_add(out, text.ptr ? text : clo_str_from(none));
}

static void add_stamp(clo_buf *out, int64_t s)
{
    char text[CLO_STAMP_LEN + 1];
    add_text(out, clo_stamp(text, s));
}

/* --- one function a property; who has none writes nothing -----------------------------------------------------------*/

static void author(source *s, clo_buf *out) { add_text(out, s->r->ns); }
static void created(source *s, clo_buf *out) { add_stamp(out, s->r->created_s); }
static void modified(source *s, clo_buf *out) { add_stamp(out, s->r->modified_s); }
static void is_private(source *s, clo_buf *out) { add_bool(out, s->r->is_private); }
static void disabled(source *s, clo_buf *out) { add_bool(out, s->r->disabled); }
static void no_discussions(source *s, clo_buf *out) { add_bool(out, s->r->no_discussions); }
static void downloads(source *s, clo_buf *out) { clo_json_add_int(out, s->r->downloads); }
static void likes(source *s, clo_buf *out) { clo_json_add_int(out, s->r->likes); }
static void card(source *s, clo_buf *out) { add_json(out, s->f.card, "{}"); }
static void config(source *s, clo_buf *out) { add_json(out, s->f.config, ""); }
static void tags(source *s, clo_buf *out) { add_json(out, s->f.tags, "[]"); }
static void nothing(source *s, clo_buf *out) { (void)s, clo_buf_add(out, CLO_STR("[]")); }
static void yes(source *s, clo_buf *out) { (void)s, add_bool(out, true); }
static void model_id(source *s, clo_buf *out) { add_text(out, s->r->full); }

static void task(source *s, clo_buf *out)
{
    if (s->f.task.len) clo_json_add_str(out, s->f.task);
}

static void library(source *s, clo_buf *out)
{
    if (s->f.library.len) clo_json_add_str(out, s->f.library);
}

static void gated(source *s, clo_buf *out)
{
    if (s->r->gated == CLO_GATED_NO) add_bool(out, false);
    else add_text(out, clo_gated_name(s->r->gated));
}

static void sha(source *s, clo_buf *out)
{
    char id[CLO_OID_HEX];
    if (!s->has_commit) return;
    clo_oid_hex(id, &s->commit);
    add_text(out, id);
}

static void of_card(source *s, clo_buf *out, const char *key)
{
    if (!s->card && s->f.card.ptr) s->card = json_loadb(s->f.card.ptr, s->f.card.len, 0, NULL);
    json_t *v = json_object_get(s->card, key);
    if (v) clo_json_add_tree(out, json_incref(v));
}

static void model_index(source *s, clo_buf *out) { of_card(s, out, "model-index"); }
static void sdk(source *s, clo_buf *out) { of_card(s, out, "sdk"); }

/* What clients pass to a class of four members: no other keys. */
static void transformers_info(source *s, clo_buf *out)
{
    const char *model, *processor;
    json_t *config = s->f.config.ptr ? json_loadb(s->f.config.ptr, s->f.config.len, 0, NULL) : NULL;
    const json_t *first = json_array_get(json_object_get(config, "architectures"), 0);
    if (clo_str_eq(s->f.library, CLO_STR("transformers")) && json_is_string(first)) {
        clo_card_classes(&model, &processor, (clo_str){json_string_value(first), json_string_length(first)});
        json_t *o = json_pack("{s:s}", "auto_model", model);
        if (s->f.task.len) json_object_set_new(o, "pipeline_tag", json_stringn(s->f.task.ptr, s->f.task.len));
        if (processor) json_object_set_new(o, "processor", json_string(processor));
        clo_json_add_tree(out, o);
    }
    json_decref(config);
}

static void weights(source *s, clo_buf *out, const char *which)
{
    if (!s->alone || !s->has_commit || (!s->weights && !clo_hub_weights(&s->weights, s->c, s->git, &s->commit, s->err))) return;
    json_t *v = json_object_get(s->weights, which);
    if (v) clo_json_add_tree(out, json_incref(v));
}

static void safetensors(source *s, clo_buf *out) { weights(s, out, "safetensors"); }
static void gguf(source *s, clo_buf *out) { weights(s, out, "gguf"); }

static void used(source *s, clo_buf *out)
{
    int64_t n, bytes;
    if (clo_files_usage(&n, &bytes, &s->c->files, s->r->id, s->err)) clo_json_add_int(out, bytes);
}

typedef struct {
    clo_buf *out;
    size_t n;
    bool blobs;
} sibling_list;

static bool add_sibling(void *ctx, const clo_entry *e, clo_err *err)
{
    sibling_list *l = (sibling_list *)ctx;
    char oid[CLO_OID_HEX], sha256[65];
    if (e->kind != CLO_ENTRY_FILE) return true;
    clo_buf_add(l->out, l->n++ ? CLO_STR(",{") : CLO_STR("{"));
    clo_json_add_pair(l->out, "rfilename", clo_str_from(e->path));
    if (l->blobs) {
        clo_oid_hex(oid, &e->oid);
        clo_buf_addf(l->out, ",\"size\":%" PRIu64 ",\"blobId\":\"%s\"", e->size, oid);
    }
    if (l->blobs && e->is_lfs) {
        clo_sha256_hex(sha256, &e->sha256);
        clo_buf_addf(l->out, ",\"lfs\":{\"sha256\":\"%s\",\"size\":%" PRIu64 ",\"pointerSize\":%" PRIu64 "}", sha256, e->size,
                     (uint64_t)e->pointer_size);
    }
    clo_buf_add_char(l->out, '}');
    return clo_buf_ok(l->out, err);
}

static void siblings(source *s, clo_buf *out)
{
    bool more;
    clo_tree_opts o = {.recursive = true};
    sibling_list l = {out, 0, s->blobs};
    clo_buf_add_char(out, '[');
    if (s->has_commit && !clo_tree_each(&more, s->git, &s->commit, &o, add_sibling, &l, s->err)) return;
    clo_buf_add_char(out, ']');
}

/* --- the table ----------------------------------------------------------------------------------------------------*/

#define M 1
#define D 2
#define S 4
#define ALL (M | D | S)
#define LIST CLO_PROPS_LIST
#define FULL CLO_PROPS_FULL
#define INFO CLO_PROPS_INFO
#define EVERYWHERE (LIST | FULL | INFO)
#define ITEM CLO_PROPS_ITEM
#define FACTS 1 /* needs what the index knows */
#define CARD 2  /* and the card */
#define FILES 4 /* needs the repository open */

/* Without a function: a property that clients may ask for and that is never there. */
static const struct {
    const char *name;
    int whose, places, needs;
    void (*add)(source *s, clo_buf *out);
} props[] = {
    {"author", ALL, FULL | INFO | ITEM, 0, author},
    {"sha", ALL, FULL | INFO, FACTS, sha},
    {"lastModified", ALL, FULL | INFO | ITEM, 0, modified},
    {"createdAt", ALL, EVERYWHERE, 0, created},
    {"private", ALL, EVERYWHERE | ITEM, 0, is_private},
    {"gated", M | D, EVERYWHERE | ITEM, 0, gated},
    {"disabled", ALL, FULL | INFO, 0, disabled},
    {"discussionsDisabled", ALL, INFO, 0, no_discussions},
    {"downloads", M | D, EVERYWHERE | ITEM, 0, downloads},
    {"downloadsAllTime", M | D, 0, 0, downloads},
    {"likes", ALL, EVERYWHERE | ITEM, 0, likes},
    {"trendingScore", ALL, EVERYWHERE, 0, likes}, /* nothing else is measured */
    {"tags", ALL, EVERYWHERE, FACTS, tags},
    {"pipeline_tag", M, EVERYWHERE | ITEM, FACTS, task},
    {"library_name", M, EVERYWHERE, FACTS, library},
    {"cardData", ALL, INFO | CLO_PROPS_CARD, FACTS | CARD, card},
    {"model-index", M, INFO, FACTS | CARD, model_index},
    {"config", M, INFO | CLO_PROPS_CONFIG, FACTS, config},
    {"transformersInfo", M, INFO, FACTS, transformers_info},
    {"safetensors", M, INFO, FACTS | FILES, safetensors},
    {"gguf", M, INFO, FACTS | FILES, gguf},
    {"sdk", S, EVERYWHERE | ITEM, FACTS | CARD, sdk},
    {"siblings", ALL, FULL | INFO, FACTS | FILES, siblings},
    {"usedStorage", ALL, INFO, 0, used},
    {"spaces", M, INFO, 0, nothing},
    {"models", S, INFO, 0, nothing},
    {"datasets", S, INFO, 0, nothing},
    {"xetEnabled", ALL, INFO, 0, yes},
    {"modelId", M, EVERYWHERE, 0, model_id},
    {"baseModels", M, 0, 0, NULL},
    {"childrenModelCount", M, 0, 0, NULL},
    {"citation", D, 0, 0, NULL},
    {"description", D, 0, 0, NULL},
    {"evalResults", M, 0, 0, NULL},
    {"inference", M, 0, 0, NULL},
    {"inferenceProviderMapping", M, 0, 0, NULL},
    {"mainSize", D, 0, 0, NULL},
    {"mask_token", M, 0, 0, NULL},
    {"paperswithcode_id", D, 0, 0, NULL},
    {"region", S, 0, 0, NULL},
    {"resourceGroup", ALL, 0, 0, NULL},
    {"runtime", S, 0, 0, NULL},
    {"subdomain", S, 0, 0, NULL},
    {"widgetData", M, 0, 0, NULL},
};
#define N_PROPS (sizeof props / sizeof *props)
_Static_assert(N_PROPS <= 64, "a set of properties is 64 bits");

static bool belongs(size_t i, clo_repo_type type)
{
    return props[i].whose & (1 << type);
}

uint64_t clo_hub_props_at(clo_repo_type type, int places)
{
    uint64_t out = 0;
    for (size_t i = 0; i < N_PROPS; i++)
        if (belongs(i, type) && (props[i].places & places)) out |= (uint64_t)1 << i;
    return out;
}

bool clo_hub_props_wanted(uint64_t *out, clo_hub_call *c, clo_repo_type type, int places)
{
    clo_str name;
    size_t n = 0, i;
    *out = 0;
    for (; clo_request_param(&name, c->r, clo_request_query(c->r), "expand", n); n++) {
        for (i = 0; i < N_PROPS && !(belongs(i, type) && clo_str_eq(name, clo_str_from(props[i].name)));) i++;
        if (i == N_PROPS)
            return clo_hub_fail(c, 400, NULL, "expand: '%.*s' is not known", (int)(name.len > 60 ? 60 : name.len), name.ptr);
        *out |= (uint64_t)1 << i;
    }
    if (n == 0) *out = clo_hub_props_at(type, places);
    return true;
}

static int needs_of(uint64_t want)
{
    int needs = 0;
    for (size_t i = 0; i < N_PROPS; i++)
        if (want >> i & 1) needs |= props[i].needs;
    return needs;
}

bool clo_hub_props_has_files(uint64_t want)
{
    return needs_of(want) & FILES;
}

static bool open_git(source *s)
{
    if (s->git) return true;
    if (s->r->id == s->c->repo.id && s->c->git) {
        s->git = s->c->git;
        return true;
    }
    return clo_git_open(&s->git, s->c->db, s->r->id, s->err);
}

/* A tree as text in the request's arena; ptr NULL: there is none. */
static bool keep_text(clo_str *out, source *s, const json_t *v)
{
    char *text = v ? json_dumps(v, JSON_COMPACT) : NULL;
    *out = (clo_str){0};
    if (text) *out = clo_arena_copy_str(clo_request_arena(s->c->r), clo_str_from(text));
    free(text);
    return !v || out->ptr || clo_fail(s->err, CLO_ERR_MEMORY, "facts of a repository");
}

/* The facts of a commit that is not main's, out of its files. */
static bool read_facts(source *s)
{
    clo_index_facts f = {0};
    clo_arena *keep = clo_request_arena(s->c->r);
    bool ok = open_git(s) && clo_index_facts_at(&f, s->git, s->r->type, &s->commit, s->err) && keep_text(&s->f.card, s, f.card) &&
              keep_text(&s->f.tags, s, f.tags) && keep_text(&s->f.config, s, f.config);
    s->f.task = clo_arena_copy_str(keep, clo_str_from(f.task));
    s->f.library = clo_arena_copy_str(keep, clo_str_from(f.library));
    clo_index_facts_free(&f);
    return ok;
}

/* Main's facts are in the index; those of another commit are read from its files. */
static bool gather(source *s, const clo_oid *commit, int needs)
{
    bool found = false;
    if (commit) s->commit = *commit;
    s->has_commit = commit != NULL;
    if ((needs & FACTS) && !clo_index_read(&s->f, &found, s->c->db, s->r->id, needs & CARD, s->err)) return false;
    if (found && !commit) s->commit = s->f.at;
    s->has_commit = s->has_commit || found;
    if ((needs & FILES) && !open_git(s)) return false;
    return !(needs & FACTS) || !commit || (found && clo_oid_eq(&s->f.at, commit)) || read_facts(s);
}

static void add_property(source *s, clo_buf *out, size_t i)
{
    size_t before = out->len;
    clo_buf_add(out, CLO_STR(",\""));
    clo_buf_add(out, clo_str_from(props[i].name));
    clo_buf_add(out, CLO_STR("\":"));
    size_t at = out->len;
    props[i].add(s, out);
    if (out->len == at) out->len = before;
}

bool clo_hub_props_add(clo_buf *out, clo_hub_call *c, const clo_repo *r, const clo_oid *commit, uint64_t want, bool blobs, clo_err *err)
{
    source s = {.c = c, .r = r, .blobs = blobs, .alone = commit != NULL, .err = err};
    bool ok = gather(&s, commit, needs_of(want));
    clo_buf_addf(out, "{\"_id\":\"%s\",\"id\":\"%s\"", r->oid, r->full);
    for (size_t i = 0; ok && i < N_PROPS; i++) {
        if ((want >> i & 1) && props[i].add) add_property(&s, out, i);
        ok = err->code == CLO_OK;
    }
    clo_buf_add_char(out, '}');
    json_decref(s.card);
    json_decref(s.weights);
    clo_index_row_end(&s.f);
    if (s.git != c->git) clo_git_close(s.git);
    return ok && clo_buf_ok(out, err);
}
