/* Who made a commit or a tag, as git writes it: a name and an address; < > and line ends in them are dropped. */
#ifndef CLO_HUB_AUTHOR_H
#define CLO_HUB_AUTHOR_H

typedef struct {
    const char *name;  /* of the account */
    const char *email; /* of the account; "" becomes name@localhost */
} clo_author;

#endif
