/* See generation.h. Events of a stream are taken by the connection's thread when it is woken; those of a whole answer by the
 * scheduler's thread as it tells of them, so that connections sleep until all is there. */
#include "serve/generation.h"

#include <math.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "infer/matcher.h"
#include "serve/http_impl.h"
#include "serve/json_out.h"
#include "serve/receipts.h"
#include "serve/router.h"
#include "serve/server_impl.h"

#define SEED_BITS 53 /* of a seed that is chosen here: what JavaScript can read */

/* --- life ---------------------------------------------------------------------------------------------------------*/

static void on_end(void *data);

static void on_gone(void *data)
{
    clo_generation *g = (clo_generation *)data;
    for (size_t i = 0; i < g->n_choices; i++)
        if (g->choices[i].task) clo_task_cancel(g->choices[i].task);
}

static uint64_t random_bits(unsigned n)
{
    uint64_t v = 0;
    RAND_bytes((uint8_t *)&v, sizeof v);
    return n < 64 ? v & ((UINT64_C(1) << n) - 1) : v;
}

clo_generation *clo_generation_make(clo_server *s, clo_request *r, const clo_open_model *model, json_t *body,
                                    const clo_face *face, const char *id_prefix)
{
    clo_generation *g = (clo_generation *)calloc(1, sizeof *g);
    if (!g) {
        clo_api_error e = {0};
        clo_api_fail(&e, CLO_API_BUSY, NULL, "server busy, please try again.  no memory is left");
        clo_route_fail(s, r, &e);
        clo_models_give(s->models, model, (double)NAN);
        json_decref(body);
        return NULL;
    }
    g->s = s;
    g->r = r;
    g->model = model;
    g->body = body;
    g->params = clo_params_make(false);
    g->face = face;
    g->created_unix = clo_unix_us() / 1000000;
    g->begin_s = clo_http_now() - clo_request_age_s(r);
    g->keep_alive_s = (double)NAN;
    pthread_mutex_init(&g->lock, NULL);
    snprintf(g->id, sizeof g->id, "%s%016llx", id_prefix, (unsigned long long)random_bits(64));
    clo_request_attach(r, g, on_gone, on_end);
    return g;
}

static clo_ended ended_as(const clo_choice *c, const clo_task_result *res)
{
    if (!res->ok) return CLO_ENDED_ERROR;
    if (c->n_calls > 0) return CLO_ENDED_TOOL_CALLS;
    switch (res->gen.finish) {
    case CLO_FINISH_LENGTH: return CLO_ENDED_LENGTH;
    case CLO_FINISH_CANCELLED: return CLO_ENDED_CANCELLED;
    default: return CLO_ENDED_STOP;
    }
}

static void count_choice(clo_choice *c)
{
    const clo_generation *g = c->g;
    const clo_task_result *res = c->result;
    clo_answer_times t = {.ended = CLO_ENDED_CANCELLED,
                          .n_prompt = g->prompts[c->i_prompt].n,
                          .n_output = c->n_output,
                          .n_choices = c->index == 0 ? (size_t)g->params.n : 0,
                          .n_max = g->params.n_max > 0 ? (size_t)g->params.n_max : 0,
                          .whole_s = clo_request_age_s(g->r)};
    if (!c->task || c->counted) return;
    c->counted = true;
    if (res) {
        t.ended = ended_as(c, res);
        t.n_cached = res->gen.n_reused;
        t.n_output = res->gen.n_ids;
        t.queue_s = res->queue_s;
        t.prefill_s = res->gen.prefill_s;
        t.decode_s = res->gen.decode_s;
        t.first_s = c->start_s - g->begin_s + res->first_s;
    }
    clo_metrics_answer(g->model->metrics, &t);
}

