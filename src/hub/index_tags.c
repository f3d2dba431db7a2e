/* See index.h: the tags that are in use. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "hub/card.h"
#include "hub/index.h"

#define TAGS_MAX 20000 /* that are told */
#define TAGS_BYTES ((size_t)32 << 20)

static const char *const kinds[CLO_TAG_KINDS] = {
    [CLO_TAG_LICENSE] = "license", [CLO_TAG_LANGUAGE] = "language", [CLO_TAG_TASK] = "pipeline_tag", [CLO_TAG_LIBRARY] = "library",
    [CLO_TAG_DATASET] = "dataset", [CLO_TAG_OTHER] = "other",       [CLO_TAG_REGION] = "region",     "task_categories",
    "task_ids",                    "size_categories",               "multilinguality",               "language_creators",
    "annotations_creators",        "source_datasets",
};

const char *clo_tag_kind_name(clo_tag_kind k)
{
    return kinds[k];
}

/* What its prefix says; without one it is a language or "other". */
static clo_tag_kind kind_of(clo_str *label, clo_str tag)
{
    size_t colon = clo_str_find(tag, 0, ':');
    *label = tag;
    for (size_t k = 0; colon < tag.len && k < CLO_TAG_KINDS; k++) {
        if (k == CLO_TAG_OTHER || !clo_str_eq((clo_str){tag.ptr, colon}, clo_str_from(kinds[k]))) continue;
        *label = clo_str_from_off(tag, colon + 1);
        return (clo_tag_kind)k;
    }
    return clo_vocab_has(CLO_VOCAB_LANGUAGES, tag) ? CLO_TAG_LANGUAGE : CLO_TAG_OTHER;
}

typedef struct {
    clo_str *all; /* owned; in the order of their bytes */
    size_t n;
    clo_arena keep; /* their texts */
} tag_list;

static bool read_all(tag_list *l, clo_db *db, clo_repo_type type, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    l->keep = clo_arena_make(TAGS_BYTES);
    l->all = (clo_str *)calloc(TAGS_MAX, sizeof *l->all);
    bool ok = (l->all || clo_fail(err, CLO_ERR_MEMORY, "tags")) &&
              clo_stmt_open(&q, db, "SELECT tag FROM tags WHERE type = ?1 ORDER BY tag LIMIT ?2", err) && clo_stmt_int(&q, 1, type, err) &&
              clo_stmt_int(&q, 2, TAGS_MAX, err);
    while (ok && (ok = clo_stmt_step(&q, &row, err)) && row) {
        clo_str s = clo_arena_copy_str(&l->keep, clo_stmt_get_str(&q, 0));
        ok = s.ptr || clo_fail(err, CLO_ERR_MEMORY, "tags");
        if (ok) l->all[l->n++] = s;
    }
    clo_stmt_close(&q);
    return ok;
}

static int by_bytes(const void *a, const void *b)
{
    return clo_str_cmp(*(const clo_str *)a, *(const clo_str *)b);
}

/* Whether a tag stands in the list behind the prefix too, as the name of a library or a task. */
static bool is_named(const tag_list *l, const char *prefix, clo_str tag)
{
    char text[CLO_CARD_TAG_BYTES_MAX + 32];
    size_t n = strlen(prefix);
    if (n + 1 + tag.len > sizeof text) return false;
    memcpy(text, prefix, n);
    text[n] = ':';
    memcpy(text + n + 1, tag.ptr, tag.len);
    clo_str key = {text, n + 1 + tag.len};
    return bsearch(&key, l->all, l->n, sizeof key, by_bytes) != NULL;
}

/* A library or a task has two tags: itself, and the one with the prefix, which tells what it is. */
static bool give(const tag_list *l, clo_str tag, clo_tag_fn *fn, void *ctx, clo_err *err)
{
    clo_tag t = {.id = tag};
    t.kind = kind_of(&t.label, tag);
    if (t.kind == CLO_TAG_OTHER && (is_named(l, kinds[CLO_TAG_LIBRARY], tag) || is_named(l, kinds[CLO_TAG_TASK], tag))) return true;
    if (t.kind == CLO_TAG_LIBRARY || t.kind == CLO_TAG_TASK) t.id = t.label;
    return fn(ctx, &t, err);
}

bool clo_index_each_tag(clo_db *db, clo_repo_type type, clo_tag_fn *fn, void *ctx, clo_err *err)
{
    tag_list l = {0};
    bool ok = read_all(&l, db, type, err);
    for (size_t i = 0; ok && i < l.n; i++) ok = give(&l, l.all[i], fn, ctx, err);
    free(l.all);
    clo_arena_free(&l.keep);
    return ok;
}
