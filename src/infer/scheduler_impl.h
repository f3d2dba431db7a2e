/* What scheduler.c, sched_pass.c and task.c share. See scheduler.h. */
#ifndef CLO_INFER_SCHEDULER_IMPL_H
#define CLO_INFER_SCHEDULER_IMPL_H

#include <pthread.h>

#include "base/buf.h"
#include "infer/answer.h"
#include "infer/decoder.h"
#include "infer/scheduler.h"

/* Events on their way to a task's owner, in order. The zeroed struct is an empty tape. */
typedef struct {
    struct tape_event *events; /* [cap] owned */
    size_t n, cap, i;          /* i: events taken */
    clo_buf text;              /* owned: of all events, one after the other */
    size_t text_at;
    clo_task_logprob *tops;    /* [cap_tops] owned, likewise */
    size_t n_tops, cap_tops, top_at;
    bool failed;               /* there was no memory for an event */
} clo_tape;

void clo_tape_add(clo_tape *t, const clo_task_event *e);
/* Appends what was not taken from src, and empties src. */
void clo_tape_move(clo_tape *dst, clo_tape *src);
/* The event lives until the tape is added to, moved or freed. */
bool clo_tape_take(clo_tape *t, clo_task_event *out);
void clo_tape_free(clo_tape *t);

struct clo_task {
    clo_sched *s;       /* a reference is held */
    clo_task_opts o;    /* pointers are to the copies below */
    clo_sampler_params sampler;
    void *copies;       /* owned: bias, stops and their texts, key */
    clo_answer *answer; /* owned */
    clo_tape shown;     /* the owner's */
    clo_tape fresh;     /* the scheduler's: of the pass in hand */

    /* Guarded by s->lock. */
    clo_tape ready;
    clo_task_state_kind state;
    bool cancel;        /* the owner wants no more */
    bool orphan;        /* closed before it was done: the scheduler frees it */
    bool done;          /* the scheduler has let go of it */
    bool notifying;     /* o.notify is about to be called, or runs */
    clo_task_result result;

    /* The scheduler's thread's own. */
    clo_seq *seq;       /* owned while running */
    double start_s, run_s; /* when it was started, and its first pass; 0: not yet */
    bool failed;        /* result.err says why */
};

/* A running task in the pass in hand. */
typedef struct {
    clo_task *t;
    clo_want want;
    float *logits;      /* [want.n_logits, stride] */
} clo_slot;

struct clo_sched {
    clo_model *model;   /* borrowed */
    clo_pool *pool;     /* borrowed */
    clo_decoder *decoder; /* owned */
    clo_sched_opts o;   /* with defaults filled in */
    pthread_t thread;

    pthread_mutex_t lock;
    pthread_cond_t wake;  /* there is work, or closing */
    pthread_cond_t quiet; /* notify was called */
    /* Guarded by lock. */
    size_t n_refs;        /* its own and one of each task; the last one frees */
    bool closing;
    clo_task **waiting;   /* [n_waiting] owned array of n_waiting_max, in order */
    size_t n_waiting, n_tasks; /* in line; not let go of */
    clo_sched_stats stats;

    /* The thread's own. */
    clo_task **running;   /* [n_running] owned array of n_running_max, in order of arrival */
    size_t n_running;
    clo_task **over;      /* [n_over] owned array: to be ended and let go */
    size_t n_over;
    clo_task **told;      /* [n_told] owned array: to be notified */
    size_t n_told;
    clo_slot *slots;      /* [n_slots] owned array of n_running_max: the pass in hand */
    size_t n_slots;
    clo_step *steps;      /* [n_running_max] owned */
    float *logits;        /* [n_rows_max, stride] owned, 64-byte aligned */
    size_t n_rows_max;
};

double clo_sched_now_s(void);
/* Plans a pass over running tasks, computes it and chooses tokens. Tasks are `failed`, or their answers done, afterwards.
 * Called without the lock. */
void clo_sched_pass(clo_sched *s);
/* Drops a reference, with the lock held; unlocks. */
void clo_sched_drop(clo_sched *s);
void clo_task_free(clo_task *t);

#endif
