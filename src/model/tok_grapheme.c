/* Extended grapheme clusters, one pass, from class to class.
 *
 * What stands before a cluster never joins what follows it: pictographs, flags and conjuncts are counted from the
 * cluster's own first character, so three small memories are enough.
 * Source: Unicode Standard Annex 29, section 3.1.1, rules GB3 to GB999; the data of tok_unicode.h.
 */
#include "model/tok_unicode.h"

/* What the rules tell apart: the classes of the table, and those that follow from the code point. */
enum {
    CR = TOK_GCB_LINKER + 1,
    LF,
    ZWJ,
    ZWNJ, /* an Extend that ends a conjunct */
    REGIONAL,
    HANGUL_L,
    HANGUL_V,
    HANGUL_T,
    HANGUL_LV,
    HANGUL_LVT,
};

static unsigned gcb_of(uint32_t cp)
{
    if (cp == '\r') return CR;
    if (cp == '\n') return LF;
    if (cp == 0x200C) return ZWNJ;
    if (cp == 0x200D) return ZWJ;
    if (cp >= 0x1F1E6 && cp <= 0x1F1FF) return REGIONAL;
    if ((cp >= 0x1100 && cp <= 0x115F) || (cp >= 0xA960 && cp <= 0xA97C)) return HANGUL_L;
    if ((cp >= 0x1160 && cp <= 0x11A7) || (cp >= 0xD7B0 && cp <= 0xD7C6)) return HANGUL_V;
    if (cp == 0x16D63 || (cp >= 0x16D67 && cp <= 0x16D6A)) return HANGUL_V; /* Kirat Rai */
    if ((cp >= 0x11A8 && cp <= 0x11FF) || (cp >= 0xD7CB && cp <= 0xD7FB)) return HANGUL_T;
    if (cp >= 0xAC00 && cp <= 0xD7A3) return (cp - 0xAC00) % 28 == 0 ? HANGUL_LV : HANGUL_LVT;
    return clo_tok_class(cp) >> TOK_GCB_SHIFT;
}

static bool is_control(unsigned k)
{
    return k == TOK_GCB_CONTROL || k == CR || k == LF;
}

static bool is_extend(unsigned k)
{
    return k == TOK_GCB_EXTEND || k == TOK_GCB_LINKER || k == ZWNJ;
}

/* GB6 to GB8. */
static bool is_syllable(unsigned a, unsigned b)
{
    if (a == HANGUL_L) return b == HANGUL_L || b == HANGUL_V || b == HANGUL_LV || b == HANGUL_LVT;
    if (a == HANGUL_LV || a == HANGUL_V) return b == HANGUL_V || b == HANGUL_T;
    return (a == HANGUL_LVT || a == HANGUL_T) && b == HANGUL_T;
}

/* What a cluster has so far. */
typedef struct {
    unsigned last;      /* class of its last character */
    bool pictograph;    /* it ends in a pictograph and Extend*, before a ZWJ too */
    bool consonant;     /* it ends in a consonant and any of Extend, Linker, ZWJ */
    bool linker;        /* and a Linker is among those */
    bool odd_regionals; /* it ends in an odd number of regional indicators */
} cluster;

static bool joins(const cluster *c, unsigned k)
{
    if (c->last == CR && k == LF) return true;                           /* GB3 */
    if (is_control(c->last) || is_control(k)) return false;              /* GB4, GB5 */
    if (is_syllable(c->last, k)) return true;                            /* GB6 - GB8 */
    if (is_extend(k) || k == ZWJ || k == TOK_GCB_SPACING) return true;   /* GB9, GB9a */
    if (c->last == TOK_GCB_PREPEND) return true;                         /* GB9b */
    if (k == TOK_GCB_CONSONANT && c->linker) return true;                /* GB9c */
    if (k == TOK_GCB_PICTOGRAPH) return c->last == ZWJ && c->pictograph; /* GB11 */
    return k == REGIONAL && c->odd_regionals;                            /* GB12, GB13, GB999 */
}

static void append(cluster *c, unsigned k)
{
    bool inside = is_extend(k) || k == ZWJ;
    c->pictograph = k == TOK_GCB_PICTOGRAPH || (c->pictograph && inside && c->last != ZWJ);
    c->consonant = k == TOK_GCB_CONSONANT || (c->consonant && inside && k != ZWNJ);
    c->linker = c->consonant && k != TOK_GCB_CONSONANT && (c->linker || k == TOK_GCB_LINKER);
    c->odd_regionals = k == REGIONAL && !c->odd_regionals;
    c->last = k;
}

size_t clo_tok_grapheme_end(clo_str s, size_t off)
{
    cluster c = {0};
    for (size_t from = off, n; off < s.len; off += n) {
        unsigned k = gcb_of(clo_tok_cp(s.ptr + off, &n));
        if (off > from && !joins(&c, k)) break;
        append(&c, k);
    }
    return off;
}
