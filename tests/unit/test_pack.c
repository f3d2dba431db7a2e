/* Packs: what git writes is read whole, what is cut, changed or a bomb is refused. */
#include <openssl/evp.h>

#include "hub/pack.h"
#include "hub_box.h"

static bool add_out(void *ctx, clo_bytes bytes, clo_err *err)
{
    clo_buf_add(ctx, clo_str_of(bytes));
    return clo_buf_ok(ctx, err);
}

static void read_file(hub_box *b, clo_buf *out, const char *name)
{
    char path[128], piece[4096];
    snprintf(path, sizeof path, "%s/%s", b->dir, name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    for (size_t n; (n = fread(piece, 1, sizeof piece, f)) > 0;) clo_buf_add(out, (clo_str){piece, n});
    fclose(f);
}

/* A history with long deltas, packed by git: with distances or with names of bases. */
static void make_pack(hub_box *b, clo_buf *out, bool names)
{
    hub_sh(
        b,
        "rm -rf w p && git init -q w && cd w && git config user.name a && git config user.email a@x && seq 1 400 > f && git add . && git commit -q -m 0 &&"
        " for i in 1 2 3 4 5; do sed -i \"${i}0s/.*/$i$i/\" f && mkdir -p d && echo $i > d/$i && git add . && git commit -q -m $i; done && git tag -a -m t t &&"
        " git rev-list --objects --all | cut -c1-40 | git pack-objects -q --stdout --window=20 --depth=20 %s > ../p",
        names ? "" : "--delta-base-offset");
    read_file(b, out, "p");
}

static bool take(hub_box *b, clo_oid_map *names, clo_str pack)
{
    hub_open_git(b);
    return clo_pack_read(names, b->g, clo_bytes_of(pack), &b->err);
}

static void set_sum(clo_buf *pack)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    assert_int_equal(EVP_Digest(pack->ptr, pack->len - 20, sum, NULL, EVP_sha1(), NULL), 1);
    memcpy(pack->ptr + pack->len - 20, sum, 20);
}

static void a_pack_of_git_s_is_read_whole(void **state)
{
    hub_box *b = *state;
    for (int names = 0; names < 2; names++) {
        clo_buf pack = {0};
        clo_oid_map got = {0};
        make_pack(b, &pack, names);
        must(take(b, &got, clo_buf_str(&pack)));
        char list[8192];
        snprintf(list, sizeof list, "%s", hub_sh(b, "git -C w rev-list --objects --all | cut -c1-40"));
        size_t n = 0;
        for (char *at = list; strlen(at) >= 40; at += at[40] ? 41 : 40, n++) {
            clo_oid oid;
            clo_buf text = {0};
            clo_git_kind kind;
            assert_true(clo_oid_parse(&oid, (clo_str){at, 40}));
            assert_non_null(clo_oid_map_find(&got, &oid));
            must(clo_git_read(&text, &kind, b->g, &oid, &b->err)); /* checks its digest */
            clo_buf_free(&text);
        }
        assert_int_equal(n, got.n);
        assert_true(n > 20);
        assert_non_null(strstr(hub_sh(b, "cp p p.pack && git index-pack p.pack && git verify-pack -v p.idx | tail -9"),
                               "chain length"));
        clo_oid_map_free(&got);
        clo_buf_free(&pack);
    }
}

static void what_is_written_git_reads(void **state)
{
    hub_box *b = *state;
    clo_buf pack = {0}, out = {0};
    clo_oid_map got = {0};
    make_pack(b, &pack, false);
    must(take(b, &got, clo_buf_str(&pack)));
    clo_pkt_out o = {.fn = add_out, .ctx = &out};
    must(clo_pack_write(&o, 0, b->g, got.keys, got.n, &b->err));
    char path[128];
    snprintf(path, sizeof path, "%s/q", b->dir);
    FILE *f = fopen(path, "wb");
    fwrite(out.ptr, 1, out.len, f);
    fclose(f);
    hub_sh(
        b,
        "git init -q --bare x && git -C x index-pack --strict --stdin < q && git -C x update-ref refs/heads/main $(git -C w rev-parse HEAD) && git -C x fsck --full --strict");
    assert_string_equal(hub_sh(b, "git -C x rev-list --objects main | wc -l"),
                        hub_sh(b, "git -C w rev-list --objects HEAD | wc -l"));
    clo_oid none = {{1}};
    assert_false(clo_pack_write(&o, 0, b->g, &none, 1, &b->err));
    assert_int_equal(b->err.code, CLO_ERR_NOT_FOUND);
    clo_oid_map_free(&got);
    clo_buf_free(&pack);
    clo_buf_free(&out);
}

