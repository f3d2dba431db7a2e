/* Xet's names, xorbs and shards: published vectors, a real client's bytes, and bytes that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/blake3.h"
#include "base/cursor.h"
#include "base/file.h"
#include "base/json.h"
#include "xet_make.h"

/* What hf_xet 1.8.0 sent for four files: a text, floats, noise, and a part of the text with the noise. */
#define CLIENT_XORB "tests/fuzz/corpus/xorb/client.xorb"
#define CLIENT_SHARD "tests/fuzz/corpus/shard/client.shard"

static void is_hash(const char *why, const clo_xet_hash *found, const char *want)
{
    char hex[65];
    clo_xet_hash_text(hex, found);
    if (strcmp(hex, want) != 0) fail_msg("%s: %s, expected %s", why, hex, want);
}

static clo_xet_hash hash_of(const char *text)
{
    clo_xet_hash h;
    if (!clo_xet_hash_parse(&h, clo_str_from(text))) fail_msg("'%s' is no hash", text);
    return h;
}

/* --- hashes -------------------------------------------------------------------------------------------------------*/

/* Xorb, file and range hash of one list of chunks ("<hash> <length>"). */
static void check_list(const char *why, const char *const *chunks, size_t n, const char *xorb, const char *file,
                       const char *range)
{
    clo_xet_tree t;
    uint8_t *all = (uint8_t *)malloc(32 * n + 1);
    assert_non_null(all);
    clo_xet_tree_begin(&t);
    for (size_t i = 0; i < n; i++) {
        clo_xet_hash h;
        assert_true(clo_xet_hash_parse(&h, (clo_str){chunks[i], 64}));
        memcpy(all + 32 * i, h.b, 32);
        clo_xet_tree_add(&t, &h, strtoull(chunks[i] + 65, NULL, 10));
    }
    clo_xet_hash root = clo_xet_tree_end(&t), f = clo_xet_file_hash(&root), r = clo_xet_range_hash(all, n);
    is_hash(why, &root, xorb);
    is_hash(why, &f, file);
    is_hash(why, &r, range);
    free(all);
}

static void lists_of_chunks_have_their_known_names(void **state)
{
    (void)state;
    static const char *const hello[] = {"9076ba12d998050b9c95c8bf770f943e6cad55c7490a82b76cf1582a2a05c2c2 5"};
    static const char *const five[] = {
        "d268e73ccad507db1e32904cbbb76cf651682582a09bb5a2a494e6b5fec61ca8 64662",
        "2ca65054712392acc27ac887513645685f4b4213f78cbf104bb7a17c7b0f0d92 8128",
        "d31832bf85b19dcd423015f2bc420ef69ef5a6e7fbd41678891e0e6a25bf6533 123982",
        "20a96aeec0450c1c240a5918b397759ff166bf9c3b32aa01b57b0cc3c35515d8 22053",
        "558b89c3f1d8c00d87b040de3010f9fb0d0e40328b192c4d2a7027c9fbb2e7f9 81175",
    };
    check_list("hello", hello, 1, "9076ba12d998050b9c95c8bf770f943e6cad55c7490a82b76cf1582a2a05c2c2",
               "48a3213a086cad271381aafe47232eb5df291a963cebbfec071972eff45eb422",
               "7f1d7649f056d46a01791d0ceed7687abcda42e6e88916d3cdda4b2c9d9a7ccf");
    check_list("what npm's client sent", five, 5, "1bfaf855635c88753c1f5b4a312f72b9415805d7d5c487424054169f4b9812f9",
               "9365f8e934cee3554a41c9afb10728ca451dd291a0d9dc8cee06842dc601815c",
               "7e3b68d6c3d388b5efb1e521355f72d058b4d5ed6f64e10bddea4ef4ff62d730");
    clo_xet_tree t;
    clo_xet_tree_begin(&t);
    clo_xet_hash root = clo_xet_tree_end(&t), file = clo_xet_file_hash(&root);
    is_hash("an empty file", &file, "0000000000000000000000000000000000000000000000000000000000000000");
}

