/* Bytes as a receipt: what is taken is written again and must read back as the same text. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "infer/receipt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    clo_receipt r = {0}, again = {0};
    clo_buf a = {0}, b = {0};
    if (!clo_receipt_parse(&r, (clo_str){(const char *)data, size}, NULL)) return 0;
    if (!clo_receipt_format(&a, &r, NULL) || !clo_receipt_parse(&again, clo_buf_str(&a), NULL)) abort();
    if (!clo_receipt_format(&b, &again, NULL) || !clo_str_eq(clo_buf_str(&a), clo_buf_str(&b))) abort();
    clo_buf_free(&a);
    clo_buf_free(&b);
    clo_receipt_free(&r);
    clo_receipt_free(&again);
    return 0;
}
