/* Bytes as replies of a hub elsewhere: first one byte that says of what. 0: capabilities of fetch; 1: a list of refs; 2: a pack's
 * reply, in pieces; 3: what can be pushed to; 4, 5: the report of a push, without and with bands; else: the batch API of git-lfs and
 * what its rows say. */
#include <stdlib.h>
#include <strings.h>

#include "hub/remote.h"
#include "hub/remote_upload.h"

static void refs(clo_bytes in, bool push)
{
    clo_remote_refs r;
    clo_remote_can can;
    bool ok = push ? clo_remote_advert_parse(&r, &can, in, NULL) : clo_remote_refs_parse(&r, in, NULL);
    for (size_t i = 0; i < r.n; i++)
        if (!ok || !clo_ref_name_ok(clo_str_from(r.rows[i].name))) abort();
    clo_remote_refs_free(&r);
}

static void pack(clo_bytes in)
{
    clo_spool s = {0};
    clo_fetch_reader r = {.pack = &s, .max = 1000};
    if (!clo_spool_open(&s, "/tmp", NULL)) abort();
    bool ok = true;
    for (size_t at = 0; ok && at < in.len; at += 7)
        ok = clo_fetch_reader_add(&r, (clo_bytes){in.ptr + at, in.len - at < 7 ? in.len - at : 7}, NULL);
    if (s.n > 1000) abort();
    if (ok && clo_fetch_reader_end(&r, NULL) && !r.in_pack) abort();
    clo_fetch_reader_free(&r);
    clo_spool_close(&s);
}

static void report(clo_bytes in, bool band)
{
    clo_remote_update u[2] = {{.name = "refs/heads/main"}, {.name = "refs/tags/v1"}};
    clo_remote_can can = {.report = true, .band = band};
    if (!clo_remote_report_parse(u, 2, &can, in, NULL)) return;
    for (size_t i = 0; i < 2; i++)
        if (u[i].ok && u[i].why[0]) abort();
}

static void batch(clo_bytes in)
{
    clo_lfs_pointer f = {.size = 10};
    clo_remote r = {.endpoint = "https://hub.test"};
    clo_remote_action a;
    json_t *rows = NULL;
    char transfer[16] = "";
    size_t n;
    uint64_t bytes;
    if (!clo_remote_batch_parse(&rows, transfer, clo_str_of(in), &f, 1, NULL)) return;
    if (json_array_size(rows) != 1) abort();
    const json_t *row = json_array_get(rows, 0);
    if (clo_remote_action_of(&a, &r, row, "upload", NULL)) {
        if (strncasecmp(a.href, "https://", 8) != 0) abort();
        const json_t *header = json_object_get(json_object_get(json_object_get(row, "actions"), "upload"), "header");
        if (clo_remote_parts(&n, &bytes, header, f.size, NULL) && (n * bytes < f.size || (n && (n - 1) * bytes >= f.size))) abort();
        clo_remote_action_free(&a);
    }
    json_decref(rows);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    clo_bytes in = {data + 1, size - 1};
    switch (data[0]) {
    case 0: (void)!clo_remote_v2_check(in, NULL); break;
    case 1:
    case 3: refs(in, data[0] == 3); break;
    case 2: pack(in); break;
    case 4:
    case 5: report(in, data[0] == 5); break;
    default: batch(in); break;
    }
    return 0;
}