static void a_pack_that_is_cut_or_changed_is_refused(void **state)
{
    hub_box *b = *state;
    clo_buf pack = {0};
    make_pack(b, &pack, true);
    for (size_t n = 0; n < pack.len; n++) {
        clo_oid_map got = {0};
        if (take(b, &got, (clo_str){pack.ptr, n})) fail_msg("%zu of %zu bytes are taken", n, pack.len);
        clo_oid_map_free(&got);
    }
    for (size_t i = 0; i < pack.len; i++) { /* one byte: its sum tells */
        clo_oid_map got = {0};
        pack.ptr[i] ^= 0x10;
        if (take(b, &got, clo_buf_str(&pack))) fail_msg("byte %zu", i);
        pack.ptr[i] ^= 0x10;
        clo_oid_map_free(&got);
    }
    size_t n_taken = 0;
    for (size_t i = 0; i + 20 < pack.len; i++) { /* with a sum that fits: other objects, or none, but no harm */
        clo_oid_map got = {0};
        pack.ptr[i] ^= 0x10;
        set_sum(&pack);
        n_taken += take(b, &got, clo_buf_str(&pack));
        pack.ptr[i] ^= 0x10;
        clo_oid_map_free(&got);
    }
    assert_true(n_taken < pack.len / 10);
    clo_buf_free(&pack);
}

/* --- packs made by hand -------------------------------------------------------------------------------------------*/

static void begin(clo_buf *p, unsigned n)
{
    char head[12] = {'P', 'A', 'C', 'K', 0, 0, 0, 2, (char)(n >> 24), (char)(n >> 16), (char)(n >> 8), (char)n};
    p->len = 0;
    clo_buf_add(p, (clo_str){head, 12});
}

static void add_head(clo_buf *p, unsigned kind, uint64_t size)
{
    unsigned char byte = (unsigned char)(kind << 4 | (size & 15));
    for (size >>= 4; size; size >>= 7) {
        clo_buf_add_char(p, (char)(byte | 0x80));
        byte = size & 0x7f;
    }
    clo_buf_add_char(p, (char)byte);
}

static void add_deflated(clo_buf *p, clo_str bytes)
{
    uLongf n = compressBound(bytes.len);
    char *z = clo_buf_reserve(p, n);
    assert_int_equal(compress2((Bytef *)z, &n, (const Bytef *)bytes.ptr, bytes.len, 9), Z_OK);
    p->len += n;
}

static void end(clo_buf *p)
{
    clo_buf_add(p, (clo_str){"01234567890123456789", 20});
    set_sum(p);
}

static clo_code code_of(hub_box *b, clo_buf *p)
{
    clo_oid_map got = {0};
    end(p);
    b->err = (clo_err){0};
    bool ok = take(b, &got, clo_buf_str(p));
    clo_oid_map_free(&got);
    return ok ? CLO_OK : b->err.code;
}

