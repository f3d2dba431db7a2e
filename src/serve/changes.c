/* See changes.h. */
#include "serve/changes.h"

#include <stdlib.h>
#include <string.h>

#include "serve/server_impl.h"

clo_change *clo_change_make(clo_api_error *e)
{
    clo_change *c = (clo_change *)calloc(1, sizeof *c);
    if (!c) clo_api_fail(e, CLO_API_BUSY, NULL, "server busy, please try again.  no memory is left");
    return c;
}

void clo_change_free(clo_change *c)
{
    if (!c) return;
    for (size_t i = 0; i < c->n_files; i++)
        free((void *)(uintptr_t)c->files[i].name);
    free(c->files);
    free(c);
}

static bool run(clo_change *c)
{
    const char *data = c->s->o.data_dir;
    switch (c->kind) {
    case CLO_CHANGE_UPLOAD:
        return clo_upload_commit(c->upload, &c->err);
    case CLO_CHANGE_CREATE:
        return clo_library_create(data, c->name, c->files, c->n_files, &c->err);
    case CLO_CHANGE_COPY:
        return clo_library_copy(data, c->from, c->name, &c->err);
    case CLO_CHANGE_REMOVE:
        return clo_library_remove(data, c->name, NULL, &c->err);
    }
    return false;
}

/* Uploads are no models yet. */
static bool write_line(clo_change *c)
{
    static const char *const events[] = {NULL, "model-created", "model-copied", "model-removed"};
    return c->kind == CLO_CHANGE_UPLOAD ||
           clo_account_changed(c->s, c->r, c->key, events[c->kind], c->name, c->from, &c->err);
}

static void *work(void *ctx)
{
    clo_change *c = (clo_change *)ctx;
    c->ok = run(c) && write_line(c);
    clo_request_again(c->r);
    return NULL;
}

bool clo_changes_start(clo_server *s, clo_request *r, clo_change *c, clo_api_error *e)
{
    clo_caller who = {0};
    pthread_t t;
    c->s = s;
    c->r = r;
    if (!clo_account_who(&who, s, r, e)) {
        clo_change_free(c);
        return false;
    }
    memcpy(c->key, who.name, sizeof c->key);
    pthread_mutex_lock(&s->changes.lock);
    c->next = s->changes.first;
    s->changes.first = c;
    pthread_mutex_unlock(&s->changes.lock);
    clo_request_hold(r);
    int rc = pthread_create(&t, NULL, work, c);
    if (rc == 0) {
        pthread_detach(t); /* the request waits for it, and the server for the request */
        return true;
    }
    clo_fail_sys(&c->err, rc, "start a thread");
    clo_request_again(r); /* the hold must end: it is told then */
    return true;
}

clo_change *clo_changes_take(clo_server *s, const clo_request *r)
{
    pthread_mutex_lock(&s->changes.lock);
    clo_change **at = &s->changes.first;
    while (*at && (*at)->r != r)
        at = &(*at)->next;
    clo_change *found = *at;
    if (found) *at = found->next;
    pthread_mutex_unlock(&s->changes.lock);
    return found;
}

void clo_changes_drop(clo_server *s, const clo_request *r)
{
    clo_change_free(clo_changes_take(s, r));
}
