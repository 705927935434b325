/* The lab's slow cable: two TAPs, what leaves one enters the other after a delay and at a rate. Usage:
 *   tbmesh-wire NETNS_A NAME_A NETNS_B NAME_B INDEX DELAY_US RATE_AB RATE_BA [BUCKET_A BUCKET_B]
 * Rates in bits a second, 0: none. BUCKET: a file that the wires of one controller share: then they share its rate, too.
 * Prints "ready" when both ends are there; ends when one of them is deleted. As hardware it waits for no CPU: SCHED_FIFO. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define QUEUE 4096u /* packets under way; more are lost */
#define PACKET_BYTES (64u << 10)
#define BACKLOG_NS UINT64_C(20000000) /* longer than this nothing waits for its turn: as tbf's latency */
#define BURST_NS UINT64_C(200000)

struct packet {
	uint64_t due_ns;
	size_t size;
	char *data;
};
struct way {
	int from, to;
	uint64_t delay_ns, rate_bps;
	_Atomic uint64_t *free_ns; /* when what shapes it is free again; perhaps shared with other processes */
	struct packet queue[QUEUE];
	size_t head, count;
};

static struct way ways[2];

static void fail(const char *what)
{
	fprintf(stderr, "wire: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int open_tap(const char *netns, const char *name, int index)
{
	char path[256];
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	snprintf(path, sizeof path, "/run/netns/%s", netns);
	int space = open(path, O_RDONLY | O_CLOEXEC);
	if (space < 0 || setns(space, CLONE_NEWNET) < 0)
		fail(path);
	close(space);
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFINDEX, &index) < 0 || ioctl(fd, TUNSETIFF, &request) < 0)
		fail("/dev/net/tun");
	return fd;
}

/* When a packet's last bit has left; 0: the queue is full. */
static uint64_t take_turn(struct way *w, size_t size, uint64_t now)
{
	uint64_t old = atomic_load(w->free_ns), next;
	if (!w->rate_bps)
		return now;
	do {
		uint64_t start = old > now - BURST_NS ? old : now - BURST_NS;
		if (start > now + BACKLOG_NS)
			return 0;
		next = start + (uint64_t)size * 8000000000u / w->rate_bps;
	} while (!atomic_compare_exchange_weak(w->free_ns, &old, next));
	return next > now ? next : now;
}

/* False: that end is gone. */
static bool receive(struct way *w)
{
	static _Thread_local char data[PACKET_BYTES + 64];
	ssize_t size;
	while ((size = read(w->from, data, sizeof data)) > 0) {
		uint64_t sent = take_turn(w, (size_t)size, now_ns());
		if (!sent || w->count == QUEUE)
			continue;
		struct packet *p = &w->queue[(w->head + w->count) % QUEUE];
		p->data = malloc((size_t)size);
		if (!p->data)
			continue;
		memcpy(p->data, data, (size_t)size);
		p->size = (size_t)size;
		p->due_ns = sent + w->delay_ns;
		w->count++;
	}
	return size < 0 && (errno == EAGAIN || errno == EINTR);
}

static void *carry(void *ctx)
{
	struct way *w = ctx;
	bool alive = true;
	prctl(PR_SET_TIMERSLACK, 1);
	while (alive) {
		struct pollfd wait = { .fd = w->from, .events = POLLIN };
		struct timespec left = { 0 }, *timeout = NULL;
		uint64_t now = now_ns();
		if (w->count) {
			uint64_t due = w->queue[w->head].due_ns, ns = due > now ? due - now : 0;
			left = (struct timespec){ .tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000) };
			timeout = &left;
		}
		int ready = ppoll(&wait, 1, timeout, NULL);
		if (ready > 0)
			alive = !(wait.revents & (POLLERR | POLLHUP | POLLNVAL)) && receive(w);
		for (now = now_ns(); w->count && w->queue[w->head].due_ns <= now; w->count--) {
			struct packet *p = &w->queue[w->head];
			ssize_t written = write(w->to, p->data, p->size);
			alive = alive && (written >= 0 || errno != EBADFD);
			free(p->data);
			w->head = (w->head + 1) % QUEUE;
		}
	}
	exit(0); /* a pulled cable has no end left */
}

static _Atomic uint64_t *bucket(const char *path)
{
	static _Atomic uint64_t own[2];
	static size_t next;
	if (!path)
		return &own[next++];
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, sizeof(uint64_t)) < 0)
		fail(path);
	void *page = mmap(NULL, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		fail(path);
	close(fd);
	return page;
}

int main(int argc, char **argv)
{
	if (argc != 9 && argc != 11) {
		fputs("Usage: tbmesh-wire NETNS_A NAME_A NETNS_B NAME_B INDEX DELAY_US RATE_AB RATE_BA [BUCKET_A "
		      "BUCKET_B]\n",
			stderr);
		return 2;
	}
	int index = atoi(argv[5]);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	ways[0].free_ns = bucket(argc == 11 ? argv[9] : NULL);
	ways[1].free_ns = bucket(argc == 11 ? argv[10] : NULL);
	ways[0].from = ways[1].to = open_tap(argv[1], argv[2], index);
	ways[1].from = ways[0].to = open_tap(argv[3], argv[4], index);
	for (size_t i = 0; i < 2; i++) {
		ways[i].delay_ns = strtoull(argv[6], NULL, 10) * 1000;
		ways[i].rate_bps = strtoull(argv[7 + i], NULL, 10);
	}
	pthread_t other;
	if (pthread_create(&other, NULL, carry, &ways[1]) != 0)
		fail("no thread");
	struct sched_param first = { .sched_priority = 1 };
	pthread_setschedparam(other, SCHED_FIFO, &first); /* where it may not, it runs like all others */
	pthread_setschedparam(pthread_self(), SCHED_FIFO, &first);
	puts("ready");
	fflush(stdout);
	carry(&ways[0]);
	return 0;
}
