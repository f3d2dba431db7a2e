/* See upload.h. */
#include "infer/upload.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"

#define AGE_MAX_S 86400

struct clo_upload {
    clo_writer file;
    clo_sha256_ctx sum;
    bool sum_open, file_open;
    clo_sha256 promised;
};

/* Others than uploads are left alone. */
static void sweep_old(const char *folder)
{
    DIR *d = opendir(folder);
    time_t now = time(NULL);
    if (!d) return;
    for (struct dirent *e; (e = readdir(d));) {
        clo_str name = clo_str_from(e->d_name);
        clo_sha256 digest;
        struct stat st;
        if (!clo_sha256_parse(&digest, name.ptr, name.len)) continue;
        if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
            now - st.st_mtime > AGE_MAX_S)
            (void)unlinkat(dirfd(d), e->d_name, 0);
    }
    closedir(d);
}

bool clo_upload_open(clo_upload **out, const char *data_dir, const clo_sha256 *digest, clo_err *err)
{
    char folder[4096], path[4096], hex[65];
    clo_upload *u = (clo_upload *)calloc(1, sizeof *u);
    *out = NULL;
    if (!u) return clo_fail(err, CLO_ERR_MEMORY, "upload");
    clo_sha256_hex(hex, digest);
    u->promised = *digest;
    bool ok = clo_path_join(folder, err, "%s/uploads", data_dir) && clo_mkdir_p(folder, err) &&
              clo_path_join(path, err, "%s/%s", folder, hex);
    if (ok) sweep_old(folder);
    ok = ok && clo_writer_open(&u->file, path, err);
    if (!ok) {
        free(u);
        return false;
    }
    u->file_open = u->sum_open = true;
    clo_sha256_begin(&u->sum);
    *out = u;
    return true;
}

bool clo_upload_put(clo_upload *u, clo_str bytes, clo_err *err)
{
    clo_sha256_add(&u->sum, bytes.ptr, bytes.len);
    return clo_writer_put(&u->file, bytes.ptr, bytes.len, err);
}

bool clo_upload_commit(clo_upload *u, clo_err *err)
{
    clo_sha256 found = clo_sha256_end(&u->sum);
    char hex[65];
    u->sum_open = false;
    clo_sha256_hex(hex, &found);
    if (!clo_sha256_eq(&found, &u->promised))
        return clo_fail(err, CLO_ERR_MISMATCH, "digest mismatch: the bytes have sha256:%s", hex);
    u->file_open = false;
    return clo_writer_commit(&u->file, err);
}

void clo_upload_close(clo_upload *u)
{
    if (!u) return;
    if (u->sum_open) (void)clo_sha256_end(&u->sum);
    if (u->file_open) clo_writer_abandon(&u->file);
    free(u);
}

bool clo_upload_find(char path[4096], bool *in_blobs, const char *data_dir, const clo_sha256 *digest, clo_err *err)
{
    char hex[65];
    clo_sha256_hex(hex, digest);
    if (!clo_path_join(path, err, "%s/blobs/sha256/%.2s/%.2s/%s", data_dir, hex, hex + 2, hex)) return false;
    *in_blobs = clo_path_exists(path);
    if (*in_blobs) return true;
    if (!clo_path_join(path, err, "%s/uploads/%s", data_dir, hex)) return false;
    return clo_path_exists(path) || clo_fail(err, CLO_ERR_NOT_FOUND, "no bytes with digest sha256:%s are here", hex);
}