static void free_choice(clo_choice *c)
{
    count_choice(c);
    clo_task_close(c->task);
    clo_tool_reader_close(c->reader);
    for (size_t i = 0; i < c->n_calls; i++) {
        clo_buf_free(&c->calls[i].name);
        clo_buf_free(&c->calls[i].args);
    }
    free(c->calls);
    clo_buf_free(&c->fresh);
    clo_buf_free(&c->receipt);
    clo_buf_free(&c->thought);
    clo_buf_free(&c->said);
    free(c->entries);
    free(c->tops);
}

/* --- the books ----------------------------------------------------------------------------------------------------*/

static bool was_started(const clo_choice *c)
{
    return c->task && (c->finished || clo_task_state(c->task, NULL) != CLO_TASK_WAITING);
}

/* What the line of the audit log says of what has come so far; false: nothing was computed. */
static bool sum_up(const clo_generation *g, clo_audit_record *r, clo_sha256 *digest)
{
    const clo_choice *first = &g->choices[0];
    bool any = false;
    *r = (clo_audit_record){.event = "answer", .model = clo_str_from(g->model->info->name), .counts = true, .status = 200};
    for (size_t i = 0; i < g->n_choices; i++) {
        const clo_choice *c = &g->choices[i];
        if (!was_started(c)) continue;
        any = true;
        if (i == 0 || c->i_prompt != c[-1].i_prompt) {
            r->n_prompt += (int64_t)g->prompts[c->i_prompt].n;
            r->n_cached += c->result ? (int64_t)c->result->gen.n_reused : 0;
        }
        r->n_output += (int64_t)(c->result ? c->result->gen.n_ids : c->n_output);
    }
    if (!any) return false;
    bool failed = g->fault.kind != CLO_API_OK, whole = g->n_finished == g->n_choices;
    r->finish = failed ? CLO_STR("error") : whole ? clo_str_from(clo_choice_finish(first)) : CLO_STR("cancelled");
    r->ms = (int64_t)((clo_http_now() - g->begin_s) * 1e3);
    const char *hex = g->model->info->digest;
    if (clo_sha256_parse(digest, hex, strlen(hex))) r->model_digest = digest;
    if (first->receipt_id[0]) r->receipt = &first->receipt_digest;
    return true;
}

/* Its text too, where the operator wants that. *text is the caller's to free. */
static void add_text(const clo_generation *g, clo_audit_record *r, char **text)
{
    if (!g->s->o.audit_text) return;
    *text = json_dumps(g->body, JSON_COMPACT);
    r->prompt = clo_str_from(*text);
    if (g->choices[0].result) r->answer = g->choices[0].result->gen.text;
}

/* The answer is complete: wake is called when that is on disk. */
static void close_account(clo_generation *g, void (*wake)(void *ctx), void *ctx)
{
    clo_audit_record r;
    clo_sha256 digest;
    char *text = NULL;
    if (!sum_up(g, &r, &digest)) r.finish = CLO_STR("error");
    add_text(g, &r, &text);
    clo_account_close(g->account, &r, wake, ctx);
    free(text);
}

static void end_account(clo_generation *g)
{
    clo_audit_record r;
    clo_sha256 digest;
    char *text = NULL;
    bool any = g->account && g->n_choices > 0 && clo_account_state(g->account) == CLO_ACCOUNT_OPEN && sum_up(g, &r, &digest);
    if (any) add_text(g, &r, &text);
    clo_account_end(g->account, any ? &r : NULL);
    free(text);
}

static bool books_failed(clo_generation *g)
{
    if (clo_account_state(g->account) != CLO_ACCOUNT_FAILED) return false;
    if (g->fault.kind == CLO_API_OK) clo_api_fail(&g->fault, CLO_API_INTERNAL, NULL, "the audit log cannot be written");
    return true;
}

static void on_end(void *data)
{
    clo_generation *g = (clo_generation *)data;
    end_account(g);
    for (size_t i = 0; i < g->n_choices; i++) free_choice(&g->choices[i]);
    for (size_t i = 0; i < g->n_prompts; i++) clo_ids_free(&g->prompts[i]);
    free(g->prompts);
    clo_grammar_close(g->grammar);
    clo_grammar_source_free(&g->source);
    if (g->replayed) clo_receipt_free(g->replayed);
    free(g->replayed);
    clo_models_give(g->s->models, g->model, g->keep_alive_s);
    json_decref(g->body);
    pthread_mutex_destroy(&g->lock);
    free(g);
}

