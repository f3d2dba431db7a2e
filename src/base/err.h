/* Errors: one type, passed explicitly, with a message and a context.
 *
 * A function that can fail returns bool (true is success), is marked CLO_CHECK and takes `clo_err *err` last. Where the
 * fault is found it says what was expected, what was found and at which offset; callers on the way up add where they
 * were with clo_err_context and never overwrite. The text then reads outermost first:
 *
 *   open 'm.safetensors': tensor 'model.norm.weight': 4096 bytes declared, 2048 left
 *
 * `err` may be NULL when the caller only wants the answer. The struct has a fixed size, so reporting works when memory
 * is gone.
 */
#ifndef CLO_BASE_ERR_H
#define CLO_BASE_ERR_H

#include <stdbool.h>
#include <stdint.h>

typedef enum {
    CLO_OK = 0,
    CLO_ERR_IO,          /* the operating system refused; err->sys is errno */
    CLO_ERR_FORMAT,      /* bytes that are not what their format says; err->at is the offset */
    CLO_ERR_LIMIT,       /* well formed, but beyond a named limit of ours */
    CLO_ERR_MEMORY,      /* no memory */
    CLO_ERR_NOT_FOUND,   /* no such file, tensor, model */
    CLO_ERR_UNSUPPORTED, /* well formed and known, but not built */
    CLO_ERR_DENIED,      /* refused by policy */
    CLO_ERR_CANCELLED,   /* the caller asked to stop */
    CLO_ERR_USAGE,       /* the caller's arguments do not fit together */
    CLO_ERR_MISMATCH,    /* checked, and not so: digests or bits differ */
    CLO_ERR_DAMAGED,     /* what we stored is not what we stored any more */
} clo_code;

typedef struct {
    clo_code code;
    int sys;        /* errno when code is CLO_ERR_IO, else 0 */
    uint64_t at;    /* byte offset in the input when code is CLO_ERR_FORMAT, else 0 */
    char text[512]; /* NUL-terminated, one line, lower case, outermost context first */
} clo_err;

#define CLO_CHECK __attribute__((warn_unused_result))
#define CLO_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* Sets err and returns false, so that `return clo_fail(err, ...)` ends a function. */
bool clo_fail(clo_err *err, clo_code code, const char *fmt, ...) CLO_PRINTF(3, 4);

/* As clo_fail with CLO_ERR_FORMAT and the byte offset of the fault. */
bool clo_fail_at(clo_err *err, uint64_t at, const char *fmt, ...) CLO_PRINTF(3, 4);

/* As clo_fail with CLO_ERR_IO, errno and its text appended: "read 'x': no such file". ENOENT gives CLO_ERR_NOT_FOUND. */
bool clo_fail_sys(clo_err *err, int sys, const char *fmt, ...) CLO_PRINTF(3, 4);

/* Puts "context: " before the text. */
void clo_err_context(clo_err *err, const char *fmt, ...) CLO_PRINTF(2, 3);

#endif
