/* See attributes.h. */
#include "hub/attributes.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

#define RULES_MAX 20000

/* One line: what it matches, and what it says. */
struct clo_pattern {
    char *text;    /* owned: the pattern, without marks */
    size_t len;    /* bytes */
    bool anchored; /* it has a slash: matched against the whole path, else against the last name */
    bool folder;   /* .gitignore: a slash at its end: folders only */
    bool says;     /* filter=lfs; ignored */
};

/* --- wildmatch ----------------------------------------------------------------------------------------------------*/

/* A pattern becomes steps, and a path is read once with the set of steps that are reached: time is their product. */
typedef enum {
    STEP_CHAR,    /* c */
    STEP_ANY,     /* ?: one byte, no slash */
    STEP_CLASS,   /* [..]: text [from, to) */
    STEP_STAR,    /* *: bytes, no slash */
    STEP_FOLDERS, /* a leading or inner star star slash: nothing, or folders with their slashes */
    STEP_ALL,     /* a star star at the end: anything */
} step_kind;

typedef struct {
    step_kind kind;
    char c;
    size_t from, to;
} step;

/* The end of a [..] that begins at i, or 0 when it is none. */
static size_t class_end(clo_str p, size_t i)
{
    size_t at = i + 1;
    if (at < p.len && (p.ptr[at] == '!' || p.ptr[at] == '^')) at++;
    for (size_t first = at; at < p.len; at++) {
        if (p.ptr[at] == '\\') at++;
        else if (p.ptr[at] == ']' && at > first) return at + 1;
        else if (p.ptr[at] == '[' && at + 1 < p.len && p.ptr[at + 1] == ':') {
            clo_str rest = clo_str_from_off(p, at + 2);
            size_t end = clo_str_find(rest, 0, ':');
            if (end + 1 < rest.len && rest.ptr[end + 1] == ']') at += 2 + end + 1;
        }
    }
    return 0;
}

static size_t compile(step *out, clo_str p)
{
    size_t n = 0;
    for (size_t i = 0; i < p.len;) {
        char c = p.ptr[i];
        size_t stars = 0, end;
        while (i + stars < p.len && p.ptr[i + stars] == '*') stars++;
        bool at_part = i == 0 || p.ptr[i - 1] == '/';
        if (stars >= 2 && at_part && i + stars == p.len) {
            out[n++] = (step){.kind = STEP_ALL};
            i += stars;
        } else if (stars >= 2 && at_part && p.ptr[i + stars] == '/') {
            out[n++] = (step){.kind = STEP_FOLDERS};
            i += stars + 1;
        } else if (stars > 0) {
            out[n++] = (step){.kind = STEP_STAR};
            i += stars;
        } else if (c == '?') {
            out[n++] = (step){.kind = STEP_ANY};
            i++;
        } else if (c == '[' && (end = class_end(p, i)) > 0) {
            out[n++] = (step){.kind = STEP_CLASS, .from = i + 1, .to = end - 1};
            i = end;
        } else {
            if (c == '\\' && i + 1 < p.len) c = p.ptr[++i];
            out[n++] = (step){.kind = STEP_CHAR, .c = c};
            i++;
        }
    }
    return n;
}

static bool in_named(clo_str name, char c)
{
    bool upper = c >= 'A' && c <= 'Z', lower = c >= 'a' && c <= 'z', digit = c >= '0' && c <= '9';
    bool graph = c > 0x20 && c < 0x7f;
    if (clo_str_eq(name, CLO_STR("alpha"))) return upper || lower;
    if (clo_str_eq(name, CLO_STR("digit"))) return digit;
    if (clo_str_eq(name, CLO_STR("alnum"))) return upper || lower || digit;
    if (clo_str_eq(name, CLO_STR("upper"))) return upper;
    if (clo_str_eq(name, CLO_STR("lower"))) return lower;
    if (clo_str_eq(name, CLO_STR("space"))) return c == ' ' || (c >= '\t' && c <= '\r');
    if (clo_str_eq(name, CLO_STR("blank"))) return c == ' ' || c == '\t';
    if (clo_str_eq(name, CLO_STR("punct"))) return graph && !upper && !lower && !digit;
    if (clo_str_eq(name, CLO_STR("graph"))) return graph;
    if (clo_str_eq(name, CLO_STR("print"))) return graph || c == ' ';
    if (clo_str_eq(name, CLO_STR("cntrl"))) return (unsigned char)c < 0x20 || c == 0x7f;
    if (clo_str_eq(name, CLO_STR("xdigit"))) return digit || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    return false;
}

