/* See files_parts.h. Who writes a part holds the file's lock with others, who commits it holds it alone. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "hub/files_impl.h"
#include "hub/files_parts.h"

struct clo_part_put {
    int fd; /* -1 once it has ended */
    uint64_t offset, len, n_written;
};

bool clo_part_put_open(clo_part_put **out, const clo_files *f, int64_t repo, const clo_sha256 *sha256, uint64_t offset,
                       uint64_t len, clo_err *err)
{
    char path[4096], ending[CLO_PART_ENDING_MAX], hex[65];
    *out = NULL;
    if (offset > CLO_FILE_BYTES_MAX || len > CLO_FILE_BYTES_MAX - offset)
        return clo_fail(err, CLO_ERR_LIMIT, "a part that ends beyond %llu bytes", (unsigned long long)CLO_FILE_BYTES_MAX);
    clo_sha256_hex(hex, sha256);
    clo_parts_ending(ending, repo);
    if (!clo_files_path(path, f, "lfs", hex, err)) return false;
    clo_part_put *p = (clo_part_put *)calloc(1, sizeof *p);
    if (!p) return clo_fail(err, CLO_ERR_MEMORY, "upload of a part");
    *p = (clo_part_put){.offset = offset, .len = len};
    char tmp[4096];
    p->fd = clo_path_join(tmp, err, "%s%s", path, ending) ? clo_part_file_open(tmp, O_CREAT, LOCK_SH, err) : -1;
    if (p->fd < 0) {
        free(p);
        return false;
    }
    *out = p;
    return true;
}

bool clo_part_put_add(clo_part_put *p, clo_bytes bytes, clo_err *err)
{
    if (bytes.len > p->len - p->n_written)
        return clo_fail(err, CLO_ERR_MISMATCH, "more bytes than the part's %llu", (unsigned long long)p->len);
    while (bytes.len > 0) {
        ssize_t n = pwrite(p->fd, bytes.ptr, bytes.len, (off_t)(p->offset + p->n_written));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return clo_fail_sys(err, errno, "write a part");
        p->n_written += (uint64_t)n;
        bytes = (clo_bytes){bytes.ptr + n, bytes.len - (size_t)n};
    }
    return true;
}

bool clo_part_put_end(clo_part_put *p, clo_err *err)
{
    if (p->n_written != p->len)
        return clo_fail(err, CLO_ERR_MISMATCH, "%llu bytes came, the part has %llu", (unsigned long long)p->n_written,
                        (unsigned long long)p->len);
    bool ok = close(p->fd) == 0 || clo_fail_sys(err, errno, "write a part");
    p->fd = -1;
    return ok;
}

void clo_part_put_close(clo_part_put *p)
{
    if (!p) return;
    if (p->fd >= 0) close(p->fd);
    free(p);
}

bool clo_parts_commit(const clo_files *f, int64_t repo, const clo_sha256 *sha256, uint64_t size, int64_t now_s,
                      clo_err *err)
{
    clo_file_put *p = NULL;
    bool ok = clo_file_put_of_parts(&p, f, repo, sha256, size, err) && clo_file_put_commit(p, repo, now_s, err);
    clo_file_put_close(p);
    return ok;
}
