/* See ledger.h. */
#include "serve/ledger.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "hub/keys.h"
#include "serve/receipt_files.h"

#define LINE_BYTES_MAX (16 * CLO_AUDIT_TEXT_MAX) /* a text of control characters grows sixfold */
#define BATCH_MAX 256

typedef struct item {
    struct item *next;
    bool is_receipt;
    clo_sha256 digest;          /* of a receipt */
    clo_buf line;               /* owned: rendered; a receipt's text */
    char key[CLO_KEY_NAME_MAX]; /* "": no use to add */
    int64_t at_s, n_prompt, n_output;
    clo_ledger_done *done;
    void *ctx;
} item;

struct clo_ledger {
    clo_db *db;           /* the thread's own */
    clo_audit *audit;     /* the thread's own */
    char data_dir[4096];
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t more;
    item *first, **last;
    bool closing;
};

static void free_item(item *i)
{
    clo_buf_free(&i->line);
    free(i);
}

static bool make_item(item **out, const clo_audit_record *r, clo_err *err)
{
    item *i = calloc(1, sizeof *i);
    if (!i) return clo_fail(err, CLO_ERR_MEMORY, "audit record");
    i->line.max = LINE_BYTES_MAX;
    clo_audit_render(&i->line, r);
    if (!clo_buf_ok(&i->line, err)) {
        free_item(i);
        return false;
    }
    if (r->counts && r->key.len > 0 && r->key.len < sizeof i->key) memcpy(i->key, r->key.ptr, r->key.len);
    i->at_s = r->at_ms / 1000;
    i->n_prompt = r->n_prompt;
    i->n_output = r->n_output;
    *out = i;
    return true;
}

/* --- writing ------------------------------------------------------------------------------------------------------*/

static bool append_lines(clo_audit *a, item *const *items, size_t n, clo_err *err)
{
    clo_str lines[BATCH_MAX];
    for (size_t i = 0; i < n; i++) lines[i] = clo_buf_str(&items[i]->line);
    return clo_audit_append(a, lines, n, err);
}

static bool add_use(clo_db *db, clo_audit *a, item *const *items, size_t n, clo_err *err)
{
    bool ok = clo_audit_store_head(a, db, err);
    for (size_t i = 0; ok && i < n; i++)
        if (items[i]->key[0])
            ok = clo_key_usage_add(db, items[i]->key, items[i]->at_s, items[i]->n_prompt, items[i]->n_output, err);
    return ok;
}

static void end_items(item *const *items, size_t n, bool ok, const clo_err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (items[i]->done) items[i]->done(items[i]->ctx, ok, err);
        free_item(items[i]);
    }
}

/* The records among items stay, in their order; how many. */
static size_t store_receipts(const clo_ledger *l, item **items, size_t n)
{
    clo_receipt_file files[BATCH_MAX];
    item *receipts[BATCH_MAX];
    size_t n_receipts = 0, n_records = 0;
    clo_err err = {0};
    for (size_t i = 0; i < n; i++) {
        if (!items[i]->is_receipt) {
            items[n_records++] = items[i];
            continue;
        }
        files[n_receipts] = (clo_receipt_file){items[i]->digest, clo_buf_str(&items[i]->line)};
        receipts[n_receipts++] = items[i];
    }
    if (n_receipts == 0) return n_records;
    bool ok = clo_receipt_files_put(l->data_dir, files, n_receipts, &err);
    end_items(receipts, n_receipts, ok, &err);
    return n_records;
}

static void write_batch(clo_ledger *l, item **items, size_t n)
{
    clo_err err = {0};
    n = store_receipts(l, items, n);
    if (n == 0) return;
    bool ok = append_lines(l->audit, items, n, &err) && clo_db_begin(l->db, &err);
    if (ok) {
        ok = add_use(l->db, l->audit, items, n, &err);
        if (ok) ok = clo_db_commit(l->db, &err);
        else clo_db_rollback(l->db);
    }
    end_items(items, n, ok, &err);
}

/* Up to BATCH_MAX items; waits for one unless the ledger is closing. */
static size_t take_items(clo_ledger *l, item *items[BATCH_MAX])
{
    size_t n = 0;
    pthread_mutex_lock(&l->lock);
    while (!l->first && !l->closing) pthread_cond_wait(&l->more, &l->lock);
    while (l->first && n < BATCH_MAX) {
        items[n++] = l->first;
        l->first = l->first->next;
    }
    if (!l->first) l->last = &l->first;
    pthread_mutex_unlock(&l->lock);
    return n;
}

