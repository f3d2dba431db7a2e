/* Looks at HTML made from Markdown as a browser would: nothing in it may be able to run, or to lead where it must not. */
#ifndef CLO_TESTS_TAME_HTML_H
#define CLO_TESTS_TAME_HTML_H

#include <stdio.h>
#include <string.h>

#include "base/slice.h"

static inline bool tame_word_in(clo_str s, const char *const *words)
{
    for (; *words; words++)
        if (clo_str_eq(s, clo_str_from(*words))) return true;
    return false;
}

/* An address after the entities that cmark writes: http, https, mailto, or without a scheme. */
static inline bool tame_address(clo_str v, bool image)
{
    char url[8192];
    size_t n = 0;
    static const struct {
        clo_str name;
        char c;
    } entities[] = {{CLO_STR("&amp;"), '&'}, {CLO_STR("&quot;"), '"'}, {CLO_STR("&#x27;"), '\''}, {CLO_STR("&lt;"), '<'}, {CLO_STR("&gt;"), '>'}};
    for (size_t i = 0; i < v.len && n + 1 < sizeof url;) {
        char c = v.ptr[i];
        size_t step = 1;
        for (size_t e = 0; c == '&' && step == 1 && e < 5; e++)
            if (clo_str_starts_with(clo_str_from_off(v, i), entities[e].name)) {
                c = entities[e].c;
                step = entities[e].name.len;
            }
        if ((unsigned char)c <= ' ' || c == '\\') return false;
        url[n++] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
        i += step;
    }
    url[n] = 0;
    if (strncmp(url, "//", 2) == 0) return false;
    char *colon = strchr(url, ':'), *end = strpbrk(url, "/?#");
    if (!colon || (end && end < colon)) return true;
    if (image) return false;
    return strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0 || strncmp(url, "mailto:", 7) == 0;
}

/* NULL when all is well, else what is not; *at is where. */
static inline const char *html_fault(clo_str h, size_t *at)
{
    static const char *const tags[] = {"p", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "ul", "ol", "li", "pre", "code", "em",
                                       "strong", "a", "img", "br", "hr", "table", "thead", "tbody", "tr", "th", "td", "del", NULL};
    static const char *const attributes[] = {"href", "title", "src", "alt", "start", "class", "align", NULL};
    for (*at = 0; (*at = clo_str_find(h, *at, '<')) < h.len;) {
        size_t i = *at + 1, begin;
        if (i < h.len && h.ptr[i] == '/') i++;
        for (begin = i; i < h.len && ((h.ptr[i] >= 'a' && h.ptr[i] <= 'z') || (h.ptr[i] >= '1' && h.ptr[i] <= '6'));) i++;
        clo_str tag = {h.ptr + begin, i - begin};
        if (!tame_word_in(tag, tags)) return "a tag that Markdown does not make";
        while (i < h.len && h.ptr[i] != '>') {
            if (h.ptr[i] == ' ' || h.ptr[i] == '/') {
                i++;
                continue;
            }
            for (begin = i; i < h.len && h.ptr[i] >= 'a' && h.ptr[i] <= 'z';) i++;
            clo_str name = {h.ptr + begin, i - begin};
            if (!tame_word_in(name, attributes)) return "an attribute that Markdown does not make";
            if (h.len - i < 3 || h.ptr[i] != '=' || h.ptr[i + 1] != '"') return "a value without quotes";
            begin = i + 2;
            i = clo_str_find(h, begin, '"');
            clo_str value = {h.ptr + begin, i - begin};
            if (i == h.len || memchr(value.ptr, '<', value.len)) return "a value that does not end";
            bool address = clo_str_eq(name, CLO_STR("href")) || clo_str_eq(name, CLO_STR("src"));
            if (address && !tame_address(value, name.ptr[0] == 's')) return "an address that leads elsewhere";
            i++;
        }
        if (i == h.len) return "a tag that does not end";
        *at = i;
    }
    return NULL;
}

#endif