static bool in_class(clo_str body, char c)
{
    size_t i = body.len && (body.ptr[0] == '!' || body.ptr[0] == '^') ? 1 : 0;
    bool negated = i == 1, hit = false;
    while (i < body.len) {
        if (body.ptr[i] == '[' && i + 1 < body.len && body.ptr[i + 1] == ':') {
            size_t end = clo_str_find(body, i + 2, ':');
            if (end + 1 < body.len && body.ptr[end + 1] == ']') {
                hit = hit || in_named((clo_str){body.ptr + i + 2, end - i - 2}, c);
                i = end + 2;
                continue;
            }
        }
        if (body.ptr[i] == '\\' && i + 1 < body.len) i++;
        unsigned char low = (unsigned char)body.ptr[i++], high = low;
        if (i + 1 < body.len && body.ptr[i] == '-') {
            i++;
            if (body.ptr[i] == '\\' && i + 1 < body.len) i++;
            high = (unsigned char)body.ptr[i++];
        }
        hit = hit || ((unsigned char)c >= low && (unsigned char)c <= high);
    }
    return hit != negated;
}

#define IN_FOLDER 2 /* a step of folders that stands between its slashes */

/* What is reached without reading a byte: stars and folders may be nothing. */
static void spread(uint8_t *set, const step *steps, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((set[i] & 1) && (steps[i].kind == STEP_STAR || steps[i].kind == STEP_FOLDERS)) set[i + 1] |= 1;
}

static void read_byte(uint8_t *next, const uint8_t *set, const step *steps, size_t n, clo_str p, char c)
{
    for (size_t i = 0; i < n; i++) {
        const step *s = &steps[i];
        if (!set[i]) continue;
        bool slash = c == '/';
        switch (s->kind) {
        case STEP_CHAR: next[i + 1] |= c == s->c; break;
        case STEP_ANY: next[i + 1] |= !slash; break;
        case STEP_CLASS: next[i + 1] |= !slash && in_class((clo_str){p.ptr + s->from, s->to - s->from}, c); break;
        case STEP_STAR: next[i] |= !slash; break;
        case STEP_FOLDERS: next[i] |= slash ? 1 : IN_FOLDER; break;
        case STEP_ALL: next[i] |= 1, next[i + 1] |= 1; break;
        }
    }
}

bool clo_wildmatch(clo_str p, clo_str path)
{
    step steps[CLO_PATTERN_MAX];
    uint8_t sets[2][CLO_PATTERN_MAX + 1];
    if (p.len > CLO_PATTERN_MAX) return false;
    size_t n = compile(steps, p), now = 0;
    memset(sets[0], 0, n + 1);
    sets[0][0] = 1;
    spread(sets[0], steps, n);
    for (size_t i = 0; i < path.len; i++, now ^= 1) {
        memset(sets[now ^ 1], 0, n + 1);
        read_byte(sets[now ^ 1], sets[now], steps, n, p, path.ptr[i]);
        spread(sets[now ^ 1], steps, n);
    }
    return sets[now][n] & 1;
}

/* --- lines --------------------------------------------------------------------------------------------------------*/

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static clo_str next_line(clo_str text, size_t *at)
{
    size_t end = clo_str_find(text, *at, '\n');
    clo_str line = {text.ptr + *at, end - *at};
    *at = end + 1;
    if (line.len && line.ptr[line.len - 1] == '\r') line.len--;
    return line;
}

