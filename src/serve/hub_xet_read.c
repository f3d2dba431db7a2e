/* The hub's Xet endpoints: what goes out. A client asks how a file is put together and fetches stretches of xorbs, each at an
 * address that is signed for it: for a xorb may hold chunks of others' files too. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hub/dedup.h"
#include "hub/reconstruction.h"
#include "serve/hub_handlers.h"
#include "serve/hub_send.h"
#include "serve/hub_xet.h"

#define FETCH_S 3600

#define TYPE_BYTES "application/octet-stream"

/* --- which files --------------------------------------------------------------------------------------------------*/

void clo_hub_xet_headers(clo_hub_call *c, const clo_file_info *info, const char *commit)
{
    char hash[65], url[CLO_HUB_BASE_MAX + CLO_REPO_ID_MAX + 96], link[sizeof url + CLO_HUB_BASE_MAX + 192];
    clo_xet_hash_text(hash, &info->xet);
    snprintf(url, sizeof url, "%s/api/%s/%s/xet-read-token/%s", c->base, clo_hub_type_plural(c->repo.type), c->repo.full, commit);
    snprintf(link, sizeof link, "<%s>; rel=\"xet-auth\", <%s/xet/v1/reconstructions/%s>; rel=\"xet-reconstruction-info\"", url,
             c->base, hash);
    clo_reply_header(c->r, "X-Xet-Hash", hash);
    clo_reply_header(c->r, "X-Xet-Refresh-Route", url);
    clo_reply_header(c->r, "Link", link);
}

/* The file of the address, when the token's repository may name it. False: replied. */
static bool find_file(clo_file_info *out, clo_xet_hash *hash, clo_hub_call *c)
{
    clo_err err = {0};
    bool found = false;
    if (!clo_hub_xet_scope(c, false) || !clo_hub_xet_hash(hash, c, c->a.x)) return false;
    if (!clo_files_find_xet(out, &found, &c->files, c->repo.id, hash, &err)) return clo_hub_fail_err(c, &err);
    return found || clo_hub_fail(c, 404, NULL, "the repository has no such file");
}

void clo_hub_xet_file_head(clo_hub_call *c)
{
    clo_file_info info;
    clo_xet_hash hash;
    if (find_file(&info, &hash, c)) clo_reply(c->r, 200, NULL, CLO_STR(""));
}

/* --- chunks that need not be sent ---------------------------------------------------------------------------------*/

void clo_hub_xet_chunk(clo_hub_call *c)
{
    clo_xet_hash chunk;
    clo_buf shard = {0};
    clo_err err = {0};
    bool found = false;
    if (!clo_hub_xet_scope(c, false) || !clo_hub_xet_hash(&chunk, c, c->a.rest)) return;
    if (!clo_dedup_answer(&shard, &found, &c->files, &chunk, clo_hub_now(), &err)) clo_hub_fail_err(c, &err);
    else if (!found) clo_hub_fail(c, 404, NULL, "no such chunk is here");
    else {
        clo_reply_buf(c->r, 200, TYPE_BYTES, &shard);
        return;
    }
    clo_buf_free(&shard);
}

/* --- how a file is put together -----------------------------------------------------------------------------------*/

static bool sign_fetch(char out[CLO_XORB_URL_MAX], void *ctx, const clo_xet_hash *xorb, uint64_t first, uint64_t last, clo_err *err)
{
    clo_hub_call *c = (clo_hub_call *)ctx;
    char hash[65], fields[CLO_SIGNED_FIELDS_MAX], text[CLO_SIGNED_MAX];
    clo_xet_hash_text(hash, xorb);
    snprintf(fields, sizeof fields, "%s-%" PRIu64 "-%" PRIu64, hash, first, last);
    if (!clo_sign(text, clo_hub_sign_key(c), "xorb", fields, clo_hub_now() + FETCH_S))
        return clo_fail(err, CLO_ERR_LIMIT, "address of a xorb");
    snprintf(out, CLO_XORB_URL_MAX, "%s/xet/fetch/%s", c->base, text);
    return true;
}

static void reconstruct(clo_hub_call *c, clo_reconstruction_version version)
{
    clo_file_info info;
    clo_xet_hash hash;
    clo_byte_range s;
    json_t *answer = NULL;
    clo_err err = {0};
    if (!find_file(&info, &hash, c)) return;
    if (!clo_byte_range_parse(&s, clo_request_header(c->r, "Range"), info.size))
        clo_hub_fail(c, 416, NULL, "the range begins after the end of the file, which has %" PRIu64 " bytes", info.size);
    else if (clo_reconstruct(&answer, &c->files, &hash, s.off, s.off + s.n, version, sign_fetch, c, &err)) clo_hub_json(c, 200, answer);
    else clo_hub_fail_err(c, &err);
}

void clo_hub_reconstruction_v1(clo_hub_call *c)
{
    reconstruct(c, CLO_RECONSTRUCTION_V1);
}

void clo_hub_reconstruction_v2(clo_hub_call *c)
{
    reconstruct(c, CLO_RECONSTRUCTION_V2);
}

/* --- stretches of xorbs -------------------------------------------------------------------------------------------*/

/* "hash-first-last" */
static bool parse_fetch(clo_xet_hash *hash, uint64_t *first, uint64_t *last, clo_str fields)
{
    char text[CLO_SIGNED_FIELDS_MAX], *end = NULL;
    if (fields.len < 66 || fields.len >= sizeof text || !clo_xet_hash_parse(hash, (clo_str){fields.ptr, 64})) return false;
    memcpy(text, fields.ptr, fields.len);
    text[fields.len] = '\0';
    *first = strtoull(text + 65, &end, 10);
    if (*end != '-') return false;
    *last = strtoull(end + 1, &end, 10);
    return *end == '\0';
}

void clo_hub_xorb_fetch(clo_hub_call *c)
{
    clo_xet_hash hash;
    clo_byte_range s;
    clo_str fields;
    clo_err err = {0};
    uint64_t first = 0, last = 0, bytes = 0;
    int fd;
    if (!clo_signed(&fields, clo_hub_sign_key(c), "xorb", c->a.x, clo_hub_now()) || !parse_fetch(&hash, &first, &last, fields)) {
        clo_hub_fail(c, 403, NULL, "this address is not valid, or no longer");
        return;
    }
    if (!clo_files_open_xorb(&fd, &bytes, &c->files, &hash, &err)) {
        clo_hub_fail_err(c, &err);
        return;
    }
    bool fits = clo_byte_range_parse(&s, clo_request_header(c->r, "Range"), bytes);
    if (fits && !s.part) s = (clo_byte_range){.off = first, .n = last - first + 1, .part = true};
    if (!fits || s.off < first || s.off > last || s.n > last - s.off + 1 || s.off + s.n > bytes) {
        close(fd);
        clo_hub_fail(c, 416, NULL, "this address is for bytes %" PRIu64 " to %" PRIu64, first, last);
        return;
    }
    clo_hub_range_headers(c, &s, bytes);
    clo_reply_file(c->r, 206, TYPE_BYTES, fd, s.off, s.n);
}
