/* Collections: slugs, orders, lists, and what a viewer sees of items. */
#include "hub_box.h"

#include "hub/collection_item.h"
#include "hub/text.h"

#define BEN 3
#define RITA 4 /* reads in lab */

static const clo_viewer nobody = {0}, alice = {.account = ALICE}, rita = {.account = RITA}, root = {.account = BEN, .admin = true};

static int set_up(void **state)
{
    if (hub_set_up(state)) return -1;
    hub_box *b = *state;
    hub_exec(b->db, "INSERT INTO accounts (id, oid, name, kind, created) VALUES (3, 'f00000000000000000000003', 'ben', 'user', 0),"
                    " (4, 'f00000000000000000000004', 'rita', 'user', 0)");
    hub_exec(b->db, "INSERT INTO members (org, user, role) VALUES (2, 4, 'read')");
    return 0;
}

static clo_collection create(hub_box *b, int64_t owner, const char *title, bool is_private)
{
    clo_collection c = {0};
    clo_collection_opts o = {.owner = owner, .maker = ALICE, .title = clo_str_from(title), .is_private = is_private};
    must(clo_collection_create(&c, b->db, &o, HUB_NOW, &b->err));
    return c;
}

static clo_collection_change no_change(void)
{
    return (clo_collection_change){.is_private = -1, .position = -1};
}

