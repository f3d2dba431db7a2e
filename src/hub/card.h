/* The card of a repository: its README.md, which begins with metadata in YAML between two lines `---` (the front matter), and
 * goes on in Markdown.
 *
 *   clo_card card = {0};
 *   json_t *report = NULL, *tags = NULL;
 *   if (!clo_card_check(&report, readme, "model", &err)) ...      // what /api/validate-yaml answers
 *   if (!clo_card_read(&card, readme, &err)) ...                  // card.data: "cardData" of the clients; NULL without any
 *   clo_tag_source s = {.type = "model", .card = card.data, .body = card.body, .files = paths, .n_files = n, .config = config};
 *   if (!clo_card_tags(&tags, &s, &err)) ...
 *   if (!clo_card_html(&html, card.body, &(clo_card_links){"/lab/m/blob/main/", "/lab/m/resolve/main/"}, &err)) ...
 *   clo_card_free(&card);
 *
 * The bytes are whatever someone pushed: limits are named, and the HTML has no markup but what cmark-gfm makes of Markdown.
 * All functions may be called from any thread. `type` is "model", "dataset" or "space". */
#ifndef CLO_HUB_CARD_H
#define CLO_HUB_CARD_H

#include "base/buf.h"
#include "base/json.h"

#define CLO_CARD_BYTES_MAX ((size_t)1 << 20)       /* of a README that is read */
#define CLO_CARD_HTML_BODY_MAX ((size_t)256 << 10) /* of Markdown that is made into HTML */
#define CLO_CARD_HTML_MAX ((size_t)4 << 20)        /* of the HTML */
#define CLO_CARD_TAGS_MAX 1000                     /* more are left out */
#define CLO_CARD_TAG_BYTES_MAX 256                 /* longer ones are left out */

typedef struct {
    json_t *data; /* owned: an object; NULL: no front matter, or an empty one */
    clo_str yaml; /* view into the text: the front matter; NULL pointer: none */
    clo_str body; /* view into the text: the Markdown */
} clo_card;

/* Cuts a README in two. The front matter is found as the Python client finds it: white space may stand before the first line
 * `---`, and the closing one has nothing else on it. */
void clo_card_split(clo_str *yaml, clo_str *body, clo_str text);

/* CLO_ERR_FORMAT when the front matter is not YAML or no mapping, CLO_ERR_LIMIT past a limit. */
CLO_CHECK bool clo_card_read(clo_card *out, clo_str text, clo_err *err);
void clo_card_free(clo_card *c);

/* {"errors": [{"message"}], "warnings": [{"message"}]}. Errors are what no reader could use: YAML that does not parse, a value
 * of the wrong type; each names its field. A word that the vocabularies here do not have is a warning: they grow, and this
 * program may be older. Without front matter: one warning. False only without memory. */
CLO_CHECK bool clo_card_check(json_t **report, clo_str text, const char *type, clo_err *err);

/* --- what is derived from it --------------------------------------------------------------------------------------*/

typedef struct {
    const char *type;
    const json_t *card;   /* the front matter, or NULL */
    clo_str body;         /* the Markdown: arXiv numbers in it become tags */
    const clo_str *files; /* [n_files] paths in the repository */
    size_t n_files;
    const json_t *config; /* config.json of a model, or NULL */
} clo_tag_source;

/* An array of different texts, in this order: library, formats of files, model_type, task, tags of the card, languages,
 * datasets, papers, base models, license; for a dataset its own categories. What is no text, too long or has control
 * characters is left out. */
CLO_CHECK bool clo_card_tags(json_t **out, const clo_tag_source *s, clo_err *err);
/* What the card says, else what the files say; "" when nothing does. Views into the source or static. */
clo_str clo_card_library(const clo_tag_source *s);
clo_str clo_card_task(const clo_tag_source *s);
/* The classes of transformers that open a model of this architecture; *processor: NULL when that cannot be told. */
void clo_card_classes(const char **model, const char **processor, clo_str architecture);

typedef enum { CLO_VOCAB_LICENSES, CLO_VOCAB_TASKS, CLO_VOCAB_LANGUAGES, CLO_VOCAB_SIZES, CLO_VOCAB_SDKS } clo_vocab;
/* The words of a vocabulary, sorted by nothing in particular; NULL past the last. */
const char *clo_vocab_word(clo_vocab v, size_t i);
bool clo_vocab_has(clo_vocab v, clo_str word);

/* --- HTML ---------------------------------------------------------------------------------------------------------*/

typedef struct {
    const char *pages;  /* goes before relative links; NULL: they stay as they are */
    const char *images; /* goes before relative addresses of images; NULL: likewise */
} clo_card_links;

/* Markdown with tables, strikethrough and bare links (GitHub's dialect) as HTML without <html> or <body>. Raw HTML is left
 * out. Links lead to http, https, mailto or relative addresses, others lead nowhere. Images are relative ones; one that lies
 * elsewhere becomes a link to it, so that reading a page asks no other server. Where a text would make cmark-gfm's work grow
 * with its square, bare links or tables stay as they were written. CLO_ERR_LIMIT past a limit. */
CLO_CHECK bool clo_card_html(clo_buf *out, clo_str body, const clo_card_links *links, clo_err *err);

#endif
