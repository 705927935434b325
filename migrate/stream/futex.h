/* Sleeping on a word in shared memory. Not private: the word may be shared with other processes. Any thread. */
#ifndef TBMESH_MIGRATE_STREAM_FUTEX_H
#define TBMESH_MIGRATE_STREAM_FUTEX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Wakes all that sleep on it. A read-only mapping will do. */
void futex_wake(const _Atomic uint32_t *word);
/* Looks at the word for a few µs, where that has paid off lately and there is a second CPU. true: it is not `seen` any more. */
bool futex_spin(const _Atomic uint32_t *word, uint32_t seen);
/* Sleeps until woken, unless the word is not `seen`; never touches the word itself. timeout: ms, -1 none. 0 (perhaps for nothing: look
 * again) or -ETIMEDOUT. */
int futex_sleep(const _Atomic uint32_t *word, uint32_t seen, int timeout_ms);

#endif