static void lists_of_the_shared_vectors_have_their_names(void **state)
{
    (void)state;
    const char *shared = getenv("CLOCHE_SHARED");
    char path[4096];
    clo_str text = {0};
    clo_arena arena = clo_arena_make((size_t)1 << 20);
    json_t *all = NULL, *v;
    size_t i, n_lists = 0;
    snprintf(path, sizeof path, "%s/specs/xet-vectors.json", shared ? shared : "../shared");
    if (!clo_file_read(&text, path, 100000, &arena, NULL)) {
        print_message("needs CLOCHE_SHARED: no %s\n", path);
        skip();
    }
    assert_true(clo_json_parse(&all, text, 100000, NULL));
    json_array_foreach(json_object_get(all, "vectors"), i, v)
    {
        const char *chunks[64];
        json_t *list = json_object_get(v, "chunks");
        size_t n = json_array_size(list);
        assert_in_range(n, 1, 64);
        for (size_t k = 0; k < n; k++)
            chunks[k] = json_string_value(json_array_get(list, k));
        check_list(json_string_value(json_object_get(v, "name")), chunks, n,
                   json_string_value(json_object_get(v, "xorb_hash")),
                   json_string_value(json_object_get(v, "file_hash")),
                   json_string_value(json_object_get(v, "range_hash")));
        n_lists++;
    }
    assert_int_equal(n_lists, 5);
    json_decref(all);
    clo_arena_free(&arena);
}

/* The first chunk of 1,000,000 bytes of splitmix64 (seed 0), and a chunk of equal bytes. */
static void chunks_have_their_known_names(void **state)
{
    (void)state;
    uint64_t s = 0;
    uint8_t *in = (uint8_t *)malloc(CLO_CHUNK_RAW_MAX);
    assert_non_null(in);
    for (size_t i = 0; i < CLO_CHUNK_RAW_MAX; i += 8) {
        s += 0x9E3779B97F4A7C15u;
        uint64_t z = (s ^ s >> 30) * 0xBF58476D1CE4E5B9u;
        z = (z ^ z >> 27) * 0x94D049BB133111EBu;
        z ^= z >> 31;
        for (int b = 0; b < 8; b++)
            in[i + (size_t)b] = (uint8_t)(z >> 8 * b);
    }
    clo_xet_hash h = clo_xet_chunk_hash(in, 84493);
    is_hash("splitmix64", &h, "6eca1e7dadaf08cca5d82d318c800f07c2ddcec115a7e8627e5edd9605b94b8d");
    memset(in, 0x3b, CLO_CHUNK_RAW_MAX);
    h = clo_xet_chunk_hash(in, CLO_CHUNK_RAW_MAX);
    is_hash("0x3b", &h, "d3b528b30528f3ad802a015cdf93c531d4da754a1f8c0d341a8f111fd8b6f04e");
    free(in);
}

/* The tree as the specification words it, level by level over the whole list, beside the one that takes leaves as they
 * come. */
static clo_xet_hash plain_root(clo_xet_node *nodes, size_t n)
{
    while (n > 1) {
        size_t at = 0, up = 0;
        while (at < n) {
            size_t left = n - at, most = left < 9 ? left : 9, size = most;
            for (size_t i = 2; left > 2 && i < most; i++)
                if (nodes[at + i].hash.b[24] % 4 == 0) {
                    size = i + 1;
                    break;
                }
            clo_buf text = {0};
            uint64_t len = 0;
            for (size_t i = 0; i < size; i++) {
                char hex[65];
                clo_xet_hash_text(hex, &nodes[at + i].hash);
                clo_buf_addf(&text, "%s : %llu\n", hex, (unsigned long long)nodes[at + i].len);
                len += nodes[at + i].len;
            }
            static const uint8_t key[32] = {1,   126, 197, 199, 165, 71,  41,  150, 253, 148, 102,
                                            102, 180, 138, 2,   230, 93,  221, 83,  111, 55,  199,
                                            109, 210, 248, 99,  82,  230, 74,  83,  113, 63};
            clo_blake3_plain(nodes[up].hash.b, key, text.ptr, text.len);
            nodes[up++].len = len;
            clo_buf_free(&text);
            at += size;
        }
        n = up;
    }
    return n ? nodes[0].hash : (clo_xet_hash){{0}};
}