static bool add_rule(clo_patterns *p, size_t *cap, clo_str pattern, bool folder, bool says, clo_err *err)
{
    if (p->n >= RULES_MAX) return clo_fail(err, CLO_ERR_LIMIT, "more than %d rules", RULES_MAX);
    if (p->n == *cap) {
        size_t more = *cap ? 2 * *cap : 64;
        clo_pattern *rows = realloc(p->rows, more * sizeof *rows);
        if (!rows) return clo_fail(err, CLO_ERR_MEMORY, "rules");
        p->rows = rows;
        *cap = more;
    }
    bool anchored = clo_str_find(pattern, 0, '/') < pattern.len;
    if (pattern.len && pattern.ptr[0] == '/') pattern = clo_str_from_off(pattern, 1);
    char *text = malloc(pattern.len + 1);
    if (!text) return clo_fail(err, CLO_ERR_MEMORY, "rules");
    memcpy(text, pattern.ptr, pattern.len);
    p->rows[p->n++] = (clo_pattern){text, pattern.len, anchored, folder, says};
    return true;
}

void clo_patterns_free(clo_patterns *p)
{
    for (size_t i = 0; i < p->n; i++) free(p->rows[i].text);
    free(p->rows);
    *p = (clo_patterns){0};
}

/* The pattern of an attributes line, in C's quotes or up to a blank; the rest. False: none. */
static bool cut_pattern(char out[CLO_PATTERN_MAX], clo_str *pattern, clo_str *rest, clo_str line)
{
    size_t n = 0, i = 1;
    if (line.ptr[0] != '"') {
        while (n < line.len && !is_blank(line.ptr[n])) n++;
        *pattern = (clo_str){line.ptr, n};
        *rest = clo_str_from_off(line, n);
        return n <= CLO_PATTERN_MAX;
    }
    for (; i < line.len && line.ptr[i] != '"' && n < CLO_PATTERN_MAX; i++) {
        if (line.ptr[i] == '\\' && i + 1 < line.len && (line.ptr[i + 1] == '"' || line.ptr[i + 1] == '\\')) i++;
        out[n++] = line.ptr[i];
    }
    *pattern = (clo_str){out, n};
    *rest = clo_str_from_off(line, i + 1);
    return i < line.len && line.ptr[i] == '"';
}

/* What a line says of `filter`: the last word of it that does. False: nothing. */
static bool filter_of(bool *lfs, clo_str rest)
{
    bool said = false;
    for (size_t i = 0; i < rest.len;) {
        size_t end = i;
        while (end < rest.len && !is_blank(rest.ptr[end])) end++;
        clo_str word = {rest.ptr + i, end - i};
        clo_str name = word.len && (word.ptr[0] == '-' || word.ptr[0] == '!') ? clo_str_from_off(word, 1) : word;
        if (clo_str_eq(name, CLO_STR("filter")) || clo_str_starts_with(word, CLO_STR("filter="))) {
            *lfs = clo_str_eq(word, CLO_STR("filter=lfs"));
            said = true;
        }
        i = end + 1;
    }
    return said;
}

bool clo_attributes_parse(clo_patterns *out, clo_str text, clo_err *err)
{
    clo_patterns p = {0};
    size_t cap = 0;
    char quoted[CLO_PATTERN_MAX];
    clo_str pattern, rest;
    bool ok = text.len <= CLO_ATTRIBUTES_BYTES_MAX ||
              clo_fail(err, CLO_ERR_LIMIT, ".gitattributes: %zu bytes, limit %zu", text.len, CLO_ATTRIBUTES_BYTES_MAX);
    for (size_t at = 0; ok && at < text.len;) {
        clo_str line = next_line(text, &at);
        bool lfs = false;
        while (line.len && is_blank(line.ptr[0])) line = clo_str_from_off(line, 1);
        if (line.len == 0 || line.ptr[0] == '#' || line.ptr[0] == '!' || clo_str_starts_with(line, CLO_STR("[attr]")))
            continue;
        if (!cut_pattern(quoted, &pattern, &rest, line) || !filter_of(&lfs, rest)) continue;
        if (pattern.len == 0 || pattern.ptr[pattern.len - 1] == '/') continue; /* a folder has no attributes */
        ok = add_rule(&p, &cap, pattern, false, lfs, err);
    }
    if (ok) *out = p;
    else clo_patterns_free(&p);
    return ok;
}