bool clo_generation_add_prompt(clo_generation *g, clo_ids *ids)
{
    clo_ids *more = (clo_ids *)realloc(g->prompts, (g->n_prompts + 1) * sizeof *more);
    if (!more) {
        clo_ids_free(ids);
        return false;
    }
    g->prompts = more;
    more[g->n_prompts++] = *ids;
    *ids = (clo_ids){0};
    return true;
}

/* --- tokens come --------------------------------------------------------------------------------------------------*/

static void no_memory(clo_generation *g)
{
    if (g->fault.kind == CLO_API_OK) clo_api_fail(&g->fault, CLO_API_BUSY, NULL, "no memory is left");
}

static bool grow(void **p, size_t size, size_t n, size_t *cap)
{
    if (n <= *cap) return true;
    size_t want = clo_max(clo_max(n, 2 * *cap), 16);
    void *more = realloc(*p, want * size);
    if (!more) return false;
    *p = more;
    *cap = want;
    return true;
}

static bool keep_entry(clo_choice *c, const clo_task_event *e)
{
    if (!grow((void **)&c->entries, sizeof *c->entries, c->n_entries + 1, &c->cap_entries) ||
        !grow((void **)&c->tops, sizeof *c->tops, c->n_tops + e->n_top, &c->cap_tops))
        return false;
    c->entries[c->n_entries++] = (clo_entry){e->id, e->from_prompt, e->chosen.logprob, c->n_tops, e->n_top};
    if (e->n_top > 0) memcpy(c->tops + c->n_tops, e->top, e->n_top * sizeof *e->top);
    c->n_tops += e->n_top;
    return true;
}

/* Text to thoughts, and to what is looked at for calls. */
static void take_text(clo_choice *c, clo_str text)
{
    clo_buf *said = c->reader ? &c->fresh : &c->said;
    if (c->g->face->splits_thinking) clo_thinking_add(&c->thinking, text, &c->thought, said);
    else clo_buf_add(said, text);
}

static bool take_event(clo_choice *c, const clo_task_event *e)
{
    if (e->id >= 0 && !e->from_prompt) {
        c->n_output++;
        if (c->g->face->splits_thinking && c->thinking.state == CLO_THINK_IN) c->n_thought++;
    }
    if (e->id >= 0 && c->g->params.logprobs && !keep_entry(c, e)) return false;
    if (!e->from_prompt) take_text(c, e->text);
    return !c->said.failed && !c->thought.failed && !c->fresh.failed;
}

static clo_call *add_call(clo_choice *c)
{
    clo_call *more = (clo_call *)realloc(c->calls, (c->n_calls + 1) * sizeof *more);
    if (!more) return NULL;
    c->calls = more;
    clo_call *call = &more[c->n_calls++];
    *call = (clo_call){0};
    snprintf(call->id, sizeof call->id, "call_%016llx", (unsigned long long)random_bits(64));
    return call;
}

/* Keeps what a call is about; true when the answer should end here. */
static bool take_call(clo_choice *c, const clo_tool_event *e)
{
    clo_call *call = e->kind == CLO_TOOL_BEGIN ? add_call(c) : &c->calls[c->n_calls - 1];
    if (!call) {
        no_memory(c->g);
        return true;
    }
    if (e->kind == CLO_TOOL_BEGIN) clo_buf_add(&call->name, e->text);
    if (e->kind == CLO_TOOL_ARGS) clo_buf_add(&call->args, e->text);
    call->whole = call->whole || e->kind == CLO_TOOL_END;
    if (call->name.failed || call->args.failed) no_memory(c->g);
    return call->whole && c->g->one_call;
}

static bool has_piece(const clo_choice *c)
{
    return c->thought.len > 0 || c->said.len > 0;
}

