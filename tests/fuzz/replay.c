/* Runs a fuzz harness once over each file of the folders given: the corpora are ordinary tests. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *folder, const char *name)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *file = fopen(path, "rb");
	if (file == NULL || fseek(file, 0, SEEK_END) != 0)
		return -1;
	long size = ftell(file);
	uint8_t *data = malloc(size > 0 ? (size_t)size : 1); /* no spare room: ASan sees a read behind the end */
	rewind(file);
	if (data == NULL || fread(data, 1, (size_t)size, file) != (size_t)size)
		return -1;
	fclose(file);
	LLVMFuzzerTestOneInput(data, (size_t)size);
	free(data);
	return 0;
}

int main(int count, char **folders)
{
	unsigned files = 0;
	for (int i = 1; i < count; i++) {
		DIR *folder = opendir(folders[i]);
		for (struct dirent *e; folder != NULL && (e = readdir(folder)) != NULL;) {
			if (e->d_name[0] == '.')
				continue;
			if (replay(folders[i], e->d_name) < 0) {
				perror(e->d_name);
				return 1;
			}
			files++;
		}
		if (folder != NULL)
			closedir(folder);
	}
	printf("%u inputs\n", files);
	return files > 0 ? 0 : 1;
}
