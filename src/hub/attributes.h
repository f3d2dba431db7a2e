/* .gitattributes and .gitignore, as far as uploads ask: is a path LFS, is it ignored, how is it to be sent.
 *
 *   clo_patterns a = {0};
 *   if (!clo_attributes_parse(&a, text, &err)) ...
 *   if (clo_attributes_lfs(&a, CLO_STR("model.bin"))) ...
 *   clo_patterns_free(&a);
 *
 * Patterns are git's (wildmatch with paths: * and ? stop at a slash, ** crosses folders, [..] classes, backslash). A
 * path is matched in time of pattern times path, whatever the pattern. Lines that are no rule are skipped, as git
 * does. */
#ifndef CLO_HUB_ATTRIBUTES_H
#define CLO_HUB_ATTRIBUTES_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#define CLO_ATTRIBUTES_BYTES_MAX ((size_t)1 << 20)
#define CLO_PATTERN_MAX 1024 /* bytes */

typedef struct clo_pattern clo_pattern;

typedef struct {
    clo_pattern *rows; /* owned */
    size_t n;
} clo_patterns;

/* Of a .gitattributes: rules that set or unset `filter`. CLO_ERR_LIMIT. */
CLO_CHECK bool clo_attributes_parse(clo_patterns *out, clo_str text, clo_err *err);
/* Of a .gitignore. */
CLO_CHECK bool clo_ignore_parse(clo_patterns *out, clo_str text, clo_err *err);
void clo_patterns_free(clo_patterns *p);

/* Whether filter=lfs holds for a file: the last rule that matches decides. */
bool clo_attributes_lfs(const clo_patterns *p, clo_str path);
/* Whether a file is ignored: itself, or a folder that it is in. */
bool clo_ignore_matches(const clo_patterns *p, clo_str path);

/* Whether a file is to be sent as LFS: by its pattern, else by size (over CLO_UPLOAD_REGULAR_MAX), else when its
 * first bytes are no text (a NUL, or not UTF-8; a sequence that the sample cuts is forgiven). */
#define CLO_UPLOAD_REGULAR_MAX ((uint64_t)10 << 20)
bool clo_upload_is_lfs(const clo_patterns *attributes, clo_str path, uint64_t size, clo_bytes sample);

/* git's wildmatch of a whole path. Exposed for tests. */
bool clo_wildmatch(clo_str pattern, clo_str path);

/* Appends the line that makes one path LFS; signs of patterns in the path are escaped. */
void clo_attributes_add_path(clo_buf *out, clo_str path);

#endif
