/* doctor: what is wrong on this host and what to type. What the node knows comes from there (node/doctor.h); here is what can be
 * seen without one. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/cli/cli.h"
#include "node/cli/document.h"
#include "proto/messages.h"
#include "proto/validate.h"

#define LOCAL_MAX 16
#define TEXT_MAX 1024

/* The checks of this file, in front of the node's. */
struct local_checks {
	Tbmesh__DoctorCheck checks[LOCAL_MAX];
	char texts[LOCAL_MAX][2][TEXT_MAX]; /* what, fix */
	size_t count;
};

static void say(struct local_checks *l, const char *result, const char *id, const char *fix, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

static void say(struct local_checks *l, const char *result, const char *id, const char *fix, const char *format, ...)
{
	if (l->count == LOCAL_MAX)
		return;
	Tbmesh__DoctorCheck *c = &l->checks[l->count];
	char(*texts)[TEXT_MAX] = l->texts[l->count++];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(texts[0], TEXT_MAX, format, arguments);
	va_end(arguments);
	snprintf(texts[1], TEXT_MAX, "%s", fix);
	tbmesh__doctor_check__init(c);
	c->id = (char *)id;
	c->result = (char *)result;
	c->what = texts[0];
	c->fix = texts[1];
}

static void check_key(const struct cli *c, struct local_checks *l)
{
	struct stat s;
	char fix[TEXT_MAX];
	if (stat(c->paths.mesh_key, &s) < 0 && errno == ENOENT) {
		say(l, "fail", "mesh.key", "tbmesh init   # on the first host; on the others: tbmesh join KEY",
			"this host is in no mesh yet (no %s)", c->paths.mesh_key);
	} else if (stat(c->paths.mesh_key, &s) < 0) {
		say(l, "ok", "mesh.key", "", "the mesh key cannot be seen by this user, as it should be");
	} else if (s.st_mode & 077) {
		snprintf(fix, sizeof fix, "chmod 600 %.900s", c->paths.mesh_key);
		say(l, "fail", "mesh.key", fix, "other users of this host can read the mesh key (%s)", c->paths.mesh_key);
	} else {
		say(l, "ok", "mesh.key", "", "the mesh key is there, and its owner's alone");
	}
}

/* What `tbmesh run` and the node start. */
static void check_installed(const struct cli *c, struct local_checks *l)
{
	static const char *const programs[] = { "tbmesh-exec", "tbmesh-session" };
	char path[NODE_PATH_MAX + 32];
	for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
		snprintf(path, sizeof path, "%s/%s", c->paths.bin, programs[i]);
		if (access(path, X_OK) < 0) {
			say(l, "fail", "install.programs", "install tbmesh anew: cmake --install build/release", "%s: %s",
				path, strerror(errno));
			return;
		}
	}
	if (access(c->paths.manifest, R_OK) < 0)
		say(l, "fail", "install.programs", "install tbmesh anew: cmake --install build/release",
			"the driver that programs get is not there: %s: %s", c->paths.manifest, strerror(errno));
	else
		say(l, "ok", "install.programs", "", "executor, session and driver are installed");
}

/* The node's own checks, or why there are none. */
static Tbmesh__Reply *ask_node(struct cli *c, struct local_checks *l)
{
	Tbmesh__Request request = TBMESH__REQUEST__INIT;
	Tbmesh__DoctorRequest body = TBMESH__DOCTOR_REQUEST__INIT;
	Tbmesh__Reply *reply;
	bool installed = strcmp(c->paths.run, "/run/tbmesh") == 0;
	char fix[TEXT_MAX];
	request.body_case = TBMESH__REQUEST__BODY_DOCTOR;
	request.doctor = &body;
	int r = client_ask_quietly(c, &request, CLIENT_TIMEOUT_MS, &reply);
	if (r == 0 && reply->code == 0 && reply->body_case == TBMESH__REPLY__BODY_DOCTOR) {
		say(l, "ok", "node.running", "", "the node of this host runs");
		return reply;
	}
	if (r == 0) {
		say(l, "fail", "node.running", "restart tbmeshd: it is of another version than this command",
			"the node does not understand the question");
		message_free_reply(reply);
		return NULL;
	}
	if (r == -EACCES || r == -EPERM) {
		snprintf(fix, sizeof fix, "sudo tbmesh doctor   # or join the group of %.800s", c->paths.control);
		say(l, "fail", "node.running", fix, "this user may not ask the node");
	} else if (r == -ETIMEDOUT) {
		snprintf(fix, sizeof fix,
			installed ? "systemctl restart tbmeshd" : "kill -9 $(cat %.900s); start tbmeshd again",
			c->paths.lock);
		say(l, "fail", "node.running", fix, "the node does not answer");
	} else {
		snprintf(fix, sizeof fix, installed ? "systemctl start tbmeshd" : "tbmeshd --root %.*s",
			(int)(strlen(c->paths.run) - strlen("/run")), c->paths.run);
		say(l, "fail", "node.running", fix, "no node runs on this host (%s: %s)", c->paths.control, strerror(-r));
	}
	return NULL;
}

static int run_doctor(struct cli *c, int argc, char **argv)
{
	int r = cli_no_arguments(c, &command_doctor, argc, argv);
	if (r >= 0)
		return r;
	r = EXIT_OK;
	struct local_checks *l = calloc(1, sizeof *l);
	if (!l)
		return cli_fail(c, EXIT_ERROR, "out of memory");
	check_installed(c, l);
	check_key(c, l);
	Tbmesh__Reply *reply = ask_node(c, l);
	size_t more = reply ? reply->doctor->n_checks : 0;
	Tbmesh__DoctorCheck **list = calloc(l->count + more, sizeof *list);
	Tbmesh__DoctorReply all = TBMESH__DOCTOR_REPLY__INIT;
	bool warned = false, failed = false;
	for (size_t i = 0; list && i < l->count + more; i++) {
		list[i] = i < l->count ? &l->checks[i] : reply->doctor->checks[i - l->count];
		warned |= strcmp(list[i]->result, "warn") == 0;
		failed |= strcmp(list[i]->result, "fail") == 0;
	}
	all.checks = list;
	all.n_checks = list ? l->count + more : 0;
	if (!list)
		r = cli_fail(c, EXIT_ERROR, "out of memory");
	else if (c->json)
		r = cli_print_json(document_doctor(&all));
	else
		show_doctor(&all, stdout, c->color);
	if (r == EXIT_OK && (failed || warned))
		r = failed ? EXIT_ERROR : EXIT_DEGRADED;
	free(list);
	free(l);
	if (reply)
		message_free_reply(reply);
	return r;
}

const struct command command_doctor = {
	.name = "doctor",
	.summary = "what is wrong on this host, and what to do",
	.run = run_doctor,
	.usage = "Usage: tbmesh doctor\n"
		 "Looks for what is wrong on this host: one line a check, with a stable id, and below each problem the fix "
		 "to type.\n"
		 "Exit code 0 when all is well, 6 with warnings, 1 when something does not work.\n",
};
