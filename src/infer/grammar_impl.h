/* What the files of grammar.h share: the automaton, and how it is built.
 *
 * The automaton is a recursive transition network. A machine has a start and a final state; an edge reads a byte, reads
 * a control token, reads nothing, or calls a machine: once, or between min and max times with a counter. It is not
 * deterministic; automaton.h follows all its ways at once.
 *
 * The builder remembers that a limit was reached, so that building reads as a list of states and edges; nothing is lost
 * by going on, and gr_finish tells. */
#ifndef CLO_INFER_GRAMMAR_IMPL_H
#define CLO_INFER_GRAMMAR_IMPL_H

#include <stdatomic.h>

#include "base/arena.h"
#include "infer/grammar.h"

#define GR_NONE UINT32_MAX
#define GR_INF UINT32_MAX       /* max of a repetition without end */
#define GR_SPECIALS_MAX 8       /* control tokens that a grammar names */
#define GR_NEED_NEVER UINT16_MAX

typedef enum {
    GR_BYTES,   /* reads a byte lo..hi */
    GR_EPS,     /* reads nothing */
    GR_CALL,    /* what machine accepts */
    GR_REPEAT,  /* what machine accepts, min..max times; the only edge of its state */
    GR_TOKEN,   /* reads control token number `machine` of the grammar's specials */
    GR_IF_TEXT, /* reads nothing, where the vocabulary has no such control token: its text follows */
} gr_kind;

typedef struct {
    uint8_t kind, lo, hi;
    uint32_t to;
    uint32_t machine;  /* of CALL and REPEAT; index of TOKEN and IF_TEXT */
    uint32_t min, max; /* of REPEAT */
} gr_edge;

typedef struct {
    uint32_t first, n; /* edges */
    bool final;
    bool plain; /* the start of a machine that accepts every character that a JSON string may hold unescaped */
} gr_state;

typedef struct {
    uint32_t start, final;
} gr_machine;

struct clo_grammar {
    atomic_size_t n_owners; /* atomic: owners close on their own threads */
    clo_arena arena;
    gr_state *states;     /* [n_states] */
    gr_edge *edges;       /* [n_edges], of each state in order */
    gr_machine *machines; /* [n_machines]; machine 0 is the whole text */
    size_t n_states, n_edges, n_machines;
    clo_str specials[GR_SPECIALS_MAX]; /* names of control tokens */
    size_t n_specials;
};

/* need[state], of n_states: machines that must be nested inside a state's own before its machine can end, at least;
 * GR_NEED_NEVER when it cannot. Only bytes in `bytes` [256 bits] and control tokens in `specials` (bits) are read. */
CLO_CHECK bool gr_needs(uint16_t *need, const clo_grammar *g, const uint8_t bytes[32], uint32_t specials, clo_err *err);

/* --- building -----------------------------------------------------------------------------------------------------*/

#define GR_CODE_POINT_MAX 0x10FFFFu

/* Characters: sorted, disjoint ranges of code points. Surrogates are no characters. */
typedef struct {
    uint32_t lo, hi;
} gr_range;
typedef struct {
    gr_range *at; /* in the builder's arena */
    size_t n, cap;
} gr_set;

typedef struct gr_build_edge gr_build_edge;
typedef struct gr_char_machine gr_char_machine;

typedef struct {
    clo_arena arena; /* of the builder alone */
    struct gr_build_state {
        gr_build_edge *first, *last;
        uint32_t n;
        bool plain;
    } *states; /* owned */
    gr_machine *machines; /* owned */
    size_t n_states, cap_states, n_machines, cap_machines, n_edges;
    gr_char_machine *chars; /* machines of characters, made once each */
    uint32_t value, object, array, string, number, character; /* machines of any JSON, made when first asked for */
    clo_str specials[GR_SPECIALS_MAX];                        /* in the arena */
    size_t n_specials;
    bool full, no_memory;
} gr_builder;

