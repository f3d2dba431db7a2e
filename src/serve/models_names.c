/* Which models there are, and which of them a name means. See models.h, models_impl.h. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "serve/models_impl.h"

#define DIGEST_DIGITS_MIN 12

/* --- what there is ------------------------------------------------------------------------------------------------*/

typedef struct {
    clo_model_info *rows; /* owned */
    size_t n, cap;
} info_list;

static clo_model_info *add_info(info_list *l, clo_err *err)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 16;
        clo_model_info *more = (clo_model_info *)realloc(l->rows, cap * sizeof *more);
        if (!more) {
            clo_fail(err, CLO_ERR_MEMORY, "list of models");
            return NULL;
        }
        l->rows = more;
        l->cap = cap;
    }
    l->rows[l->n] = (clo_model_info){0};
    return &l->rows[l->n++];
}

/* A model of the data folder that has a fault is left out: `cloche list` shows it. */
static bool add_library(info_list *l, const char *data_dir, clo_err *err)
{
    json_t *list = NULL, *row;
    size_t i;
    bool ok = clo_library_list(&list, data_dir, err);
    json_array_foreach (list, i, row) {
        clo_str name = clo_json_str(row, "name", CLO_STR(""));
        char path[4096];
        if (!ok) break;
        if (json_object_get(row, "fault") || name.len == 0 || !clo_library_path(path, data_dir, name.ptr, NULL)) continue;
        clo_model_info *m = add_info(l, err);
        ok = m != NULL;
        if (!ok) break;
        clo_str_copy(m->name, sizeof m->name, name);
        clo_str_copy(m->label, sizeof m->label, name);
        clo_str_copy(m->path, sizeof m->path, clo_str_from(path));
        clo_str_copy(m->digest, sizeof m->digest, clo_json_str(row, "digest", CLO_STR("")));
        m->bytes = (uint64_t)clo_json_int(row, "bytes", 0);
        m->modified_unix = clo_json_int(row, "imported_unix", 0);
    }
    json_decref(list);
    return ok;
}

/* With the lock held. */
static bool add_known(info_list *l, const clo_model_entry *e, clo_err *err)
{
    clo_model_info *row = add_info(l, err);
    if (!row) return false;
    *row = e->info;
    memcpy(row->digest, e->digest, sizeof row->digest);
    return true;
}

/* What --model names beside the data folder; they go first where names are equal. Their entries were made at the start. */
static bool add_given(info_list *l, clo_models *m, clo_err *err)
{
    pthread_mutex_lock(&m->lock);
    bool ok = true;
    for (const clo_model_entry *e = m->entries; ok && e; e = e->next) {
        if (!e->given || e->removed) continue;
        ok = add_known(l, e, err);
    }
    pthread_mutex_unlock(&m->lock);
    return ok;
}

/* Of the hub's models those that were asked for lately and that r may know of, the newest of each name. */
static bool add_held(info_list *l, clo_models *m, const clo_request *r, clo_err *err)
{
    size_t first = l->n, n = first;
    pthread_mutex_lock(&m->lock);
    bool ok = true;
    for (const clo_model_entry *e = m->entries; ok && e; e = e->next)
        if (e->info.guarded && !e->removed && e->looked_into) ok = add_known(l, e, err);
    pthread_mutex_unlock(&m->lock);
    for (size_t i = first; i < l->n; i++) {
        bool again = false;
        for (size_t k = 0; k < n; k++) again = again || strcmp(l->rows[k].name, l->rows[i].name) == 0;
        if (!again && clo_models_shows(m, &l->rows[i], r)) l->rows[n++] = l->rows[i];
    }
    l->n = n;
    return ok;
}

static bool list_all(info_list *l, clo_models *m, clo_err *err)
{
    if (!add_given(l, m, err)) return false;
    size_t n_given = l->n, n = n_given;
    if (m->data_dir[0] && !add_library(l, m->data_dir, err)) return false;
    for (size_t i = n_given; i < l->n; i++) {
        bool hidden = false;
        for (size_t k = 0; k < n_given; k++) hidden = hidden || strcmp(l->rows[i].name, l->rows[k].name) == 0;
        if (!hidden) l->rows[n++] = l->rows[i];
    }
    l->n = n;
    return true;
}

static int newest_first(const void *a, const void *b)
{
    const clo_model_info *x = (const clo_model_info *)a, *y = (const clo_model_info *)b;
    if (x->modified_unix != y->modified_unix) return x->modified_unix > y->modified_unix ? -1 : 1;
    return strcmp(x->name, y->name);
}

bool clo_models_list(clo_model_info **out, size_t *n, clo_models *m, const clo_request *r, clo_err *err)
{
    info_list l = {0};
    if (!list_all(&l, m, err) || !add_held(&l, m, r, err)) {
        free(l.rows);
        return false;
    }
    *n = 0;
    for (size_t i = 0; i < l.n; i++) /* what cannot be read is no model to offer */
        if (l.rows[i].held.repo || clo_models_facts(&l.rows[i].facts, m, &l.rows[i], NULL)) l.rows[(*n)++] = l.rows[i];
    if (*n > 0) qsort(l.rows, *n, sizeof *l.rows, newest_first);
    *out = l.rows;
    return true;
}

/* --- names --------------------------------------------------------------------------------------------------------*/

/* What may be digits of a digest in a name: without "sha256:", 12 of them or more; else nothing. */
static clo_str digits_of(clo_str name)
{
    if (clo_str_starts_with(name, CLO_STR("sha256:"))) name = clo_str_from_off(name, 7);
    for (size_t i = 0; i < name.len; i++)
        if (!isxdigit((unsigned char)name.ptr[i])) return (clo_str){0};
    return name.len >= DIGEST_DIGITS_MIN && name.len <= 64 ? name : (clo_str){0};
}