static void write_piece(clo_choice *c, clo_buf *out)
{
    c->g->face->piece(c, out);
    c->thought.len = c->said.len = 0;
    c->n_entries = c->n_tops = 0;
}

/* Looks at what was said for calls; out NULL: a whole answer, nothing is written yet. */
static void read_calls(clo_choice *c, bool at_end, clo_buf *out)
{
    clo_tool_event e;
    clo_err err = {0};
    if (!c->reader || c->cut) return;
    if (c->fresh.len > 0) clo_tool_reader_add(c->reader, clo_buf_str(&c->fresh));
    c->fresh.len = 0;
    if (at_end) clo_tool_reader_end(c->reader);
    while (!c->cut && clo_tool_reader_take(c->reader, &e)) {
        if (e.kind == CLO_TOOL_TEXT) {
            clo_buf_add(&c->said, e.text);
            continue;
        }
        c->cut = take_call(c, &e);
        if (out && has_piece(c)) write_piece(c, out); /* what was said before it */
        if (out && c->g->fault.kind == CLO_API_OK) c->g->face->call(c, &e, out);
    }
    if (!clo_tool_reader_ok(c->reader, &err)) no_memory(c->g);
    if (c->cut) clo_task_cancel(c->task);
}

static void wake_stream(void *ctx)
{
    clo_request_wake((clo_request *)ctx);
}

/* On its way to the disk; a stream is woken when it is there. */
static void store_receipt(clo_choice *c)
{
    clo_generation *g = c->g;
    clo_account_store(g->account, &c->receipt_digest, clo_buf_str(&c->receipt), g->params.stream ? wake_stream : NULL, g->r);
}

/* All receipts so far are on disk, or one cannot be, which is the generation's fault then. */
static bool receipts_are_stored(clo_generation *g)
{
    bool failed;
    bool none_left = clo_account_has_stored(g->account, &failed);
    if (failed && g->fault.kind == CLO_API_OK) clo_api_fail(&g->fault, CLO_API_INTERNAL, NULL, "the receipt cannot be stored");
    return none_left;
}

/* Once the task is done; out NULL: a whole answer. */
static void finish_choice(clo_choice *c, clo_buf *out)
{
    clo_generation *g = c->g;
    clo_api_error e = {0};
    c->result = clo_task_result_of(c->task);
    if (g->face->splits_thinking) clo_thinking_end(&c->thinking, &c->thought, c->reader ? &c->fresh : &c->said);
    read_calls(c, true, out);
    c->finished = true;
    g->n_finished++;
    if (g->fault.kind != CLO_API_OK) return;
    if (!c->result->ok) clo_api_fail_err(&g->fault, &c->result->err);
    else if (c->result->gen.finish == CLO_FINISH_CANCELLED && !c->cut)
        clo_api_fail(&g->fault, CLO_API_BUSY, NULL, "request canceled: the server is stopping");
    else if (g->params.receipt && !clo_receipts_make(c, &e))
        g->fault = e;
    else if (c->receipt_id[0])
        store_receipt(c);
}

/* --- a stream -----------------------------------------------------------------------------------------------------*/

static void tell_place(clo_choice *c, size_t place, clo_buf *out)
{
    if (!c->g->params.queue || !c->g->face->place || c->place == place) return;
    c->place = place;
    c->g->face->place(c, out);
}

/* Takes what has come of one choice, and writes it. */
static void take_stream(clo_choice *c, clo_buf *out)
{
    clo_task_event e;
    size_t place = 0;
    while (clo_task_take(c->task, &e)) {
        if (c->cut) continue;
        if (!take_event(c, &e)) no_memory(c->g);
        read_calls(c, false, out);
        if (has_piece(c)) write_piece(c, out);
    }
    clo_task_state_kind state = clo_task_state(c->task, &place);
    bool done = state == CLO_TASK_DONE;
    tell_place(c, state == CLO_TASK_WAITING ? place + 1 : 0, out);
    if (done) finish_choice(c, out);
}

