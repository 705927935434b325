/* Doubly linked intrusive list, as in wayland-util: a head is a link that points at itself when empty. */
#ifndef TBMESH_BASE_LIST_H
#define TBMESH_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *prev, *next;
};

static inline void list_init(struct list *l)
{
	l->prev = l->next = l;
}
static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}
static inline void list_insert(struct list *after, struct list *item)
{
	item->prev = after;
	item->next = after->next;
	after->next->prev = item;
	after->next = item;
}
static inline void list_append(struct list *head, struct list *item)
{
	list_insert(head->prev, item);
}
static inline void list_remove(struct list *item)
{
	item->prev->next = item->next;
	item->next->prev = item->prev;
	item->prev = item->next = item;
}
#define list_entry(item, type, member) ((type *)((char *)(item)-offsetof(type, member)))
#define list_for_each(pos, head, type, member)                                                                              \
	for (type *pos = list_entry((head)->next, type, member); &pos->member != (head);                                    \
		pos = list_entry(pos->member.next, type, member))
/* The current entry may be removed. */
#define list_for_each_safe(pos, head, type, member)                                                                         \
	for (type *pos = list_entry((head)->next, type, member), *pos##_next = list_entry(pos->member.next, type, member);  \
		&pos->member != (head); pos = pos##_next, pos##_next = list_entry(pos->member.next, type, member))

#endif
