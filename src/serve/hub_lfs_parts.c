/* Large files in parts, for clients behind a proxy that lets no large body through, and those that would not begin anew when
 * one broke: each part is put at its own address, and then the parts are told. What they are worth shows when the whole file is
 * hashed, so no more is kept of them than their bytes.
 *
 * Source: huggingface_hub, cli/lfs.py and lfs.py, "multipart". */
#include <stdio.h>
#include <stdlib.h>

#include "hub/files_parts.h"
#include "serve/hub_handlers.h"
#include "serve/hub_lfs.h"

#define LIST_BYTES_MAX (1 << 20)

typedef struct {
    clo_lfs_address a;
    clo_part_put *put; /* owned; of a part */
    size_t n_list;     /* bytes of the list of parts that came */
    bool ok;
    clo_err err;
} parts;

static void free_parts(void *data)
{
    parts *p = (parts *)data;
    clo_part_put_close(p->put);
    free(p);
}

static bool take_bytes(void *data, clo_str bytes)
{
    parts *p = (parts *)data;
    return clo_part_put_add(p->put, clo_bytes_of(bytes), &p->err);
}

/* c's data of its own; NULL: replied. */
static parts *open_parts(clo_hub_call *c, const clo_lfs_address *a)
{
    parts *p = (parts *)calloc(1, sizeof *p);
    if (!p) {
        clo_hub_fail(c, 503, NULL, "server busy, please try again.  no memory is left");
        return NULL;
    }
    p->a = *a;
    c->data = p;
    c->free_data = free_parts;
    return p;
}

void clo_hub_lfs_part_begin(clo_hub_call *c)
{
    clo_lfs_address a;
    clo_err err = {0};
    if (!clo_lfs_open(&a, c, CLO_LFS_PART) || !clo_lfs_check_length(c, &a)) return;
    parts *p = open_parts(c, &a);
    if (!p) return;
    if (clo_part_put_open(&p->put, &c->files, c->repo.id, &a.sha256, a.offset, a.len, &err)) clo_hub_sink(c, take_bytes);
    else clo_lfs_fail(c, &err);
}

void clo_hub_lfs_part_run(clo_hub_call *c)
{
    parts *p = (parts *)c->data;
    char etag[64];
    if (clo_request_body_fault(c->r) == CLO_BODY_REFUSED || !clo_part_put_end(p->put, &p->err)) {
        clo_lfs_fail(c, &p->err);
        return;
    }
    snprintf(etag, sizeof etag, "\"%llu-%llu\"", (unsigned long long)p->a.offset, (unsigned long long)p->a.len);
    clo_reply_header(c->r, "ETag", etag);
    clo_hub_lfs_json(c, 200, json_object());
}

/* --- all parts have come -------------------------------------------------------------------------------------------*/

static void commit_parts(clo_hub_call *c)
{
    parts *p = (parts *)c->data;
    p->ok = clo_parts_commit(&c->files, c->repo.id, &p->a.sha256, p->a.size, clo_hub_now(), &p->err);
}

static void reply_parts(clo_hub_call *c)
{
    const parts *p = (const parts *)c->data;
    if (p->ok) clo_hub_lfs_json(c, 200, json_object());
    else clo_lfs_fail(c, &p->err);
}

/* The list of parts that the client sends says nothing that the bytes do not. */
static bool take_list(void *data, clo_str bytes)
{
    parts *p = (parts *)data;
    p->n_list += bytes.len;
    return p->n_list <= LIST_BYTES_MAX || clo_fail(&p->err, CLO_ERR_LIMIT, "a list of parts of more than %d bytes", LIST_BYTES_MAX);
}

void clo_hub_lfs_parts_begin(clo_hub_call *c)
{
    clo_lfs_address a;
    if (clo_lfs_open(&a, c, CLO_LFS_PARTS) && open_parts(c, &a)) clo_hub_sink(c, take_list);
}

void clo_hub_lfs_parts_run(clo_hub_call *c)
{
    if (clo_request_body_fault(c->r) == CLO_BODY_REFUSED) reply_parts(c);
    else clo_hub_aside(c, commit_parts, reply_parts);
}
