/* Bytes as a push: first one byte that says how to read the rest. 0: the body of a push, in pieces; 1: a pack, its sum put
 * right; 2: a fetch of protocol 2; 3: of protocol 0; else: base, delta. Nothing is written; the repository stays as it was. */
#include <assert.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hub/fetch.h"
#include "hub/pack.h"
#include "hub/push.h"
#include "hub/repo.h"

static clo_db *db;
static clo_repo repo;
static char dir[64];

static void remove_dir(void)
{
    char path[128];
    static const char *const names[] = {"cloche.db", "cloche.db-wal", "cloche.db-shm"};
    clo_db_close(db);
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
}

static void set_up(void)
{
    clo_stmt q = {0};
    bool row;
    clo_repo_opts o = {.type = CLO_REPO_MODEL, .owner = 1, .name = CLO_STR("m"), .author = {"a", "a@x"}};
    snprintf(dir, sizeof dir, "/tmp/cloche-fuzz-XXXXXX");
    if (!mkdtemp(dir) || !clo_db_open(&db, dir, NULL)) abort();
    atexit(remove_dir);
    if (!clo_stmt_open(&q, db, "INSERT INTO accounts (id, oid, name, kind, created) VALUES (1, 'x', 'a', 'user', 0)",
                       NULL) ||
        !clo_stmt_step(&q, &row, NULL))
        abort();
    clo_stmt_close(&q);
    if (!clo_db_begin(db, NULL) || !clo_repo_create(&repo, db, &o, 1700000000, NULL) || !clo_db_commit(db, NULL))
        abort();
}

static bool drop(void *ctx, clo_bytes bytes, clo_err *err)
{
    (void)ctx, (void)bytes, (void)err;
    return true;
}

static bool refuse_all(void *ctx, clo_git *g, const clo_push_update *u, clo_err *err)
{
    (void)ctx, (void)g, (void)u;
    return clo_fail(err, CLO_ERR_DENIED, "not now");
}

static void push(clo_git *g, clo_bytes in)
{
    clo_push *p = NULL;
    clo_push_opts o = {.tmp_dir = dir, .may_update = refuse_all};
    if (!clo_push_open(&p, g, &o, NULL)) abort();
    bool ok = true;
    for (size_t at = 0; ok && at < in.len; at += 13)
        ok = clo_push_add(p, (clo_bytes){in.ptr + at, in.len - at < 13 ? in.len - at : 13}, NULL);
    if (ok && !clo_push_end(p, drop, NULL, NULL)) ok = false;
    clo_push_close(p);
}

static void read_pack(clo_git *g, clo_bytes in)
{
    clo_oid_map names = {0};
    uint8_t *pack = malloc(in.len + 20), sum[EVP_MAX_MD_SIZE];
    if (!pack || EVP_Digest(in.ptr, in.len, sum, NULL, EVP_sha1(), NULL) != 1) abort();
    memcpy(pack, in.ptr, in.len);
    memcpy(pack + in.len, sum, 20);
    if (clo_pack_read(&names, g, (clo_bytes){pack, in.len + 20}, NULL))
        for (size_t i = 0; i < names.n; i++) assert(clo_git_has(g, &names.keys[i]));
    clo_oid_map_free(&names);
    free(pack);
}

static void apply(clo_bytes in)
{
    clo_buf out = {.max = 1 << 20};
    size_t cut = in.len / 2;
    if (clo_delta_apply(&out, (clo_bytes){in.ptr, cut}, (clo_bytes){in.ptr + cut, in.len - cut}, NULL))
        assert(out.len <= out.max);
    clo_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    clo_git *g = NULL;
    if (!db) set_up();
    if (size == 0) return 0;
    clo_bytes in = {data + 1, size - 1};
    if (!clo_git_open(&g, db, repo.id, NULL)) abort();
    switch (data[0]) {
    case 0: push(g, in); break;
    case 1: read_pack(g, in); break;
    case 2:
    case 3:
        if (!clo_fetch_answer(g, data[0] == 2 ? 2 : 0, in, drop, NULL, NULL)) abort();
        break;
    default: apply(in); break;
    }
    clo_git_close(g);
    return 0;
}
