/* How much memory this process may still take. */
#ifndef CLO_BASE_MEMORY_H
#define CLO_BASE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* Bytes that can be had without driving the machine or a cgroup (v1 or v2, up to the root) out of memory: the smallest of
 * MemAvailable and every group's limit less what it holds and cannot give back. 0 when /proc cannot be read. */
uint64_t clo_memory_available(void);

/* Anonymous zeroed memory, in huge pages where the kernel has them (streaming through 4 KiB pages costs a sixth of the
 * bandwidth). NULL when there is none. Given back by clo_huge_free. */
void *clo_huge_alloc(size_t bytes);
void clo_huge_free(void *p, size_t bytes);

#endif