static void bombs_are_refused_before_they_go_off(void **state)
{
    hub_box *b = *state;
    clo_buf p = {0};
    /* A size that is a lie. */
    begin(&p, 1), add_head(&p, 3, 5), add_deflated(&p, CLO_STR("four"));
    assert_int_equal(code_of(b, &p), CLO_ERR_FORMAT);
    begin(&p, 1), add_head(&p, 3, 3), add_deflated(&p, CLO_STR("four"));
    assert_int_equal(code_of(b, &p), CLO_ERR_FORMAT);
    begin(&p, 1), add_head(&p, 3, (uint64_t)1 << 40), add_deflated(&p, CLO_STR("x"));
    assert_int_equal(code_of(b, &p), CLO_ERR_LIMIT);
    assert_non_null(strstr(b->err.text, "git-lfs"));
    begin(&p, 1), add_head(&p, 2, CLO_GIT_OBJECT_MAX + 1), add_deflated(&p, CLO_STR("x"));
    assert_int_equal(code_of(b, &p), CLO_ERR_LIMIT);
    /* More objects than there are bytes; fewer than are said; more. */
    begin(&p, 900000), add_head(&p, 3, 1), add_deflated(&p, CLO_STR("x"));
    assert_int_equal(code_of(b, &p), CLO_ERR_FORMAT);
    begin(&p, 0xffffffffu);
    assert_int_equal(code_of(b, &p), CLO_ERR_LIMIT);
    begin(&p, 2), add_head(&p, 3, 1), add_deflated(&p, CLO_STR("x"));
    assert_int_equal(code_of(b, &p), CLO_ERR_FORMAT);
    begin(&p, 1), add_head(&p, 3, 1), add_deflated(&p, CLO_STR("x")), add_head(&p, 3, 1),
        add_deflated(&p, CLO_STR("y"));
    assert_int_equal(code_of(b, &p), CLO_ERR_FORMAT);
    begin(&p, 0);
    assert_int_equal(code_of(b, &p), CLO_OK);
    for (unsigned kind = 0; kind <= 5; kind += 5) {
        begin(&p, 1), add_head(&p, kind, 1), add_deflated(&p, CLO_STR("x"));
        assert_int_equal(code_of(b, &p), CLO_ERR_FORMAT);
    }
    clo_buf_free(&p);
}

/* A delta that makes 8 MB of a base of 64 kB in a few bytes, many times. */
static void deltas_that_swell_are_counted(void **state)
{
    hub_box *b = *state;
    clo_buf p = {0}, delta = {0};
    char *base = calloc(1, 65536);
    clo_buf_add(&delta, CLO_STR("\x80\x80\x04"));                       /* base 65,536 */
    clo_buf_add(&delta, CLO_STR("\x80\x80\x80\x04"));                   /* result 8,388,608 */
    for (int i = 0; i < 128; i++) clo_buf_add_char(&delta, (char)0x80); /* copy 65,536 bytes from 0 */
    begin(&p, 301);
    size_t first = p.len;
    add_head(&p, 3, 65536), add_deflated(&p, (clo_str){base, 65536});
    for (int i = 0; i < 300; i++) {
        size_t back = p.len - first;
        char off[8];
        int n = 0;
        add_head(&p, 6, delta.len);
        off[7] = (char)(back & 0x7f);
        for (n = 1; back >>= 7; n++) off[7 - n] = (char)(0x80 | (--back & 0x7f));
        clo_buf_add(&p, (clo_str){off + 8 - n, (size_t)n});
        add_deflated(&p, clo_buf_str(&delta));
    }
    assert_int_equal(code_of(b, &p), CLO_ERR_LIMIT);
    clo_buf_free(&p);
    clo_buf_free(&delta);
    free(base);
}