/* The same; its end is told once its receipt is on disk. */
static void pump_choice(clo_choice *c, clo_buf *out)
{
    if (!c->finished) take_stream(c, out);
    if (!c->finished || !receipts_are_stored(c->g) || c->g->fault.kind != CLO_API_OK) return;
    if (has_piece(c)) write_piece(c, out);
    c->g->face->finish(c, out);
    c->told = true;
    c->g->n_told++;
}

static clo_stream_step fill_stream(void *ctx, clo_buf *out, bool quiet)
{
    clo_generation *g = (clo_generation *)ctx;
    size_t before = out->len;
    if (!g->head_written) g->face->head(g, out);
    g->head_written = true;
    for (size_t i = 0; i < g->n_choices && g->fault.kind == CLO_API_OK; i++)
        if (!g->choices[i].told) pump_choice(&g->choices[i], out);
    if (g->fault.kind != CLO_API_OK) {
        on_gone(g); /* the other choices are for nobody */
        g->face->fault(g, &g->fault, out);
        return CLO_STREAM_END;
    }
    if (g->n_told == g->n_choices && clo_account_state(g->account) == CLO_ACCOUNT_OPEN)
        close_account(g, wake_stream, g->r);
    if (books_failed(g)) {
        g->face->fault(g, &g->fault, out);
        return CLO_STREAM_END;
    }
    if (clo_account_state(g->account) == CLO_ACCOUNT_ON_DISK) {
        g->face->tail(g, out);
        return CLO_STREAM_END;
    }
    if (quiet && out->len == before) g->face->ping(g, out);
    return CLO_STREAM_MORE;
}

/* --- a whole answer -----------------------------------------------------------------------------------------------*/

static void build_whole(void *ctx, clo_request *r)
{
    clo_generation *g = (clo_generation *)ctx;
    clo_buf out = {0};
    (void)receipts_are_stored(g); /* they were written before the account */
    if (books_failed(g) || g->fault.kind != CLO_API_OK) {
        clo_route_fail(g->s, r, &g->fault);
        return;
    }
    g->face->whole(g, &out);
    if (g->n_choices == 1 && g->choices[0].receipt_id[0]) clo_reply_header(r, "X-Receipt-Id", g->choices[0].receipt_id);
    clo_buf_add_char(&out, '\n');
    clo_reply_buf(r, 200, CLO_TYPE_JSON, &out);
}

static void reply_whole(void *ctx)
{
    clo_generation *g = (clo_generation *)ctx;
    clo_reply_when_called(g->r, build_whole, g);
}

/* On the scheduler's thread: keeps what came; the connection is woken when all is there. */
static void take_whole(clo_choice *c)
{
    clo_generation *g = c->g;
    clo_task_event e;
    pthread_mutex_lock(&g->lock);
    while (!c->finished && clo_task_take(c->task, &e)) {
        if (c->cut) continue;
        if (!take_event(c, &e)) no_memory(g);
        read_calls(c, false, NULL);
    }
    if (!c->finished && clo_task_state(c->task, NULL) == CLO_TASK_DONE) finish_choice(c, NULL);
    bool reply = g->started && !g->replied && (g->n_finished == g->n_choices || g->fault.kind != CLO_API_OK);
    if (reply) g->replied = true;
    pthread_mutex_unlock(&g->lock);
    if (reply) close_account(g, reply_whole, g);
}

static void on_event(void *ctx)
{
    clo_choice *c = (clo_choice *)ctx;
    if (c->g->params.stream) clo_request_wake(c->g->r);
    else take_whole(c);
}

/* --- starting -----------------------------------------------------------------------------------------------------*/

void clo_generation_fail(clo_generation *g, const clo_api_error *e)
{
    clo_route_fail(g->s, g->r, e);
}

