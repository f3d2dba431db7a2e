/* See hub_props.h. */
#include "serve/hub_props.h"

#include <string.h>

#include "hub/card.h"
#include "hub/index.h"
#include "hub/stamp.h"
#include "hub/tree.h"
#include "serve/hub_weights.h"

/* What properties are made from; read when the first of them asks. */
typedef struct {
    clo_hub_call *c;
    const clo_repo *r;
    clo_git *git;      /* owned when it is not the call's */
    clo_oid commit;
    bool has_commit;
    clo_index_facts f; /* owned */
    bool blobs;
    bool alone;        /* no list: files may be looked into */
    json_t *weights;   /* owned: hub_weights.h; NULL: not yet read */
    clo_err *err;
} source;

static json_t *stamp(int64_t s)
{
    char text[CLO_STAMP_LEN + 1];
    return json_string(clo_stamp(text, s));
}

static json_t *shared(json_t *v)
{
    return json_incref(v);
}

/* --- one function a property; NULL: it has none, unless err was set -------------------------------------------------*/

static json_t *author(source *s) { return json_string(s->r->ns); }
static json_t *created(source *s) { return stamp(s->r->created_s); }
static json_t *modified(source *s) { return stamp(s->r->modified_s); }
static json_t *is_private(source *s) { return json_boolean(s->r->is_private); }
static json_t *disabled(source *s) { return json_boolean(s->r->disabled); }
static json_t *downloads(source *s) { return json_integer(s->r->downloads); }
static json_t *likes(source *s) { return json_integer(s->r->likes); }
static json_t *card(source *s) { return s->f.card ? shared(s->f.card) : json_object(); }
static json_t *config(source *s) { return s->f.config ? shared(s->f.config) : NULL; }
static json_t *tags(source *s) { return s->f.tags ? shared(s->f.tags) : json_array(); }
static json_t *task(source *s) { return s->f.task[0] ? json_string(s->f.task) : NULL; }
static json_t *library(source *s) { return s->f.library[0] ? json_string(s->f.library) : NULL; }
static json_t *nothing(source *s) { return (void)s, json_array(); }
static json_t *yes(source *s) { return (void)s, json_true(); }
static json_t *model_id(source *s) { return json_string(s->r->full); }

static json_t *gated(source *s)
{
    return s->r->gated == CLO_GATED_NO ? json_false() : json_string(clo_gated_name(s->r->gated));
}

static json_t *sha(source *s)
{
    char id[CLO_OID_HEX];
    if (!s->has_commit) return NULL;
    clo_oid_hex(id, &s->commit);
    return json_string(id);
}

static json_t *model_index(source *s)
{
    return json_incref(json_object_get(s->f.card, "model-index"));
}

static json_t *sdk(source *s)
{
    return json_incref(json_object_get(s->f.card, "sdk"));
}

/* What clients pass to a class of four members: no other keys. */
static json_t *transformers_info(source *s)
{
    const char *model, *processor;
    const json_t *first = json_array_get(json_object_get(s->f.config, "architectures"), 0);
    if (strcmp(s->f.library, "transformers") != 0 || !json_is_string(first)) return NULL;
    clo_card_classes(&model, &processor, (clo_str){json_string_value(first), json_string_length(first)});
    json_t *o = json_pack("{s:s}", "auto_model", model);
    if (s->f.task[0]) json_object_set_new(o, "pipeline_tag", json_string(s->f.task));
    if (processor) json_object_set_new(o, "processor", json_string(processor));
    return o;
}

static json_t *weights(source *s, const char *which)
{
    if (!s->alone || !s->has_commit || (!s->weights && !clo_hub_weights(&s->weights, s->c, s->git, &s->commit, s->err))) return NULL;
    return json_incref(json_object_get(s->weights, which));
}

static json_t *safetensors(source *s) { return weights(s, "safetensors"); }
static json_t *gguf(source *s) { return weights(s, "gguf"); }

static json_t *used(source *s)
{
    int64_t n, bytes;
    return clo_files_usage(&n, &bytes, &s->c->files, s->r->id, s->err) ? json_integer(bytes) : NULL;
}

