/* The account of a request: who asks, what it may, and the line that it leaves in the books. keys.h and ledger.h for the
 * router and for generations.
 *
 *   clo_account *a = NULL;
 *   if (!clo_account_begin(&a, s, r, model, n_prompt, &e)) ...      // 401, 403, 429
 *   ... at most clo_account_output_max(a) tokens, in the share of clo_account_key(a) ...
 *   clo_account_close(a, &record, wake, ctx);       // the answer is there: wake(ctx) is called when that is on disk
 *   if (clo_account_state(a) == CLO_ACCOUNT_ON_DISK) ...            // now its last bytes may go
 *   clo_account_end(a, &record);                    // always; for one that was not closed: its line, without waiting
 */
#ifndef CLO_SERVE_ACCOUNT_H
#define CLO_SERVE_ACCOUNT_H

#include "serve/api_error.h"
#include "serve/audit.h"
#include "serve/http.h"
#include "hub/keys.h"
#include "serve/models.h"
#include "serve/server.h"

/* The router's: whether the request comes with a key that is valid, or needs none. */
bool clo_account_who(clo_caller *who, clo_server *s, const clo_request *r, clo_api_error *e);

/* Whether the one who asks may have this model, before it is opened for it. A name that is no model's passes: it is for
 * clo_models_take to say so. */
bool clo_account_may_use(clo_server *s, clo_request *r, clo_str name, clo_api_error *e);

/* Whether the one who asks may change models: only a key that was made for it may (`cloche key add --admin`), also where
 * nobody else is asked for one. */
bool clo_account_may_change(clo_server *s, clo_request *r, clo_api_error *e);
/* The line of the audit log of a change that is done: "model-created", "model-copied", "model-removed". Waits for the disk. */
bool clo_account_changed(clo_server *s, const clo_request *r, const char *key, const char *event, const char *model,
                         const char *note, clo_err *err);

/* Leaves in a list those that the one who asks may have; how many. */
size_t clo_account_keep_allowed(clo_model_info *list, size_t n, clo_server *s, const clo_request *r);

typedef struct clo_account clo_account;

/* n_prompt: tokens of all prompts. */
bool clo_account_begin(clo_account **out, clo_server *s, const clo_request *r, const char *model, size_t n_prompt,
                       clo_api_error *e);
size_t clo_account_output_max(const clo_account *a); /* SIZE_MAX: no limit */
const char *clo_account_key(const clo_account *a);   /* its name; "" when no key is needed */

/* key, request, route and time of the record are filled in. wake is called once, on any thread, unless clo_account_end comes
 * first; it must not wait. */
void clo_account_close(clo_account *a, clo_audit_record *r, void (*wake)(void *ctx), void *ctx);
typedef enum { CLO_ACCOUNT_OPEN, CLO_ACCOUNT_CLOSING, CLO_ACCOUNT_ON_DISK, CLO_ACCOUNT_FAILED } clo_account_stage;
clo_account_stage clo_account_state(clo_account *a);
/* Has a receipt stored (receipt_files.h): wake (may be NULL) is called when it is on disk, or could not be, unless
 * clo_account_end comes first; it must not wait. Without a data folder nothing is stored. */
void clo_account_store(clo_account *a, const clo_sha256 *digest, clo_str text, void (*wake)(void *ctx), void *ctx);
/* Receipts are not on their way any more. *failed: one could not be stored. */
bool clo_account_has_stored(clo_account *a, bool *failed);
/* record NULL: nothing was done that counts. NULL account is accepted. */
void clo_account_end(clo_account *a, clo_audit_record *r);

#endif