static void a_tree_of_leaves_as_they_come_is_the_specified_one(void **state)
{
    (void)state;
    enum { MAX = 700 };
    static clo_xet_node nodes[MAX];
    for (size_t n = 0; n < MAX; n += n < 120 ? 1 : 37) {
        clo_xet_tree t;
        clo_xet_tree_begin(&t);
        for (size_t i = 0; i < n; i++) {
            make_noise(nodes[i].hash.b, 32, n * 1000 + i);
            nodes[i].len = 1 + i * 77;
            clo_xet_tree_add(&t, &nodes[i].hash, nodes[i].len);
        }
        clo_xet_hash a = clo_xet_tree_end(&t), b = plain_root(nodes, n);
        if (!clo_xet_hash_eq(&a, &b)) fail_msg("%zu leaves: the roots differ", n);
    }
}

static void text_of_hashes_is_read_strictly(void **state)
{
    (void)state;
    clo_xet_hash h;
    const char *good = "0706050403020100"
                       "0f0e0d0c0b0a0908"
                       "1716151413121110"
                       "1f1e1d1c1b1a1918";
    assert_true(clo_xet_hash_parse(&h, clo_str_from(good)));
    for (int i = 0; i < 32; i++)
        assert_int_equal(h.b[i], i);
    is_hash("back", &h, good);
    assert_false(clo_xet_hash_parse(&h, (clo_str){good, 63}));
    assert_false(clo_xet_hash_parse(&h, CLO_STR("070605040302010G0f0e0d0c0b0a090817161514131211101f1e1d1c1b1a1918")));
    assert_false(clo_xet_hash_parse(&h, CLO_STR("07060504030201000F0e0d0c0b0a090817161514131211101f1e1d1c1b1a1918")));
}

/* --- xorbs --------------------------------------------------------------------------------------------------------*/

static void a_clients_xorb_is_read(void **state)
{
    (void)state;
    clo_map m = {0};
    clo_xorb x = {0};
    clo_err err = {0};
    assert_true(clo_map_open(&m, CLIENT_XORB, &err));
    if (!clo_xorb_parse(&x, m.bytes, &err)) fail_msg("%s", err.text);
    is_hash("its xorb", &x.hash, "078c9346ed16d0c266282f661bc8325cd1185b948c52bfa4d6525aebdd75392c");
    assert_int_equal(x.n_chunks, 4);
    assert_int_equal(x.chunks[0].scheme, CLO_CHUNK_LZ4);
    assert_int_equal(x.chunks[1].scheme, CLO_CHUNK_LZ4);
    assert_int_equal(x.chunks[2].scheme, CLO_CHUNK_PLAIN);
    assert_int_equal(x.chunks[3].scheme, CLO_CHUNK_BG4_LZ4);
    assert_int_equal(x.raw_bytes, 34100 + 21001 + 9001 + 20000);
    assert_int_equal(x.stored_bytes, m.bytes.len);
    clo_xorb_free(&x);
    clo_map_close(&m);
}

static void every_scheme_and_length_comes_back(void **state)
{
    (void)state;
    static const uint32_t lens[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 1000, 65537, CLO_CHUNK_RAW_MAX};
    enum { N = sizeof lens / sizeof lens[0] };
    uint8_t *raw = (uint8_t *)malloc(CLO_CHUNK_RAW_MAX), *back = (uint8_t *)malloc(CLO_CHUNK_RAW_MAX);
    clo_buf body = {0};
    clo_xorb x = {0}, y = {0};
    clo_chunk_decoder *d = NULL;
    clo_err err = {0};
    assert_true(raw && back && clo_chunk_decoder_open(&d, &err));
    for (size_t i = 0; i < N; i++)
        for (uint8_t scheme = 0; scheme < 3; scheme++) {
            make_noise(raw, lens[i], i);
            for (size_t k = 0; k < lens[i]; k += 2)
                raw[k] = (uint8_t)(k >> 8);
            make_chunk(&body, raw, lens[i], scheme);
        }
    size_t n_good = body.len;
    clo_buf_add(&body, CLO_STR("XETBLOB and what old clients put after it"));
    if (!clo_xorb_parse(&x, make_view(&body), &err)) fail_msg("%s", err.text);
    assert_int_equal(x.n_chunks, 3 * N);
    assert_int_equal(x.stored_bytes, n_good);
    for (uint32_t c = 0; c < x.n_chunks; c++) {
        const clo_xorb_chunk *k = &x.chunks[c];
        clo_bytes stored = {(const uint8_t *)body.ptr + k->off + CLO_CHUNK_HEADER, k->stored_len - CLO_CHUNK_HEADER};
        assert_int_equal(k->scheme, c % 3);
        assert_true(clo_chunk_decode(d, back, k->raw_len, k->scheme, stored, &err));
        make_noise(raw, lens[c / 3], c / 3);
        for (size_t i = 0; i < lens[c / 3]; i += 2)
            raw[i] = (uint8_t)(i >> 8);
        assert_memory_equal(raw, back, lens[c / 3]);
        assert_false(clo_chunk_decode(d, back, k->raw_len - 1, k->scheme, stored, NULL));
    }
    uint8_t *rows = (uint8_t *)malloc((size_t)x.n_chunks * CLO_XORB_ROW);
    clo_xorb_pack_chunks(rows, &x);
    assert_true(clo_xorb_unpack_chunks(&y, &x.hash, (clo_bytes){rows, (size_t)x.n_chunks * CLO_XORB_ROW}, &err));
    assert_memory_equal(x.chunks, y.chunks, x.n_chunks * sizeof *x.chunks);
    assert_int_equal(x.raw_bytes, y.raw_bytes);
    assert_int_equal(x.stored_bytes, y.stored_bytes);
    free(rows);
    clo_xorb_free(&x);
    clo_xorb_free(&y);
    clo_chunk_decoder_close(d);
    clo_buf_free(&body);
    free(raw);
    free(back);
}

