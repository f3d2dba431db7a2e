/* See attempts.h. */
#include "serve/attempts.h"

/* FNV-1a, capitals as small letters, as accounts take them. */
static size_t slot_of(clo_str name)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        h = (h ^ (uint8_t)(c >= 'A' && c <= 'Z' ? c + 32 : c)) * 16777619u;
    }
    return h % CLO_ATTEMPTS_NAMES;
}

/* Seconds to wait; a count that is over begins anew. */
static int64_t wait_of(clo_attempts_count *c, unsigned max, int64_t span_s, int64_t now_s)
{
    if (now_s >= c->since_s + span_s || now_s < c->since_s) *c = (clo_attempts_count){.since_s = now_s};
    return c->n < max ? 0 : c->since_s + span_s - now_s;
}

int64_t clo_attempts_take(clo_attempts *a, clo_str name, int64_t now_s)
{
    pthread_mutex_lock(&a->lock);
    clo_attempts_count *own = &a->names[slot_of(name)];
    int64_t wait_s = wait_of(own, CLO_ATTEMPTS_OF_NAME, CLO_ATTEMPTS_NAME_S, now_s);
    if (wait_s == 0) wait_s = wait_of(&a->all, CLO_ATTEMPTS_OF_ALL, CLO_ATTEMPTS_ALL_S, now_s);
    if (wait_s == 0) {
        own->n++;
        a->all.n++;
    }
    pthread_mutex_unlock(&a->lock);
    return wait_s;
}

void clo_attempts_forget(clo_attempts *a, clo_str name)
{
    pthread_mutex_lock(&a->lock);
    a->names[slot_of(name)].n = 0;
    pthread_mutex_unlock(&a->lock);
}
