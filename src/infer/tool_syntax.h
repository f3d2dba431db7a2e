/* The syntaxes of tool_call.h as data, for what writes them and what reads them. */
#ifndef CLO_INFER_TOOL_SYNTAX_H
#define CLO_INFER_TOOL_SYNTAX_H

#include "infer/tool_call.h"

typedef struct {
    const char *name;
    const char *signs[2]; /* texts that its templates hold; */
    const char *not_sign; /* and one that they do not; NULL: none */
    const char *open;     /* mark before a call, or before the list; empty: none */
    const char *close;    /* mark behind; may be missing */
    const char *args;     /* key of the arguments; NULL: the name is the key */
    bool special;         /* marks are control tokens */
    bool list;            /* one array of calls, else each has its own marks on lines of their own */
    bool parallel;
} tool_syntax;

const tool_syntax *clo_tool_syntax_row(clo_tool_syntax s);

#endif