static bool check_lengths(clo_generation *g, clo_api_error *e)
{
    size_t n_ctx = clo_sched_ctx(g->model->sched);
    for (size_t i = 0; i < g->n_prompts; i++) {
        size_t n = g->prompts[i].n;
        if (n == 0) return clo_api_fail(e, CLO_API_INVALID, "prompt", "the prompt is empty: it has no token");
        if (n + (g->prompt_only ? 0 : 1) > n_ctx)
            return clo_api_fail(e, CLO_API_CONTEXT, g->face->surface == CLO_SURFACE_OPENAI ? "messages" : NULL,
                                "This model's maximum context length is %zu tokens, but the prompt has %zu tokens. "
                                "Please reduce the length of the prompt.",
                                n_ctx, n);
    }
    if (g->params.receipt && g->prompt_only)
        return clo_api_fail(e, CLO_API_UNSUPPORTED, "x_receipt", "'x_receipt': a prompt alone has no receipt");
    if (g->n_prompts * (size_t)g->params.n > CLO_GENERATION_CHOICES_MAX)
        return clo_api_fail(e, CLO_API_INVALID, "n", "%zu prompts with %lld answers each; %d answers are allowed",
                            g->n_prompts, (long long)g->params.n, CLO_GENERATION_CHOICES_MAX);
    return true;
}

/* Whether the prompt's end has opened the model's thinking, and not closed it. */
static bool thinking_begun(const clo_generation *g, const clo_ids *prompt)
{
    int32_t open = clo_tok_id(g->model->tok, CLO_STR("<think>")), close = clo_tok_id(g->model->tok, CLO_STR("</think>"));
    for (size_t i = prompt->n; open >= 0 && i-- > 0 && i + 4 > prompt->n;) {
        if (prompt->ids[i] == close) return false;
        if (prompt->ids[i] == open) return true;
    }
    return false;
}

/* What holds the choice to a grammar, and reads its calls. */
static bool open_structure(clo_choice *c, clo_matcher **m, clo_api_error *e)
{
    const clo_open_model *model = c->g->model;
    clo_err err = {0};
    bool begun = thinking_begun(c->g, &c->g->prompts[c->i_prompt]);
    c->thinking = clo_thinking_make(begun);
    if (c->g->grammar && !clo_matcher_open(m, c->g->grammar, model->trie, model->stop_ids, model->n_stop_ids, &err))
        return clo_api_fail_err(e, &err);
    if (c->g->grammar) c->thinking.state = CLO_THINK_AFTER; /* the grammar leaves no room for thoughts */
    if (!c->g->tools || clo_tool_reader_open(&c->reader, model->tool_syntax, c->g->tools, &err)) return true;
    clo_matcher_close(*m);
    return clo_api_fail_err(e, &err);
}

static bool start_choice(clo_choice *c, clo_api_error *e)
{
    clo_generation *g = c->g;
    const clo_params *p = &g->params;
    const clo_ids *prompt = &g->prompts[c->i_prompt];
    size_t room = clo_sched_ctx(g->model->sched) - prompt->n;
    size_t allowed = clo_account_output_max(g->account) / (g->n_prompts * (size_t)p->n);
    clo_err err = {0};
    clo_matcher *m = NULL;
    c->start_s = clo_http_now();
    if (!open_structure(c, &m, e)) return false;
    const clo_task_opts o = {.prompt = prompt->ids,
                             .n_prompt = prompt->n,
                             .sampler = &g->sampler,
                             .seed = g->seed + c->index % (size_t)p->n,
                             .n_max = clo_max(clo_min(p->n_max > 0 ? clo_min((size_t)p->n_max, room) : room, allowed), 1),
                             .prompt_only = g->prompt_only,
                             .stops = p->stops,
                             .n_stops = p->n_stops,
                             .ignore_stop_ids = p->ignore_eos && !m,
                             .show_special = g->tools && clo_tool_syntax_shows_special(g->model->tool_syntax),
                             .mask = m ? clo_matcher_keep : NULL,
                             .mask_free = m ? clo_matcher_free : NULL,
                             .mask_ctx = m,
                             .lookup = true,
                             .chain = p->receipt || g->replayed,
                             .key = clo_account_key(g->account),
                             .n_top = p->logprobs ? (int)(p->n_top == CLO_PARAMS_NONE ? 0 : p->n_top) : -1,
                             .prompt_logprobs = p->echo && p->logprobs,
                             .notify = on_event,
                             .ctx = c};
    if (clo_task_start(&c->task, g->model->sched, &o, &err)) return true;
    if (err.code == CLO_ERR_DENIED)
        return clo_api_fail(e, CLO_API_BUSY, NULL, "server busy, please try again.  maximum pending requests exceeded");
    return clo_api_fail_err(e, &err);
}

