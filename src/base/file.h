/* Files: mapped for reading, written so that a crash leaves the old or the new one, never half of either. */
#ifndef CLO_BASE_FILE_H
#define CLO_BASE_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"

typedef struct {
    clo_bytes bytes; /* the whole file, read-only */
    bool mapped;     /* else: malloc'ed (pipes, empty files) */
} clo_map;

/* Maps a whole file. An empty file gives an empty slice. Close accepts the zeroed struct. */
CLO_CHECK bool clo_map_open(clo_map *out, const char *path, clo_err *err);
void clo_map_close(clo_map *m);

/* Reads a whole file of at most max_bytes into the arena (NUL-terminated beyond len). */
CLO_CHECK bool clo_file_read(clo_str *out, const char *path, size_t max_bytes, clo_arena *keep, clo_err *err);
/* The same for a file that may be absent: folder/name, or a NULL slice when there is none. */
CLO_CHECK bool clo_file_read_beside(clo_str *out, const char *folder, const char *name, size_t max_bytes,
                                    clo_arena *keep, clo_err *err);
/* Reads standard input to its end, at most max_bytes. */
CLO_CHECK bool clo_stdin_read(clo_str *out, size_t max_bytes, clo_arena *keep, clo_err *err);

/* Writes path: the bytes go to a file without a name where the file system has such (else to `path.tmp-<pid>-<n>`), so that
 * a process which is killed leaves nothing; then fsync, a name, rename, fsync of the folder. */
CLO_CHECK bool clo_file_write_atomic(const char *path, clo_bytes bytes, clo_err *err);

/* The same in pieces. Commit and abandon end the writer; abandon removes the temporary file and accepts a writer that is
 * zeroed or ended. */
typedef struct {
    int fd;
    bool unnamed;
    uint64_t n_written;
    char path[4096], tmp[4160];
} clo_writer;
CLO_CHECK bool clo_writer_open(clo_writer *w, const char *path, clo_err *err);
/* The same where path's folder need not be there before the commit: the bytes go to a file without a name in `folder`, of the same file
 * system. CLO_ERR_UNSUPPORTED where it has no such files. */
CLO_CHECK bool clo_writer_open_in(clo_writer *w, const char *folder, const char *path, clo_err *err);
CLO_CHECK bool clo_writer_put(clo_writer *w, const void *bytes, size_t n, clo_err *err);
/* Pads with zeros to a multiple of `to` bytes. */
CLO_CHECK bool clo_writer_align(clo_writer *w, size_t to, clo_err *err);
/* Overwrites n bytes at `off`, inside what was written already. */
CLO_CHECK bool clo_writer_patch(clo_writer *w, uint64_t off, const void *bytes, size_t n, clo_err *err);
CLO_CHECK bool clo_writer_commit(clo_writer *w, clo_err *err);
/* Commits without waiting for the disk: for many files, between two syncs of the whole file system. */
CLO_CHECK bool clo_writer_name(clo_writer *w, clo_err *err);
void clo_writer_abandon(clo_writer *w);

bool clo_path_exists(const char *path);
bool clo_path_is_dir(const char *path);
/* Makes the folder and its parents; the names of those that it made are on disk when it returns. */
CLO_CHECK bool clo_mkdir_p(const char *path, clo_err *err);
/* The same for the folder that the file of this path is to lie in. */
CLO_CHECK bool clo_mkdir_of(const char *path, clo_err *err);
/* That folder's names are on disk when it returns. */
CLO_CHECK bool clo_sync_folder_of(const char *path, clo_err *err);
/* What root makes in a folder of another's belongs to that one, who could not use it otherwise: gives the open file to the
 * folder's owner and group, where root may. Does nothing for other users. */
void clo_file_give_to_owner(int fd, const char *folder);
/* printf into a path buffer of 4096; false with CLO_ERR_LIMIT when it does not fit. */
CLO_CHECK bool clo_path_join(char out[4096], clo_err *err, const char *fmt, ...) CLO_PRINTF(3, 4);

/* $CLOCHE_DATA, else $XDG_DATA_HOME/cloche, else $HOME/.local/share/cloche. */
CLO_CHECK bool clo_data_dir(char out[4096], clo_err *err);

#endif
