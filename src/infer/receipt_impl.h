/* What receipt.c and replay.c share. */
#ifndef CLO_INFER_RECEIPT_IMPL_H
#define CLO_INFER_RECEIPT_IMPL_H

#include "infer/receipt.h"

/* SHA-256(salt || ids as le32). */
clo_sha256 clo_receipt_prompt_digest(const uint8_t salt[16], const int32_t *ids, size_t n);
/* SHA-256 of this program's file. */
CLO_CHECK bool clo_receipt_program_digest(clo_sha256 *out, clo_err *err);
/* Type of the decoder's KV cache. */
const char *clo_receipt_kv_name(const clo_decoder *d);

#endif
