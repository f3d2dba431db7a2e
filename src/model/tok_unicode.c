/* The table itself; see tok_unicode.h. */
#include "model/tok_unicode.h"

#include "model/unicode_tables.inc"
