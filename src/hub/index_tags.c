/* See index.h: the tags that are in use. */
#include <string.h>

#include "hub/card.h"
#include "hub/index.h"

#define TAGS_MAX 20000 /* that are told */

/* Kinds that a tag's prefix names; "region" and the like are as good. Others: a language, a library, a task, or other. */
static const char *const prefixes[] = {"license",          "dataset",         "language",       "region",           "task_categories",
                                       "task_ids",         "size_categories", "multilinguality", "language_creators",
                                       "annotations_creators", "source_datasets", "library",      "pipeline_tag"};

/* The index has these beside the tag itself: a tag alone does not tell that it is a library or a task. */
static bool is_marker(const char *kind)
{
    return strcmp(kind, "library") == 0 || strcmp(kind, "pipeline_tag") == 0;
}

static const char *kind_of(clo_str *label, clo_str tag)
{
    size_t colon = clo_str_find(tag, 0, ':');
    *label = tag;
    for (size_t i = 0; colon < tag.len && i < sizeof prefixes / sizeof *prefixes; i++) {
        if (!clo_str_eq((clo_str){tag.ptr, colon}, clo_str_from(prefixes[i]))) continue;
        *label = clo_str_from_off(tag, colon + 1);
        return prefixes[i];
    }
    return clo_vocab_has(CLO_VOCAB_LANGUAGES, tag) ? "language" : "other";
}

static bool add(json_t *out, clo_str tag)
{
    clo_str label;
    const char *kind = kind_of(&label, tag);
    clo_str id = is_marker(kind) ? label : tag;
    json_t *list = json_object_get(out, kind);
    if (!list) json_object_set_new(out, kind, list = json_array());
    return list && json_array_append_new(list, json_pack("{s:s%, s:s%, s:s}", "id", id.ptr, id.len, "label", label.ptr, label.len, "type",
                                                         kind)) == 0;
}

/* What is a library or a task is not told as "other" once more. */
static bool drop_others(json_t *out)
{
    json_t *others = json_object_get(out, "other"), *named = json_object(), *row;
    static const char *const kinds[] = {"library", "pipeline_tag"};
    size_t i;
    for (size_t k = 0; k < 2; k++)
        json_array_foreach (json_object_get(out, kinds[k]), i, row)
            json_object_set_new(named, json_string_value(json_object_get(row, "id")), json_true());
    json_t *rest = json_array();
    bool ok = named && rest;
    json_array_foreach (others, i, row)
        if (ok && !json_object_get(named, json_string_value(json_object_get(row, "id")))) ok = json_array_append(rest, row) == 0;
    json_decref(named);
    return json_object_set_new(out, "other", rest) == 0 && ok;
}

bool clo_index_tags_by_type(json_t **out, clo_db *db, clo_repo_type type, clo_err *err)
{
    /* From tag to tag through the index, however many repositories have each. */
    clo_stmt next = {0}, seen = {0};
    bool row = false, shown = false;
    char tag[CLO_CARD_TAG_BYTES_MAX + 32] = "";
    size_t len = 0, n = 0;
    json_t *all = json_object();
    static const char *const always[] = {"license", "language", "pipeline_tag", "library", "dataset", "other", "region"};
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        if (type == CLO_REPO_MODEL || i < 2 || i > 4) json_object_set_new(all, always[i], json_array());
    bool ok = clo_stmt_open(&next, db, "SELECT tag FROM repo_tags WHERE type = ?1 AND tag > ?2 ORDER BY tag LIMIT 1", err) &&
              clo_stmt_open(&seen, db,
                            "SELECT 1 FROM repo_tags t CROSS JOIN repos r ON r.id = t.repo WHERE t.type = ?1 AND t.tag = ?2"
                            " AND r.private = 0 AND r.disabled = 0 LIMIT 1",
                            err);
    while (ok && n < TAGS_MAX) {
        ok = clo_stmt_int(&next, 1, type, err) && clo_stmt_text(&next, 2, (clo_str){tag, len}, err) && clo_stmt_step(&next, &row, err);
        if (!ok || !row) break;
        clo_str s = clo_stmt_get_str(&next, 0);
        len = s.len < sizeof tag ? s.len : sizeof tag;
        memcpy(tag, s.ptr, len);
        clo_stmt_reset(&next);
        ok = clo_stmt_int(&seen, 1, type, err) && clo_stmt_text(&seen, 2, (clo_str){tag, len}, err) && clo_stmt_step(&seen, &shown, err);
        clo_stmt_reset(&seen);
        if (ok && shown) ok = add(all, (clo_str){tag, len}) || clo_fail(err, CLO_ERR_MEMORY, "tags");
        n += shown;
    }
    clo_stmt_close(&next);
    clo_stmt_close(&seen);
    ok = ok && (drop_others(all) || clo_fail(err, CLO_ERR_MEMORY, "tags"));
    if (ok) *out = all;
    else json_decref(all);
    return ok;
}
