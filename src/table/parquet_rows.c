/* Rows of a Parquet file from the levels and values of its columns. See parquet_impl.h.
 *
 * A column is a list of entries: a value or its absence, with two levels. rep: at which list an entry goes on (0: a row
 * begins); def: how far down the schema something is there. Source: Dremel, VLDB 2010, section 4. */
#include <stdlib.h>

#include "base/cursor.h"
#include "table/parquet_impl.h"

typedef struct {
    uint16_t rep, def;
    json_t *value; /* owned; NULL: none */
} entry;

typedef struct {
    const pq_node *leaf;
    entry *entries; /* owned [n] */
    size_t n, cap;
    size_t at, row_at; /* the next one, and where its row began */
} column;

/* What is read, of which rows. */
typedef struct {
    const clo_table_source *s;
    const pq_file *file;
    const pq_group *group;
    uint64_t first, n; /* rows of the group */
    pq_cost cost;
    clo_table_budget budget;
} window;

/* --- columns ------------------------------------------------------------------------------------------------------*/

static void free_column(column *c)
{
    for (size_t i = 0; i < c->n; i++) json_decref(c->entries[i].value);
    free(c->entries);
    *c = (column){0};
}

static bool add_entry(column *c, uint32_t rep, uint32_t def, window *w, clo_err *err)
{
    if (w->budget.cells == 0) return clo_fail(err, CLO_ERR_LIMIT, "more than %d values in these rows: ask for fewer", CLO_TABLE_CELLS_MAX);
    w->budget.cells--;
    if (c->n == c->cap) {
        size_t cap = c->cap ? 2 * c->cap : 64;
        entry *e = (entry *)realloc(c->entries, cap * sizeof *e);
        if (!e) return clo_fail(err, CLO_ERR_MEMORY, "a column");
        c->entries = e;
        c->cap = cap;
    }
    c->entries[c->n++] = (entry){.rep = (uint16_t)rep, .def = (uint16_t)def};
    return true;
}

static unsigned bits_of(uint32_t max)
{
    unsigned n = 0;
    while (max >> n) n++;
    return n;
}

/* Levels of a v1 page stand before its values, with their length. */
static bool cut_levels(clo_bytes *out, pq_page *p, int32_t encoding, clo_err *err)
{
    if (encoding != 3) return clo_fail(err, CLO_ERR_UNSUPPORTED, "levels in encoding %d, expected 3", encoding);
    uint32_t n = p->values.len < 4 ? UINT32_MAX : clo_load_le32(p->values.ptr);
    if (p->values.len < 4 || n > p->values.len - 4) return clo_fail(err, CLO_ERR_FORMAT, "levels of %u bytes in a page of %zu", n, p->values.len);
    *out = (clo_bytes){p->values.ptr + 4, n};
    p->values = (clo_bytes){p->values.ptr + 4 + n, p->values.len - 4 - n};
    return true;
}

/* The words of a dictionary. *out is the caller's. */
static bool read_words(pq_value **out, uint64_t *n, const pq_pages *p, const pq_node *leaf, window *w, clo_err *err)
{
    pq_values v;
    if (p->n_dict > w->cost.values || p->n_dict > p->dict.len * 8 + 8)
        return clo_fail(err, CLO_ERR_FORMAT, "a dictionary of %llu words in %zu bytes", (unsigned long long)p->n_dict, p->dict.len);
    w->cost.values -= p->n_dict;
    *n = p->n_dict;
    *out = (pq_value *)calloc(p->n_dict ? (size_t)p->n_dict : 1, sizeof **out);
    bool ok = *out || clo_fail(err, CLO_ERR_MEMORY, "a dictionary");
    ok = ok && pq_values_open(&v, leaf, 0, p->dict, NULL, 0, err);
    for (uint64_t i = 0; ok && i < p->n_dict; i++) ok = pq_values_next(&(*out)[i], &v, err);
    return ok;
}

typedef struct {
    column *c;
    pq_pages pages;
    pq_value *words; /* owned */
    uint64_t n_words;
    uint64_t row;    /* rows that began */
    bool done;       /* the window's last row is whole */
} reading;

