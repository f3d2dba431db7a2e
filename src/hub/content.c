/* See content.h. */
#include "hub/content.h"

#include "hub/reader.h"

bool clo_content_open(clo_content *out, const clo_files *f, clo_git *g, const clo_entry *e, clo_err *err)
{
    clo_file_info info;
    bool found = false;
    *out = (clo_content){.size = e->size, .is_lfs = e->is_lfs, .sha256 = e->sha256, .files = f};
    if (e->kind != CLO_ENTRY_FILE) return clo_fail(err, CLO_ERR_NOT_FOUND, "'%.200s' is no file", e->path);
    if (!e->is_lfs) {
        bool ok = clo_blob_read(&out->small, g, &e->oid, err);
        out->size = out->small.len;
        if (!ok) clo_content_close(out);
        return ok;
    }
    if (!clo_files_find_own(&info, &found, f, clo_git_repo(g), &e->sha256, err)) return false;
    if (!found) return clo_fail(err, CLO_ERR_NOT_FOUND, "the bytes of '%.200s' are not here", e->path);
    out->size = info.size; /* which the pointer may not say truly */
    return true;
}

static bool read_large(const clo_content *c, uint64_t off, uint8_t *buf, size_t n, clo_err *err)
{
    clo_reader *r = NULL;
    size_t got = 1;
    bool ok = clo_reader_open(&r, c->files, &c->sha256, off, n, err);
    for (size_t at = 0; ok && at < n && got > 0; at += got) ok = clo_reader_read(r, buf + at, n - at, &got, err);
    if (ok && got == 0) ok = clo_fail(err, CLO_ERR_DAMAGED, "a large file ends before its size");
    clo_reader_close(r);
    return ok;
}

bool clo_content_read(const clo_content *c, uint64_t off, void *buf, size_t n, clo_err *err)
{
    if (off > c->size || n > c->size - off)
        return clo_fail(err, CLO_ERR_USAGE, "bytes %llu to %llu of a file of %llu", (unsigned long long)off, (unsigned long long)(off + n),
                        (unsigned long long)c->size);
    if (n == 0) return true;
    if (c->is_lfs) return read_large(c, off, buf, n, err);
    memcpy(buf, c->small.ptr + off, n);
    return true;
}

void clo_content_close(clo_content *c)
{
    clo_buf_free(&c->small);
    *c = (clo_content){0};
}
