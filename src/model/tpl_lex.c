/* Tokens of a template: text outside of tags, and inside of them names, literals and operators.
 *
 * White space is decided here, as jinja2.lexer does with trim_blocks and lstrip_blocks: one newline after a block or
 * comment tag goes away; blanks between the start of a line and a block or comment tag go away; a minus sign inside a
 * tag strips everything on its side, a plus sign keeps it. One newline at the end of the template is dropped. */
#include "base/utf8.h"
#include "model/template_impl.h"

typedef struct {
    clo_arena *arena;
    clo_str src; /* newlines normalised */
    size_t pos;
    uint32_t line;
    bool line_start; /* the last thing read ended a line */
    tpl_tok *toks;
    size_t n, cap;
    char closers[TPL_NEST_MAX];
    size_t n_closers;
    clo_err *err;
} lexer;

static bool lex_fail(lexer *x, const char *what)
{
    return clo_fail_at(x->err, x->pos, "line %u: %s", x->line, what);
}

/* \r\n and \r become \n; one newline at the end is dropped. */
static bool normalise(clo_arena *arena, clo_str text, clo_str *out, clo_err *err)
{
    char *p = CLO_NEW(arena, char, text.len + 1);
    if (!p) return clo_arena_full(arena, err);
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '\r') {
            if (i + 1 < text.len && text.ptr[i + 1] == '\n') i++;
            c = '\n';
        }
        p[n++] = c;
    }
    if (n && p[n - 1] == '\n') n--;
    *out = (clo_str){p, n};
    return true;
}

static bool push(lexer *x, tpl_tok t)
{
    if (x->n == x->cap) {
        size_t cap = x->cap ? x->cap * 2 : 256;
        tpl_tok *p = CLO_NEW(x->arena, tpl_tok, cap);
        if (!p) return clo_arena_full(x->arena, x->err);
        if (x->n) memcpy(p, x->toks, x->n * sizeof *p);
        x->toks = p;
        x->cap = cap;
    }
    x->toks[x->n++] = t;
    return true;
}

static char at(const lexer *x, size_t off)
{
    return x->pos + off < x->src.len ? x->src.ptr[x->pos + off] : '\0';
}

static void advance(lexer *x, size_t n)
{
    for (size_t i = 0; i < n; i++) x->line += x->src.ptr[x->pos + i] == '\n';
    x->pos += n;
    x->line_start = x->pos > 0 && x->src.ptr[x->pos - 1] == '\n';
}

static size_t spaces_at(const lexer *x, size_t off)
{
    return off < x->src.len ? tpl_space_head(clo_str_from_off(x->src, off)) : 0;
}

/* Text before a tag, after stripping. `tag` is the second character of the tag, `sign` what follows it. */
static clo_str strip_before(clo_str text, char tag, char sign, bool line_start)
{
    if (sign == '-') return (clo_str){text.ptr, text.len - tpl_space_tail(text)};
    if (sign == '+' || tag == '{') return text;
    size_t from = text.len;
    while (from > 0 && text.ptr[from - 1] != '\n') from--;
    if (from == 0 && !line_start) return text;
    if (tpl_space_head(clo_str_from_off(text, from)) == text.len - from) text.len = from;
    return text;
}

static bool push_data(lexer *x, clo_str text, uint32_t line)
{
    if (text.len == 0) return true;
    return push(x, (tpl_tok){.kind = T_DATA, .text = text, .line = line});
}

/* Length of the end of a tag at off: `-%}` with the white space after it, `+%}`, `%}` with one newline; 0 if none. */
static size_t tag_end(const lexer *x, size_t off, char tag)
{
    const char *p = x->src.ptr;
    size_t n = x->src.len, sign = 0;
    if (off < n && (p[off] == '-' || (p[off] == '+' && tag != '}'))) sign = 1;
    if (n - off < sign + 2 || p[off + sign] != tag || p[off + sign + 1] != '}') return 0;
    size_t end = off + sign + 2;
    if (sign && p[off] == '-') return end - off + spaces_at(x, end);
    if (!sign && tag != '}' && end < n && p[end] == '\n') end++;
    return end - off;
}

/* Length of `{% [sign] word` at off, or 0. */
static size_t tag_word(const lexer *x, size_t off, clo_str word, char *sign)
{
    clo_str rest = clo_str_from_off(x->src, off);
    if (!clo_str_starts_with(rest, CLO_STR("{%"))) return 0;
    size_t i = off + 2;
    *sign = i < x->src.len ? x->src.ptr[i] : '\0';
    if (*sign == '-' || *sign == '+') i++;
    else *sign = '\0';
    i += spaces_at(x, i);
    if (!clo_str_starts_with(clo_str_from_off(x->src, i), word)) return 0;
    i += word.len;
    return i + spaces_at(x, i) - off;
}

