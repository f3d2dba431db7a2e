/* See http.h: replies that are given again. */
#include <stdlib.h>
#include <string.h>

#include "serve/http_impl.h"

/* Copies a text and its NUL to *at, which moves on. */
static const char *put_text(char **at, const char *text)
{
    char *to = *at;
    size_t n = strlen(text) + 1;
    memcpy(to, text, n);
    *at += n;
    return to;
}

clo_answer *clo_answer_of(const clo_request *r)
{
    if (r->status == 0 || r->fill || r->read || r->fd >= 0 || r->build || r->answer) return NULL;
    size_t n = sizeof(clo_answer) + r->n_fields * sizeof(clo_reply_field) + r->out.len;
    for (size_t i = 0; i < r->n_fields; i++) n += strlen(r->fields[i].name) + strlen(r->fields[i].value) + 2;
    clo_answer *a = (clo_answer *)malloc(n);
    if (!a) return NULL;
    char *at = (char *)(a->fields + r->n_fields);
    atomic_init(&a->n_holds, 1);
    a->status = r->status;
    a->type = r->type;
    a->n_bytes = n;
    a->n_fields = r->n_fields;
    for (size_t i = 0; i < r->n_fields; i++) {
        a->fields[i].name = put_text(&at, r->fields[i].name);
        a->fields[i].value = put_text(&at, r->fields[i].value);
    }
    if (r->out.len) memcpy(at, r->out.ptr, r->out.len);
    a->body = (clo_str){at, r->out.len};
    return a;
}

void clo_answer_hold(clo_answer *a)
{
    atomic_fetch_add_explicit(&a->n_holds, 1, memory_order_relaxed);
}

void clo_answer_drop(clo_answer *a)
{
    if (a && atomic_fetch_sub_explicit(&a->n_holds, 1, memory_order_acq_rel) == 1) free(a);
}

size_t clo_answer_bytes(const clo_answer *a)
{
    return a->n_bytes;
}

void clo_reply_answer(clo_request *r, clo_answer *a)
{
    r->answer = a;
    r->type = a->type;
    clo_request_reply(r, a->status);
}
