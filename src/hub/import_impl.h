/* What import*.c share. */
#ifndef CLO_HUB_IMPORT_IMPL_H
#define CLO_HUB_IMPORT_IMPL_H

#include "hub/commit.h"
#include "hub/import.h"

CLO_CHECK bool clo_import_clone(clo_import_result *out, const clo_import_repo_opts *o, clo_err *err);

/* The bytes of a file come to lie among the large files, for a repository to link; nothing is copied when they are there already.
 * `expected`: what its name says it is; CLO_ERR_MISMATCH; NULL: anything. */
CLO_CHECK bool clo_import_large(clo_lfs_pointer *out, const clo_import_repo_opts *o, const char *path, const clo_sha256 *expected,
                                clo_err *err);

/* --- a folder as operations of a commit -------------------------------------------------------------------------------*/

typedef struct {
    char *path;            /* owned: in the repository */
    bool is_large;
    clo_lfs_pointer large;
} clo_import_file;

typedef struct {
    clo_import_file *rows; /* owned [n], by path */
    size_t n;
    clo_commit *commit;    /* owned: the operations */
} clo_import_folder;

typedef struct {
    const char *folder;
    const char *inside, *also; /* real paths into which symbolic links may lead; also may be NULL */
    const char *only;          /* NULL: all of the folder; else that one file */
} clo_import_place;
CLO_CHECK bool clo_import_folder_open(clo_import_folder *out, const clo_import_repo_opts *o, clo_git *g, const clo_import_place *place,
                                      clo_err *err);
/* Files of an earlier commit that are not in the folder go; those of a .gitattributes that was not the folder's stay. */
CLO_CHECK bool clo_import_folder_drop(clo_import_folder *f, const char *const *paths, size_t n, clo_err *err);
bool clo_import_folder_has(const clo_import_folder *f, const char *path);
CLO_CHECK bool clo_import_folder_link(const clo_import_folder *f, const clo_files *files, int64_t repo, clo_err *err);
void clo_import_folder_close(clo_import_folder *f);

#endif