static bool read_values(reading *r, pq_page *p, window *w, clo_err *err)
{
    const pq_node *leaf = r->c->leaf;
    pq_rle reps = {0}, defs = {0};
    pq_values values = {0};
    bool open = false, ok = true;
    if (!p->is_v2 && leaf->max_rep > 0 && !cut_levels(&p->reps, p, p->rep_encoding, err)) return false;
    if (!p->is_v2 && leaf->max_def > 0 && !cut_levels(&p->defs, p, p->def_encoding, err)) return false;
    pq_rle_open(&reps, p->reps, bits_of(leaf->max_rep));
    pq_rle_open(&defs, p->defs, bits_of(leaf->max_def));
    for (uint64_t i = 0; ok && i < p->n_values; i++) {
        uint32_t rep = leaf->max_rep ? pq_rle_next(&reps) : 0, def = leaf->max_def ? pq_rle_next(&defs) : 0;
        pq_value v;
        if (w->cost.values == 0) return pq_values_close(&values), clo_fail(err, CLO_ERR_LIMIT, "more than %llu values lie before these rows", (unsigned long long)PQ_VALUES_MAX);
        w->cost.values--;
        if (reps.bad || defs.bad || rep > leaf->max_rep || def > leaf->max_def || (rep > 0 && r->row == 0)) {
            ok = clo_fail(err, CLO_ERR_FORMAT, "levels of a page end early or are too high");
            break;
        }
        if (rep == 0 && r->row == w->first + w->n) {
            r->done = true;
            break;
        }
        if (rep == 0) r->row++;
        bool wanted = r->row > w->first, there = def == leaf->max_def;
        if (wanted) ok = add_entry(r->c, rep, def, w, err);
        if (ok && there && !open) ok = open = pq_values_open(&values, leaf, p->encoding, p->values, r->words, r->n_words, err);
        if (ok && there) ok = pq_values_next(&v, &values, err);
        if (ok && there && wanted) {
            r->c->entries[r->c->n - 1].value = pq_json(leaf, &v, &w->budget);
            ok = r->c->entries[r->c->n - 1].value || clo_fail(err, CLO_ERR_MEMORY, "a value");
        }
    }
    pq_values_close(&values);
    return ok;
}

static bool read_pages(reading *r, window *w, clo_err *err)
{
    bool found;
    pq_page p;
    while (!r->done && !(r->c->leaf->max_rep == 0 && r->row == w->first + w->n)) {
        if (!pq_pages_next(&p, &found, &r->pages, err)) return false;
        if (!found) break;
        if (r->pages.has_dict && !r->words && !read_words(&r->words, &r->n_words, &r->pages, r->c->leaf, w, err)) return false;
        uint64_t rows = p.has_rows ? p.n_rows : r->c->leaf->max_rep == 0 ? p.n_values : 0;
        if (rows > 0 && rows <= w->first && r->row <= w->first - rows) r->row += rows; /* all of it lies before */
        else if (!pq_pages_body(&p, &r->pages, err) || !read_values(r, &p, w, err)) return false;
    }
    if (r->row < w->first + w->n)
        return clo_fail(err, CLO_ERR_FORMAT, "%llu rows of %llu", (unsigned long long)r->row, (unsigned long long)(w->first + w->n));
    return true;
}

static bool read_column(column *c, size_t i_leaf, window *w, clo_err *err)
{
    reading r = {.c = c};
    c->leaf = w->file->leaves[i_leaf];
    pq_pages_open(&r.pages, w->s, &w->group->chunks[i_leaf], &w->cost);
    bool ok = read_pages(&r, w, err);
    if (!ok) clo_err_context(err, "column '%.*s'", (int)(c->leaf->name.len > 60 ? 60 : c->leaf->name.len), c->leaf->name.ptr);
    pq_pages_close(&r.pages);
    free(r.words);
    return ok;
}

/* --- rows ---------------------------------------------------------------------------------------------------------*/

typedef struct {
    column *columns; /* of the leaves from first_leaf on */
    size_t first_leaf;
    bool bad;        /* levels of different columns do not fit */
} builder;

static json_t *build(builder *b, const pq_node *n);

static column *column_of(builder *b, const pq_node *n)
{
    return &b->columns[n->first_leaf - b->first_leaf];
}

/* The next entry of the row; NULL: there is none. */
static const entry *peek(builder *b, const pq_node *n)
{
    column *c = column_of(b, n);
    if (c->at >= c->n || (c->at > c->row_at && c->entries[c->at].rep == 0)) return NULL;
    return &c->entries[c->at];
}

/* One entry of each column below n says that nothing is there. */
static void pass(builder *b, const pq_node *n)
{
    for (size_t i = 0; i < n->n_leaves; i++) {
        column *c = &b->columns[n->first_leaf + i - b->first_leaf];
        if (c->at >= c->n || (c->at > c->row_at && c->entries[c->at].rep == 0)) b->bad = true;
        else c->at++;
    }
}

static json_t *build_list(builder *b, const pq_node *repeated, const pq_node *element);

/* What is there. */
static json_t *build_one(builder *b, const pq_node *n)
{
    const pq_node *repeated, *element = pq_list_element(n, &repeated);
    if (element && repeated->n_leaves > 0) return build_list(b, repeated, element);
    if (n->type != PQ_GROUP) {
        const entry *e = peek(b, n);
        json_t *v = e ? e->value : NULL;
        if (!e) b->bad = true;
        else {
            column *c = column_of(b, n);
            c->entries[c->at++].value = NULL; /* it moves */
        }
        return v ? v : json_null();
    }
    json_t *o = json_object();
    for (size_t i = 0; i < n->n_children && !b->bad; i++) {
        json_t *key = clo_json_text(n->children[i]->name);
        json_object_setn_new(o, json_string_value(key), json_string_length(key), build(b, n->children[i]));
        json_decref(key);
    }
    return o;
}