/* The builder is made with machine 0 of two states. */
void gr_begin(gr_builder *b);
/* CLO_ERR_LIMIT or CLO_ERR_MEMORY when building ran out, CLO_ERR_FORMAT when no text fits or a machine calls itself
 * before it reads anything. The builder is freed either way. */
CLO_CHECK bool gr_finish(clo_grammar **out, gr_builder *b, clo_err *err);
void gr_abandon(gr_builder *b);

static inline bool gr_failed(const gr_builder *b)
{
    return b->full || b->no_memory;
}

static inline uint32_t gr_start(const gr_builder *b, uint32_t machine)
{
    return machine < b->n_machines ? b->machines[machine].start : 0;
}

static inline uint32_t gr_final(const gr_builder *b, uint32_t machine)
{
    return machine < b->n_machines ? b->machines[machine].final : 0;
}

uint32_t gr_state_new(gr_builder *b);
uint32_t gr_machine_new(gr_builder *b); /* with its two states */
void gr_bytes(gr_builder *b, uint32_t from, uint8_t lo, uint8_t hi, uint32_t to);
void gr_eps(gr_builder *b, uint32_t from, uint32_t to);
void gr_call(gr_builder *b, uint32_t from, uint32_t machine, uint32_t to);
/* The state that a repetition begins at is made here, so that it has no other edge. */
void gr_repeat(gr_builder *b, uint32_t from, uint32_t machine, uint32_t min, uint32_t max, uint32_t to);
void gr_text(gr_builder *b, uint32_t from, clo_str text, uint32_t to);
/* One of several texts (none empty) between the same two states, which share their beginnings; `from` has no other use. */
void gr_choice(gr_builder *b, uint32_t from, clo_str text, uint32_t to);
/* A new state behind text. */
uint32_t gr_after(gr_builder *b, uint32_t from, clo_str text);
/* A control token by its name, or its text where the vocabulary has no such token. */
uint32_t gr_after_special(gr_builder *b, uint32_t from, clo_str name);
/* A new state behind free text that ends with the first occurrence of `mark`; with end, text may also end without it. */
uint32_t gr_after_free(gr_builder *b, uint32_t from, clo_str mark, uint32_t end);

/* Machines of any JSON value, any object, any array, any string, any number; one character of a string. */
uint32_t gr_any_value(gr_builder *b);
uint32_t gr_any_object(gr_builder *b);
uint32_t gr_any_array(gr_builder *b);
uint32_t gr_any_string(gr_builder *b);
uint32_t gr_any_number(gr_builder *b);
uint32_t gr_any_character(gr_builder *b);

/* --- characters (grammar_chars.c) ---------------------------------------------------------------------------------*/

void gr_set_add(gr_builder *b, gr_set *s, uint32_t lo, uint32_t hi);
void gr_set_add_all(gr_builder *b, gr_set *s, const gr_set *more);
/* All characters that are not in s. */
gr_set gr_set_not(gr_builder *b, const gr_set *s);
/* One character of the set inside a JSON string, in one spelling: as itself where JSON lets it, else its short escape,
 * else \u00xx. U+0000 is left out. */
uint32_t gr_char_machine_of(gr_builder *b, const gr_set *s);

/* --- numbers (grammar_number.c) -----------------------------------------------------------------------------------*/

/* Decimal integers lo..hi. */
void gr_integer(gr_builder *b, uint32_t from, int64_t lo, int64_t hi, uint32_t to);
/* Numbers without exponent from lo to hi, either end left out when told. */
void gr_number_between(gr_builder *b, uint32_t from, int64_t lo, bool lo_out, int64_t hi, bool hi_out, uint32_t to);

/* --- patterns (grammar_pattern.c) ---------------------------------------------------------------------------------*/

/* Characters of a JSON string (without its quotes) in which `pattern` is found, min..max of them. `why` says what is
 * not built or no pattern at all when it returns false. */
CLO_CHECK bool gr_pattern(gr_builder *b, uint32_t from, clo_str pattern, uint32_t min, uint32_t max, uint32_t to,
                          clo_err *err);
