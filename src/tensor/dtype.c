/* The table of element types. Ids and block sizes: ggml's GGUF specification; names of the types that GGUF lacks:
 * safetensors. */
#include "tensor/dtype.h"

#include "base/check.h"

#define FTYPE_NONE UINT32_MAX /* no file is made mostly of it */

static const clo_dtype_info INFO[CLO_DTYPE_COUNT] = {
    /*                     name      block bytes  id  ftype       quantised */
    [CLO_DTYPE_NONE] = {"none", 1, 0, -1, FTYPE_NONE, false},
    [CLO_DTYPE_F32] = {"F32", 1, 4, 0, 0, false},
    [CLO_DTYPE_F16] = {"F16", 1, 2, 1, 1, false},
    [CLO_DTYPE_BF16] = {"BF16", 1, 2, 30, 32, false},
    [CLO_DTYPE_Q8_0] = {"Q8_0", 32, 34, 8, 7, true},
    [CLO_DTYPE_Q4_0] = {"Q4_0", 32, 18, 2, 2, true},
    [CLO_DTYPE_Q4_1] = {"Q4_1", 32, 20, 3, 3, true},
    [CLO_DTYPE_Q5_0] = {"Q5_0", 32, 22, 6, 8, true},
    [CLO_DTYPE_Q5_1] = {"Q5_1", 32, 24, 7, 9, true},
    [CLO_DTYPE_Q2_K] = {"Q2_K", 256, 84, 10, 10, true},
    [CLO_DTYPE_Q3_K] = {"Q3_K", 256, 110, 11, 12, true},
    [CLO_DTYPE_Q4_K] = {"Q4_K", 256, 144, 12, 15, true},
    [CLO_DTYPE_Q5_K] = {"Q5_K", 256, 176, 13, 17, true},
    [CLO_DTYPE_Q6_K] = {"Q6_K", 256, 210, 14, 18, true},
    [CLO_DTYPE_IQ4_NL] = {"IQ4_NL", 32, 18, 20, 25, true},
    [CLO_DTYPE_IQ4_XS] = {"IQ4_XS", 256, 136, 23, 30, true},
    [CLO_DTYPE_MXFP4] = {"MXFP4", 32, 17, 39, 38, true},
    [CLO_DTYPE_F64] = {"F64", 1, 8, 28, FTYPE_NONE, false},
    [CLO_DTYPE_I8] = {"I8", 1, 1, 24, FTYPE_NONE, false},
    [CLO_DTYPE_I16] = {"I16", 1, 2, 25, FTYPE_NONE, false},
    [CLO_DTYPE_I32] = {"I32", 1, 4, 26, FTYPE_NONE, false},
    [CLO_DTYPE_I64] = {"I64", 1, 8, 27, FTYPE_NONE, false},
    [CLO_DTYPE_U8] = {"U8", 1, 1, -1, FTYPE_NONE, false},
    [CLO_DTYPE_U16] = {"U16", 1, 2, -1, FTYPE_NONE, false},
    [CLO_DTYPE_U32] = {"U32", 1, 4, -1, FTYPE_NONE, false},
    [CLO_DTYPE_U64] = {"U64", 1, 8, -1, FTYPE_NONE, false},
    [CLO_DTYPE_BOOL] = {"BOOL", 1, 1, -1, FTYPE_NONE, false},
    [CLO_DTYPE_F8_E4M3] = {"F8_E4M3", 1, 1, -1, FTYPE_NONE, false},
    [CLO_DTYPE_F8_E5M2] = {"F8_E5M2", 1, 1, -1, FTYPE_NONE, false},
};

/* Types that other programs write and this one names but does not compute. */
static const struct {
    uint32_t id;
    const char *name;
} KNOWN[] = {
    {9, "Q8_1"},   {15, "Q8_K"},  {16, "IQ2_XXS"}, {17, "IQ2_XS"}, {18, "IQ3_XXS"}, {19, "IQ1_S"}, {21, "IQ3_S"},
    {22, "IQ2_S"}, {29, "IQ1_M"}, {34, "TQ1_0"},   {35, "TQ2_0"},  {40, "NVFP4"},   {41, "Q1_0"},  {42, "Q2_0"},
};

const clo_dtype_info *clo_dtype_info_of(clo_dtype t)
{
    unsigned i = (unsigned)t;
    return &INFO[i < CLO_DTYPE_COUNT ? i : CLO_DTYPE_NONE];
}

clo_dtype clo_dtype_from_ggml(uint32_t id, const char **known_name)
{
    if (known_name) *known_name = NULL;
    for (unsigned i = CLO_DTYPE_NONE + 1; i < CLO_DTYPE_COUNT; i++) {
        if (INFO[i].ggml_id < 0 || (uint32_t)INFO[i].ggml_id != id) continue;
        if (known_name) *known_name = INFO[i].name;
        return (clo_dtype)i;
    }
    for (size_t i = 0; i < sizeof KNOWN / sizeof KNOWN[0]; i++) {
        if (KNOWN[i].id == id && known_name) *known_name = KNOWN[i].name;
    }
    return CLO_DTYPE_NONE;
}

static char ascii_upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static bool eq_folded(clo_str s, const char *name)
{
    if (strlen(name) != s.len) return false;
    for (size_t i = 0; i < s.len; i++) {
        if (ascii_upper(s.ptr[i]) != name[i]) return false;
    }
    return true;
}

clo_dtype clo_dtype_from_name(clo_str name)
{
    for (unsigned i = CLO_DTYPE_NONE + 1; i < CLO_DTYPE_COUNT; i++) {
        if (eq_folded(name, INFO[i].name)) return (clo_dtype)i;
    }
    return CLO_DTYPE_NONE;
}

bool clo_dtype_row_bytes(clo_dtype t, size_t n, size_t *out)
{
    const clo_dtype_info *info = clo_dtype_info_of(t);
    if (n % info->block_len != 0) return false;
    return clo_mul(n / info->block_len, info->block_bytes, out);
}
