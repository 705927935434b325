#include "node/device/device.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Length of the UTF-8 sequence at s if it is well-formed and printable, else 0. C1 controls count as not printable. */
static size_t utf8_length(const unsigned char *s)
{
	if (s[0] >= 0x20 && s[0] < 0x7f)
		return 1;
	size_t length = s[0] >= 0xc2 && s[0] <= 0xdf ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4 : 0;
	for (size_t i = 1; i < length; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if (length == 2 && s[0] == 0xc2 && s[1] < 0xa0)
		return 0;
	if (length == 3 && ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0)))
		return 0;
	if (length == 4 && ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] >= 0x90)))
		return 0;
	return length;
}

bool device_parse_text(const char *text, char *ret_text, size_t size)
{
	if (!text)
		return false;
	while (isspace((unsigned char)*text))
		text++;
	size_t length = strnlen(text, size);
	if (length == size)
		return false;
	while (length > 0 && isspace((unsigned char)text[length - 1]))
		length--;
	if (length == 0)
		return false;
	for (size_t i = 0; i < length;) {
		size_t step = utf8_length((const unsigned char *)text + i);
		if (step == 0)
			return false;
		i += step;
	}
	memcpy(ret_text, text, length);
	ret_text[length] = '\0';
	return true;
}

bool device_parse_hex16(const char *text, uint32_t *ret_value)
{
	char word[16];
	if (!device_parse_text(text, word, sizeof word) || strncmp(word, "0x", 2) != 0 || !isxdigit((unsigned char)word[2]))
		return false;
	char *end;
	unsigned long value = strtoul(word, &end, 16);
	if (*end != '\0' || value > 0xffff)
		return false;
	*ret_value = (uint32_t)value;
	return true;
}

bool device_parse_lanes(const char *text, uint32_t *ret_lanes)
{
	char word[8];
	if (!device_parse_text(text, word, sizeof word) || word[1] != '\0' || word[0] < '1' || word[0] > '4')
		return false;
	*ret_lanes = (uint32_t)(word[0] - '0');
	return true;
}

bool device_parse_speed(const char *text, uint32_t *ret_mbps)
{
	char word[32];
	if (!device_parse_text(text, word, sizeof word) || !isdigit((unsigned char)word[0]))
		return false;
	char *p = word;
	uint32_t whole = 0, tenths = 0;
	for (; isdigit((unsigned char)*p) && p < word + 4; p++)
		whole = whole * 10 + (uint32_t)(*p - '0');
	if (*p == '.') {
		p++;
		if (!isdigit((unsigned char)*p))
			return false;
		tenths = (uint32_t)(*p++ - '0');
	}
	if (strcmp(p, " Gb/s") != 0)
		return false;
	uint32_t mbps = whole * 1000 + tenths * 100;
	if (mbps < 1000 || mbps > 400000)
		return false;
	*ret_mbps = mbps;
	return true;
}

bool device_pci_address(const char *name)
{
	static const char pattern[] = "xxxx:xx:xx.o";
	if (strlen(name) != sizeof pattern - 1)
		return false;
	for (size_t i = 0; i < sizeof pattern - 1; i++) {
		unsigned char c = (unsigned char)name[i];
		if (pattern[i] == 'x'               ? !isxdigit(c)
				: pattern[i] == 'o' ? c < '0' || c > '7'
						    : c != (unsigned char)pattern[i])
			return false;
	}
	return true;
}
