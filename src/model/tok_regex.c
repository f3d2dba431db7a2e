/* Patterns that no scanner knows, by PCRE2 with limits on matching effort.
 *
 * The library's patterns are Oniguruma's. For the constructs that tokenizers use the two agree, save for \s, which in
 * Oniguruma is White_Space and in PCRE2 leaves out U+0085: \s and \S are written out before compiling. Unicode tables
 * are PCRE2's own, so code points newer than they are may be cut differently; the known patterns never come here.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

#include "model/tok_impl.h"

#define REGEX_BYTES_MAX 8192u
#define REGEX_MATCH_LIMIT 10000000u
#define REGEX_DEPTH_LIMIT 100000u
#define REGEX_HEAP_KIB 65536u

#define SPACE_SET "\\x09-\\x0D\\x20\\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}"

struct tok_regex {
    pcre2_code *code;
    pcre2_match_context *limits;
};

/* Writes pattern with \s and \S spelled out; false for \S inside a class, which has no simple spelling. */
static bool spell_out(clo_buf *out, clo_str p)
{
    bool in_class = false;
    for (size_t i = 0; i < p.len; i++) {
        char c = p.ptr[i];
        if (c == '\\' && i + 1 < p.len) {
            char d = p.ptr[++i];
            if (d == 's') {
                clo_buf_add(out, in_class ? CLO_STR(SPACE_SET) : CLO_STR("[" SPACE_SET "]"));
            } else if (d == 'S') {
                if (in_class) return false;
                clo_buf_add(out, CLO_STR("[^" SPACE_SET "]"));
            } else {
                clo_buf_add_char(out, c);
                clo_buf_add_char(out, d);
            }
            continue;
        }
        if (c == '[') in_class = true;
        if (c == ']') in_class = false;
        clo_buf_add_char(out, c);
    }
    return true;
}

bool clo_tok_regex_open(struct tok_regex **out, clo_str pattern, clo_err *err)
{
    struct tok_regex *r = NULL;
    clo_buf text = {.max = 64 * REGEX_BYTES_MAX};
    bool ok = false;
    int code = 0;
    PCRE2_SIZE at = 0;

    if (pattern.len > REGEX_BYTES_MAX) {
        clo_fail(err, CLO_ERR_LIMIT, "pattern of %zu bytes, limit %u", pattern.len, REGEX_BYTES_MAX);
        goto done;
    }
    if (!spell_out(&text, pattern)) {
        clo_fail(err, CLO_ERR_UNSUPPORTED, "pattern with \\S inside a class: " CLO_STR_FMT, CLO_STR_ARG(pattern));
        goto done;
    }
    if (!clo_buf_ok(&text, err)) goto done;
    if (!(r = (struct tok_regex *)calloc(1, sizeof *r)) || !(r->limits = pcre2_match_context_create(NULL))) {
        clo_fail(err, CLO_ERR_MEMORY, "pattern");
        goto done;
    }
    r->code = pcre2_compile((PCRE2_SPTR)clo_buf_str(&text).ptr, text.len,
                            PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &code, &at, NULL);
    if (!r->code) {
        clo_fail(err, CLO_ERR_UNSUPPORTED, "pattern " CLO_STR_FMT " (error %d)", CLO_STR_ARG(pattern), code);
        goto done;
    }
    pcre2_set_match_limit(r->limits, REGEX_MATCH_LIMIT);
    pcre2_set_depth_limit(r->limits, REGEX_DEPTH_LIMIT);
    pcre2_set_heap_limit(r->limits, REGEX_HEAP_KIB);
    (void)pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE); /* without it matching is slower, not different */
    *out = r;
    r = NULL;
    ok = true;
done:
    clo_tok_regex_close(r);
    clo_buf_free(&text);
    return ok;
}

void clo_tok_regex_close(struct tok_regex *r)
{
    if (!r) return;
    pcre2_code_free(r->code);
    pcre2_match_context_free(r->limits);
    free(r);
}

bool clo_tok_regex_find(const struct tok_regex *r, clo_str s, size_t off, size_t *begin, size_t *end, bool *found,
                        clo_err *err)
{
    *found = false;
    pcre2_match_data *m = pcre2_match_data_create(1, NULL);
    if (!m) return clo_fail(err, CLO_ERR_MEMORY, "pattern match");
    int n = pcre2_match(r->code, (PCRE2_SPTR)s.ptr, s.len, off, PCRE2_NO_UTF_CHECK, m, r->limits);
    bool ok = true;
    if (n >= 0) {
        const PCRE2_SIZE *at = pcre2_get_ovector_pointer(m);
        *begin = at[0];
        *end = at[1];
        *found = at[0] >= off && at[1] >= at[0] && at[1] <= s.len; /* \K could turn them round */
    } else if (n != PCRE2_ERROR_NOMATCH) {
        ok = clo_fail(err, CLO_ERR_LIMIT, "pattern gave up at byte %zu of %zu (error %d)", off, s.len, n);
    }
    pcre2_match_data_free(m);
    return ok;
}
