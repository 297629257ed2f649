/* Doubly linked lists. The link is a member of the structure that is in the list. The head of a list is a
 * link too; a link that is in no list points to itself. */
#ifndef SB_REDIS_SOCKETS_LIST_H
#define SB_REDIS_SOCKETS_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct sb_link {
  struct sb_link *next, *prev;
};

/* The structure of type `type` whose member `member` is *link. */
#define SB_OF_LINK(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

static inline void sb_link_init(struct sb_link *link) {
  link->next = link->prev = link;
}

static inline bool sb_link_linked(const struct sb_link *link) {
  return link->next != link;
}

/* Puts it behind the last. The link must not be in a list. */
static inline void sb_link_append(struct sb_link *head, struct sb_link *link) {
  link->prev = head->prev;
  link->next = head;
  head->prev->next = link;
  head->prev = link;
}

/* Nothing happens when it is in no list. */
static inline void sb_link_remove(struct sb_link *link) {
  link->prev->next = link->next;
  link->next->prev = link->prev;
  sb_link_init(link);
}

/* Puts all of `from` in front of `to`, in their order; `from` is empty afterwards. */
static inline void sb_link_prepend_all(struct sb_link *to, struct sb_link *from) {
  if (!sb_link_linked(from)) return;
  from->prev->next = to->next;
  to->next->prev = from->prev;
  to->next = from->next;
  from->next->prev = to;
  sb_link_init(from);
}

#endif
