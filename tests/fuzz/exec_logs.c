/* Feeds bent logs to a real tbmesh-exec on a real driver: logs of real programs (record_logs.py), mutated with their structure in
 * mind: records dropped, doubled, swapped, cut; ids, sizes, offsets, counts, enums bent; commands of recordings the same; seeds made of them.
 *
 *   exec_logs [--seconds N] [--cases N] [--jobs N] [--seed S] [--save DIRECTORY] LOG…
 *
 * Each log is played once as it is, then bent ones until time or cases are over. The executor may refuse, and the driver below it may
 * crash; what must not be is a crash of the executor's own code, an executor that neither answers nor ends, or one that takes more memory
 * than it was asked for. Own crashes are told from the driver's by the
 * sanitizer's report (build/asan); without it crashes are only counted. Exit code 1: something was found; the case's seed is printed. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/util.h"
#include "gpu/instance.h"
#include "migrate/stream/channel.h"
#include "migrate/stream/progress.h"
#include "migrate/stream/ring.h"
#include "proto/ipc.h"
#include "proto/record.h"
#include "proto/vk/wire_gen.h"

#define MAX_RECORDS 4096
#define SILENT_MS 2500        /* without any frame: it hangs (it beats each 250 ms) */
#define CASE_MS 3000          /* a bent dispatch may take for ever: given up, that is no finding */
#define MEMORY_KIB (3l << 20) /* of one executor; a bent ALLOCATE may ask for 2 GiB */
#define LARGE_ALLOCATE (64ull << 20)

struct record {
	const unsigned char *bytes;
	uint32_t size;
};

struct log_file {
	const char *path;
	unsigned char *bytes;
	size_t size;
	struct record records[MAX_RECORDS];
	size_t count;
};

/* What became of a case. */
enum end { END_DONE, END_REFUSED, END_GONE, END_CRASHED, END_BUSY, END_HUNG, END_OWN_CRASH, END_TOO_LARGE, END_COUNT };
static const char *const end_names[END_COUNT] = { "done", "refused", "gone without a word", "crashed in the driver",
	"still busy", "HUNG", "CRASHED IN ITS OWN CODE", "TOOK TOO MUCH MEMORY" };

static char gpu[GPU_ID_MAX];
static char directory[] = "/tmp/tbmesh-fuzz-XXXXXX";
static const char *save_directory;

/* --- numbers --- */

static uint64_t state;

static uint64_t next_random(void)
{
	uint64_t z = state += 0x9E3779B97F4A7C15ull;

	z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
	z = (z ^ z >> 27) * 0x94D049BB133111EBull;
	return z ^ z >> 31;
}

static uint64_t below(uint64_t limit)
{
	return limit ? next_random() % limit : 0;
}

/* --- logs --- */

static bool cut_records(struct log_file *f)
{
	f->count = 0;
	for (size_t at = 0; at < f->size && f->count < MAX_RECORDS;) {
		struct record_header h;

		if (f->size - at < sizeof(h))
			return false;
		memcpy(&h, f->bytes + at, sizeof(h));
		if (h.size < sizeof(h) || h.size > f->size - at)
			return false;
		f->records[f->count++] = (struct record){ f->bytes + at, h.size };
		at += h.size;
	}
	return true;
}

static bool log_read(struct log_file *f, const char *path)
{
	char *text;

	f->path = path;
	if (file_read(path, 16u << 20, &text, &f->size))
		return false;
	f->bytes = (unsigned char *)text;
	/* A finding need not be made of whole records: it is only played. */
	if (!cut_records(f))
		f->count = 0;
	return true;
}

/* --- bending --- */

static uint32_t odd_value(uint32_t old)
{
	static const uint32_t odd[] = { 0, 1, 2, 3, 4, 7, 8, 16, 255, 256, 4096, 65535, 65536, 0x7FFFFFFF, 0x80000000,
		0xFFFFFFFE, 0xFFFFFFFF };

	switch (below(5)) {
	case 0:
		return odd[below(ARRAY_SIZE(odd))];
	case 1:
		return old + (uint32_t)below(9) - 4;
	case 2:
		return old ^ 1u << below(32);
	case 3:
		return (uint32_t)below(40); /* an id, an enum */
	default:
		return old << below(3) >> below(3);
	}
}