static void a_xorb_that_lies_is_refused(void **state)
{
    (void)state;
    uint8_t raw[1000];
    clo_buf good = {0};
    make_noise(raw, sizeof raw, 1);
    make_chunk(&good, raw, sizeof raw, CLO_CHUNK_PLAIN); /* at 0, 1008 bytes */
    memset(raw, 'a', sizeof raw);
    make_chunk(&good, raw, sizeof raw, CLO_CHUNK_LZ4); /* at 1008 */
    static const struct {
        const char *why;
        size_t at;
        uint8_t byte;
        clo_code want;
    } rows[] = {
        {"another version", 0, 1, CLO_ERR_FORMAT},
        {"an unknown scheme", 4, 3, CLO_ERR_FORMAT},
        {"a raw size of another chunk", 5, 0xe9, CLO_ERR_FORMAT},
        {"a raw size beyond the limit", 7, 9, CLO_ERR_LIMIT},
        {"a stored size beyond the limit", 3, 9, CLO_ERR_LIMIT},
        {"a stored size beyond the body", 1008 + 2, 0x7f, CLO_ERR_FORMAT},
        {"a compressed chunk that gives more than it says", 1008 + 6, 2, CLO_ERR_FORMAT},
        {"a compressed chunk that gives less than it says", 1008 + 6, 4, CLO_ERR_FORMAT},
        {"no LZ4 frame", 1008 + 8, 0, CLO_ERR_FORMAT},
        {"a plain chunk that says it is compressed", 4, 1, CLO_ERR_FORMAT},
    };
    clo_xorb x = {0};
    clo_err err = {0};
    assert_true(clo_xorb_parse(&x, make_view(&good), &err));
    clo_xorb_free(&x);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char was = good.ptr[rows[i].at];
        good.ptr[rows[i].at] = (char)rows[i].byte;
        err = (clo_err){0};
        if (clo_xorb_parse(&x, make_view(&good), &err)) fail_msg("%s: taken", rows[i].why);
        if (err.code != rows[i].want) fail_msg("%s: code %d (%s)", rows[i].why, err.code, err.text);
        good.ptr[rows[i].at] = was;
    }
    for (size_t n = 0; n < good.len; n++) /* cut off anywhere but between the chunks */
        if (clo_xorb_parse(&x, (clo_bytes){(const uint8_t *)good.ptr, n}, NULL) != (n == 1008))
            fail_msg("the first %zu bytes", n);
        else
            clo_xorb_free(&x);
    clo_buf_free(&good);
}