/* The pattern of a format that is built, or NULL. */
const char *gr_format_pattern(clo_str format);

/* --- schemas (grammar_schema.c, _keyword.c, _object.c, _merge.c) --------------------------------------------------*/

/* Where in the schema, from the inside out. */
typedef struct gr_path gr_path;
struct gr_path {
    const gr_path *up;
    const char *key; /* borrowed from the schema or static; NULL: index */
    size_t index;
    bool absolute; /* the key is a whole path: of a $ref, or what the caller named */
};

/* What is known of a schema, by its address. */
typedef struct {
    const json_t *schema;
    const gr_path *path;
    uint32_t machine; /* GR_NONE: not asked for */
    bool checked;     /* its keywords were looked at, or it was made here */
} gr_known;

typedef struct {
    gr_builder *b;
    clo_grammar_opts opts;
    clo_grammar_notes *notes; /* may be NULL */
    clo_err *err;
    const json_t *root; /* that references start from */
    json_t *made;       /* owned array: schemas that were made by merging */
    gr_known *known;    /* owned hash table [cap_known] */
    size_t n_known, cap_known;
    struct gr_waiting { /* schemas whose machines are named and not yet filled, so that references may go round */
        const json_t *schema;
        const gr_path *path;
        uint32_t machine;
    } *waiting; /* owned */
    size_t n_waiting, cap_waiting;
} gr_schemas;

/* Compiles several schemas into one builder. The zeroed struct with b, opts, notes and err is valid. */
CLO_CHECK bool gr_schema_machine(uint32_t *machine, gr_schemas *c, const json_t *root, const char *where);
void gr_schemas_free(gr_schemas *c);

const gr_path *gr_path_key(gr_schemas *c, const gr_path *up, const char *key);
const gr_path *gr_path_index(gr_schemas *c, const gr_path *up, const char *key, size_t index);
/* Sets the error with its path before it, and returns false. */
bool gr_schema_fail(gr_schemas *c, const gr_path *path, clo_code code, const char *fmt, ...) CLO_PRINTF(4, 5);
/* Puts the path of a fault that was told into the notes and before its text; last (may be NULL) goes to its end. Returns false. */
bool gr_schema_told(gr_schemas *c, const gr_path *path, const char *last);
/* A keyword that is not built: false when strict, else noted. */
bool gr_schema_ignore(gr_schemas *c, const gr_path *path, const char *keyword);
/* The keywords of a schema, once for each; then it is an object or a boolean. */
bool gr_schema_check(gr_schemas *c, const json_t *schema, const gr_path *path);
typedef enum {
    GR_KEYWORD_UNKNOWN,
    GR_KEYWORD_ANNOTATION, /* says nothing about which values fit */
    GR_KEYWORD_BUILT,
} gr_keyword_kind;
gr_keyword_kind gr_keyword_kind_of(const char *keyword);
/* What is known of a schema; NULL when memory is gone. */
gr_known *gr_schema_known(gr_schemas *c, const json_t *schema);
/* Keeps a made schema until the end; returns it, or NULL with the error set (also for NULL). */
json_t *gr_schema_keep(gr_schemas *c, json_t *stolen);

/* Reads what a schema accepts, between two states. */
bool gr_schema_call(gr_schemas *c, uint32_t from, const json_t *schema, const gr_path *path, uint32_t to);
/* The same for an object alone. */
bool gr_schema_object(gr_schemas *c, const json_t *schema, const gr_path *path, uint32_t from, uint32_t to);

/* What a reference points at, with its own path in *path; NULL with the error set. */
const json_t *gr_schema_target(gr_schemas *c, clo_str ref, const gr_path **path);
/* The schema without $ref and allOf at its top: itself or a made one; NULL with the error set. */
const json_t *gr_schema_flat(gr_schemas *c, const json_t *schema, const gr_path *path, size_t depth);
/* {"allOf": [a, b]}, kept; either when they are equal. */
const json_t *gr_schema_both(gr_schemas *c, const json_t *a, const json_t *b);

#endif
