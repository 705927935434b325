/* init, join, version: what needs no node. */
#include "node/cli/cli.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "mesh/identity.h"
#include "node/cli/document.h"

static int save(struct cli *c, const struct mesh_key *key)
{
	char error[512] = "";
	int r = directory_make(c->paths.etc, 0755);
	if (r < 0)
		return cli_fail(
			c, r == -EACCES ? EXIT_UNAUTHORIZED : EXIT_ERROR, "cannot make %s: %s", c->paths.etc, strerror(-r));
	r = mesh_key_save(c->paths.mesh_key, key, error, sizeof error);
	return r < 0 ? cli_fail(c, r == -EACCES ? EXIT_UNAUTHORIZED : EXIT_ERROR, "%s", error) : EXIT_OK;
}

/* 1: there is a key, 0: none, or negative errno. */
static int load(struct cli *c, struct mesh_key *ret)
{
	char error[512] = "";
	int r = mesh_key_load(c->paths.mesh_key, ret, error, sizeof error);
	if (r < 0 && r != -ENOENT)
		(void)cli_fail(c, EXIT_ERROR, "%s", error);
	return r == 0 ? 1 : r == -ENOENT ? 0 : r;
}

static int run_init(struct cli *c, int argc, char **argv)
{
	struct mesh_key key;
	char text[MESH_KEY_TEXT_SIZE];
	int r = cli_no_arguments(c, &command_init, argc, argv);
	if (r >= 0)
		return r;
	r = load(c, &key);
	if (r < 0)
		return EXIT_ERROR;
	if (r > 0)
		return cli_fail(c, EXIT_ERROR, "this host is in a mesh already (%s); remove that file to start another mesh",
			c->paths.mesh_key);
	r = mesh_key_create(&key);
	if (r < 0)
		return cli_fail(c, EXIT_ERROR, "cannot make a key: %s", strerror(-r));
	r = save(c, &key);
	if (r != EXIT_OK)
		return r;
	mesh_key_format(&key, text);
	explicit_bzero(&key, sizeof key);
	if (c->json) {
		json_t *o = document_create("tbmesh.init/1");
		json_object_set_new(o, "key", json_string(text));
		json_object_set_new(o, "file", json_string(c->paths.mesh_key));
		return cli_print_json(o);
	}
	printf("A new mesh. Its key is in %s; on each other host run\n\n  tbmesh join %s\n\nand start tbmeshd. Who has the "
	       "key is in the mesh.\n",
		c->paths.mesh_key, text);
	return EXIT_OK;
}

static int run_join(struct cli *c, int argc, char **argv)
{
	struct mesh_key key, old;
	char line[256], error[512] = "";
	bool replace = argc > 1 && strcmp(argv[1], "--replace") == 0;
	if (argc != 2 + replace)
		return cli_usage(c, &command_join, "expected one KEY");
	const char *text = argv[1 + replace];
	if (strcmp(text, "-") == 0) {
		if (!fgets(line, sizeof line, stdin))
			return cli_fail(c, EXIT_ERROR, "no key on stdin");
		line[strcspn(line, "\r\n")] = '\0';
		text = line;
	}
	int r = mesh_key_parse(text, &key, error, sizeof error);
	if (r < 0)
		return cli_fail(c, EXIT_ERROR, "%s", error);
	r = load(c, &old);
	if (r < 0)
		return EXIT_ERROR;
	if (r > 0 && memcmp(&old, &key, sizeof key) != 0 && !replace)
		return cli_fail(c, EXIT_ERROR,
			"this host is in another mesh (%s); `tbmesh join --replace KEY` leaves that one", c->paths.mesh_key);
	r = save(c, &key);
	explicit_bzero(&key, sizeof key);
	if (r != EXIT_OK)
		return r;
	if (c->json) {
		json_t *o = document_create("tbmesh.join/1");
		json_object_set_new(o, "file", json_string(c->paths.mesh_key));
		return cli_print_json(o);
	}
	printf("Joined. Start tbmeshd, or restart it.\n");
	return EXIT_OK;
}

static int run_version(struct cli *c, int argc, char **argv)
{
	int r = cli_no_arguments(c, &command_version, argc, argv);
	if (r >= 0)
		return r;
	if (c->json) {
		json_t *o = document_create("tbmesh.version/1");
		json_object_set_new(o, "version", json_string(TBMESH_VERSION));
		return cli_print_json(o);
	}
	printf("tbmesh %s\n", TBMESH_VERSION);
	return EXIT_OK;
}

const struct command command_init = {
	.name = "init",
	.summary = "make a new mesh and its key",
	.run = run_init,
	.usage = "Usage: tbmesh init\n"
		 "Makes a mesh key on the first host and says how the others join.\n",
};
const struct command command_join = {
	.name = "join",
	.summary = "join a mesh by its key",
	.run = run_join,
	.usage = "Usage: tbmesh join [--replace] KEY\n"
		 "Puts this host into the mesh that KEY belongs to; `-` reads the key from stdin, so that it is in no "
		 "history.\n"
		 "\n"
		 "  --replace  leave the mesh that this host is in\n",
};
const struct command command_version = {
	.name = "version",
	.summary = "show the version",
	.run = run_version,
	.usage = "Usage: tbmesh version\n",
};
