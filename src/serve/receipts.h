/* Receipts of answers (infer/receipt.h) over HTTP.
 *
 * A request that says "x_receipt": true (in Ollama's interface also among its options) gets one with each choice, written to
 * disk before the choice ends:
 *
 *   "x_receipt": {"id": "r_<64 hex digits>", "chain": "<hex>", "seed": "7", "stored": true, "text": "<the receipt>"}
 *
 * The id is the SHA-256 of the text. It cannot be guessed, for a receipt holds a random salt: who has it may read it.
 *
 *   GET  /v1/receipts/{id}        the text
 *   POST /v1/receipts/replay      body: a receipt. The answer is made again, in line with all others' work, and compared:
 *                                 {"same": true, ..., "text": what it says}, or the first difference
 *
 * On disk as in receipt_files.h; without a data folder none is kept. */
#ifndef CLO_SERVE_RECEIPTS_H
#define CLO_SERVE_RECEIPTS_H

#include "serve/generation.h"

/* Makes the receipt of a finished choice; the account has it stored. False: e says why. */
bool clo_receipts_make(clo_choice *c, clo_api_error *e);
/* `,"x_receipt":{...}` when the choice has one. */
void clo_receipts_show(const clo_choice *c, clo_buf *out);

void clo_receipts_get(clo_server *s, clo_request *r, clo_str id);
void clo_receipts_replay(clo_server *s, clo_request *r, clo_str rest);

#endif