static json_t *build_list(builder *b, const pq_node *repeated, const pq_node *element)
{
    json_t *list = json_array();
    const entry *e = peek(b, repeated);
    if (!e || e->def < repeated->max_def) {
        pass(b, repeated);
        return list;
    }
    do json_array_append_new(list, element == repeated ? build_one(b, repeated) : build(b, element));
    while (!b->bad && (e = peek(b, repeated)) && e->rep == repeated->max_rep);
    return list;
}

static json_t *build(builder *b, const pq_node *n)
{
    if (n->n_leaves == 0) return n->repetition == PQ_REPEATED ? json_array() : json_object();
    if (n->repetition == PQ_REPEATED) return build_list(b, n, n);
    const entry *e = peek(b, n);
    if (n->repetition == PQ_OPTIONAL && e && e->def < n->max_def) {
        pass(b, n);
        return json_null();
    }
    return build_one(b, n);
}

/* Every column of the field has come to the row's end. */
static bool end_row(builder *b, size_t n_leaves)
{
    for (size_t i = 0; i < n_leaves; i++) {
        column *c = &b->columns[i];
        if (c->at == c->row_at || (c->at < c->n && c->entries[c->at].rep != 0)) return false;
        c->row_at = c->at;
    }
    return !b->bad;
}

/* The values of one field of the root for the window's rows, each put at the end of its row. */
static bool add_field(json_t *rows, size_t row, const pq_node *field, window *w, clo_err *err)
{
    bool ok = true;
    builder b = {.first_leaf = field->first_leaf};
    b.columns = (column *)calloc(field->n_leaves ? field->n_leaves : 1, sizeof *b.columns);
    if (!b.columns) return clo_fail(err, CLO_ERR_MEMORY, "rows");
    for (size_t i = 0; ok && i < field->n_leaves; i++) ok = read_column(&b.columns[i], field->first_leaf + i, w, err);
    for (uint64_t i = 0; ok && i < w->n; i++) {
        json_t *v = build(&b, field);
        ok = json_array_append_new(json_array_get(rows, row + (size_t)i), v) == 0 || clo_fail(err, CLO_ERR_MEMORY, "rows");
        if (ok && !end_row(&b, field->n_leaves))
            ok = clo_fail(err, CLO_ERR_FORMAT, "columns of '%.*s' do not fit each other", (int)(field->name.len > 60 ? 60 : field->name.len), field->name.ptr);
    }
    for (size_t i = 0; i < field->n_leaves; i++) free_column(&b.columns[i]);
    free(b.columns);
    return ok;
}

static bool add_rows(json_t *rows, window *w, clo_err *err)
{
    size_t row = json_array_size(rows), n_fields = w->file->root->n_children;
    for (uint64_t i = 0; i < w->n; i++)
        if (json_array_append_new(rows, json_array()) != 0) return clo_fail(err, CLO_ERR_MEMORY, "rows");
    for (size_t k = 0; k < n_fields; k++)
        if (!add_field(rows, row, w->file->root->children[k], w, err)) return false;
    return true;
}

/* --- the whole ----------------------------------------------------------------------------------------------------*/

static json_t *columns_json(const pq_file *f)
{
    json_t *out = json_array();
    for (size_t i = 0; i < f->root->n_children; i++) {
        clo_buf type = {.max = 4096};
        pq_type_name(&type, f->root->children[i]);
        json_array_append_new(out, json_pack("{s:o, s:o}", "name", clo_json_text(f->root->children[i]->name), "type", clo_json_text(clo_buf_str(&type))));
        clo_buf_free(&type);
    }
    return out;
}

static bool read_window(clo_table_page *out, pq_file *f, window *w, uint64_t offset, uint64_t limit, clo_err *err)
{
    for (size_t g = 0; g < f->n_groups && limit > 0; g++) {
        uint64_t n = f->groups[g].n_rows;
        if (offset >= n) {
            offset -= n;
            continue;
        }
        w->group = &f->groups[g];
        w->first = offset;
        w->n = n - offset < limit ? n - offset : limit;
        if (!add_rows(out->rows, w, err)) {
            clo_err_context(err, "row group %zu", g);
            return false;
        }
        limit -= w->n;
        offset = 0;
    }
    return true;
}

bool clo_parquet_read(clo_table_page *out, const clo_table_source *s, uint64_t offset, uint64_t limit, clo_err *err)
{
    pq_file f = {0};
    if (!pq_open(&f, s, err)) return false;
    window w = {.s = s, .file = &f, .cost = {PQ_READ_BYTES_MAX, PQ_VALUES_MAX, PQ_PAGES_MAX}, .budget = {CLO_TABLE_CELLS_MAX, CLO_TABLE_SHOWN_BYTES_MAX, false}};
    bool ok = f.root->n_children <= CLO_TABLE_COLUMNS_MAX ||
              clo_fail(err, CLO_ERR_LIMIT, "%zu columns, at most %d", f.root->n_children, CLO_TABLE_COLUMNS_MAX);
    if (ok) {
        out->total = (int64_t)f.n_rows;
        out->columns = columns_json(&f);
        out->rows = json_array();
        ok = read_window(out, &f, &w, offset, limit, err);
        out->truncated = w.budget.truncated;
    }
    pq_close(&f);
    return ok;
}