bool clo_begins_digest(clo_str name, const char *digest)
{
    clo_str digits = digits_of(name);
    return digits.len > 0 && strlen(digest) == 64 && strncasecmp(digits.ptr, digest, digits.len) == 0;
}

static const clo_model_info *pick_exact(const info_list *l, clo_str name)
{
    for (size_t i = 0; i < l->n; i++)
        if (clo_str_eq(name, clo_str_from(l->rows[i].name))) return &l->rows[i];
    return NULL;
}

static const clo_model_info *pick_name(const info_list *l, clo_str name)
{
    const clo_model_info *found = pick_exact(l, name);
    if (found) return found;
    for (size_t i = 0; i < l->n; i++)
        if (strlen(l->rows[i].name) == name.len && strncasecmp(name.ptr, l->rows[i].name, name.len) == 0)
            return &l->rows[i];
    for (size_t i = 0; i < l->n; i++) {
        if (!clo_begins_digest(name, l->rows[i].digest)) continue;
        if (found && strcmp(found->digest, l->rows[i].digest) != 0) return NULL; /* the digits fit two models */
        if (!found) found = &l->rows[i]; /* models of the same bytes answer alike */
    }
    return found;
}

static bool no_model(clo_api_error *e, clo_str name)
{
    return clo_api_fail(e, CLO_API_NO_MODEL, "model", "model '%.*s' not found", (int)(name.len > 200 ? 200 : name.len),
                        name.ptr);
}

static bool is_stored(const clo_models *m, clo_str name)
{
    char text[CLO_MODEL_NAME_MAX], path[4096];
    if (!m->data_dir[0] || name.len >= sizeof text) return false;
    clo_str_copy(text, sizeof text, name);
    return clo_library_path(path, m->data_dir, text, NULL);
}

/* A name as it is written is one of --model, of the library, or of the hub, in this order; what is none of these may be another
 * spelling of the first two, or a digest. *held: out has one of the hub's; else *found, in the list. */
static bool search(clo_model_info *out, bool *held, const clo_model_info **found, info_list *l, clo_models *m, clo_str name,
                   const clo_request *r, clo_err *err)
{
    clo_str plain = clo_model_without_latest(name);
    bool digits = digits_of(name).len > 0; /* then the models of the hub that were used are looked at too */
    *held = false;
    if (!add_given(l, m, err)) return false;
    *found = pick_exact(l, plain);
    if (*found) return true;
    if (!is_stored(m, plain) && !clo_models_find_held(out, held, m, name, r, err)) return false;
    if (*held) return true;
    l->n = 0;
    if (!list_all(l, m, err) || (digits && !add_held(l, m, r, err))) return false;
    *found = pick_name(l, plain);
    return *found || !digits || clo_models_find_digest(out, held, m, name, r, err);
}

bool clo_models_find_info(clo_model_info *out, clo_models *m, clo_str name, const clo_request *r, clo_api_error *e)
{
    info_list l = {0};
    clo_err err = {0};
    const clo_model_info *found = NULL;
    bool held, ok = search(out, &held, &found, &l, m, name, r, &err);
    if (ok && found) *out = *found;
    free(l.rows);
    if (!ok && err.code == CLO_ERR_NOT_FOUND) /* the repository is there */
        return clo_api_fail(e, CLO_API_NO_MODEL, "model", "model '%.*s' not found: %s", (int)(name.len > 200 ? 200 : name.len), name.ptr,
                            err.text);
    if (!ok) return clo_api_fail_err(e, &err);
    return found || held || no_model(e, name);
}

bool clo_models_spell(char out[CLO_SERVED_NAME_MAX], clo_models *m, clo_str name, const clo_request *r, clo_api_error *e)
{
    clo_model_info *info = (clo_model_info *)malloc(sizeof *info);
    bool ok = info ? clo_models_find_info(info, m, name, r, e) : clo_api_fail(e, CLO_API_BUSY, NULL, "no memory is left");
    if (ok) memcpy(out, info->name, sizeof info->name);
    free(info);
    return ok;
}

/* Entries are linked newest first. */
static bool default_entry(char name[CLO_SERVED_NAME_MAX], clo_models *m)
{
    const clo_model_entry *given = NULL, *open = NULL;
    size_t n_open = 0;
    pthread_mutex_lock(&m->lock);
    for (const clo_model_entry *e = m->entries; e; e = e->next) {
        if (e->removed || e->info.guarded) continue;
        if (e->given) given = e;
        if (e->state != CLO_ENTRY_OPEN) continue;
        open = e;
        n_open++;
    }
    const clo_model_entry *found = given ? given : n_open == 1 ? open : NULL;
    if (found) clo_str_copy(name, CLO_SERVED_NAME_MAX, clo_str_from(found->info.name));
    pthread_mutex_unlock(&m->lock);
    return found != NULL;
}

bool clo_models_default(char name[CLO_SERVED_NAME_MAX], clo_models *m, clo_api_error *e)
{
    info_list l = {0};
    clo_err err = {0};
    if (default_entry(name, m)) return true;
    bool ok = list_all(&l, m, &err), one = ok && l.n == 1;
    if (one) clo_str_copy(name, CLO_SERVED_NAME_MAX, clo_str_from(l.rows[0].name));
    free(l.rows);
    if (!ok) return clo_api_fail_err(e, &err);
    return one || clo_api_fail(e, CLO_API_INVALID, "model", "model is required");
}
