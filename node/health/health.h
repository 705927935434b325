/* How well a GPU is: a score from 0 (of no use) to 100, its reasons in words, its trend, and a level with hysteresis that placement and
 * events go by. Pure: the caller says what it saw and when; nothing is read here. One struct health a GPU.
 *
 * What counts against a GPU, in points: heat and how fast it grows; PCIe errors (AER) of the function and, half, of the bridges above it,
 * by rate; a Thunderbolt link that is slower than it has been; what its driver says in the kernel's log (node/health/kernel_log.h) or by a WEDGED uevent,
 * fading over ten minutes; submissions that wait, and those that take several times as long as they usually did here; sensors that answered
 * before and do not any more. Tunnelled PCIe link speeds lie, so they are not looked at. */
#ifndef TBMESH_NODE_HEALTH_HEALTH_H
#define TBMESH_NODE_HEALTH_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#define HEALTH_REASONS_MAX 8
#define HEALTH_REASON_SIZE 96
#define HEALTH_TROUBLES_MAX 8
#define HEALTH_TEMPERATURES 16 /* samples that the slope is taken of */
#define HEALTH_SCORES 16       /* … and the trend */

/* A level is entered below the first number and left for a better one at the second. */
#define HEALTH_WORN_BELOW 70
#define HEALTH_WORN_UNTIL 80
#define HEALTH_BAD_BELOW 40
#define HEALTH_BAD_UNTIL 55
enum health_level { HEALTH_GOOD, HEALTH_WORN, HEALTH_BAD };

#define HEALTH_UNKNOWN INT32_MIN

/* What is seen at one moment. Zero-initialised, with both temperatures HEALTH_UNKNOWN, says nothing. */
struct health_sample {
	int32_t temperature_mc, critical_mc; /* thousandths of a degree Celsius */
	bool sensor_failed;                  /* it is awake, and its sensor gave an error */
	bool has_errors;                     /* the six counters below are known; totals since the device came */
	uint64_t correctable, nonfatal, fatal;
	uint64_t bridge_correctable, bridge_nonfatal, bridge_fatal; /* of all bridges above it */
	uint64_t link_mbps;  /* negotiated Thunderbolt link, both lanes; 0 none or unknown */
	uint64_t waiting_ms; /* how long its oldest submission has been at it, 0 none */
	/* Submissions that were complete since the last sample, 0: none, or not known; how long the GPU was at the middle one. */
	uint64_t completed, latency_us;
	/* Any number that stays the same while the same programs run: with others, what is usual is learnt anew. */
	uint64_t programs;
};

enum health_trouble {
	HEALTH_LOST,    /* fell off the bus, or needs more than its driver can do */
	HEALTH_HANG,    /* a ring or engine hung */
	HEALTH_RESET,   /* the driver has reset it */
	HEALTH_ERROR,   /* another error that its driver reports */
	HEALTH_TROUBLES /* count */
};

struct health {
	/* temperature */
	struct {
		uint64_t at_ns;
		int32_t mc;
	} temperatures[HEALTH_TEMPERATURES];
	unsigned temperature_count;
	int32_t critical_mc;
	bool hot;
	unsigned sensor_failures;  /* in a row */
	uint64_t sensor_failed_ns; /* since */
	/* errors */
	bool has_errors;
	uint64_t last[6]; /* totals, in the order of struct health_sample */
	double load[6];   /* recent ones; they fade */
	uint64_t faded_ns;
	/* link */
	uint64_t link_mbps, best_mbps, slow_ns; /* slow since, 0 not */
	uint64_t waiting_ms;
	/* submissions: latencies are logarithms (base 2) of microseconds, the usual one follows with a half-life of some minutes */
	uint64_t programs;
	unsigned latency_count; /* samples with submissions of these programs */
	double latency_now, latency_usual;
	uint64_t latency_ns; /* of the last of them */
	bool slow;
	struct {
		enum health_trouble kind;
		uint64_t at_ns; /* 0: none */
		char text[HEALTH_REASON_SIZE];
	} troubles[HEALTH_TROUBLES_MAX];
	/* verdicts so far */
	enum health_level level;
	struct {
		uint64_t at_ns;
		unsigned score;
	} scores[HEALTH_SCORES];
	unsigned score_count;
};

struct health_verdict {
	unsigned score; /* 0 … 100 */
	int trend;      /* points a minute, negative: it gets worse */
	enum health_level level, before;
	char reasons[HEALTH_REASONS_MAX][HEALTH_REASON_SIZE]; /* worst first */
	unsigned reason_count;
};

void health_init(struct health *h); /* all is well, as far as is known */
/* now_ns never goes back; the same clock in all calls. */
void health_see(struct health *h, uint64_t now_ns, const struct health_sample *s);
void health_report(struct health *h, uint64_t now_ns, enum health_trouble kind, const char *text); /* text: copied, cut */
/* level differs from before: tell somebody (once; the next verdict starts from this level). */
void health_judge(struct health *h, uint64_t now_ns, struct health_verdict *ret);

/* Microseconds, 0 not known (yet): how long the GPU is at a submission, lately and usually. */
uint64_t health_latency_us(const struct health *h);
uint64_t health_usual_latency_us(const struct health *h);

const char *health_level_name(enum health_level level); /* good | worn | bad */

#endif