bool clo_ignore_parse(clo_patterns *out, clo_str text, clo_err *err)
{
    clo_patterns p = {0};
    size_t cap = 0;
    bool ok = text.len <= CLO_ATTRIBUTES_BYTES_MAX ||
              clo_fail(err, CLO_ERR_LIMIT, ".gitignore: %zu bytes, limit %zu", text.len, CLO_ATTRIBUTES_BYTES_MAX);
    for (size_t at = 0; ok && at < text.len;) {
        clo_str line = next_line(text, &at);
        bool ignored = true, folder = false;
        if (line.len == 0 || line.ptr[0] == '#') continue;
        if (line.ptr[0] == '!') ignored = false, line = clo_str_from_off(line, 1);
        while (line.len && line.ptr[line.len - 1] == ' ' && !(line.len > 1 && line.ptr[line.len - 2] == '\\'))
            line.len--;
        if (line.len && line.ptr[line.len - 1] == '/') folder = true, line.len--;
        if (line.len == 0 || line.len > CLO_PATTERN_MAX) continue;
        ok = add_rule(&p, &cap, line, folder, ignored, err);
    }
    if (ok) *out = p;
    else clo_patterns_free(&p);
    return ok;
}

static bool matches(const clo_pattern *r, clo_str path)
{
    clo_str pattern = {r->text, r->len};
    size_t name = 0;
    for (size_t i = 0; i < path.len; i++)
        if (path.ptr[i] == '/') name = i + 1;
    return clo_wildmatch(pattern, r->anchored ? path : clo_str_from_off(path, name));
}

bool clo_attributes_lfs(const clo_patterns *p, clo_str path)
{
    for (size_t i = p->n; i-- > 0;)
        if (matches(&p->rows[i], path)) return p->rows[i].says;
    return false;
}

static bool ignored_here(const clo_patterns *p, clo_str path, bool is_folder)
{
    for (size_t i = p->n; i-- > 0;)
        if ((is_folder || !p->rows[i].folder) && matches(&p->rows[i], path)) return p->rows[i].says;
    return false;
}

bool clo_ignore_matches(const clo_patterns *p, clo_str path)
{
    for (size_t end = clo_str_find(path, 0, '/'); end < path.len; end = clo_str_find(path, end + 1, '/'))
        if (ignored_here(p, (clo_str){path.ptr, end}, true)) return true;
    return ignored_here(p, path, false);
}

/* --- uploads ------------------------------------------------------------------------------------------------------*/

bool clo_upload_is_lfs(const clo_patterns *attributes, clo_str path, uint64_t size, clo_bytes sample)
{
    clo_str text = clo_str_of(sample);
    if (clo_attributes_lfs(attributes, path) || size > CLO_UPLOAD_REGULAR_MAX) return true;
    if (clo_str_find(text, 0, '\0') < text.len) return true;
    if (size > sample.len) text.len -= clo_utf8_incomplete_tail(text);
    return !clo_utf8_valid(text);
}

void clo_attributes_add_path(clo_buf *out, clo_str path)
{
    clo_buf_add_char(out, '/'); /* this path and no other of its name */
    for (size_t i = 0; i < path.len; i++) {
        char c = path.ptr[i];
        if (c == ' ') {
            clo_buf_add(out, CLO_STR("[[:space:]]"));
            continue;
        }
        if (c == '*' || c == '?' || c == '[') clo_buf_add_char(out, '\\');
        clo_buf_add_char(out, c);
    }
    clo_buf_add(out, CLO_STR(" filter=lfs diff=lfs merge=lfs -text\n"));
}