static void bend_word(unsigned char *bytes, size_t size)
{
	uint32_t word;
	size_t at = below(size / 4) * 4;

	if (size < 4)
		return;
	memcpy(&word, bytes + at, 4);
	word = odd_value(word);
	memcpy(bytes + at, &word, 4);
}

/* Commands of a recording: one is dropped, doubled, renamed or swapped with a later one. */
static void bend_commands(unsigned char *bytes, size_t size, struct buf *out)
{
	size_t starts[512], count = 0, first, second;

	for (size_t at = 0; size - at >= 8 && count < ARRAY_SIZE(starts) - 1;) {
		uint32_t length;

		memcpy(&length, bytes + at + 4, 4);
		if (length < 8 || length > size - at)
			break;
		starts[count++] = at;
		at += length;
		starts[count] = at;
	}
	first = below(count);
	second = below(count);
	if (count == 0) {
		buf_append(out, bytes, size);
		return;
	}
	switch (below(4)) {
	case 0:
		buf_append(out, bytes, starts[first]);
		break;
	case 1:
		buf_append(out, bytes, starts[first + 1]);
		buf_append(out, bytes + starts[second], starts[second + 1] - starts[second]);
		buf_append(out, bytes + starts[first + 1], size - starts[first + 1]);
		return;
	case 2: {
		uint16_t command = (uint16_t)(1 + below(WIRE_COMMAND_END));

		memcpy(bytes + starts[first], &command, sizeof(command));
		buf_append(out, bytes, size);
		return;
	}
	default:
		bend_word(bytes + starts[first], starts[first + 1] - starts[first]);
		buf_append(out, bytes, size);
		return;
	}
	buf_append(out, bytes + starts[first + 1], size - starts[first + 1]);
}

static void clamp_allocate(unsigned char *record, size_t size)
{
	struct record_allocate *a = (struct record_allocate *)(void *)(record + sizeof(struct record_header));

	if (size >= sizeof(struct record_header) + sizeof(*a) && a->size_bytes > LARGE_ALLOCATE &&
		a->size_bytes < 1ull << 40)
		a->size_bytes = LARGE_ALLOCATE; /* the machine is shared */
}

/* One record, bent in its header, its dependencies or its payload. */
static void append_bent(struct buf *out, const struct record *r)
{
	unsigned char *copy = malloc(r->size + 64);
	struct record_header *h = (struct record_header *)(void *)copy;
	struct buf payload = { 0 };
	size_t head, whole, padded;
	const uint32_t own = sizeof(*h);

	memcpy(copy, r->bytes, r->size);
	head = own + h->dep_count * sizeof(uint64_t);
	if (head > r->size)
		head = r->size;
	switch (below(8)) {
	case 0:
		bend_word(copy, own);
		break;
	case 1:
		bend_word(copy + own, head - own);
		break;
	case 2:
	case 3:
		if (h->kind == RECORD_UPDATE || h->kind == RECORD_CREATE) {
			bend_commands(copy + head, r->size - head, &payload);
			break;
		}
		/* fall through */
	case 4:
	case 5:
		bend_word(copy + head, r->size - head);
		break;
	case 6: /* cut short; the header tells the truth */
		whole = head + below(r->size - head + 1) / 8 * 8;
		buf_append(&payload, copy + head, whole - head);
		break;
	default:
		for (int i = 0; i < 4; i++)
			bend_word(copy + head, r->size - head);
	}
	if (payload.data) {
		whole = head + payload.size;
		padded = (whole + 7) & ~(size_t)7;
		h->size = (uint32_t)padded;
		buf_append(out, copy, head);
		buf_append(out, payload.data, payload.size);
		buf_align(out, RECORD_ALIGN);
	} else {
		if (h->kind == RECORD_ALLOCATE)
			clamp_allocate(copy, r->size);
		buf_append(out, copy, r->size);
	}
	buf_finish(&payload);
	free(copy);
}

