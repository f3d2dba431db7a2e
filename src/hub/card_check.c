/* See card.h: the check of a card's metadata, field by field from a table. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/card.h"

#define FAULTS_MAX 100 /* of each kind; more are not told */
#define VALUE_SHOWN 60 /* bytes of a value in a message */

typedef struct {
    json_t *errors, *warnings; /* owned */
    bool full;                 /* no memory */
} report;

static void add(report *r, json_t *list, const char *fmt, ...) CLO_PRINTF(3, 4);
static void add(report *r, json_t *list, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    if (json_array_size(list) >= FAULTS_MAX) return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < ' ' || (unsigned char)*p > '~') *p = '?';
    if (json_array_append_new(list, json_pack("{s:s}", "message", text)) != 0) r->full = true;
}

/* --- kinds of values ----------------------------------------------------------------------------------------------*/

/* A language: a code of 639-1, or the shape of 639-3, with a region or script after it. */
static bool language_known(clo_str s)
{
    size_t n = 0;
    while (n < s.len && s.ptr[n] >= 'a' && s.ptr[n] <= 'z') n++;
    if (n == s.len && n != 3) return clo_vocab_has(CLO_VOCAB_LANGUAGES, s);
    bool code = n == 3 || (n == 2 && clo_vocab_has(CLO_VOCAB_LANGUAGES, (clo_str){s.ptr, n}));
    return code && (n == s.len || s.ptr[n] == '-' || s.ptr[n] == '_');
}

/* The id of a repository, `name` or `namespace/name`. */
static bool id_known(clo_str s)
{
    size_t n_slashes = 0;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
        if (c == '/') n_slashes++;
        else if (!word) return false;
    }
    return s.len > 0 && n_slashes <= 1 && s.ptr[0] != '/' && s.ptr[s.len - 1] != '/';
}

static bool relation_known(clo_str s)
{
    return clo_str_eq(s, CLO_STR("finetune")) || clo_str_eq(s, CLO_STR("quantized")) || clo_str_eq(s, CLO_STR("adapter")) ||
           clo_str_eq(s, CLO_STR("merge"));
}

static bool license_known(clo_str s)
{
    return clo_vocab_has(CLO_VOCAB_LICENSES, s);
}

static bool task_known(clo_str s)
{
    return clo_vocab_has(CLO_VOCAB_TASKS, s);
}

static bool size_known(clo_str s)
{
    return clo_vocab_has(CLO_VOCAB_SIZES, s);
}

static bool sdk_known(clo_str s)
{
    return clo_vocab_has(CLO_VOCAB_SDKS, s);
}

/* --- the table ----------------------------------------------------------------------------------------------------*/

enum { TEXT = 1, TEXTS = 2, NUMBER = 4, BOOL = 8 }; /* what a field may be */
enum { MODEL = 1, DATASET = 2, SPACE = 4, ALL = 7 };

static const struct {
    const char *name;
    int where, kinds;
    bool (*known)(clo_str); /* NULL: any text */
    const char *what;       /* for the warning: "'x' is no <what>" */
} fields[] = {
    {"license", ALL, TEXT | TEXTS, license_known, "license that is known here (for your own: 'other' with license_name)"},
    {"license_name", ALL, TEXT, NULL, NULL},
    {"license_link", ALL, TEXT, NULL, NULL},
    {"language", MODEL | DATASET, TEXT | TEXTS, language_known, "code of ISO 639-1 or 639-3"},
    {"tags", ALL, TEXTS, NULL, NULL},
    {"datasets", MODEL | SPACE, TEXT | TEXTS, id_known, "id of a dataset"},
    {"models", SPACE, TEXT | TEXTS, id_known, "id of a model"},
    {"base_model", MODEL, TEXT | TEXTS, id_known, "id of a model"},
    {"base_model_relation", MODEL, TEXT, relation_known, "relation (finetune, quantized, adapter or merge)"},
    {"metrics", MODEL, TEXT | TEXTS, NULL, NULL},
    {"pipeline_tag", MODEL, TEXT, task_known, "task that is known here"},
    {"library_name", MODEL, TEXT, NULL, NULL},
    {"pretty_name", DATASET, TEXT, NULL, NULL},
    {"annotations_creators", DATASET, TEXT | TEXTS, NULL, NULL},
    {"language_creators", DATASET, TEXT | TEXTS, NULL, NULL},
    {"multilinguality", DATASET, TEXT | TEXTS, NULL, NULL},
    {"size_categories", DATASET, TEXT | TEXTS, size_known, "size category (n<1K, 1K<n<10K, ...)"},
    {"source_datasets", DATASET, TEXT | TEXTS, NULL, NULL},
    {"task_categories", DATASET, TEXT | TEXTS, task_known, "task that is known here"},
    {"task_ids", DATASET, TEXT | TEXTS, NULL, NULL},
    {"title", SPACE, TEXT, NULL, NULL},
    {"emoji", SPACE, TEXT, NULL, NULL},
    {"sdk", SPACE, TEXT, sdk_known, "SDK (gradio, streamlit, docker or static)"},
    {"sdk_version", SPACE, TEXT | NUMBER, NULL, NULL},
    {"app_file", SPACE, TEXT, NULL, NULL},
    {"pinned", SPACE, BOOL, NULL, NULL},
};

