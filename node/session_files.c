#include "node/session_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "node/process.h"

#define KEEP_LOG_S 3600

/* The directory is everybody's: only names of our own form are touched, and nothing is followed. */
static bool is_left_over(int directory, const char *name)
{
	char *end;
	long pid = strtol(name, &end, 10);
	struct stat s;
	if (pid <= 0 || end == name || (strcmp(end, ".sock") != 0 && strcmp(end, ".log") != 0) ||
		process_alive((pid_t)pid) || fstatat(directory, name, &s, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	return S_ISSOCK(s.st_mode) || (S_ISREG(s.st_mode) && (s.st_size == 0 || time(NULL) - s.st_mtime > KEEP_LOG_S));
}

void session_files_clean(const char *directory)
{
	DIR *d = opendir(directory);
	if (!d)
		return;
	for (struct dirent *entry; (entry = readdir(d)) != NULL;)
		if (is_left_over(dirfd(d), entry->d_name))
			(void)unlinkat(dirfd(d), entry->d_name, 0);
	closedir(d);
}
