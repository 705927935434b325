/* The session's core against the model, with many seeds. `--seed S` replays one aloud, `--seeds N` runs N from --first F on.
 * `--diverging 1`: executors that each compute otherwise, in relaxed mode. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/model.h"

int main(int argc, char **argv)
{
	uint64_t first = 1, count = 2000, epochs = 0, diverged = 0, leaves = 0;
	struct world_options options = { .steps = 120 };

	for (int i = 1; i + 1 < argc; i += 2) {
		uint64_t value = strtoull(argv[i + 1], NULL, 0);

		if (strcmp(argv[i], "--seed") == 0) {
			first = value;
			count = 1;
			options.verbose = true;
		} else if (strcmp(argv[i], "--seeds") == 0) {
			count = value;
		} else if (strcmp(argv[i], "--first") == 0) {
			first = value;
		} else if (strcmp(argv[i], "--steps") == 0) {
			options.steps = (unsigned)value;
		} else if (strcmp(argv[i], "--diverging") == 0) {
			options.diverging = value;
		} else {
			fprintf(stderr,
				"usage: session_model [--seed S | --seeds N] [--first F] [--steps K] [--diverging 0|1]\n");
			return 2;
		}
	}
	for (uint64_t seed = first; seed < first + count; seed++) {
		struct choices choices = { .state = seed };
		char failure[256];
		uint64_t run_epochs, run_diverged, run_leaves;

		if (world_run(&choices, &options, failure, &run_epochs, &run_diverged, &run_leaves) < 0) {
			printf("seed %llu: %s\nreplay: session_model --seed %llu --steps %u --diverging %d\n",
				(unsigned long long)seed, failure, (unsigned long long)seed, options.steps,
				options.diverging);
			return 1;
		}
		epochs += run_epochs;
		diverged += run_diverged;
		leaves += run_leaves;
	}
	if (options.diverging) {
		printf("%llu seeds from %llu, %llu executors: %llu said to diverge; in the end the program sees what the "
		       "device has\n",
			(unsigned long long)count, (unsigned long long)first, (unsigned long long)epochs,
			(unsigned long long)diverged);
		return diverged == 0;
	}
	printf("%llu seeds from %llu, %llu executors, %llu moves with notice: what the program sees equals the truth\n",
		(unsigned long long)count, (unsigned long long)first, (unsigned long long)epochs,
		(unsigned long long)leaves);
	if (count > 100 && leaves == 0)
		return 1;
	return 0;
}