static void a_xorb_of_too_many_chunks_is_refused(void **state)
{
    (void)state;
    clo_buf body = {0};
    clo_xorb x = {0};
    clo_err err = {0};
    for (int i = 0; i < CLO_XORB_CHUNKS_MAX; i++)
        make_chunk(&body, (const uint8_t *)"x", 1, CLO_CHUNK_PLAIN);
    assert_true(clo_xorb_parse(&x, make_view(&body), &err));
    clo_xorb_free(&x);
    make_chunk(&body, (const uint8_t *)"x", 1, CLO_CHUNK_PLAIN);
    assert_false(clo_xorb_parse(&x, make_view(&body), &err));
    assert_int_equal(err.code, CLO_ERR_LIMIT);
    clo_buf_free(&body);
}

/* --- shards -------------------------------------------------------------------------------------------------------*/

static void a_clients_shard_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *hash, *sha256;
        uint64_t bytes;
        uint32_t start, end;
    } want[] = {
        {"2bdd075dd8b68ad1759cf732c6894ffde8bbf86ecbbbbe10a65d9c954b30a621",
         "690e394d4a7b56f9d71228d03555054dbc988e3d20fd34544fad83ef05d77836", 9001, 2, 3},
        {"7644ec4f6bb23d589fc29226972a0816ce6c1c9527978dd87d99e992d86bac4a",
         "85a4cb441dca83f57a13274dfaaa7263a574685176aeb0c8532c25169590fadb", 21001, 1, 2},
        {"8a1c171bdbc52378ba8e0b43140e95a376ef4c31138863ec562f6aa9c1746f99",
         "5de73c2f8889bbae1b2dc9ff472e807590556296b66cf177d185369cc127d267", 34100, 0, 1},
        {"c480cfcdb196f45446ec52ebfe2bf4cd02db1c9f0da485e1fe2aba0668c84204",
         "6f0cf7c4266973e96aca872700a91d885c3b7338246dca75f31e57c8c819513b", 20000, 3, 4},
    };
    clo_map m = {0};
    clo_shard s;
    clo_shard_file f;
    clo_shard_xorb x;
    clo_err err = {0};
    size_t at = 0, n = 0;
    assert_true(clo_map_open(&m, CLIENT_SHARD, &err));
    if (!clo_shard_open(&s, m.bytes, &err)) fail_msg("%s", err.text);
    assert_int_equal(s.n_files, 4);
    assert_int_equal(s.n_xorbs, 1);
    for (; clo_shard_next_file(&s, &at, &f); n++) {
        char hex[65];
        assert_in_range(n, 0, 3);
        is_hash("a file", &f.hash, want[n].hash);
        clo_sha256_hex(hex, &f.sha256);
        assert_string_equal(hex, want[n].sha256);
        assert_int_equal(f.bytes, want[n].bytes);
        clo_shard_term t = clo_shard_term_at(&f, 0);
        is_hash("its xorb", &t.xorb, "078c9346ed16d0c266282f661bc8325cd1185b948c52bfa4d6525aebdd75392c");
        assert_true(f.n_terms == 1 && t.start == want[n].start && t.end == want[n].end);
    }
    assert_int_equal(n, 4);
    at = 0;
    assert_true(clo_shard_next_xorb(&s, &at, &x));
    assert_true(x.n_chunks == 4 && x.raw_bytes == 34100 + 21001 + 9001 + 20000);
    assert_false(clo_shard_next_xorb(&s, &at, &x));
    clo_map_close(&m);
}

/* npm's @huggingface/hub 2.17.5 writes a footer. */
static void another_clients_shard_is_read(void **state)
{
    (void)state;
    clo_map m = {0};
    clo_shard s;
    clo_shard_file f;
    clo_err err = {0};
    size_t at = 0;
    char hex[65];
    assert_true(clo_map_open(&m, "tests/fuzz/corpus/shard/npm.shard", &err));
    if (!clo_shard_open(&s, m.bytes, &err)) fail_msg("%s", err.text);
    assert_true(s.n_files == 1 && s.n_terms == 1 && s.n_xorbs == 1);
    assert_true(clo_shard_next_file(&s, &at, &f));
    clo_sha256_hex(hex, &f.sha256);
    assert_string_equal(hex, "cf005b42d89e13527d5e6e7c032f540c9961e532079d91182416c3e37a75382e");
    assert_int_equal(f.bytes, 240000);
    clo_map_close(&m);
}