static void deltas_without_a_base_are_refused(void **state)
{
    hub_box *b = *state;
    clo_buf p = {0};
    static const char delta[] = "\x01\x01\x01x"; /* of 1 byte, to 1 byte: insert "x" */
    char self[CLO_OID_BYTES];
    memset(self, 7, sizeof self);
    begin(&p, 1), add_head(&p, 7, 4), clo_buf_add(&p, (clo_str){self, 20}), add_deflated(&p, (clo_str){delta, 4});
    assert_int_equal(code_of(b, &p), CLO_ERR_FORMAT);
    begin(&p, 1), add_head(&p, 6, 4), clo_buf_add_char(&p, 0), add_deflated(&p, (clo_str){delta, 4}); /* of itself */
    assert_int_equal(code_of(b, &p), CLO_ERR_FORMAT);
    begin(&p, 1), add_head(&p, 6, 4), clo_buf_add_char(&p, 12), add_deflated(&p, (clo_str){delta, 4}); /* of the head */
    assert_int_equal(code_of(b, &p), CLO_ERR_FORMAT);
    begin(&p, 1), add_head(&p, 6, 4), clo_buf_add(&p, (clo_str){"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 11}),
        add_deflated(&p, (clo_str){delta, 4});
    assert_int_equal(code_of(b, &p), CLO_ERR_FORMAT);
    clo_buf_free(&p);
}

static void a_delta_reads_and_writes_within_its_bounds(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        clo_str delta;
        bool ok;
    } rows[] = {
        {"nothing of a base", CLO_STR("\x04\x00"), true},
        {"an insert", CLO_STR("\x04\x02\x02xy"), true},
        {"a copy", CLO_STR("\x04\x03\x91\x01\x03"), true},
        {"a copy of all", CLO_STR("\x04\x04\x90\x04"), true},
        {"another base", CLO_STR("\x05\x00"), false},
        {"no sizes", CLO_STR(""), false},
        {"a size without end", CLO_STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), false},
        {"an insert that is cut", CLO_STR("\x04\x02\x02x"), false},
        {"a copy beyond the base", CLO_STR("\x04\x04\x91\x01\x04"), false},
        {"a copy that begins beyond the base", CLO_STR("\x04\x01\x91\x05\x01"), false},
        {"a copy that is cut", CLO_STR("\x04\x01\x91\x01"), false},
        {"a copy of 65,536 by saying nothing", CLO_STR("\x04\x01\x80"), false},
        {"more than it says", CLO_STR("\x04\x01\x02xy"), false},
        {"less than it says", CLO_STR("\x04\x03\x02xy"), false},
        {"an order that is none", CLO_STR("\x04\x01\x00"), false},
        {"a result without end", CLO_STR("\x04\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        clo_buf out = {0};
        clo_err err = {0};
        char *exact = malloc(rows[i].delta.len + 1);
        memcpy(exact, rows[i].delta.ptr, rows[i].delta.len);
        bool ok = clo_delta_apply(&out, clo_bytes_of(CLO_STR("base")), (clo_bytes){(uint8_t *)exact, rows[i].delta.len},
                                  &err);
        if (ok != rows[i].ok) fail_msg("%s: %s", rows[i].why, err.text);
        free(exact);
        clo_buf_free(&out);
    }
}

static void lines_are_cut_by_their_length(void **state)
{
    (void)state;
    static const struct {
        clo_str in;
        clo_pkt_result want;
    } rows[] = {
        {CLO_STR("0000"), CLO_PKT_DONE},  {CLO_STR("0001"), CLO_PKT_DONE}, {CLO_STR("0002"), CLO_PKT_DONE},
        {CLO_STR("0003"), CLO_PKT_BAD},   {CLO_STR("0004"), CLO_PKT_DONE}, {CLO_STR("0006a\n"), CLO_PKT_DONE},
        {CLO_STR("0006a"), CLO_PKT_MORE}, {CLO_STR("000"), CLO_PKT_MORE},  {CLO_STR(""), CLO_PKT_MORE},
        {CLO_STR("fff0"), CLO_PKT_MORE},  {CLO_STR("fff1"), CLO_PKT_BAD},  {CLO_STR("-001"), CLO_PKT_BAD},
        {CLO_STR("0x04"), CLO_PKT_BAD},   {CLO_STR("   4"), CLO_PKT_BAD},  {CLO_STR("00GA"), CLO_PKT_BAD},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        clo_pkt p;
        clo_bytes in = clo_bytes_of(rows[i].in);
        if (clo_pkt_read(&p, &in, NULL) != rows[i].want) fail_msg("'%s'", rows[i].in.ptr);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, hub_set_up, hub_tear_down)
        T(a_pack_of_git_s_is_read_whole),
        T(what_is_written_git_reads),
        T(a_pack_that_is_cut_or_changed_is_refused),
        T(bombs_are_refused_before_they_go_off),
        T(deltas_that_swell_are_counted),
        T(deltas_without_a_base_are_refused),
        T(a_delta_reads_and_writes_within_its_bounds),
        T(lines_are_cut_by_their_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
