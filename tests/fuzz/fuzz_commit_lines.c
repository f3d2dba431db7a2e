/* Bytes as the body of a commit: cut in two ways, the operations and the answer are the same. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "hub/commit_lines.h"

static bool note(void *ctx, const clo_op *op, clo_err *err)
{
    clo_buf *out = ctx;
    (void)err;
    clo_buf_addf(out, "%d %zu %zu %zu %zu %lld;", (int)op->kind, op->path.len, op->from.len, op->from_rev.len,
                 op->content.len, (long long)op->size);
    clo_buf_add(out, op->path);
    clo_buf_add(out, clo_str_of(op->content));
    clo_path_check(op->path, NULL) ? clo_buf_add_char(out, 'y') : clo_buf_add_char(out, 'n');
    return true;
}

static bool read_all(clo_buf *out, const uint8_t *data, size_t size, size_t piece)
{
    clo_commit_lines *p = NULL;
    if (!clo_commit_lines_open(&p, note, out, NULL)) abort();
    bool ok = true;
    for (size_t at = 0; ok && at < size; at += piece)
        ok = clo_commit_lines_add(p, (clo_bytes){data + at, size - at < piece ? size - at : piece}, NULL);
    ok = ok && clo_commit_lines_end(p, NULL);
    if (ok) {
        clo_commit_header h = clo_commit_lines_header(p);
        assert(h.summary.len > 0 && h.parent.len <= 40);
        clo_buf_add(out, h.summary);
        clo_buf_add(out, h.description);
        clo_buf_add(out, h.parent);
    }
    clo_commit_lines_close(p);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    clo_buf a = {0}, b = {0};
    bool one = read_all(&a, data, size, 7), two = read_all(&b, data, size, size + 1);
    assert(one == two && a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0));
    clo_buf_free(&a);
    clo_buf_free(&b);
    return 0;
}