/* SUBMITs are numbered again, and nothing is observed too early: else most cases would end at the first change. */
static void repair(struct buf *log)
{
	uint64_t seq = 0;

	for (size_t at = 0; log->size - at >= sizeof(struct record_header);) {
		struct record_header *h = (struct record_header *)(void *)(log->data + at);

		if (h->size < sizeof(*h) || h->size % 8 || h->size > log->size - at)
			return;
		if (h->observed > seq)
			h->observed = seq;
		if (h->kind == RECORD_SUBMIT)
			h->subject = ++seq;
		at += h->size;
	}
}

static void make_case(const struct log_file *files, size_t file_count, struct buf *out)
{
	const struct log_file *f = &files[below(file_count)];
	size_t bends = 1 + below(4), at[4], kinds[4];

	for (size_t i = 0; i < bends; i++) {
		at[i] = below(f->count);
		kinds[i] = below(8);
	}
	for (size_t r = 0; r < f->count; r++) {
		size_t i = 0;

		while (i < bends && at[i] != r)
			i++;
		if (i == bends) {
			buf_append(out, f->records[r].bytes, f->records[r].size);
			continue;
		}
		switch (kinds[i]) {
		case 0: /* dropped */
			break;
		case 1: /* doubled */
			buf_append(out, f->records[r].bytes, f->records[r].size);
			buf_append(out, f->records[r].bytes, f->records[r].size);
			break;
		case 2: { /* another one comes first */
			const struct log_file *other = &files[below(file_count)];
			const struct record *strange = &other->records[below(other->count)];

			buf_append(out, strange->bytes, strange->size);
			buf_append(out, f->records[r].bytes, f->records[r].size);
			break;
		}
		default:
			append_bent(out, &f->records[r]);
		}
	}
	if (below(4))
		repair(out);
}

/* --- one executor --- */

struct player {
	pid_t pid;
	struct channel *channel;
	struct ring log;
	int report; /* its standard error, in a file */
};

static int start_executor(struct player *p, const char *socket)
{
	int ready[2], fd;
	char fd_text[16], line[64] = "";
	struct ring feed, result;
	struct progress progress = { .fd = -1 };
	struct ipc_message attach = { .version = IPC_VERSION, .kind = IPC_ATTACH, .epoch = 1 };
	int fds[4];

	if (pipe(ready) < 0)
		return -errno;
	snprintf(fd_text, sizeof(fd_text), "%d", ready[1]);
	p->pid = fork();
	if (p->pid == 0) {
		dup2(p->report, STDERR_FILENO);
		execl(TBMESH_EXEC, TBMESH_EXEC, "--gpu", gpu, "--socket", socket, "--ready-fd", fd_text, NULL);
		_exit(127);
	}
	close(ready[1]);
	fd = read(ready[0], line, sizeof(line) - 1) > 0 && !strcmp(line, "ready\n") ? unix_connect(socket) : -EIO;
	close(ready[0]);
	if (fd < 0)
		return fd;
	if (ring_create(&feed, "feed", RING_FEED_BYTES) || ring_create_result(&result, "result", RING_RESULT_BYTES) ||
		progress_create(&progress))
		return -ENOMEM;
	fds[0] = ring_reopen_read_only(&p->log);
	fds[1] = ring_reopen_read_only(&feed);
	fds[2] = result.fd;
	fds[3] = progress.fd;
	if (unix_send(fd, &attach, sizeof(attach), fds, 4) < 0)
		return -EIO;
	close(fds[0]);
	close(fds[1]);
	progress_finish(&progress);
	p->channel = channel_create_local(&feed, &result, fd);
	return p->channel ? 0 : -ENOMEM;
}

static int send_frame(struct player *p, uint32_t kind, uint64_t a, uint64_t b, const void *payload, size_t size)
{
	struct frame_header header = { .size = (uint32_t)size, .kind = kind, .a = a, .b = b };
	struct iovec iov = { (void *)(uintptr_t)payload, size };

	return channel_send(p->channel, &header, &iov, size ? 1 : 0);
}