static void slugs_lead_to_collections(void **state)
{
    hub_box *b = *state;
    static const struct {
        const char *title, *words;
    } cases[] = {
        {"Recent Models", "recent-models"},
        {"  --a--  b!!", "a-b"},
        {"\xc3\x84rzte 2026", "rzte-2026"},
        {"\xe6\xa8\xa1\xe5\x9e\x8b", "collection"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char want[CLO_COLLECTION_SLUG_MAX];
        clo_collection c = create(b, LAB, cases[i].title, false), found;
        snprintf(want, sizeof want, "lab/%s-%s", cases[i].words, c.oid);
        assert_string_equal(c.slug, want);
        must(clo_collection_find(&found, b->db, CLO_STR("LAB"), clo_str_from(c.slug + 4), &b->err));
        assert_int_equal(found.id, c.id);
        must(clo_collection_find_any(&found, b->db, clo_str_from(c.slug), &b->err));
        must(clo_collection_find_any(&found, b->db, clo_str_from(c.oid), &b->err));
        assert_int_equal(found.id, c.id);
        snprintf(want, sizeof want, "older-%s", c.oid);
        must(clo_collection_find(&found, b->db, CLO_STR("lab"), clo_str_from(want), &b->err));
        assert_false(clo_collection_find(&found, b->db, CLO_STR("alice"), clo_str_from(want), &b->err));
        assert_false(clo_collection_find(&found, b->db, CLO_STR("lab"), (clo_str){want + 7, CLO_COLLECTION_OID_LEN - 1}, &b->err));
        want[5] = 'x';
        assert_false(clo_collection_find(&found, b->db, CLO_STR("lab"), clo_str_from(want), &b->err));
        assert_int_equal(b->err.code, CLO_ERR_NOT_FOUND);
    }
}

static void a_title_is_one_of_its_owner(void **state)
{
    hub_box *b = *state;
    clo_collection first = create(b, LAB, "T", false), second = create(b, LAB, "U", false), again;
    create(b, ALICE, "T", false);
    clo_collection_opts o = {.owner = LAB, .title = CLO_STR("T")};
    assert_false(clo_collection_create(&again, b->db, &o, HUB_NOW, &b->err));
    assert_int_equal(b->err.code, CLO_ERR_DENIED);
    assert_int_equal(again.id, first.id);
    clo_collection_change ch = no_change();
    ch.title = CLO_STR("T");
    must(clo_collection_update(&first, b->db, &ch, HUB_NOW + 5, &b->err));
    assert_int_equal(first.modified_s, HUB_NOW + 5);
    assert_false(clo_collection_update(&second, b->db, &ch, HUB_NOW, &b->err));
    assert_int_equal(b->err.code, CLO_ERR_DENIED);
}

static void texts_have_limits(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t len, min, max;
        bool line, ok;
    } cases[] = {
        {"", 0, 0, 3, true, true},        {"", 0, 1, 3, true, false},       {"  ", 2, 1, 3, true, false},     {"abc", 3, 1, 3, true, true},
        {"abcd", 4, 1, 3, true, false},   {"\xc3\xa4\xc3\xa4\xc3\xa4", 6, 1, 3, true, true},                 {"a\nb", 3, 1, 3, true, false},
        {"a\nb", 3, 1, 3, false, true},   {"a\0b", 3, 1, 3, false, false},  {"\xff", 1, 1, 3, false, false},  {"\x7f", 1, 1, 3, true, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(clo_text_check("t", (clo_str){cases[i].text, cases[i].len}, cases[i].min, cases[i].max, cases[i].line, NULL), cases[i].ok);
}

/* --- order --------------------------------------------------------------------------------------------------------*/

typedef struct {
    int64_t ids[32];
    size_t n;
    clo_collection last;
} finds;

static bool take(void *ctx, const clo_collection *c, clo_err *err)
{
    finds *f = ctx;
    (void)err;
    f->ids[f->n++] = c->id;
    f->last = *c;
    return true;
}

/* All pages of a filter. */
static void list_all(finds *f, hub_box *b, const clo_viewer *v, clo_collection_filter o)
{
    bool more = true;
    f->n = 0;
    while (more) {
        must(clo_collection_each(&more, b->db, v, &o, take, f, &b->err));
        o.after = (clo_list_place){true, clo_collection_key(&f->last, &o), f->last.id};
    }
}

static void move_in_model(int64_t *ids, size_t n, int64_t id, size_t at)
{
    size_t k = 0;
    while (ids[k] != id) k++;
    memmove(&ids[k], &ids[k + 1], (n - k - 1) * sizeof *ids);
    if (at > n - 1) at = n - 1;
    memmove(&ids[at + 1], &ids[at], (n - 1 - at) * sizeof *ids);
    ids[at] = id;
}

static void collections_stand_where_they_are_put(void **state)
{
    hub_box *b = *state;
    int64_t model[6];
    finds f;
    unsigned seed = 7;
    for (int i = 0; i < 6; i++) {
        char title[16];
        snprintf(title, sizeof title, "t%d", i);
        model[5 - i] = create(b, LAB, title, i == 2).id;
    }
    for (int round = 0; round < 60; round++) {
        clo_collection c;
        clo_collection_change ch = no_change();
        int64_t place = -1;
        seed = seed * 1103515245 + 12345;
        ch.position = (int64_t)(seed >> 16) % 8;
        must(clo_collection_get(&c, b->db, model[(seed >> 8) % 6], &b->err));
        must(clo_collection_update(&c, b->db, &ch, HUB_NOW, &b->err));
        move_in_model(model, 6, c.id, (size_t)ch.position);
        clo_collection_filter o = {.owners = {LAB}, .n_owners = 1, .as_placed = true, .limit = 1 + round % 4};
        list_all(&f, b, &rita, o);
        assert_int_equal(f.n, 6);
        assert_memory_equal(f.ids, model, sizeof model);
        must(clo_collection_place(&place, b->db, &rita, &c, &b->err));
        assert_int_equal(place, ch.position > 5 ? 5 : ch.position);
        list_all(&f, b, &nobody, o);
        assert_int_equal(f.n, 5);
    }
}

static void lists_are_filtered(void **state)
{
    hub_box *b = *state;
    finds f;
    clo_repo other;
    must(hub_make_repo(b, &other, CLO_REPO_DATASET, LAB, "d"));
    clo_collection one = create(b, LAB, "One", false), two = create(b, ALICE, "Two of ONE", true), three = create(b, LAB, "Three", false);
    must(clo_collection_item_add(b->db, &one, (clo_collection_thing){.repo = b->repo.id}, CLO_STR(""), HUB_NOW + 1, &b->err));
    must(clo_collection_item_add(b->db, &two, (clo_collection_thing){.repo = b->repo.id}, CLO_STR(""), HUB_NOW + 2, &b->err));
    must(clo_collection_item_add(b->db, &three, (clo_collection_thing){.other = one.id}, CLO_STR(""), HUB_NOW + 3, &b->err));
    const struct {
        clo_collection_filter f;
        const clo_viewer *v;
        int64_t want[4];
    } cases[] = {
        {{.limit = 10}, &nobody, {three.id, one.id}},
        {{.limit = 1}, &alice, {three.id, two.id, one.id}},
        {{.limit = 2}, &root, {three.id, two.id, one.id}},
        {{.limit = 2}, &rita, {three.id, one.id}},
        {{.limit = 2, .owners = {ALICE, BEN}, .n_owners = 2}, &alice, {two.id}},
        {{.limit = 2, .items = {{.repo = b->repo.id}}, .n_items = 1}, &alice, {two.id, one.id}},
        {{.limit = 2, .items = {{.repo = other.id}}, .n_items = 1}, &alice, {0}},
        {{.limit = 2, .items = {{.repo = other.id}, {.other = one.id}}, .n_items = 2}, &nobody, {three.id}},
        {{.limit = 2, .search = CLO_STR("one")}, &alice, {two.id, one.id}},
        {{.limit = 2, .search = CLO_STR("%")}, &alice, {0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = 0;
        while (cases[i].want[n]) n++;
        list_all(&f, b, cases[i].v, cases[i].f);
        assert_int_equal(f.n, n);
        for (size_t k = 0; k < n; k++) assert_int_equal(f.ids[k], cases[i].want[k]);
    }
}

/* --- items --------------------------------------------------------------------------------------------------------*/

static void assert_items(hub_box *b, const clo_viewer *v, const clo_collection *c, const char *want)
{
    clo_collection_item *items;
    size_t n;
    int64_t count = -1;
    char got[64] = "";
    must(clo_collection_items(&items, &n, b->db, v, c->id, 0, &b->err));
    must(clo_collection_item_count(&count, b->db, v, c->id, &b->err));
    assert_int_equal(count, n);
    for (size_t i = 0; i < n; i++) got[i] = items[i].note[0];
    free(items);
    assert_string_equal(got, want);
}

static clo_str item_oid(hub_box *b, const clo_collection *c, char note)
{
    static char oid[CLO_COLLECTION_OID_LEN + 1];
    clo_collection_item *items;
    size_t n;
    must(clo_collection_items(&items, &n, b->db, &root, c->id, 0, &b->err));
    oid[0] = '\0';
    for (size_t i = 0; i < n; i++)
        if (items[i].note[0] == note) memcpy(oid, items[i].oid, sizeof oid);
    free(items);
    assert_int_equal(strlen(oid), CLO_COLLECTION_OID_LEN);
    return clo_str_from(oid);
}

static void places_count_what_one_sees(void **state)
{
    hub_box *b = *state;
    clo_collection c = create(b, LAB, "C", false), hidden = create(b, ALICE, "H", true);
    static const char *const names[] = {"a", "b", "c", "d"};
    for (size_t i = 0; i < 4; i++) {
        clo_repo r;
        must(hub_make_repo(b, &r, CLO_REPO_MODEL, i % 2 ? ALICE : LAB, names[i]));
        r.is_private = i % 2;
        must(clo_repo_set(b->db, &r, &b->err));
        must(clo_collection_item_add(b->db, &c, (clo_collection_thing){.repo = r.id}, clo_str_from(names[i]), HUB_NOW, &b->err));
    }
    must(clo_collection_item_add(b->db, &c, (clo_collection_thing){.other = hidden.id}, CLO_STR("h"), HUB_NOW, &b->err));
    assert_false(clo_collection_item_add(b->db, &c, (clo_collection_thing){.other = hidden.id}, CLO_STR("h"), HUB_NOW, &b->err));
    assert_int_equal(b->err.code, CLO_ERR_DENIED);
    assert_items(b, &root, &c, "abcdh");
    assert_items(b, &nobody, &c, "ac");
    assert_items(b, &alice, &c, "abcdh");
    must(clo_collection_item_update(b->db, &nobody, &c, item_oid(b, &c, 'c'), (clo_str){0}, 0, HUB_NOW + 9, &b->err));
    assert_items(b, &root, &c, "cabdh");
    must(clo_collection_item_update(b->db, &nobody, &c, item_oid(b, &c, 'c'), (clo_str){0}, 1, HUB_NOW, &b->err));
    assert_items(b, &root, &c, "abdhc");
    must(clo_collection_item_update(b->db, &alice, &c, item_oid(b, &c, 'h'), CLO_STR("H"), 1, HUB_NOW, &b->err));
    assert_items(b, &root, &c, "aHbdc");
    assert_false(clo_collection_item_update(b->db, &nobody, &c, item_oid(b, &c, 'b'), CLO_STR("x"), -1, HUB_NOW, &b->err));
    assert_int_equal(b->err.code, CLO_ERR_NOT_FOUND);
    assert_false(clo_collection_item_delete(b->db, &nobody, &c, item_oid(b, &c, 'b'), HUB_NOW, &b->err));
    must(clo_collection_item_delete(b->db, &alice, &c, item_oid(b, &c, 'b'), HUB_NOW, &b->err));
    assert_items(b, &root, &c, "aHdc");
    must(clo_collection_delete(b->db, hidden.id, &b->err));
    assert_items(b, &root, &c, "adc");
    hub_exec(b->db, "DELETE FROM repos WHERE name = 'a'");
    assert_items(b, &root, &c, "dc");
    must(clo_collection_delete(b->db, c.id, &b->err));
    assert_false(clo_collection_delete(b->db, c.id, &b->err));
    assert_items(b, &root, &c, "");
    assert_false(clo_collection_item_add(b->db, &c, (clo_collection_thing){.repo = b->repo.id}, CLO_STR("x"), HUB_NOW, &b->err));
    assert_int_equal(b->err.code, CLO_ERR_NOT_FOUND);
}

static void they_are_not_without_end(void **state)
{
    hub_box *b = *state;
    clo_collection c = create(b, LAB, "Full", false), more;
    hub_exec(b->db, "INSERT INTO repos (id, oid, type, namespace, name, private, gated, disabled, created, modified, downloads, likes)"
                    " WITH RECURSIVE n (i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 1009)"
                    " SELECT i, printf('%024x', i), 'model', 2, 'r' || i, 0, 'no', 0, 0, 0, 0, 0 FROM n");
    hub_exec(b->db, "INSERT INTO collection_items (oid, collection, repo, note, position) SELECT oid, (SELECT max(id) FROM collections), id, '', id"
                    " FROM repos WHERE id >= 10");
    assert_false(clo_collection_item_add(b->db, &c, (clo_collection_thing){.repo = b->repo.id}, CLO_STR(""), HUB_NOW, &b->err));
    assert_int_equal(b->err.code, CLO_ERR_LIMIT);
    hub_exec(b->db, "INSERT INTO collections (oid, owner, title, description, private, theme, position, created, modified)"
                    " SELECT oid, 2, name, '', 0, 'blue', id, 0, 0 FROM repos WHERE id >= 10 LIMIT 999");
    clo_collection_opts o = {.owner = LAB, .title = CLO_STR("One more")};
    assert_false(clo_collection_create(&more, b->db, &o, HUB_NOW, &b->err));
    assert_int_equal(b->err.code, CLO_ERR_LIMIT);
}

int main(void)
{
#define ROW(test) cmocka_unit_test_setup_teardown(test, set_up, hub_tear_down)
    const struct CMUnitTest tests[] = {
        ROW(slugs_lead_to_collections),
        ROW(a_title_is_one_of_its_owner),
        ROW(texts_have_limits),
        ROW(collections_stand_where_they_are_put),
        ROW(lists_are_filtered),
        ROW(places_count_what_one_sees),
        ROW(they_are_not_without_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
