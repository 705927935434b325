/* What is wrong on this host, as its node sees it, and what to do about it: `tbmesh doctor`. The command line adds what it can see
 * without a node (node/cli/doctor_command.c).
 *
 * A check has a stable id ("vulkan.driver"), so that scripts and the manual can name it, and says one line for each thing that it
 * looks at (the subject) or one line in all. It looks at what the node knows already: nothing is waited for, no GPU is woken. To add one:
 * a function in the table of doctor.c, in a file of its own where it belongs to another part. */
#ifndef TBMESH_NODE_DOCTOR_H
#define TBMESH_NODE_DOCTOR_H

struct arena;
struct doctor;
struct node;
struct Tbmesh__DoctorReply;

enum doctor_result { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL };

typedef void doctor_check_fn(struct node *n, struct doctor *d);

/* One line. fix: the exact thing to type or do, "" for DOCTOR_OK. Texts are copied; what (a sentence) is cut at 400 bytes. */
void doctor_say(struct doctor *d, enum doctor_result result, const char *id, const char *subject, const char *fix,
	const char *format, ...) __attribute__((format(printf, 6, 7)));

/* Runs all checks. Memory comes from the arena; NULL when there is none. */
struct Tbmesh__DoctorReply *doctor_view(struct node *n, struct arena *a);

#endif