static void a_footer_that_lies_is_refused(void **state)
{
    (void)state;
    clo_map m = {0};
    clo_shard s;
    clo_err err = {0};
    assert_true(clo_map_open(&m, "tests/fuzz/corpus/shard/npm.shard", &err));
    size_t footer = m.bytes.len - CLO_SHARD_FOOTER;
    uint8_t *copy = (uint8_t *)malloc(m.bytes.len);
    assert_non_null(copy);
    memcpy(copy, m.bytes.ptr, m.bytes.len);
    const size_t said[] = {40, footer, footer + 8, footer + 16, footer + 192}; /* its size, version, files, xorbs, itself */
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        for (size_t byte = 0; byte < 8; byte += 7) {
            copy[said[i] + byte] ^= 1;
            err = (clo_err){0};
            if (clo_shard_open(&s, (clo_bytes){copy, m.bytes.len}, &err)) fail_msg("byte %zu: taken", said[i] + byte);
            assert_int_equal(err.code, CLO_ERR_FORMAT);
            copy[said[i] + byte] ^= 1;
        }
    }
    assert_true(clo_shard_open(&s, (clo_bytes){copy, m.bytes.len}, &err));
    assert_true(clo_shard_open(&s, (clo_bytes){copy, footer}, &err)); /* it may be left out */
    assert_false(clo_shard_open(&s, (clo_bytes){copy, footer + 100}, &err));
    free(copy);
    clo_map_close(&m);
}