static bool lex_comment(lexer *x)
{
    for (size_t off = x->pos; off < x->src.len; off++) {
        size_t n = tag_end(x, off, '#');
        if (n == 0) continue;
        advance(x, off + n - x->pos);
        return true;
    }
    return lex_fail(x, "missing end of comment tag");
}

/* {% raw %} ... {% endraw %}; x->pos is after the opening tag. */
static bool lex_raw(lexer *x)
{
    uint32_t line = x->line;
    for (size_t off = x->pos; off < x->src.len; off++) {
        char sign;
        size_t word = tag_word(x, off, CLO_STR("endraw"), &sign);
        size_t end = word ? tag_end(x, off + word, '%') : 0;
        if (end == 0) continue;
        clo_str text = {x->src.ptr + x->pos, off - x->pos};
        text = strip_before(text, '%', sign, x->line_start);
        advance(x, off + word + end - x->pos);
        return push_data(x, text, line);
    }
    return lex_fail(x, "missing end of raw directive");
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c >= '0' && c <= '9');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int hex_value(char c)
{
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static bool escape_hex(lexer *x, clo_str s, size_t *i, size_t n_digits, uint32_t *cp)
{
    uint32_t v = 0;
    if (s.len - *i < n_digits) return lex_fail(x, "truncated escape in string");
    for (size_t k = 0; k < n_digits; k++) {
        int h = hex_value(s.ptr[*i + k]);
        if (h < 0) return lex_fail(x, "truncated escape in string");
        v = v << 4 | (uint32_t)h;
    }
    *i += n_digits;
    if (v > 0x10FFFF) return lex_fail(x, "escape beyond U+10FFFF in string");
    if (v >= 0xD800 && v <= 0xDFFF)
        return clo_fail(x->err, CLO_ERR_UNSUPPORTED, "line %u: surrogate escape in string", x->line);
    *cp = v;
    return true;
}

/* The character after a backslash at s[*i]; Python's unicode-escape. Gives the code point, or keeps the backslash. */
static bool unescape_one(lexer *x, clo_str s, size_t *i, uint32_t *cp, bool *keep)
{
    static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
    char c = s.ptr[(*i)++];
    const char *hit = c ? memchr(from, c, sizeof from - 1) : NULL;
    *keep = false;
    if (hit) {
        *cp = (uint8_t)to[hit - from];
    } else if (c >= '0' && c <= '7') {
        uint32_t v = (uint32_t)(c - '0');
        for (int k = 0; k < 2 && *i < s.len && s.ptr[*i] >= '0' && s.ptr[*i] <= '7'; k++)
            v = v * 8 + (uint32_t)(s.ptr[(*i)++] - '0');
        *cp = v;
    } else if (c == 'x' || c == 'u' || c == 'U') {
        return escape_hex(x, s, i, c == 'x' ? 2 : c == 'u' ? 4 : 8, cp);
    } else if (c == 'N') {
        return clo_fail(x->err, CLO_ERR_UNSUPPORTED, "line %u: \\N{name} escape in string", x->line);
    } else if ((uint8_t)c >= 0x80) {
        return clo_fail(x->err, CLO_ERR_UNSUPPORTED, "line %u: backslash before a non-ASCII character", x->line);
    } else {
        *keep = true;
        *cp = (uint8_t)c;
    }
    return true;
}

static bool unescape(lexer *x, clo_str s, clo_str *out)
{
    char *p = CLO_NEW(x->arena, char, s.len + 1);
    size_t n = 0;
    if (!p) return clo_arena_full(x->arena, x->err);
    for (size_t i = 0; i < s.len;) {
        if (s.ptr[i] != '\\') {
            p[n++] = s.ptr[i++];
            continue;
        }
        i++;
        if (s.ptr[i] == '\n') { /* a line continued */
            i++;
            continue;
        }
        uint32_t cp;
        bool keep;
        if (!unescape_one(x, s, &i, &cp, &keep)) return false;
        if (keep) p[n++] = '\\';
        n += clo_utf8_encode(p + n, cp); /* never longer than its escape */
    }
    *out = (clo_str){p, n};
    return true;
}

static bool lex_string(lexer *x)
{
    char quote = at(x, 0);
    size_t i = x->pos + 1;
    while (i < x->src.len && x->src.ptr[i] != quote) i += x->src.ptr[i] == '\\' ? 2 : 1;
    if (i >= x->src.len) return lex_fail(x, "a string is not closed");
    tpl_tok t = {.kind = T_STR, .line = x->line};
    if (!unescape(x, (clo_str){x->src.ptr + x->pos + 1, i - x->pos - 1}, &t.text)) return false;
    advance(x, i + 1 - x->pos);
    return push(x, t);
}

/* Length of digits with single underscores between them at off, or 0. */
static size_t digits_at(const lexer *x, size_t off)
{
    size_t i = off;
    const char *p = x->src.ptr;
    while (i < x->src.len && is_digit(p[i])) {
        i++;
        if (i + 1 < x->src.len && p[i] == '_' && is_digit(p[i + 1])) i++;
    }
    return i - off;
}

/* Length of a float literal at pos, or 0. */
static size_t float_len(const lexer *x)
{
    const char *p = x->src.ptr;
    size_t n = x->src.len, i = x->pos, k;
    if (i > 0 && p[i - 1] == '.') return 0;
    i += digits_at(x, i);
    bool is_float = false;
    if (i < n && p[i] == '.' && (k = digits_at(x, i + 1)) > 0) {
        i += 1 + k;
        is_float = true;
    }
    if (i < n && (p[i] == 'e' || p[i] == 'E')) {
        size_t e = i + 1;
        if (e < n && (p[e] == '+' || p[e] == '-')) e++;
        if ((k = digits_at(x, e)) > 0) {
            i = e + k;
            is_float = true;
        }
    }
    return is_float ? i - x->pos : 0;
}

static bool lex_float(lexer *x, size_t n)
{
    char text[400];
    size_t k = 0;
    if (n >= sizeof text) return lex_fail(x, "a number is too long");
    for (size_t i = 0; i < n; i++)
        if (at(x, i) != '_') text[k++] = at(x, i);
    text[k] = '\0';
    tpl_tok t = {.kind = T_FLOAT, .line = x->line, .value = tv_float(strtod(text, NULL))};
    advance(x, n);
    return push(x, t);
}

static bool lex_int(lexer *x)
{
    size_t i = 0;
    uint64_t v = 0, base = 10;
    char p = (char)(at(x, 1) | 32);
    if (at(x, 0) == '0' && (p == 'x' || p == 'o' || p == 'b')) {
        base = p == 'x' ? 16 : p == 'o' ? 8 : 2;
        i = 2;
    }
    bool zero = base == 10 && at(x, 0) == '0';
    size_t begin = i;
    for (;; i++) {
        size_t k = at(x, i) == '_' && (i > begin || base != 10) ? i + 1 : i;
        int h = hex_value(at(x, k));
        if (h < 0 || (uint64_t)h >= base || (zero && h != 0)) break;
        i = k;
        if (v > (INT64_MAX - (uint64_t)h) / base)
            return clo_fail(x->err, CLO_ERR_UNSUPPORTED, "line %u: an integer beyond 64 bits", x->line);
        v = v * base + (uint64_t)h;
    }
    if (i == begin) i = 1; /* "0x" alone: the digit, then a name */
    tpl_tok t = {.kind = T_INT, .line = x->line, .value = tv_int((int64_t)v)};
    advance(x, i);
    return push(x, t);
}

static bool lex_name(lexer *x)
{
    size_t n = 0;
    while (is_name_char(at(x, n))) n++;
    tpl_tok t = {.kind = T_NAME, .line = x->line, .text = {x->src.ptr + x->pos, n}};
    if ((uint8_t)at(x, n) >= 0x80)
        return clo_fail(x->err, CLO_ERR_UNSUPPORTED, "line %u: a non-ASCII character in a tag", x->line);
    advance(x, n);
    return push(x, t);
}

static bool balance(lexer *x, char c)
{
    if (c == '(' || c == '[' || c == '{') {
        if (x->n_closers == TPL_NEST_MAX) return clo_fail(x->err, CLO_ERR_LIMIT, "line %u: brackets too deep", x->line);
        x->closers[x->n_closers++] = c == '(' ? ')' : c == '[' ? ']' : '}';
    } else if (c == ')' || c == ']' || c == '}') {
        if (x->n_closers == 0 || x->closers[--x->n_closers] != c) return lex_fail(x, "unexpected closing bracket");
    }
    return true;
}

static bool lex_op(lexer *x)
{
    static const char *const two[] = {"//", "**", "==", "!=", ">=", "<="};
    char c = at(x, 0);
    tpl_tok t = {.kind = T_OP, .line = x->line, .op = (uint8_t)c};
    size_t n = 1;
    for (size_t i = 0; i < sizeof two / sizeof *two; i++) {
        if (c == two[i][0] && at(x, 1) == two[i][1]) {
            t.op = TPL_OP2(c, two[i][1]);
            n = 2;
        }
    }
    if (n == 1 && (c == '\0' || !memchr("+-/*%~[](){}><=.:|,;", c, 20))) {
        char text[40];
        snprintf(text, sizeof text, "unexpected character 0x%02x", (unsigned)(uint8_t)c);
        return lex_fail(x, text);
    }
    if (n == 1 && !balance(x, c)) return false;
    advance(x, n);
    return push(x, t);
}

/* Tokens up to the end of the tag. */
static bool lex_tag(lexer *x, char tag)
{
    char close = tag == '{' ? '}' : '%';
    x->n_closers = 0;
    while (x->pos < x->src.len) {
        size_t n = x->n_closers ? 0 : tag_end(x, x->pos, close);
        if (n) {
            tpl_tok t = {.kind = tag == '{' ? T_VAR_END : T_BLOCK_END, .line = x->line};
            advance(x, n);
            return push(x, t);
        }
        char c = at(x, 0);
        if ((n = spaces_at(x, x->pos)) > 0) {
            advance(x, n);
            continue;
        }
        bool ok;
        if (is_digit(c)) ok = (n = float_len(x)) > 0 ? lex_float(x, n) : lex_int(x);
        else if (is_name_char(c) || (uint8_t)c >= 0x80) ok = lex_name(x);
        else if (c == '"' || c == '\'') ok = lex_string(x);
        else ok = lex_op(x);
        if (!ok) return false;
    }
    return lex_fail(x, "a tag is not closed");
}

static bool lex_root(lexer *x)
{
    while (x->pos < x->src.len) {
        size_t off = x->pos;
        while ((off = clo_str_find(x->src, off, '{')) < x->src.len) {
            char c = off + 1 < x->src.len ? x->src.ptr[off + 1] : '\0';
            if (c == '{' || c == '%' || c == '#') break;
            off++;
        }
        clo_str text = {x->src.ptr + x->pos, off - x->pos};
        if (off >= x->src.len) {
            uint32_t line = x->line;
            advance(x, text.len);
            return push_data(x, text, line);
        }
        char tag = x->src.ptr[off + 1], sign = off + 2 < x->src.len ? x->src.ptr[off + 2] : '\0';
        if (sign != '-' && sign != '+') sign = '\0';
        if (!push_data(x, strip_before(text, tag, sign, x->line_start), x->line)) return false;
        char raw_sign;
        size_t word = tag_word(x, off, CLO_STR("raw"), &raw_sign);
        size_t end = word && off + word < x->src.len && x->src.ptr[off + word] != '+' ? tag_end(x, off + word, '%') : 0;
        if (end) { /* the opening tag keeps the newline after it */
            if (x->src.ptr[off + word] == '%') end = 2;
            advance(x, off + word + end - x->pos);
            if (!lex_raw(x)) return false;
            continue;
        }
        advance(x, off + 2 + (sign ? 1 : 0) - x->pos);
        if (tag == '#') {
            if (!lex_comment(x)) return false;
            continue;
        }
        tpl_tok begin = {.kind = tag == '{' ? T_VAR_BEGIN : T_BLOCK_BEGIN, .line = x->line};
        if (!push(x, begin) || !lex_tag(x, tag)) return false;
    }
    return true;
}

bool tpl_lex(const tpl_tok **out, clo_arena *arena, clo_str text, clo_err *err)
{
    lexer x = {.arena = arena, .line = 1, .line_start = true, .err = err};
    if (text.len > TPL_TEXT_BYTES_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "template of %zu bytes, at most %u", text.len, TPL_TEXT_BYTES_MAX);
    if (!clo_utf8_valid(text)) return clo_fail(err, CLO_ERR_FORMAT, "template is not UTF-8");
    if (!normalise(arena, text, &x.src, err) || !lex_root(&x)) return false;
    if (!push(&x, (tpl_tok){.kind = T_EOF, .line = x.line})) return false;
    *out = x.toks;
    return true;
}