/* The part of the log that becomes a seed: whole records that a seed may have, up to the first SUBMIT or WRITE. */
static size_t seed_size(const struct buf *log)
{
	size_t at = 0;

	while (log->size - at >= sizeof(struct record_header)) {
		const struct record_header *h = (const struct record_header *)(const void *)(log->data + at);

		if (h->size < sizeof(*h) || h->size % 8 || h->size > log->size - at || h->kind == RECORD_WRITE ||
			h->kind == RECORD_SUBMIT)
			break;
		at += h->size;
	}
	return at;
}

/* Objects as a seed, with memory that may or may not be there. */
static void send_seed(struct player *p, const struct buf *log, size_t size)
{
	static const unsigned char bytes[4096];

	for (size_t at = 0; at < size;) {
		const struct record_header *h = (const struct record_header *)(const void *)(log->data + at);

		if (send_frame(p, FRAME_RECORDS, 0, 0, log->data + at, h->size))
			return;
		if (h->kind == RECORD_ALLOCATE && below(2))
			(void)send_frame(p, FRAME_MEMORY, h->subject, below(4096) / 4 * 4, bytes, (size_t)below(64) * 64);
		if (below(200) == 0)
			(void)send_frame(p, FRAME_RECORD_PART, below(1 << 16), below(64), bytes, (size_t)below(256));
		if (below(400) == 0)
			(void)send_frame(p, (uint32_t)below(32), below(8), below(8), bytes, (size_t)below(256));
		at += h->size;
	}
}

struct watch {
	struct player *p;
	_Atomic uint64_t heard_ns;
	uint64_t last_seq;
	enum end end;
	char text[300];
	_Atomic bool over;
};

/* Receives until the last submission is done, or all is over. */
static void *receive(void *ctx)
{
	struct watch *w = ctx;
	struct frame_header header;
	const void *payload;

	w->end = END_GONE;
	while (channel_recv(w->p->channel, &header, &payload) == 0) {
		w->heard_ns = time_monotonic_ns();
		if (header.kind == FRAME_LOST) {
			w->end = END_REFUSED;
			snprintf(w->text, sizeof(w->text), "%.*s", (int)header.size, (const char *)payload);
			break;
		}
		if ((header.kind == FRAME_DONE && header.a >= w->last_seq) ||
			(header.kind == FRAME_STARTED && w->last_seq == 0)) {
			w->end = END_DONE;
			break;
		}
	}
	w->over = true;
	return NULL;
}

static uint64_t last_seq(const struct buf *log)
{
	uint64_t seq = 0;

	for (size_t at = 0; log->size - at >= sizeof(struct record_header);) {
		const struct record_header *h = (const struct record_header *)(const void *)(log->data + at);

		if (h->size < sizeof(*h) || h->size % 8 || h->size > log->size - at)
			break;
		if (h->kind == RECORD_SUBMIT)
			seq = h->subject;
		at += h->size;
	}
	return seq;
}

/* Did the executor's own code crash? The sanitizer's report says where, from the innermost frame on. */
static bool is_own_crash(int report, char *line, size_t size)
{
	char text[65536];
	ssize_t got = pread(report, text, sizeof(text) - 1, 0);
	char *at, *frame;

	text[got > 0 ? got : 0] = '\0';
	at = strstr(text, "ERROR: AddressSanitizer");
	if (!at)
		at = strstr(text, "runtime error:");
	if (!at)
		return false;
	frame = strstr(at, "#0 ");
	/* Copies and the like are the sanitizer's: who called them counts. */
	for (int i = 1; frame && (strstr(frame, "#") == frame) && i < 4; i++) {
		char *end = strchr(frame, '\n'), next[8];

		if (end && !memmem(frame, (size_t)(end - frame), "__asan", 6) &&
			!memmem(frame, (size_t)(end - frame), "__interceptor", 13) &&
			!memmem(frame, (size_t)(end - frame), "libc.so", 7))
			break;
		snprintf(next, sizeof(next), "#%d ", i);
		frame = strstr(frame, next);
	}
	snprintf(line, size, "%.*s", frame ? (int)strcspn(frame, "\n") : 80, frame ? frame : at);
	return strstr(text, "runtime error:") != NULL ||
		(frame && strstr(line, "libvulkan_") == NULL && strstr(line, "libLLVM") == NULL &&
			strstr(line, "<unknown module>") == NULL && strstr(line, "migrate/") != NULL);
}