typedef struct {
    json_t *rows;
    bool blobs;
} sibling_list;

static bool add_sibling(void *ctx, const clo_entry *e, clo_err *err)
{
    sibling_list *l = (sibling_list *)ctx;
    char oid[CLO_OID_HEX], sha256[65];
    if (e->kind != CLO_ENTRY_FILE) return true;
    json_t *o = json_pack("{s:s}", "rfilename", e->path);
    if (o && l->blobs) {
        clo_oid_hex(oid, &e->oid);
        json_object_set_new(o, "size", json_integer((json_int_t)e->size));
        json_object_set_new(o, "blobId", json_string(oid));
    }
    if (o && l->blobs && e->is_lfs) {
        clo_sha256_hex(sha256, &e->sha256);
        json_object_set_new(o, "lfs", json_pack("{s:s, s:I, s:I}", "sha256", sha256, "size", (json_int_t)e->size, "pointerSize",
                                                (json_int_t)e->pointer_size));
    }
    return (o && json_array_append_new(l->rows, o) == 0) || clo_fail(err, CLO_ERR_MEMORY, "files of a repository");
}

static json_t *siblings(source *s)
{
    bool more;
    clo_tree_opts o = {.recursive = true};
    sibling_list l = {json_array(), s->blobs};
    if (!s->has_commit || clo_tree_each(&more, s->git, &s->commit, &o, add_sibling, &l, s->err)) return l.rows;
    json_decref(l.rows);
    return NULL;
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
    json_t *(*make)(source *s);
} props[] = {
    {"author", ALL, FULL | INFO | ITEM, 0, author},
    {"sha", ALL, FULL | INFO, FACTS, sha},
    {"lastModified", ALL, FULL | INFO | ITEM, 0, modified},
    {"createdAt", ALL, EVERYWHERE, 0, created},
    {"private", ALL, EVERYWHERE | ITEM, 0, is_private},
    {"gated", M | D, EVERYWHERE | ITEM, 0, gated},
    {"disabled", ALL, FULL | INFO, 0, disabled},
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

/* Main's facts are in the index; those of another commit are read from its files. */
static bool gather(source *s, const clo_oid *commit, int needs)
{
    clo_oid at;
    bool found = false;
    if (commit) s->commit = *commit;
    s->has_commit = commit != NULL;
    if ((needs & FACTS) && !clo_index_get(&s->f, &at, &found, s->c->db, s->r->id, needs & CARD, s->err)) return false;
    if (found && !commit) s->commit = at;
    s->has_commit = s->has_commit || found;
    if ((needs & FILES) && !open_git(s)) return false;
    if (!(needs & FACTS) || !commit || (found && clo_oid_eq(&at, commit))) return true;
    clo_index_facts_free(&s->f);
    return open_git(s) && clo_index_facts_at(&s->f, s->git, s->r->type, commit, s->err);
}

json_t *clo_hub_props_json(clo_hub_call *c, const clo_repo *r, const clo_oid *commit, uint64_t want, bool blobs, clo_err *err)
{
    clo_err own = {0};
    source s = {.c = c, .r = r, .blobs = blobs, .alone = commit != NULL, .err = err ? err : &own};
    json_t *out = gather(&s, commit, needs_of(want)) ? json_pack("{s:s, s:s}", "_id", r->oid, "id", r->full) : NULL;
    for (size_t i = 0; out && i < N_PROPS; i++) {
        if (!(want >> i & 1) || !props[i].make) continue;
        json_t *v = props[i].make(&s);
        if (v) json_object_set_new(out, props[i].name, v);
        if (s.err->code == CLO_OK) continue;
        json_decref(out);
        out = NULL;
    }
    if (!out && s.err->code == CLO_OK) clo_fail(s.err, CLO_ERR_MEMORY, "facts of a repository");
    json_decref(s.weights);
    clo_index_facts_free(&s.f);
    if (s.git != c->git) clo_git_close(s.git);
    return out;
}
