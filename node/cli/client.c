#include "node/client.h"

#include <errno.h>
#include <string.h>

#include "node/cli/cli.h"
#include "proto/messages.h"
#include "proto/validate.h"

int client_ask_quietly(struct cli *c, Tbmesh__Request *request, uint64_t timeout_ms, Tbmesh__Reply **ret)
{
	*ret = NULL;
	int r = c->client ? 0 : client_open(&c->paths, &c->client);
	return r < 0 ? r : client_request(c->client, request, timeout_ms, ret);
}

int client_explain(struct cli *c, int error)
{
	if (error == -ENOENT || error == -ECONNREFUSED) {
		if (strcmp(c->paths.run, "/run/tbmesh") == 0)
			return cli_fail(c, EXIT_UNREACHABLE,
				"no node runs on this host (%s); start it with `systemctl start tbmeshd`", c->paths.control);
		return cli_fail(c, EXIT_UNREACHABLE, "no node runs here (%s); start it with `tbmeshd --root %.*s`",
			c->paths.control, (int)(strlen(c->paths.run) - strlen("/run")), c->paths.run);
	}
	if (error == -EACCES || error == -EPERM)
		return cli_fail(c, EXIT_UNAUTHORIZED, "you may not use %s; ask for membership in its group, or use sudo",
			c->paths.control);
	if (error == -ETIMEDOUT)
		return cli_fail(c, EXIT_TIMED_OUT, "the node at %s did not answer in time", c->paths.control);
	return cli_fail(c, EXIT_ERROR, "cannot ask the node at %s: %s", c->paths.control, strerror(-error));
}

int client_ask(struct cli *c, Tbmesh__Request *request, uint64_t timeout_ms, Tbmesh__Reply **ret)
{
	int r = client_ask_quietly(c, request, timeout_ms, ret);
	if (r < 0)
		return client_explain(c, r);
	if ((*ret)->code == 0)
		return EXIT_OK;
	int code = (*ret)->code <= EXIT_UNAUTHORIZED ? (int)(*ret)->code : EXIT_ERROR;
	cli_fail(c, code, "%s", (*ret)->message[0] ? (*ret)->message : "the node refused");
	message_free_reply(*ret);
	*ret = NULL;
	return code;
}
