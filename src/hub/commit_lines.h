/* The body of POST /commit: lines of JSON, each an operation, as they come.
 *
 *   {"key":"header","value":{"summary":"Upload","description":"","parentCommit":"<hex>"}}
 *   {"key":"file","value":{"path":"README.md","content":"<base64>","encoding":"base64"}}
 *   {"key":"lfsFile","value":{"path":"w.bin","algo":"sha256","oid":"<64 hex>","size":200000}}
 *   {"key":"deletedFile","value":{"path":"old.txt"}}
 *   {"key":"deletedFolder","value":{"path":"dir/"}}
 *   {"key":"copyFile","value":{"path":"new","srcPath":"old","srcRevision":"main"}}
 *
 *   clo_commit_lines *p = NULL;
 *   if (!clo_commit_lines_open(&p, on_op, commit, &err)) ...
 *   if (!clo_commit_lines_add(p, piece, &err)) ...              // any cut
 *   if (!clo_commit_lines_end(p, &err)) ...
 *   use(clo_commit_lines_header(p));
 *   clo_commit_lines_close(p);
 *
 * The header is the first line and the only one. Memory is that of the longest line. Faults are CLO_ERR_FORMAT with the
 * offset of the line in err->at, or CLO_ERR_LIMIT. */
#ifndef CLO_HUB_COMMIT_LINES_H
#define CLO_HUB_COMMIT_LINES_H

#include "base/buf.h"
#include "hub/commit.h"

#define CLO_COMMIT_LINE_MAX ((size_t)16 << 20) /* bytes: a file of CLO_COMMIT_FILE_MAX in base64, and some */
#define CLO_COMMIT_BODY_MAX ((size_t)512 << 20)
#define CLO_COMMIT_SUMMARY_MAX 1024      /* bytes */
#define CLO_COMMIT_DESCRIPTION_MAX 65536 /* bytes */

typedef struct clo_commit_lines clo_commit_lines;

typedef struct {
    clo_str summary, description, parent; /* borrowed from the parser */
} clo_commit_header;

/* Called for each operation in turn; its slices live for the call. False ends the parse with its error. */
typedef bool clo_op_fn(void *ctx, const clo_op *op, clo_err *err);

CLO_CHECK bool clo_commit_lines_open(clo_commit_lines **out, clo_op_fn *fn, void *ctx, clo_err *err);
CLO_CHECK bool clo_commit_lines_add(clo_commit_lines *p, clo_bytes piece, clo_err *err);
CLO_CHECK bool clo_commit_lines_end(clo_commit_lines *p, clo_err *err);
clo_commit_header clo_commit_lines_header(const clo_commit_lines *p);
void clo_commit_lines_close(clo_commit_lines *p);

/* The bytes of a file's `content`, appended; encoding "base64", "utf-8" or nothing. CLO_ERR_FORMAT. */
CLO_CHECK bool clo_commit_content(clo_buf *out, clo_str content, clo_str encoding, clo_err *err);

#endif