static bool start_choices(clo_generation *g, clo_api_error *e)
{
    size_t n_each = (size_t)g->params.n;
    g->choices = CLO_NEW(clo_request_arena(g->r), clo_choice, g->n_prompts * n_each);
    if (!g->choices) return clo_api_fail(e, CLO_API_BUSY, NULL, "server busy, please try again.  no memory is left");
    for (size_t i = 0; i < g->n_prompts * n_each; i++) {
        clo_choice *c = &g->choices[i];
        c->g = g;
        c->index = i;
        c->i_prompt = i / n_each;
        g->n_choices = i + 1; /* so that its end closes it */
        if (!start_choice(c, e)) return false;
    }
    return true;
}

static size_t n_prompt_tokens(const clo_generation *g)
{
    size_t n = 0;
    for (size_t i = 0; i < g->n_prompts; i++) n += g->prompts[i].n;
    return n;
}

void clo_generation_start(clo_generation *g)
{
    clo_api_error e = {0};
    g->seed = g->params.has_seed ? (uint64_t)g->params.seed : random_bits(SEED_BITS);
    if (atomic_load(&g->s->draining)) clo_api_fail(&e, CLO_API_BUSY, NULL, "the server is stopping");
    if (e.kind != CLO_API_OK || !check_lengths(g, &e) ||
        !clo_account_begin(&g->account, g->s, g->r, g->model->info->name, n_prompt_tokens(g), &e) || !start_choices(g, &e)) {
        on_gone(g);
        clo_generation_fail(g, &e);
        return;
    }
    if (g->params.stream) {
        clo_reply_header(g->r, "Cache-Control", "no-cache");
        clo_reply_header(g->r, "X-Accel-Buffering", "no");
        clo_reply_stream(g->r, 200, g->face->stream_type, fill_stream, g);
        return;
    }
    pthread_mutex_lock(&g->lock);
    g->started = true;
    pthread_mutex_unlock(&g->lock);
    take_whole(&g->choices[0]); /* they may have ended before this */
}

/* --- for faces ----------------------------------------------------------------------------------------------------*/

clo_usage clo_generation_usage(const clo_generation *g)
{
    clo_usage u = {0};
    for (size_t i = 0; i < g->n_choices; i++) {
        const clo_gen_result *r = &g->choices[i].result->gen;
        if (i == 0 || g->choices[i].i_prompt != g->choices[i - 1].i_prompt) {
            u.n_prompt += r->n_prompt;
            u.n_cached += r->n_reused;
        }
        u.n_output += r->n_ids;
        u.n_thought += g->choices[i].n_thought;
        u.prefill_s += r->prefill_s;
        u.decode_s += r->decode_s;
        u.queue_s += g->choices[i].result->queue_s;
    }
    return u;
}

const char *clo_choice_finish(const clo_choice *c)
{
    bool calls = c->n_calls > 0 && (c->calls[c->n_calls - 1].whole || c->result->gen.finish != CLO_FINISH_LENGTH);
    return calls ? "tool_calls" : clo_finish_name(c->result->gen.finish);
}

bool clo_is_stop_id(const clo_open_model *m, int32_t id)
{
    for (size_t i = 0; i < m->n_stop_ids; i++)
        if (m->stop_ids[i] == id) return true;
    return false;
}