static const char *name_of_kinds(int kinds)
{
    switch (kinds) {
    case TEXT: return "a string";
    case TEXTS: return "a list of strings";
    case TEXT | TEXTS: return "a string or a list of strings";
    case TEXT | NUMBER: return "a string or a number";
    default: return "true or false";
    }
}

static void check_word(report *r, size_t f, int index, const json_t *v)
{
    clo_str s = {json_string_value(v), json_string_length(v)};
    char place[16] = "";
    if (!fields[f].known || fields[f].known(s)) return;
    if (index >= 0) snprintf(place, sizeof place, "[%d]", index);
    add(r, r->warnings, "\"%s%s\": '%.*s' is no %s", fields[f].name, place, (int)(s.len > VALUE_SHOWN ? VALUE_SHOWN : s.len), s.ptr,
        fields[f].what);
}

static void check_list(report *r, size_t f, const json_t *list)
{
    size_t i;
    const json_t *one;
    json_array_foreach (list, i, one) {
        if (json_is_string(one)) check_word(r, f, (int)i, one);
        else add(r, r->errors, "\"%s[%zu]\" must be a string", fields[f].name, i);
    }
}

static void check_field(report *r, size_t f, const json_t *v)
{
    int kinds = fields[f].kinds;
    if (!v || json_is_null(v)) return; /* as if it were not there: templates leave names without values */
    if (json_is_string(v) && kinds & TEXT) check_word(r, f, -1, v);
    else if (json_is_array(v) && kinds & TEXTS) check_list(r, f, v);
    else if (!(json_is_number(v) && kinds & NUMBER) && !(json_is_boolean(v) && kinds & BOOL))
        add(r, r->errors, "\"%s\" must be %s", fields[f].name, name_of_kinds(kinds));
}

/* --- fields with a structure --------------------------------------------------------------------------------------*/

/* An item of results: task.type, dataset.{name,type}, metrics[].{type,value}. */
static void check_result(report *r, const char *at, const json_t *result)
{
    static const struct {
        const char *part, *key;
    } texts[] = {{"task", "type"}, {"dataset", "name"}, {"dataset", "type"}};
    const json_t *metrics = json_object_get(result, "metrics"), *m;
    size_t i;
    if (!json_is_object(result)) {
        add(r, r->errors, "\"%s\" must be an object", at);
        return;
    }
    for (size_t t = 0; t < sizeof texts / sizeof texts[0]; t++)
        if (!json_is_string(json_object_get(json_object_get(result, texts[t].part), texts[t].key)))
            add(r, r->errors, "\"%s.%s.%s\" must be a string", at, texts[t].part, texts[t].key);
    if (!json_is_array(metrics)) add(r, r->errors, "\"%s.metrics\" must be a list", at);
    json_array_foreach (metrics, i, m) {
        if (!json_is_string(json_object_get(m, "type"))) add(r, r->errors, "\"%s.metrics[%zu].type\" must be a string", at, i);
        if (!json_object_get(m, "value")) add(r, r->errors, "\"%s.metrics[%zu].value\" is required", at, i);
    }
}

