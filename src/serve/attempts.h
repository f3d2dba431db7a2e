/* How often passwords may be tried: per name, and by everybody together, since each try costs the server some tens of
 * milliseconds. Names that are nobody's count as others do.
 *
 *   static clo_attempts a = CLO_ATTEMPTS_INIT;
 *   int64_t wait_s = clo_attempts_take(&a, name, now_s);     // 0: go on; it is counted
 *   if (right) clo_attempts_forget(&a, name);
 *
 * Names share counts where their hashes meet. Any thread. */
#ifndef CLO_SERVE_ATTEMPTS_H
#define CLO_SERVE_ATTEMPTS_H

#include <pthread.h>
#include <stdint.h>

#include "base/slice.h"

#define CLO_ATTEMPTS_NAMES 1024 /* counts */
#define CLO_ATTEMPTS_OF_NAME 10 /* in CLO_ATTEMPTS_NAME_S */
#define CLO_ATTEMPTS_NAME_S 300
#define CLO_ATTEMPTS_OF_ALL 120 /* in CLO_ATTEMPTS_ALL_S */
#define CLO_ATTEMPTS_ALL_S 60

typedef struct {
    int64_t since_s;
    unsigned n;
} clo_attempts_count;

typedef struct {
    pthread_mutex_t lock; /* guards what follows */
    clo_attempts_count all, names[CLO_ATTEMPTS_NAMES];
} clo_attempts;
#define CLO_ATTEMPTS_INIT {.lock = PTHREAD_MUTEX_INITIALIZER}

/* Seconds until the next one is allowed; 0: this one is. */
int64_t clo_attempts_take(clo_attempts *a, clo_str name, int64_t now_s);
void clo_attempts_forget(clo_attempts *a, clo_str name);

#endif