static void a_cut_or_changed_shard_is_refused_or_read_without_harm(void **state)
{
    (void)state;
    clo_map m = {0};
    clo_shard s;
    clo_err err = {0};
    assert_true(clo_map_open(&m, CLIENT_SHARD, &err));
    for (size_t n = 0; n < m.bytes.len; n++)
        if (clo_shard_open(&s, (clo_bytes){m.bytes.ptr, n}, NULL)) fail_msg("the first %zu bytes were taken", n);
    uint8_t *copy = (uint8_t *)malloc(m.bytes.len + CLO_SHARD_FOOTER);
    assert_non_null(copy);
    memcpy(copy, m.bytes.ptr, m.bytes.len);
    memset(copy + m.bytes.len, 7, CLO_SHARD_FOOTER);
    assert_false(clo_shard_open(&s, (clo_bytes){copy, m.bytes.len + CLO_SHARD_FOOTER}, &err));
    assert_false(clo_shard_open(&s, (clo_bytes){copy, m.bytes.len + 1}, &err));
    static const struct {
        const char *why;
        size_t at;
        uint8_t byte;
        clo_code want;
    } rows[] = {
        {"another tag", 20, 0, CLO_ERR_FORMAT},
        {"another version", 32, 3, CLO_ERR_UNSUPPORTED},
        {"a flag of files that is not known", 80, 1, CLO_ERR_UNSUPPORTED},
        {"more terms than bytes", 87, 0x40, CLO_ERR_FORMAT},
        {"a term without chunks", 48 + 48 + 44, 2, CLO_ERR_FORMAT},
        {"a term of more bytes than its chunks may have", 48 + 48 + 38, 3, CLO_ERR_FORMAT},
        {"a chunk that lies elsewhere in its xorb", 864 + 48 + 32, 1, CLO_ERR_FORMAT},
        {"a xorb of another size than its chunks", 864 + 40, 1, CLO_ERR_FORMAT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t was = copy[rows[i].at];
        copy[rows[i].at] = rows[i].byte;
        err = (clo_err){0};
        if (clo_shard_open(&s, (clo_bytes){copy, m.bytes.len}, &err)) fail_msg("%s: taken", rows[i].why);
        if (err.code != rows[i].want) fail_msg("%s: code %d (%s)", rows[i].why, err.code, err.text);
        copy[rows[i].at] = was;
    }
    free(copy);
    clo_map_close(&m);
}

static void a_shard_that_we_write_is_read_back(void **state)
{
    (void)state;
    clo_map m = {0};
    clo_xorb x = {0};
    clo_buf out = {0};
    clo_shard s;
    clo_shard_file f;
    clo_shard_xorb y;
    clo_err err = {0};
    size_t at = 0;
    uint8_t key[32], hidden[32];
    assert_true(clo_map_open(&m, CLIENT_XORB, &err) && clo_xorb_parse(&x, m.bytes, &err));
    make_noise(key, sizeof key, 9);
    clo_shard_write_xorbs(&out, &x, 1, key, 1700000000, 1700600000);
    assert_true(clo_buf_ok(&out, &err));
    if (!clo_shard_open(&s, make_view(&out), &err)) fail_msg("%s", err.text);
    assert_false(clo_shard_next_file(&s, &at, &f));
    at = 0;
    assert_true(clo_shard_next_xorb(&s, &at, &y));
    assert_true(clo_xet_hash_eq(&x.hash, &y.hash) && y.n_chunks == x.n_chunks && y.stored_bytes == x.stored_bytes);
    for (uint32_t i = 0; i < y.n_chunks; i++) {
        uint32_t len;
        clo_xet_hash h = clo_shard_chunk_at(&y, i, &len);
        clo_blake3_keyed(hidden, key, x.chunks[i].hash.b, 32);
        assert_memory_equal(h.b, hidden, 32);
        assert_int_equal(len, x.chunks[i].raw_len);
    }
    const uint8_t *footer = (const uint8_t *)out.ptr + out.len - CLO_SHARD_FOOTER;
    assert_int_equal(footer[0], 1);
    assert_int_equal(footer[8], 48);
    assert_int_equal(footer[16], 96);
    for (int table = 0; table < 3; table++) /* clients reckon sizes from these offsets: 0 would be before the xorbs */
        assert_int_equal(clo_load_le64(footer + 24 + 16 * table), out.len - CLO_SHARD_FOOTER);
    assert_memory_equal(footer + 72, key, 32);
    assert_int_equal(clo_load_le64(footer + 192), out.len - CLO_SHARD_FOOTER);
    clo_buf_free(&out);
    clo_xorb_free(&x);
    clo_map_close(&m);
}

static void a_file_of_many_terms_is_read(void **state)
{
    (void)state;
    enum { N = 1000 };
    static make_term terms[N];
    clo_xet_hash hash = hash_of("9365f8e934cee3554a41c9afb10728ca451dd291a0d9dc8cee06842dc601815c");
    clo_buf b = {0};
    clo_shard s;
    clo_shard_file f;
    clo_err err = {0};
    size_t at = 0;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < N; i++) {
        make_noise(terms[i].xorb.b, 32, i);
        terms[i].start = i;
        terms[i].end = i + 2;
        terms[i].raw_bytes = 100 + i;
        bytes += 100 + i;
    }
    make_shard_begin(&b);
    make_shard_file(&b, &hash, terms, N, NULL);
    make_shard_file(&b, &hash, terms, 0, NULL);
    make_shard_end(&b);
    if (!clo_shard_open(&s, make_view(&b), &err)) fail_msg("%s", err.text);
    assert_true(clo_shard_next_file(&s, &at, &f));
    assert_true(f.n_terms == N && f.bytes == bytes && !f.has_sha256 && f.ranges);
    for (uint32_t i = 0; i < N; i++) {
        clo_shard_term t = clo_shard_term_at(&f, i);
        assert_true(clo_xet_hash_eq(&t.xorb, &terms[i].xorb) && t.start == i && t.end == i + 2);
    }
    assert_true(clo_shard_next_file(&s, &at, &f));
    assert_int_equal(f.n_terms, 0);
    assert_false(clo_shard_next_file(&s, &at, &f));
    clo_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_of_chunks_have_their_known_names),
        cmocka_unit_test(lists_of_the_shared_vectors_have_their_names),
        cmocka_unit_test(chunks_have_their_known_names),
        cmocka_unit_test(a_tree_of_leaves_as_they_come_is_the_specified_one),
        cmocka_unit_test(text_of_hashes_is_read_strictly),
        cmocka_unit_test(a_clients_xorb_is_read),
        cmocka_unit_test(every_scheme_and_length_comes_back),
        cmocka_unit_test(a_xorb_that_lies_is_refused),
        cmocka_unit_test(a_xorb_of_too_many_chunks_is_refused),
        cmocka_unit_test(a_clients_shard_is_read),
        cmocka_unit_test(another_clients_shard_is_read),
        cmocka_unit_test(a_footer_that_lies_is_refused),
        cmocka_unit_test(a_cut_or_changed_shard_is_refused_or_read_without_harm),
        cmocka_unit_test(a_shard_that_we_write_is_read_back),
        cmocka_unit_test(a_file_of_many_terms_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
