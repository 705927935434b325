/* A recorded folder: what a machine has, and what happens to it. The file `script` in it, a line each:
 *
 *   there FILE                   the devices of a tree (world.h), there at the start; FILE is relative to the folder
 *   MS add FILE                  they come, each with its uevent
 *   MS remove PATH               goes, with what is below it; one uevent for PATH alone. PATH begins at "/devices"
 *   MS change PATH               a uevent without a change
 *   MS set PATH NAME VALUE       an attribute changes, with a uevent; without VALUE it cannot be read any more
 *   MS wedged PATH HOW           the driver gave up
 *   MS quietly add|remove|set …  the same without uevents, as if they were lost
 *   MS again add PATH            a late or repeated uevent of something, there or not
 *   MS again remove PATH
 *   MS lost                      the backend learns that uevents were lost, and looks at everything
 *   MS rescan                    it looks at everything, as it does some time after the last uevent
 *   MS look                      it looks at power states and memory
 *
 * MS: milliseconds since the start, not falling. '#' begins a comment. */
#ifndef TBMESH_NODE_DEVICE_SCRIPT_H
#define TBMESH_NODE_DEVICE_SCRIPT_H

#include "node/device/world.h"

struct script;
/* 0 or negative errno with the reason in `error`. */
int script_load(const char *folder, struct script **ret, char *error, size_t error_size);
void script_destroy(struct script *s);
const struct world *script_world(const struct script *s);
/* Fills the model with what is there. */
void script_start(struct script *s, struct device_model *m, uint64_t now_ns);
/* When the next line plays, since the start. False: there is none. */
bool script_next(const struct script *s, uint64_t *ret_ms);
/* Plays it. `look` is the caller's to do: true says so. 0 or negative errno with the reason in `error`. */
int script_step(struct script *s, struct device_model *m, uint64_t now_ns, bool *ret_look, char *error, size_t error_size);

#endif