static void check_model_index(report *r, const json_t *v)
{
    size_t i, j;
    const json_t *one, *result;
    char at[64];
    if (!v || json_is_null(v)) return;
    if (!json_is_array(v)) {
        add(r, r->errors, "\"model-index\" must be a list");
        return;
    }
    json_array_foreach (v, i, one) {
        const json_t *results = json_object_get(one, "results");
        if (!json_is_string(json_object_get(one, "name"))) add(r, r->errors, "\"model-index[%zu].name\" must be a string", i);
        if (!json_is_array(results)) add(r, r->errors, "\"model-index[%zu].results\" must be a list", i);
        json_array_foreach (results, j, result) {
            snprintf(at, sizeof at, "model-index[%zu].results[%zu]", i, j);
            check_result(r, at, result);
        }
    }
}

/* data_files: a text, a list of texts, or a list of {split, path}. */
static void check_data_files(report *r, size_t i, const json_t *v)
{
    size_t j;
    const json_t *one;
    if (!v || json_is_null(v) || json_is_string(v)) return;
    if (!json_is_array(v)) {
        add(r, r->errors, "\"configs[%zu].data_files\" must be a string or a list", i);
        return;
    }
    json_array_foreach (v, j, one) {
        const json_t *path = json_object_get(one, "path");
        bool split = json_is_string(json_object_get(one, "split")) && (json_is_string(path) || json_is_array(path));
        if (!json_is_string(one) && !split)
            add(r, r->errors, "\"configs[%zu].data_files[%zu]\" must be a string or have 'split' and 'path'", i, j);
    }
}

static void check_configs(report *r, const json_t *v)
{
    size_t i;
    const json_t *one;
    if (!v || json_is_null(v)) return;
    if (!json_is_array(v)) {
        add(r, r->errors, "\"configs\" must be a list");
        return;
    }
    json_array_foreach (v, i, one) {
        if (!json_is_string(json_object_get(one, "config_name")))
            add(r, r->errors, "\"configs[%zu].config_name\" must be a string", i);
        check_data_files(r, i, json_object_get(one, "data_files"));
    }
}

static void check_dataset_info(report *r, const json_t *v)
{
    if (v && !json_is_null(v) && !json_is_object(v) && !json_is_array(v))
        add(r, r->errors, "\"dataset_info\" must be an object or a list of objects");
}

/* --- the whole ----------------------------------------------------------------------------------------------------*/

static int where_of(const char *type)
{
    return strcmp(type, "dataset") == 0 ? DATASET : strcmp(type, "space") == 0 ? SPACE : MODEL;
}

static void check_data(report *r, const json_t *data, int where)
{
    for (size_t f = 0; f < sizeof fields / sizeof fields[0]; f++)
        if (fields[f].where & where) check_field(r, f, json_object_get(data, fields[f].name));
    if (clo_str_eq(clo_json_str(data, "license", CLO_STR("")), CLO_STR("other")) && !json_is_string(json_object_get(data, "license_name")))
        add(r, r->warnings, "\"license_name\" is missing beside 'license: other'");
    if (where == MODEL) check_model_index(r, json_object_get(data, "model-index"));
    if (where == DATASET) check_configs(r, json_object_get(data, "configs"));
    if (where == DATASET) check_dataset_info(r, json_object_get(data, "dataset_info"));
    if (where == SPACE && !json_is_string(json_object_get(data, "sdk"))) add(r, r->warnings, "\"sdk\" is missing");
}

bool clo_card_check(json_t **out, clo_str text, const char *type, clo_err *err)
{
    report r = {.errors = json_array(), .warnings = json_array()};
    clo_card card = {0};
    clo_err why = {0};
    bool ok = r.errors && r.warnings;
    if (ok && !clo_card_read(&card, text, &why)) {
        if (why.code == CLO_ERR_MEMORY) ok = false;
        else add(&r, r.errors, "%s", why.text);
    } else if (ok && !card.data) {
        add(&r, r.warnings, "empty or missing yaml metadata in repo card");
    } else if (ok) {
        check_data(&r, card.data, where_of(type));
    }
    clo_card_free(&card);
    *out = json_pack("{s:o, s:o}", "errors", r.errors, "warnings", r.warnings);
    if (ok && *out && !r.full) return true;
    json_decref(*out);
    *out = NULL;
    return clo_fail(err, CLO_ERR_MEMORY, "check of a card");
}
