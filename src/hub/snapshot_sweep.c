/* Snapshots that nobody needs: of repositories that are gone, and those that were not used for a while. See snapshot.h, sweep.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/file.h"
#include "hub/files_impl.h"
#include "hub/snapshot_impl.h"

bool clo_snapshots_lock(int *fd, const char *data_dir, bool alone, clo_err *err)
{
    char folder[4096], path[4096];
    if (!clo_path_join(folder, err, "%s/" CLO_SNAPSHOTS, data_dir) || !clo_mkdir_p(folder, err) ||
        !clo_path_join(path, err, "%s/lock", folder))
        return false;
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (*fd < 0) return clo_fail_sys(err, errno, "open '%s'", path);
    clo_file_give_to_owner(*fd, data_dir);
    int rc;
    do rc = flock(*fd, alone ? LOCK_EX : LOCK_SH);
    while (rc != 0 && errno == EINTR);
    if (rc == 0) return true;
    int sys = errno;
    close(*fd);
    return clo_fail_sys(err, sys, "lock '%s'", path);
}

/* Bytes that removing a folder and all in it gives back: of files that have no other name. */
static uint64_t remove_all(const char *path, bool dry_run)
{
    uint64_t freed = 0;
    DIR *d = opendir(path);
    if (!d) return 0;
    for (struct dirent *e; (e = readdir(d));) {
        char inside[4096];
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        if (!clo_path_join(inside, NULL, "%s/%s", path, e->d_name) || lstat(inside, &st) != 0) continue;
        if (S_ISDIR(st.st_mode)) {
            freed += remove_all(inside, dry_run);
            continue;
        }
        if (st.st_nlink == 1) freed += (uint64_t)st.st_size;
        if (!dry_run) (void)unlink(inside);
    }
    closedir(d);
    if (!dry_run) (void)rmdir(path);
    return freed;
}

static bool has_repo(bool *out, const clo_files *f, const char *oid, clo_err *err)
{
    clo_stmt q = {0};
    bool ok = clo_stmt_open(&q, f->db, "SELECT 1 FROM repos WHERE oid = ?1", err) &&
              clo_stmt_text(&q, 1, clo_str_from(oid), err) && clo_stmt_step(&q, out, err);
    clo_stmt_close(&q);
    return ok;
}

/* The snapshots of one repository. */
static void sweep_repo(clo_snapshot_sweep *s, const char *folder, bool repo_is_here)
{
    DIR *d = opendir(folder);
    if (!d) return;
    for (struct dirent *e; (e = readdir(d));) {
        char path[4096], used[4096];
        struct stat st;
        clo_sha256 key;
        if (!clo_sha256_parse(&key, e->d_name, strlen(e->d_name)) || !clo_path_join(path, NULL, "%s/%s", folder, e->d_name)) continue;
        if (!clo_path_join(used, NULL, "%s/" CLO_SNAPSHOT_USED, path)) continue;
        if (repo_is_here && stat(used, &st) == 0 && s->now_s - st.st_mtime < s->age_s) continue;
        uint64_t bytes = remove_all(path, true);
        s->n++;
        s->bytes += bytes;
        if (s->report) s->report(s->ctx, "snapshot", path, bytes); /* while it is there */
        if (!s->dry_run) (void)remove_all(path, false);
    }
    closedir(d);
    if (!s->dry_run) (void)rmdir(folder); /* when it is empty */
}

bool clo_snapshots_sweep(clo_snapshot_sweep *s, const clo_files *f, clo_err *err)
{
    char folder[4096], path[4096];
    int lock = -1;
    if (!clo_path_join(folder, err, "%s/" CLO_SNAPSHOTS, f->data_dir)) return false;
    DIR *d = opendir(folder);
    if (!d) return errno == ENOENT || clo_fail_sys(err, errno, "list '%s'", folder);
    bool ok = clo_snapshots_lock(&lock, f->data_dir, true, err);
    for (struct dirent *e; ok && (e = readdir(d));) {
        bool here = false;
        if (e->d_name[0] == '.' || strcmp(e->d_name, "lock") == 0) continue;
        ok = clo_path_join(path, err, "%s/%s", folder, e->d_name) && has_repo(&here, f, e->d_name, err);
        if (ok) sweep_repo(s, path, here);
    }
    closedir(d);
    if (lock >= 0) close(lock);
    return ok;
}
