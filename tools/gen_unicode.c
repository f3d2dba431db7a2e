/* Writes src/model/unicode_tables.inc to standard output: a two-stage table of the classes in tok_unicode.h.
 *
 * Categories come from utf8proc (Unicode 15.0 in Debian 12); the letters, marks and numbers that Unicode 16.0 added are
 * listed in `later`, because the tokenizers library that we agree with knows them already. Grapheme clusters are those of
 * Unicode 17.0, as there.
 *
 *   cc -Isrc tools/gen_unicode.c -lutf8proc -o gen_unicode && ./gen_unicode > src/model/unicode_tables.inc
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "model/tok_unicode.h"

#define BLOCK (1u << TOK_UNI_SHIFT)
#define N_BLOCKS (0x110000u / BLOCK)

static const struct {
    uint32_t first, last;
    utf8proc_category_t cat;
} later[] = {
#include "gen_unicode_later.inc"
};

static utf8proc_category_t category(uint32_t cp)
{
    for (size_t i = 0; i < sizeof later / sizeof *later; i++) {
        if (cp >= later[i].first && cp <= later[i].last) return later[i].cat;
    }
    return utf8proc_category((utf8proc_int32_t)cp);
}

static bool is_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
           c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

/* Numbers of Unicode 17.0, which the Digits step of the library knows and its regular expressions do not. */
static bool is_newer_digit(uint32_t c)
{
    return (c >= 0x11DE0 && c <= 0x11DE9) || (c >= 0x16FF4 && c <= 0x16FF6);
}

static const struct {
    uint32_t first, last;
    unsigned bit;
} flips[] = {
#include "gen_unicode_library.inc"
};

static const struct {
    uint32_t first, last;
    unsigned gcb;
} joining[] = {
#include "gen_unicode_grapheme.inc"
};

/* TOK_GCB_*. Carriage return, line feed, ZWJ, regional indicators and Hangul are told apart by code point. */
static unsigned gcb_of(uint32_t cp)
{
    for (size_t i = 0; i < sizeof joining / sizeof *joining; i++) {
        if (cp >= joining[i].first && cp <= joining[i].last) return joining[i].gcb;
    }
    switch (utf8proc_get_property((utf8proc_int32_t)cp)->boundclass) {
    case UTF8PROC_BOUNDCLASS_CR: case UTF8PROC_BOUNDCLASS_LF:
    case UTF8PROC_BOUNDCLASS_CONTROL: return TOK_GCB_CONTROL;
    case UTF8PROC_BOUNDCLASS_EXTEND: case UTF8PROC_BOUNDCLASS_ZWJ: return TOK_GCB_EXTEND;
    case UTF8PROC_BOUNDCLASS_SPACINGMARK: return TOK_GCB_SPACING;
    case UTF8PROC_BOUNDCLASS_PREPEND: return TOK_GCB_PREPEND;
    case UTF8PROC_BOUNDCLASS_EXTENDED_PICTOGRAPHIC: return TOK_GCB_PICTOGRAPH;
    default: return TOK_GCB_OTHER;
    }
}

/* True when cp alone is in NFC and no neighbour can change it: it neither decomposes, nor reorders, nor is the second
 * half of a composition. */
static bool nfc_inert(uint32_t cp)
{
    if (cp < 0x300) return true;
    const utf8proc_property_t *p = utf8proc_get_property((utf8proc_int32_t)cp);
    if (p->combining_class != 0) return false;
    if (p->comb_index != UINT16_MAX && p->comb_index >= 0x8000) return false; /* a second half */
    if (cp >= 0x1161 && cp <= 0x11C2) return false;                           /* Hangul vowels and finals */
    if (p->decomp_seqindex != UINT16_MAX && p->decomp_type == 0) return false;
    return true;
}

static uint16_t class_of(uint32_t cp)
{
    unsigned k = 0;
    switch (category(cp)) {
    case UTF8PROC_CATEGORY_LU: case UTF8PROC_CATEGORY_LT: k = TOK_CLS_L | TOK_CLS_UPPER | TOK_CLS_WORD; break;
    case UTF8PROC_CATEGORY_LL: k = TOK_CLS_L | TOK_CLS_LOWER | TOK_CLS_WORD; break;
    case UTF8PROC_CATEGORY_LM: case UTF8PROC_CATEGORY_LO: k = TOK_CLS_L | TOK_CLS_WORD; break;
    case UTF8PROC_CATEGORY_MN: k = TOK_CLS_MARK | TOK_CLS_BERT_MN | TOK_CLS_WORD; break;
    case UTF8PROC_CATEGORY_MC: case UTF8PROC_CATEGORY_ME: k = TOK_CLS_MARK | TOK_CLS_WORD; break;
    case UTF8PROC_CATEGORY_ND: case UTF8PROC_CATEGORY_NL: k = TOK_CLS_N | TOK_CLS_WORD; break;
    case UTF8PROC_CATEGORY_NO: k = TOK_CLS_N; break;
    case UTF8PROC_CATEGORY_PC: k = TOK_CLS_P | TOK_CLS_WORD; break;
    case UTF8PROC_CATEGORY_PD: case UTF8PROC_CATEGORY_PS: case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI: case UTF8PROC_CATEGORY_PF: case UTF8PROC_CATEGORY_PO: k = TOK_CLS_P; break;
    case UTF8PROC_CATEGORY_CC: case UTF8PROC_CATEGORY_CF: case UTF8PROC_CATEGORY_CO: k = TOK_CLS_BERT_C; break;
    default: break;
    }
    if (k & TOK_CLS_P) k |= TOK_CLS_BERT_P;
    if (is_space(cp)) k |= TOK_CLS_S;
    if ((k & TOK_CLS_N) || is_newer_digit(cp)) k |= TOK_CLS_NUM;
    if (!nfc_inert(cp)) k |= TOK_CLS_NFC;
    for (size_t i = 0; i < sizeof flips / sizeof *flips; i++) {
        if (cp >= flips[i].first && cp <= flips[i].last) k ^= flips[i].bit;
    }
    return (uint16_t)(k | gcb_of(cp) << TOK_GCB_SHIFT);
}

int main(void)
{
    static uint16_t blocks[N_BLOCKS][BLOCK], index[N_BLOCKS];
    size_t n = 0;
    for (uint32_t b = 0; b < N_BLOCKS; b++) {
        uint16_t *now = blocks[n];
        for (uint32_t i = 0; i < BLOCK; i++) now[i] = class_of(b * BLOCK + i);
        size_t same = 0;
        while (same < n && memcmp(blocks[same], now, sizeof blocks[0]) != 0) same++;
        index[b] = (uint16_t)same;
        if (same == n) n++;
    }
    printf("/* Written by tools/gen_unicode.c from utf8proc %s; do not edit. */\n", utf8proc_version());
    printf("const uint16_t clo_tok_uni_block[%u] = {", N_BLOCKS);
    for (size_t b = 0; b < N_BLOCKS; b++) printf("%s%u,", b % 24 == 0 ? "\n    " : " ", index[b]);
    printf("\n};\nconst uint16_t clo_tok_uni_class[%zu] = {", n * BLOCK);
    for (size_t i = 0; i < n * BLOCK; i++) {
        printf("%s%u,", i % 20 == 0 ? "\n    " : " ", blocks[i / BLOCK][i % BLOCK]);
    }
    printf("\n};\n");
    return 0;
}
