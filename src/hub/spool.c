/* See spool.h. */
#include "hub/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"

bool clo_spool_open(clo_spool *s, const char *tmp_dir, clo_err *err)
{
    char path[4096];
    *s = (clo_spool){0};
    s->fd = open(tmp_dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (s->fd < 0) { /* a file system without such files */
        if (!clo_path_join(path, err, "%s/spool-XXXXXX", tmp_dir)) return false;
        s->fd = mkostemp(path, O_CLOEXEC);
        if (s->fd < 0) return clo_fail_sys(err, errno, "make '%s'", path);
        unlink(path);
    }
    s->open = true;
    return true;
}

bool clo_spool_add(void *ctx, clo_bytes bytes, clo_err *err)
{
    clo_spool *s = ctx;
    while (bytes.len) {
        ssize_t n = write(s->fd, bytes.ptr, bytes.len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return clo_fail_sys(err, errno, "write a pack");
        bytes = (clo_bytes){bytes.ptr + n, bytes.len - (size_t)n};
        s->n += (uint64_t)n;
    }
    return true;
}

bool clo_spool_empty(clo_spool *s, clo_err *err)
{
    s->n = 0;
    return (ftruncate(s->fd, 0) == 0 && lseek(s->fd, 0, SEEK_SET) == 0) || clo_fail_sys(err, errno, "empty a spool");
}

bool clo_spool_map(clo_spool *s, clo_bytes *out, clo_err *err)
{
    *out = (clo_bytes){(const uint8_t *)"", 0};
    if (s->n == 0) return true;
    void *p = mmap(NULL, (size_t)s->n, PROT_READ, MAP_PRIVATE, s->fd, 0);
    if (p == MAP_FAILED) return clo_fail_sys(err, errno, "read a pack");
    s->map = p;
    s->n_map = (size_t)s->n;
    *out = (clo_bytes){p, s->n_map};
    return true;
}

void clo_spool_close(clo_spool *s)
{
    if (s->map) munmap(s->map, s->n_map);
    if (s->open) close(s->fd);
    *s = (clo_spool){0};
}
