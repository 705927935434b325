/* What the commands of `tbmesh` share. */
#ifndef TBMESH_NODE_CLI_CLI_H
#define TBMESH_NODE_CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "node/client.h"
#include "node/paths.h"

struct Tbmesh__Reply;
struct Tbmesh__Request;
struct client;

/* DESIGN §10. */
enum exit_code {
	EXIT_OK = 0,
	EXIT_ERROR = 1,
	EXIT_USAGE = 2,
	EXIT_UNREACHABLE = 3,
	EXIT_NOT_FOUND = 4,
	EXIT_TIMED_OUT = 5,
	EXIT_DEGRADED = 6,
	EXIT_UNAUTHORIZED = 7,
};

struct cli {
	struct node_paths paths;
	bool json;
	bool color;
	struct client *client; /* opened at the first question */
};

struct command {
	const char *name;
	const char *summary; /* one line */
	const char *usage;   /* whole help text */
	/* argv[0] is the command's name. Returns an exit code. */
	int (*run)(struct cli *c, int argc, char **argv);
	bool takes_program; /* global options are not looked for behind its name */
};
extern const struct command command_init, command_join, command_status, command_peers, command_links, command_gpus,
	command_best, command_events, command_run, command_ps, command_wait, command_version, command_topo, command_ping,
	command_bench, command_doctor, command_eject, command_plug, command_gpu, command_thunderbolt;

/* ---- messages ---- */

/* On stderr, or with --json as tbmesh.error/1 on stdout. Returns code. */
int cli_fail(const struct cli *c, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
int cli_usage(const struct cli *c, const struct command *command, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Handles --help and complains of every argument: for commands that take none. -1: go on, else the exit code. */
int cli_no_arguments(const struct cli *c, const struct command *command, int argc, char **argv);
/* A whole number of at most max. */
bool cli_number(const char *text, uint64_t max, uint64_t *ret);

/* ---- client.c ---- */

/* Asks the node. EXIT_OK and a reply that the caller frees with message_free_reply, or an exit code after a message has
 * been shown. A reply with a code other than 0 counts as failure and is shown. */
int client_ask(struct cli *c, struct Tbmesh__Request *request, uint64_t timeout_ms, struct Tbmesh__Reply **ret);
/* The same without messages; *ret is NULL unless a reply came, whatever its code. 0, -ETIMEDOUT, -ECONNREFUSED, -EACCES … */
int client_ask_quietly(struct cli *c, struct Tbmesh__Request *request, uint64_t timeout_ms, struct Tbmesh__Reply **ret);
int client_explain(
	struct cli *c, int error); /* shows a message for what client_ask_quietly returned; returns the exit code */

#define CLIENT_TIMEOUT_MS 10000

/* Asks for a list, of a command that takes no (more) arguments. EXIT_OK and a reply of the expected kind that the caller frees, or an
 * exit code after a message. The kinds are Tbmesh__Request__BodyCase and Tbmesh__Reply__BodyCase. */
int cli_ask_list(struct cli *c, const struct command *command, int argc, char **argv, int which, int expected,
	struct Tbmesh__Reply **ret);

/* ---- output.c ---- */

/* Columns as wide as their widest cell. Cells are copied; a column whose header starts with '>' is aligned to the right. */
struct table;
struct table *table_create(const char *const *headers, size_t columns);
void table_cell(struct table *t, const char *format, ...)
	__attribute__((format(printf, 2, 3))); /* the next one, row by row */
void table_print(const struct table *t, FILE *out, bool color);
void table_destroy(struct table *t);

#define FORMAT_SIZE 32
const char *format_bps(uint64_t bps, char out[FORMAT_SIZE]);     /* "19.3 Gb/s", "-" for 0 */
const char *format_bytes(uint64_t bytes, char out[FORMAT_SIZE]); /* "31.8 GiB", "-" for 0 */
const char *format_us(double us, char out[FORMAT_SIZE]);         /* "63 us", "1.2 ms" */
const char *format_age(uint64_t ms, char out[FORMAT_SIZE]);      /* "3 s", "5 min" */

int cli_print_json(json_t *document); /* takes the reference; one line. EXIT_OK or EXIT_ERROR */

#endif
