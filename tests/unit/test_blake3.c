/* BLAKE3: the published test vectors, and many at once against plain C. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/blake3.h"

static const uint8_t key[33] = "whats the Elvish word for friend";

static void hex_of(char out[65], const uint8_t d[32])
{
    for (int i = 0; i < 32; i++)
        snprintf(out + 2 * i, 3, "%02x", d[i]);
}

/* Input byte i is i % 251. The first 32 bytes of `hash` and `keyed_hash` of the authors' test_vectors.json. */
static void the_published_vectors_hold(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        const char *hash, *keyed;
    } rows[] = {
        {0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
         "92b2b75604ed3c761f9d6f62392c8a9227ad0ea3f09573e783f1498a4ed60d26"},
        {1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
         "6d7878dfff2f485635d39013278ae14f1454b8c0a3a2d34bc1ab38228a80c95b"},
        {63, "e9bc37a594daad83be9470df7f7b3798297c3d834ce80ba85d6e207627b7db7b",
         "bb1eb5d4afa793c1ebdd9fb08def6c36d10096986ae0cfe148cd101170ce37ae"},
        {64, "4eed7141ea4a5cd4b788606bd23f46e212af9cacebacdc7d1f4c6dc7f2511b98",
         "ba8ced36f327700d213f120b1a207a3b8c04330528586f414d09f2f7d9ccb7e6"},
        {65, "de1e5fa0be70df6d2be8fffd0e99ceaa8eb6e8c93a63f2d8d1c30ecb6b263dee",
         "c0a4edefa2d2accb9277c371ac12fcdbb52988a86edc54f0716e1591b4326e72"},
        {1023, "10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11",
         "c951ecdf03288d0fcc96ee3413563d8a6d3589547f2c2fb36d9786470f1b9d6e"},
        {1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
         "75c46f6f3d9eb4f55ecaaee480db732e6c2105546f1e675003687c31719c7ba4"},
        {1025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444",
         "357dc55de0c7e382c900fd6e320acc04146be01db6a8ce7210b7189bd664ea69"},
        {2048, "e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a",
         "879cf1fa2ea0e79126cb1063617a05b6ad9d0b696d0d757cf053439f60a99dd1"},
        {2049, "5f4d72f40d7a5f82b15ca2b2e44b1de3c2ef86c426c95c1af0b6879522563030",
         "9f29700902f7c86e514ddc4df1e3049f258b2472b6dd5267f61bf13983b78dd5"},
        {3072, "b98cb0ff3623be03326b373de6b9095218513e64f1ee2edd2525c7ad1e5cffd2",
         "044a0e7b172a312dc02a4c9a818c036ffa2776368d7f528268d2e6b5df191770"},
        {4096, "015094013f57a5277b59d8475c0501042c0b642e531b0a1c8f58d2163229e969",
         "befc660aea2f1718884cd8deb9902811d332f4fc4a38cf7c7300d597a081bfc0"},
        {7168, "61da957ec2499a95d6b8023e2b0e604ec7f6b50e80a9678b89d2628e99ada77a",
         "b42835e40e9d4a7f42ad8cc04f85a963a76e18198377ed84adddeaecacc6f3fc"},
        {8192, "aae792484c8efe4f19e2ca7d371d8c467ffb10748d8a5a1ae579948f718a2a63",
         "dc9637c8845a770b4cbf76b8daec0eebf7dc2eac11498517f08d44c8fc00d58a"},
        {8193, "bab6c09cb8ce8cf459261398d2e7aef35700bf488116ceb94a36d0f5f1b7bc3b",
         "954a2a75420c8d6547e3ba5b98d963e6fa6491addc8c023189cc519821b4a1f5"},
        {16384, "f875d6646de28985646f34ee13be9a576fd515f76b5b0a26bb324735041ddde4",
         "9e9fc4eb7cf081ea7c47d1807790ed211bfec56aa25bb7037784c13c4b707b0d"},
        {31744, "62b6960e1a44bcc1eb1a611a8d6235b6b4b78f32e7abc4fb4c6cdcce94895c47",
         "efa53b389ab67c593dba624d898d0f7353ab99e4ac9d42302ee64cbf9939a419"},
        {102400, "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085",
         "1c35d1a5811083fd7119f5d5d1ba027b4d01c0c6c49fb6ff2cf75393ea5db4a7"},
    };
    static uint8_t in[102400];
    uint8_t d[32];
    char hex[65];
    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)(i % 251);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        clo_blake3(d, in, rows[i].n);
        hex_of(hex, d);
        if (strcmp(hex, rows[i].hash) != 0) fail_msg("%zu bytes: %s, expected %s", rows[i].n, hex, rows[i].hash);
        clo_blake3_keyed(d, key, in, rows[i].n);
        hex_of(hex, d);
        if (strcmp(hex, rows[i].keyed) != 0) fail_msg("%zu keyed: %s, expected %s", rows[i].n, hex, rows[i].keyed);
        clo_blake3_plain(d, key, in, rows[i].n);
        hex_of(hex, d);
        if (strcmp(hex, rows[i].keyed) != 0) fail_msg("%zu plain: %s, expected %s", rows[i].n, hex, rows[i].keyed);
    }
}

static void many_at_once_equal_plain_code_at_every_length(void **state)
{
    (void)state;
    enum { MAX = 140000 };
    uint8_t *in = (uint8_t *)malloc(MAX), a[32], b[32];
    uint64_t x = 1;
    assert_non_null(in);
    for (size_t i = 0; i < MAX; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        in[i] = (uint8_t)(x >> 56);
    }
    for (size_t n = 0; n + 16 < MAX; n += n < 2100 ? 1 : 509) {
        const uint8_t *p = in + n % 16;
        const uint8_t *k = n % 3 ? key : NULL;
        if (k)
            clo_blake3_keyed(a, k, p, n);
        else
            clo_blake3(a, p, n);
        clo_blake3_plain(b, k, p, n);
        if (memcmp(a, b, 32) != 0) fail_msg("%zu bytes differ", n);
    }
    free(in);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void its_speed_is_printed(void **state)
{
    (void)state;
    enum { N = 131072, TIMES = 200 };
    uint8_t *in = (uint8_t *)calloc(1, N), d[32];
    assert_non_null(in);
    double t0 = seconds();
    for (int i = 0; i < TIMES; i++)
        clo_blake3_keyed(d, key, in, N);
    double t1 = seconds();
    for (int i = 0; i < TIMES / 8; i++)
        clo_blake3_plain(d, key, in, N);
    double t2 = seconds();
    print_message("# 128 KiB: %.2f GB/s, plain %.2f GB/s\n", TIMES * (double)N / (t1 - t0) / 1e9,
                  TIMES / 8 * (double)N / (t2 - t1) / 1e9);
    free(in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_vectors_hold),
        cmocka_unit_test(many_at_once_equal_plain_code_at_every_length),
        cmocka_unit_test(its_speed_is_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