static void *work(void *ctx)
{
    clo_ledger *l = ctx;
    item *items[BATCH_MAX];
    size_t n;
    while ((n = take_items(l, items)) > 0) write_batch(l, items, n);
    return NULL;
}

bool clo_ledger_write(clo_db *db, clo_audit *a, const clo_audit_record *r, clo_err *err)
{
    item *i = NULL;
    if (!make_item(&i, r, err)) return false;
    bool ok = append_lines(a, &i, 1, err) && add_use(db, a, &i, 1, err);
    free_item(i);
    return ok;
}

/* --- the ledger ---------------------------------------------------------------------------------------------------*/

bool clo_ledger_open(clo_ledger **out, const char *data_dir, uint64_t rotate_bytes, clo_err *err)
{
    clo_ledger *l = calloc(1, sizeof *l);
    *out = NULL;
    if (!l) return clo_fail(err, CLO_ERR_MEMORY, "ledger");
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->more, NULL);
    l->last = &l->first;
    bool ok = clo_path_join(l->data_dir, err, "%s", data_dir) && clo_db_open(&l->db, data_dir, err) &&
              clo_audit_open(&l->audit, data_dir, rotate_bytes, err);
    if (ok) {
        int rc = pthread_create(&l->thread, NULL, work, l);
        ok = l->started = rc == 0;
        if (!ok) clo_fail_sys(err, rc, "start the ledger's thread");
    }
    if (ok) *out = l;
    else clo_ledger_close(l);
    return ok;
}

void clo_ledger_close(clo_ledger *l)
{
    if (!l) return;
    pthread_mutex_lock(&l->lock);
    l->closing = true;
    pthread_cond_signal(&l->more);
    pthread_mutex_unlock(&l->lock);
    if (l->started) pthread_join(l->thread, NULL);
    clo_audit_close(l->audit);
    clo_db_close(l->db);
    pthread_cond_destroy(&l->more);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

static void add_item(clo_ledger *l, item *i, clo_ledger_done *done, void *ctx)
{
    i->done = done;
    i->ctx = ctx;
    pthread_mutex_lock(&l->lock);
    *l->last = i;
    l->last = &i->next;
    pthread_cond_signal(&l->more);
    pthread_mutex_unlock(&l->lock);
}

void clo_ledger_put(clo_ledger *l, const clo_audit_record *r, clo_ledger_done *done, void *ctx)
{
    clo_err err = {0};
    item *i = NULL;
    if (make_item(&i, r, &err)) add_item(l, i, done, ctx);
    else if (done) done(ctx, false, &err);
}

void clo_ledger_put_receipt(clo_ledger *l, const clo_sha256 *digest, clo_str text, clo_ledger_done *done, void *ctx)
{
    clo_err err = {0};
    item *i = calloc(1, sizeof *i);
    if (i) {
        i->is_receipt = true;
        i->digest = *digest;
        clo_buf_add(&i->line, text);
    }
    if (i && clo_buf_ok(&i->line, &err)) {
        add_item(l, i, done, ctx);
        return;
    }
    if (i) free_item(i);
    else clo_fail(&err, CLO_ERR_MEMORY, "receipt");
    if (done) done(ctx, false, &err);
}

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool is_done, on_disk;
    clo_err *err;
} waiter;

static void wake(void *ctx, bool on_disk, const clo_err *err)
{
    waiter *w = ctx;
    pthread_mutex_lock(&w->lock);
    w->is_done = true;
    w->on_disk = on_disk;
    if (!on_disk && w->err) *w->err = *err;
    pthread_cond_signal(&w->ended);
    pthread_mutex_unlock(&w->lock);
}

bool clo_ledger_put_wait(clo_ledger *l, const clo_audit_record *r, clo_err *err)
{
    waiter w = {.err = err};
    pthread_mutex_init(&w.lock, NULL);
    pthread_cond_init(&w.ended, NULL);
    clo_ledger_put(l, r, wake, &w);
    pthread_mutex_lock(&w.lock);
    while (!w.is_done) pthread_cond_wait(&w.ended, &w.lock);
    pthread_mutex_unlock(&w.lock);
    pthread_cond_destroy(&w.ended);
    pthread_mutex_destroy(&w.lock);
    return w.on_disk;
}