static enum end play(const struct buf *log, bool seeded, char *text, size_t text_size)
{
	struct frame_hello hello = { .version = FRAME_PROTOCOL_VERSION, .local = 1, .epoch = 1 };
	struct watch w = { .last_seq = last_seq(log) };
	struct player p = { .pid = -1 };
	char socket[96], report[96];
	size_t seed = seeded ? seed_size(log) : 0;
	uint64_t start_ns, silent_ns = 0;
	struct rusage usage;
	pthread_t thread;
	int status = 0;
	bool gave_up = false;

	snprintf(socket, sizeof(socket), "%s/socket", directory);
	snprintf(report, sizeof(report), "%s/report", directory);
	p.report = open(report, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (p.report < 0 || ring_create(&p.log, "log", RING_LOG_BYTES) || start_executor(&p, socket)) {
		fprintf(stderr, "an executor cannot be started\n");
		exit(2);
	}
	w.p = &p;
	w.heard_ns = start_ns = time_monotonic_ns();
	(void)send_frame(&p, FRAME_HELLO, 0, 0, &hello, sizeof(hello));
	pthread_create(&thread, NULL, receive, &w);
	send_seed(&p, log, seed);
	(void)send_frame(&p, FRAME_START, 0, 0, NULL, 0);
	memcpy(ring_at(&p.log, 0), log->data + seed, log->size - seed);
	ring_publish(&p.log, log->size - seed);
	for (;;) {
		/* In this order: the receiver goes on meanwhile. */
		uint64_t heard_ns = w.heard_ns, now_ns = time_monotonic_ns();

		if (w.over)
			break;
		silent_ns = now_ns - heard_ns;
		if (silent_ns > SILENT_MS * 1000000ull || now_ns - start_ns > CASE_MS * 1000000ull) {
			gave_up = true;
			break;
		}
		usleep(1000);
	}
	channel_shutdown(p.channel);
	pthread_join(thread, NULL);
	/* An executor leaves when its session does. The driver's end may take a moment, its own none. */
	for (int i = 0; i < 6000 && wait4(p.pid, &status, WNOHANG, &usage) == 0; i++) {
		usleep(1000);
		if (i == 5999) {
			kill(p.pid, SIGKILL);
			wait4(p.pid, &status, 0, &usage);
			w.end = END_HUNG;
			snprintf(w.text, sizeof(w.text), "it does not end with its session");
		}
	}
	if (gave_up && w.end != END_HUNG)
		w.end = silent_ns > SILENT_MS * 1000000ull ? END_HUNG : END_BUSY;
	if (is_own_crash(p.report, w.text, sizeof(w.text)))
		w.end = END_OWN_CRASH;
	else if ((WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL) || (WIFEXITED(status) && WEXITSTATUS(status) == 99))
		w.end = END_CRASHED;
	else if (w.end != END_HUNG && usage.ru_maxrss > MEMORY_KIB)
		w.end = END_TOO_LARGE;
	channel_destroy(p.channel);
	ring_finish(&p.log);
	close(p.report);
	unlink(socket);
	snprintf(text, text_size, "%s", w.text);
	return w.end;
}

/* --- all --- */

static void save(const struct buf *log, uint64_t seed)
{
	char path[512];

	if (!save_directory)
		return;
	snprintf(path, sizeof(path), "%s/%llu.log", save_directory, (unsigned long long)seed);
	if (file_write_atomic(path, log->data, log->size, 0644) == 0)
		printf("saved as %s\n", path);
}

static bool is_finding(enum end end)
{
	return end == END_HUNG || end == END_OWN_CRASH || end == END_TOO_LARGE;
}

static bool find_gpu(void)
{
	struct gpu_instance instance;

	if (gpu_instance_init(&instance, "tbmesh-test"))
		return false;
	if (instance.gpu_count)
		memcpy(gpu, instance.gpus[0].id, sizeof(gpu));
	gpu_instance_finish(&instance);
	return *gpu;
}

struct options {
	unsigned long long seconds, cases, seed, jobs;
};

/* Each job plays every one of its cases; the first also plays the logs as they are. */
static bool run(const struct options *o, unsigned long long job, struct log_file *files, size_t file_count)
{
	unsigned counts[END_COUNT] = { 0 };
	unsigned long long done = 0, seed = o->seed + job * 1000000000ull;
	size_t whole = 0;
	bool found = false;
	char text[400];
	uint64_t end_ns;

	if (!mkdtemp(directory)) {
		perror(directory);
		return true;
	}
	for (size_t i = 0; i < file_count; i++) {
		struct buf log = { .data = files[i].bytes, .size = files[i].size };
		bool is_finding_file = strstr(files[i].path, "/found-") != NULL;
		enum end end = job == 0 ? play(&log, false, text, sizeof(text)) : END_DONE;

		counts[end] += job == 0;
		if (is_finding(end) || (end != END_DONE && !is_finding_file)) {
			printf("%s, as it is: %s %s\n", files[i].path, end_names[end], text);
			found = true;
		}
		/* What was found once need not be made of whole records: it is only played. */
		if (files[i].count && !is_finding_file)
			files[whole++] = files[i];
	}
	end_ns = time_monotonic_ns() + o->seconds * 1000000000ull;
	for (; done < o->cases && time_monotonic_ns() < end_ns && whole; done++) {
		struct buf log = { 0 };
		enum end end;

		state = seed + done;
		make_case(files, whole, &log);
		end = play(&log, next_random() % 3 == 0, text, sizeof(text));
		counts[end]++;
		if (is_finding(end) || (end == END_CRASHED && getenv("TBMESH_FUZZ_VERBOSE"))) {
			printf("--seed %llu --cases 1: %s %s\n", seed + done, end_names[end], text);
			save(&log, seed + done);
			found = found || is_finding(end);
		}
		buf_finish(&log);
		fflush(stdout);
	}
	printf("seed %llu, %llu cases and %zu logs:", seed, done, job == 0 ? file_count : 0);
	for (int i = 0; i < END_COUNT; i++)
		if (counts[i])
			printf(" %u %s;", counts[i], end_names[i]);
	printf("\n");
	fflush(stdout);
	snprintf(text, sizeof(text), "%s/report", directory);
	unlink(text);
	rmdir(directory);
	return found;
}

static bool run_jobs(const struct options *o, struct log_file *files, size_t file_count)
{
	bool found = false;
	int status;

	for (unsigned long long job = 1; job < o->jobs; job++)
		if (fork() == 0)
			_exit(run(o, job, files, file_count));
	found = run(o, 0, files, file_count);
	while (wait(&status) > 0)
		found = found || status != 0;
	return found;
}

int main(int argc, char **argv)
{
	struct options o = { .seconds = 10, .cases = ~0ull, .seed = (unsigned long long)time(NULL), .jobs = 1 };
	static struct log_file files[64];
	size_t file_count = 0;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--seconds") && i + 1 < argc)
			o.seconds = strtoull(argv[++i], NULL, 10);
		else if (!strcmp(argv[i], "--cases") && i + 1 < argc)
			o.cases = strtoull(argv[++i], NULL, 10);
		else if (!strcmp(argv[i], "--seed") && i + 1 < argc)
			o.seed = strtoull(argv[++i], NULL, 10);
		else if (!strcmp(argv[i], "--jobs") && i + 1 < argc)
			o.jobs = strtoull(argv[++i], NULL, 10);
		else if (!strcmp(argv[i], "--save") && i + 1 < argc)
			save_directory = argv[++i];
		else if (file_count < ARRAY_SIZE(files) && log_read(&files[file_count], argv[i]))
			file_count++;
		else
			return fprintf(stderr, "%s: cannot be read\n", argv[i]), 2;
	}
	if (!file_count)
		return fprintf(stderr, "which logs?\n"), 2;
	setenv("ASAN_OPTIONS", "exitcode=99:detect_leaks=0:allocator_may_return_null=1", 0);
	setenv("UBSAN_OPTIONS", "print_stacktrace=1", 0);
	setenv("NODEVICE_SELECT", "1", 0);
	if (!find_gpu())
		return puts("SKIP: no Vulkan driver on this machine"), 77;
	return run_jobs(&o, files, file_count);
}
