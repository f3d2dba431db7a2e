#include "base/memory.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)

/* The number after `key` at the beginning of a line of a file of such lines. */
static bool field_of(const char *path, const char *key, uint64_t *out)
{
    FILE *f = fopen(path, "re");
    char line[256];
    size_t len = strlen(key);
    bool found = false;
    while (f && !found && fgets(line, sizeof line, f)) {
        char *end;
        if (strncmp(line, key, len) != 0) continue;
        *out = strtoull(line + len, &end, 10);
        found = end != line + len; /* "max" is no number */
    }
    if (f) fclose(f);
    return found;
}

/* Where the two versions of control groups say the same things. */
struct cgroup_files {
    const char *root, *max, *current, *cache_key;
};
static const struct cgroup_files cgroup_v1 = {"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
                                              "total_cache "};
static const struct cgroup_files cgroup_v2 = {"/sys/fs/cgroup", "memory.max", "memory.current", "file "};

/* What a cgroup leaves: its limit less what it holds beyond the page cache. */
static uint64_t left_in(const struct cgroup_files *v, const char *folder, uint64_t most)
{
    char path[4400];
    uint64_t max, current, cache = 0;
    snprintf(path, sizeof path, "%s%s/%s", v->root, folder, v->max);
    if (!field_of(path, "", &max)) return most;
    snprintf(path, sizeof path, "%s%s/%s", v->root, folder, v->current);
    if (!field_of(path, "", &current)) return most;
    snprintf(path, sizeof path, "%s%s/memory.stat", v->root, folder);
    field_of(path, v->cache_key, &cache);
    uint64_t held = current > cache ? current - cache : 0;
    uint64_t left = max > held ? max - held : 0;
    return left < most ? left : most;
}

/* The least that any group from this process's own up to the root leaves. A container may see its own group as the root
 * of what is mounted, so the root's files are read too. */
static uint64_t left_on_path(const struct cgroup_files *v, char *path, uint64_t most)
{
    for (char *slash; (slash = strrchr(path, '/')); *slash = 0) most = left_in(v, path, most);
    return left_in(v, "", most);
}

uint64_t clo_memory_available(void)
{
    uint64_t kib = 0, left;
    char line[4200] = "";
    if (!field_of("/proc/meminfo", "MemAvailable:", &kib)) return 0;
    left = kib * 1024;
    FILE *f = fopen("/proc/self/cgroup", "re");
    while (f && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':'), *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path) continue;
        *path++ = 0;
        if (controllers[1] == 0) left = left_on_path(&cgroup_v2, path, left);
        if (strstr(controllers, "memory")) left = left_on_path(&cgroup_v1, path, left);
    }
    if (f) fclose(f);
    return left;
}

void *clo_huge_alloc(size_t bytes)
{
    /* Aligned by hand: the kernel gives huge pages only to whole aligned ones. */
    size_t want = (bytes + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
    if (want < bytes || want > SIZE_MAX - HUGE_PAGE) return NULL;
    uint8_t *p = mmap(NULL, want + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return NULL;
    size_t head = (size_t)(-(uintptr_t)p & (HUGE_PAGE - 1));
    if (head) munmap(p, head);
    if (HUGE_PAGE - head) munmap(p + head + want, HUGE_PAGE - head);
    madvise(p + head, want, MADV_HUGEPAGE);
    return p + head;
}

void clo_huge_free(void *p, size_t bytes)
{
    if (p) munmap(p, (bytes + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1));
}
