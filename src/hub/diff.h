/* What differs between two commits, as text and as JSON.
 *
 *   clo_oid base;
 *   bool has_base;
 *   if (!clo_diff_base(&base, &has_base, g, &commit, &err)) ...           // its first parent
 *   clo_diff d;
 *   if (!clo_diff_json(&d, g, has_base ? &base : NULL, &commit, &err)) ...
 *   json_decref(d.files);
 *
 * Everything has a limit, for a commit may be as large as its author likes: files, lines of a file and of all, bytes. What
 * is left out is said so (`truncated`); lines are counted all the same where the file was read. A moved file is found by likeness among few
 * files and by equality among many. */
#ifndef CLO_HUB_DIFF_H
#define CLO_HUB_DIFF_H

#include "base/json.h"
#include "hub/git_db.h"

#define CLO_DIFF_FILES_MAX 300
#define CLO_DIFF_FILE_LINES_MAX 3000                   /* shown of one file */
#define CLO_DIFF_LINES_MAX 20000                       /* shown of all */
#define CLO_DIFF_LINE_BYTES_MAX 4000                   /* shown of a line */
#define CLO_DIFF_BYTES_MAX ((size_t)4 << 20)           /* of all lines */
#define CLO_DIFF_FILE_BYTES_MAX ((uint64_t)1 << 20)    /* of a file that is compared line by line */
#define CLO_DIFF_READ_BYTES_MAX ((uint64_t)32 << 20)   /* of all files that are */
#define CLO_DIFF_LIKENESS_FILES_MAX 200                /* changed files among which likeness is looked for */
#define CLO_DIFF_CHANGES_MAX 50000

/* The first parent; *found is false where there is none. */
CLO_CHECK bool clo_diff_base(clo_oid *out, bool *found, clo_git *g, const clo_oid *commit, clo_err *err);
/* The commit at which two histories part; `a` when they have nothing in common. */
CLO_CHECK bool clo_diff_common(clo_oid *out, clo_git *g, const clo_oid *a, const clo_oid *b, clo_err *err);

typedef struct {
    json_t *files;  /* owned */
    size_t n_files; /* that differ */
    bool truncated; /* files were left out */
} clo_diff;

/* base NULL: all files are new. Each of `files`: {"path", "old_path" (of a moved file, else null), "status": added, modified,
 * removed, renamed, "binary", "lfs": null or {"old", "new"}: each null or {"oid", "size"}, "added", "removed": lines,
 * "hunks": [{"old_start", "old_lines", "new_start", "new_lines", "lines": [["+", "text"], ...]}], "truncated"}. */
CLO_CHECK bool clo_diff_json(clo_diff *out, clo_git *g, const clo_oid *base, const clo_oid *commit, clo_err *err);

/* Appends the unified diff. What does not fit in out->max is left out, and a last line says so. */
CLO_CHECK bool clo_diff_text(clo_buf *out, clo_git *g, const clo_oid *base, const clo_oid *commit, clo_err *err);

#endif
