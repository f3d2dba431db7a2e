/* Bytes as a Parquet file: rows of a window at the beginning and of one behind it. */
#include <stdint.h>
#include <stdlib.h>

#include "../unit/bytes_source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    clo_bytes in = {data, size};
    clo_table_source s = bytes_source(&in);
    for (uint64_t offset = 0; offset < 10; offset += 5) {
        clo_table_page p = {0};
        clo_err err = {0};
        if (!clo_table_read(&p, CLO_TABLE_PARQUET, &s, offset, 5, &err)) {
            if (err.code == CLO_OK || !err.text[0]) abort();
            continue;
        }
        size_t i, n = json_array_size(p.columns);
        json_t *row;
        if (json_array_size(p.rows) > 5) abort();
        json_array_foreach (p.rows, i, row)
            if (json_array_size(row) != n) abort();
        clo_table_page_free(&p);
    }
    return 0;
}
