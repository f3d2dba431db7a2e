/* A tree that is being changed: folders are read when a path leads into them, and only those are written.
 *
 *   clo_edit *e = NULL;
 *   if (!clo_edit_open(&e, g, &tree, &err)) ...                  // NULL: from nothing
 *   if (!clo_edit_put(e, path, &blob, CLO_MODE_FILE, &err)) ...
 *   if (!clo_edit_remove(e, path, &found, &err)) ...
 *   if (!clo_edit_write(&tree, e, &err)) ...                     // stages the trees
 *   clo_edit_close(e);
 *
 * Paths have passed clo_path_check. Folders that become empty vanish, for git has none. */
#ifndef CLO_HUB_EDIT_H
#define CLO_HUB_EDIT_H

#include "hub/git_db.h"

#define CLO_MODE_FOLDER 0040000u
#define CLO_MODE_FILE 0100644u
#define CLO_MODE_PROGRAM 0100755u
#define CLO_MODE_LINK 0120000u

typedef struct clo_edit clo_edit;

CLO_CHECK bool clo_edit_open(clo_edit **out, clo_git *g, const clo_oid *tree, clo_err *err);
void clo_edit_close(clo_edit *e);
/* *found: whether the path is there; its object (a folder's is that from before the changes) and mode. */
CLO_CHECK bool clo_edit_find(bool *found, clo_oid *oid, uint32_t *mode, clo_edit *e, clo_str path, clo_err *err);
/* Makes folders on the way. CLO_ERR_USAGE when a file stands where a folder is needed or the other way round;
 * CLO_ERR_LIMIT when the folder is full (CLO_FOLDER_ENTRIES_MAX). */
CLO_CHECK bool clo_edit_put(clo_edit *e, clo_str path, const clo_oid *oid, uint32_t mode, clo_err *err);
/* A file, or a folder with all that is in it. */
CLO_CHECK bool clo_edit_remove(clo_edit *e, clo_str path, bool *found, clo_err *err);
CLO_CHECK bool clo_edit_write(clo_oid *tree, clo_edit *e, clo_err *err);

#endif
