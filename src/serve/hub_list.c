/* Lists of repositories, and the tags that they can be asked by. */
#include <stdlib.h>

#include "hub/index.h"
#include "hub/list.h"
#include "serve/hub_handlers.h"
#include "serve/hub_props.h"
#include "serve/json_out.h"

#define PAGE 1000
#define PAGE_WITH_FILES 100 /* each repository is opened */

/* --- what is asked ------------------------------------------------------------------------------------------------*/

/* All values of a parameter that are not empty. False: replied. */
static bool take_terms(clo_str out[CLO_LIST_TERMS_MAX], size_t *n, clo_hub_call *c, const char *name)
{
    clo_str v;
    for (size_t i = 0; clo_request_param(&v, c->r, clo_request_query(c->r), name, i); i++) {
        if (v.len == 0) continue;
        if (*n == CLO_LIST_TERMS_MAX) return clo_hub_fail(c, 400, NULL, "%s: at most %d of them", name, CLO_LIST_TERMS_MAX);
        out[(*n)++] = v;
    }
    return true;
}

static bool take_order(clo_list_order *out, clo_hub_call *c)
{
    static const struct {
        const char *name;
        clo_list_order order;
    } orders[] = {{"", CLO_LIST_LIKES}, {"trendingScore", CLO_LIST_LIKES}, {"likes", CLO_LIST_LIKES}, {"createdAt", CLO_LIST_CREATED},
                  {"lastModified", CLO_LIST_MODIFIED}, {"downloads", CLO_LIST_DOWNLOADS}};
    clo_str v = clo_hub_param(c, "sort"), direction = clo_hub_param(c, "direction");
    if (direction.len && !clo_str_eq(direction, CLO_STR("-1"))) return clo_hub_fail(c, 400, NULL, "direction: only -1 is known");
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        if (!clo_str_eq(v, clo_str_from(orders[i].name))) continue;
        *out = orders[i].order;
        return true;
    }
    return clo_hub_fail(c, 400, NULL, "sort: createdAt, downloads, lastModified, likes or trendingScore is expected");
}

/* *nobody: the author is no account, so that nothing is found. False: replied. */
static bool take_author(int64_t *out, bool *nobody, clo_hub_call *c)
{
    clo_account_info a;
    clo_err err = {0};
    clo_str v = clo_hub_param(c, "author");
    *nobody = false;
    if (v.len == 0) return true;
    if (clo_account_find(&a, c->db, v, &err)) {
        *out = a.id;
        return true;
    }
    *nobody = true;
    return err.code == CLO_ERR_NOT_FOUND || err.code == CLO_ERR_USAGE || clo_hub_fail_err(c, &err);
}

static bool take_task(clo_list_opts *o, clo_hub_call *c)
{
    clo_str task = clo_hub_param(c, "pipeline_tag");
    clo_buf b = {0};
    if (task.len == 0) return true;
    if (o->n_tags == CLO_LIST_TERMS_MAX) return clo_hub_fail(c, 400, NULL, "filter: at most %d of them", CLO_LIST_TERMS_MAX - 1);
    clo_buf_addf(&b, "pipeline_tag:%.*s", (int)(task.len > 200 ? 200 : task.len), task.ptr);
    clo_str tag = clo_arena_copy_str(clo_request_arena(c->r), clo_buf_str(&b));
    clo_buf_free(&b);
    o->tags[o->n_tags++] = tag;
    return tag.ptr != NULL || clo_hub_fail(c, 503, NULL, "server busy, please try again.  no memory is left");
}

/* False: replied. */
static bool take_opts(clo_list_opts *o, bool *nobody, clo_hub_call *c)
{
    static const char *const unknown[] = {"apps", "num_parameters"};
    for (size_t i = 0; i < 2; i++)
        if (clo_hub_param(c, unknown[i]).len) return clo_hub_fail(c, 501, "NotImplemented", "This hub cannot list by '%s'", unknown[i]);
    if (!take_terms(o->search, &o->n_search, c, "search") || !take_terms(o->tags, &o->n_tags, c, "filter") || !take_task(o, c) ||
        !take_order(&o->order, c) || !take_author(&o->owner, nobody, c) || !clo_hub_take_place(&o->after, c))
        return false;
    if (clo_hub_param(c, "gated").len) o->gate = clo_hub_flag(c, "gated") ? CLO_LIST_GATED : CLO_LIST_NOT_GATED;
    /* No model of the hub is served by anybody else. */
    *nobody = *nobody || clo_hub_param(c, "inference").len || clo_hub_param(c, "inference_provider").len;
    return true;
}

/* --- the page -----------------------------------------------------------------------------------------------------*/

typedef struct {
    clo_repo *repos; /* owned; [CLO_LIST_LIMIT_MAX] */
    size_t n;
} page;

/* Kept until the statement ends, for the facts of each are read by others. */
static bool add_repo(void *ctx, const clo_repo *r, clo_err *err)
{
    page *p = (page *)ctx;
    (void)err;
    p->repos[p->n++] = *r;
    return true;
}

