/* Recordings into the log: as one record, or in parts. Contract: proto/README.md §1.2. */
#include "migrate/icd/command.h"
#include "migrate/icd/stream.h"

#include <string.h>

/* Where the part ends that starts at this offset: behind as many commands as a part has room for, one at least. */
static size_t part_end(const struct icd_command_buffer *cb, size_t start)
{
	size_t end = start;
	while (end < cb->commands.size) {
		size_t next = end + wire_command_size(cb->commands.data + end);
		if (end > start && next - start > RECORD_PART_BYTES)
			break;
		end = next;
	}
	return end;
}

bool icd_recording_fits(const struct icd_command_buffer *cb)
{
	if (cb->deps.size / sizeof(uint64_t) > RECORD_MAX_DEPS)
		return false;
	if (cb->commands.size <= RECORD_PART_BYTES)
		return true;
	const size_t room =
		RECORD_MAX_BYTES - sizeof(struct record_header) - sizeof(struct record_part) - cb->deps.size - RECORD_ALIGN;
	for (size_t at = 0, end; at < cb->commands.size; at = end) {
		end = part_end(cb, at);
		if (end - at > room)
			return false;
	}
	return true;
}

static void append(struct icd_device *d, const struct icd_command_buffer *cb, uint64_t key, const struct record_part *part,
	const void *commands, size_t size)
{
	const struct record_header head = {
		.kind = RECORD_UPDATE,
		.dep_count = (uint16_t)(size ? cb->deps.size / sizeof(uint64_t) : 0),
		.subject = cb->object.id,
		.key = key,
	};
	const struct iovec pieces[] = {
		{ (void *)(uintptr_t)part, part ? sizeof(*part) : 0 },
		{ (void *)(uintptr_t)commands, size },
	};
	icd_append(d, &head, (const uint64_t *)(const void *)cb->deps.data, pieces, ARRAY_SIZE(pieces));
}

void icd_recording_send(struct icd_device *d, struct icd_command_buffer *cb)
{
	struct record_part part = { .serial = cb->serial + 1 };
	uint32_t key = 0;
	if (cb->sent)
		return;
	cb->sent = true;
	cb->serial = part.serial;
	if (cb->commands.size <= RECORD_PART_BYTES) {
		append(d, cb, 0, NULL, cb->commands.data, cb->commands.size);
	} else {
		for (size_t at = 0; at < cb->commands.size; at = part_end(cb, at))
			part.count++;
		append(d, cb, 0, NULL, NULL, 0);
		for (size_t at = 0, end; at < cb->commands.size; at = end) {
			end = part_end(cb, at);
			append(d, cb, ++key, &part, cb->commands.data + at, end - at);
		}
	}
	while (key < cb->parts)
		append(d, cb, ++key, NULL, NULL, 0);
	cb->parts = part.count;
}
