/* What the scheduler's files share: scheduler.c (life and thread), sched_pass.c (what a pass carries), sched_kv.c (KV
 * memory), share.c (fairness), task.c (owners' side). See scheduler.h. */
#ifndef CLO_INFER_SCHEDULER_IMPL_H
#define CLO_INFER_SCHEDULER_IMPL_H

#include <pthread.h>

#include "base/buf.h"
#include "infer/answer.h"
#include "infer/decoder.h"
#include "infer/prefix.h"
#include "infer/scheduler.h"

/* --- events -------------------------------------------------------------------------------------------------------*/

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

/* --- keys ---------------------------------------------------------------------------------------------------------*/

typedef struct {
    char name[CLO_TASK_KEY_MAX];
    double weight, used_s; /* machine time of its tasks, divided by the weight */
    size_t n_waiting, n_running;
    clo_task *first;       /* in line, through clo_task.next */
} clo_share;

typedef struct {
    clo_share *at; /* [n] owned array of n_max: more than there can be keys with work */
    size_t n, n_max;
    double floor_s; /* used_s of the key with work that was furthest behind, after the last pass */
} clo_shares;

/* The key's share, for a task that comes. */
clo_share *clo_share_of(clo_shares *all, const char *name, double weight);
/* used_s of the key that is furthest behind, of those with work, or with running tasks. */
double clo_shares_least(clo_shares *all, bool running);
/* Of keys with tasks in line, the one whose turn it is; NULL when there is none. */
clo_share *clo_shares_next(const clo_shares *all);
/* Into the line of t->share, and out of it. */
void clo_share_line_up(clo_task *t, bool first);
void clo_share_leave(clo_task *t);
/* Tasks that will run before t, which is in line. */
size_t clo_shares_place(const clo_shares *all, const clo_task *t);

/* --- tasks --------------------------------------------------------------------------------------------------------*/

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
    clo_share *share;
    clo_task *next;     /* behind it in line */
    uint64_t number;    /* of its arrival */
    bool cancel;        /* the owner wants no more */
    bool orphan;        /* closed before it was done: the scheduler frees it */
    bool done;          /* the scheduler has let go of it */
    bool notifying;     /* o.notify is about to be called, or runs */
    clo_task_result result;

    /* The scheduler's thread's own. */
    bool begun;         /* clo_answer_begin was called */
    bool failed;        /* result.err says why */
    bool in_pass;
    clo_seq *seq;       /* owned while running */
    clo_prefix_at *path; /* [n_path] owned: entries of the prefix cache along its text */
    size_t n_path;
    double start_s, run_s; /* when it was started, and its first pass; 0: not yet */
};

/* A running task in the pass in hand. */
typedef struct {
    clo_task *t;
    clo_want want;
    float *logits; /* [want.n_logits, stride] */
    float *hidden; /* [want.n, hidden stride] when want.hidden */
} clo_slot;

/* A call of clo_sched_run, on its caller's stack. */
typedef struct visit {
    void (*fn)(void *ctx, clo_decoder *d);
    void *ctx;
    bool done;
    struct visit *next;
} clo_visit;

struct clo_sched {
    clo_model *model;     /* borrowed */
    clo_pool *pool;       /* borrowed */
    clo_decoder *decoder; /* owned */
    clo_sched_opts o;     /* with defaults filled in */
    pthread_t thread;

    pthread_mutex_t lock;
    pthread_cond_t wake;  /* there is work, or closing */
    pthread_cond_t quiet; /* notify was called, or a visit is over */
    /* Guarded by lock. */
    size_t n_refs;        /* its own and one of each task; the last one frees */
    bool closing;
    clo_shares shares;
    size_t n_waiting, n_tasks; /* in line; not let go of */
    uint64_t n_numbers;
    clo_sched_stats stats;
    clo_visit *visits;    /* in line, first come first */

    /* The thread's own. */
    clo_kv kv;
    clo_prefix prefix;
    clo_task **running;   /* [n_running] owned array of n_running_max, in order of arrival */
    size_t n_running;
    clo_task **over;      /* [n_over] owned array: to be ended and let go */
    size_t n_over;
    clo_task **told;      /* [n_told] owned array: to be notified */
    size_t n_told;
    clo_slot *slots;      /* [n_slots] owned array of n_running_max: the pass in hand */
    size_t n_slots;
    size_t n_prompt_passes; /* that carried no answers, in a row up to here */
    clo_step *steps;      /* [n_running_max] owned */
    float *logits;        /* [n_rows_max, stride] owned, 64-byte aligned */
    size_t n_rows_max;
    float *hidden;        /* [clo_decoder_pass_tokens, hidden stride] owned, 64-byte aligned; NULL: a model without pooling */
    double prompt_tok_s;  /* tokens a second of passes with prompts, lately; 0: not known */
};

double clo_sched_now_s(void);
/* Drops a reference, with the lock held; unlocks. */
void clo_sched_drop(clo_sched *s);
void clo_task_free(clo_task *t);

/* Out of the running ones and back into the line, first of its key; it computes again what is not cached then. */
void clo_sched_preempt(clo_sched *s, clo_task *t);

/* Plans the next pass over running tasks. With the lock held. */
void clo_sched_plan(clo_sched *s);
/* Computes it and chooses tokens: tasks have `failed`, or their answers are done, afterwards. Without the lock. Returns
 * the seconds it took. */
double clo_sched_pass(clo_sched *s);
/* Counts what it cost and keeps what it computed. With the lock held, before tasks leave. */
void clo_sched_settle(clo_sched *s, double seconds);

/* Gives a task its sequence, with the blocks of its text that are cached; and takes it away. */
CLO_CHECK bool clo_sched_seat(clo_sched *s, clo_task *t, clo_err *err);
void clo_sched_unseat(clo_sched *s, clo_task *t);
/* Whether there is memory for it to begin with. */
bool clo_sched_fits(const clo_sched *s, const clo_task *t);
/* Blocks for positions [0, n), at the cost of the cache; false when there are none. */
bool clo_sched_reserve(clo_sched *s, clo_task *t, size_t n);
/* Whole blocks that were computed go into the prefix cache. */
void clo_sched_keep(clo_sched *s, clo_task *t);

#endif