static bool add_page(clo_buf *out, clo_hub_call *c, const page *p, uint64_t want, clo_err *err)
{
    clo_buf_add_char(out, '[');
    for (size_t i = 0; i < p->n; i++) {
        if (i) clo_buf_add_char(out, ',');
        if (!clo_hub_props_add(out, c, &p->repos[i], NULL, want, false, err)) return false;
    }
    clo_buf_add_char(out, ']');
    return clo_buf_ok(out, err);
}

static void list(clo_hub_call *c, clo_repo_type type)
{
    clo_list_opts o = {.type = type};
    clo_viewer v;
    page p = {0};
    clo_buf out = {0};
    clo_err err = {0};
    uint64_t want;
    bool nobody, more = false;
    int places = CLO_PROPS_LIST | (clo_hub_flag(c, "full") ? CLO_PROPS_FULL | CLO_PROPS_CARD : 0) |
                 (clo_hub_flag(c, "cardData") ? CLO_PROPS_CARD : 0) | (clo_hub_flag(c, "config") ? CLO_PROPS_CONFIG : 0);
    if (!take_opts(&o, &nobody, c) || !clo_hub_props_wanted(&want, c, type, places)) return;
    int64_t most = clo_hub_props_has_files(want) ? PAGE_WITH_FILES : PAGE;
    o.limit = (size_t)clo_hub_number(c, "limit", 1, most, most);
    if (nobody) {
        clo_hub_json(c, 200, json_array());
        return;
    }
    p.repos = (clo_repo *)calloc(o.limit, sizeof *p.repos);
    bool ok = p.repos || clo_fail(&err, CLO_ERR_MEMORY, "list");
    ok = ok && clo_db_begin_read(c->db, &err) && clo_viewer_of(&v, c->db, &c->who, &err) && clo_list_each(&more, c->db, &v, &o, add_repo, &p, &err);
    ok = ok && add_page(&out, c, &p, want, &err);
    clo_db_rollback(c->db);
    if (ok && more && p.n > 0) {
        const clo_repo *last = &p.repos[p.n - 1];
        clo_hub_link_place(c, clo_list_key(last, o.order), last->id);
    }
    free(p.repos);
    if (ok) clo_hub_json_text(c, 200, &out);
    else clo_hub_fail_err(c, &err);
    clo_buf_free(&out);
}

void clo_hub_models(clo_hub_call *c)
{
    list(c, CLO_REPO_MODEL);
}

void clo_hub_datasets(clo_hub_call *c)
{
    list(c, CLO_REPO_DATASET);
}

void clo_hub_spaces(clo_hub_call *c)
{
    list(c, CLO_REPO_SPACE);
}

/* --- tags ---------------------------------------------------------------------------------------------------------*/

typedef struct {
    clo_buf of[CLO_TAG_KINDS]; /* owned: objects with commas between */
} tag_lists;

static bool add_tag(void *ctx, const clo_tag *t, clo_err *err)
{
    clo_buf *out = &((tag_lists *)ctx)->of[t->kind];
    clo_buf_add(out, out->len ? CLO_STR(",{") : CLO_STR("{"));
    clo_json_add_pair(out, "id", t->id);
    clo_buf_add_char(out, ',');
    clo_json_add_pair(out, "label", t->label);
    clo_buf_addf(out, ",\"type\":\"%s\"}", clo_tag_kind_name(t->kind));
    return clo_buf_ok(out, err);
}

/* Whether clients expect the list though it may be empty. */
static bool is_always_there(clo_tag_kind k, clo_repo_type type)
{
    if (k > CLO_TAG_REGION) return false;
    return type == CLO_REPO_MODEL || (k != CLO_TAG_TASK && k != CLO_TAG_LIBRARY && k != CLO_TAG_DATASET);
}

static void tags(clo_hub_call *c, clo_repo_type type)
{
    tag_lists l = {0};
    clo_buf out = {0};
    clo_err err = {0};
    bool ok = clo_index_each_tag(c->db, type, add_tag, &l, &err);
    for (size_t k = 0; k < CLO_TAG_KINDS; k++) {
        if (l.of[k].len == 0 && !is_always_there((clo_tag_kind)k, type)) continue;
        clo_buf_addf(&out, "%c\"%s\":[", out.len ? ',' : '{', clo_tag_kind_name((clo_tag_kind)k));
        clo_buf_add(&out, clo_buf_str(&l.of[k]));
        clo_buf_add_char(&out, ']');
    }
    clo_buf_add_char(&out, '}');
    if (ok && clo_buf_ok(&out, &err)) clo_hub_json_text(c, 200, &out);
    else clo_hub_fail_err(c, &err);
    for (size_t k = 0; k < CLO_TAG_KINDS; k++) clo_buf_free(&l.of[k]);
    clo_buf_free(&out);
}

void clo_hub_model_tags(clo_hub_call *c)
{
    tags(c, CLO_REPO_MODEL);
}

void clo_hub_dataset_tags(clo_hub_call *c)
{
    tags(c, CLO_REPO_DATASET);
}
