/* Bytes as CSV, as JSON and as JSON Lines. */
#include <stdint.h>
#include <stdlib.h>

#include "../unit/bytes_source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    clo_bytes in = {data, size};
    clo_table_source s = bytes_source(&in);
    for (int f = CLO_TABLE_CSV; f <= CLO_TABLE_JSONL; f++) {
        clo_table_page p = {0};
        size_t i, n;
        json_t *row;
        if (!clo_table_read(&p, (clo_table_format)f, &s, 1, 20, NULL)) continue;
        n = json_array_size(p.columns);
        json_array_foreach (p.rows, i, row)
            if (json_array_size(row) != n) abort();
        clo_table_page_free(&p);
    }
    return 0;
}
