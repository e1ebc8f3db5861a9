// SPDX-License-Identifier: GPL-2.0-or-later
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "common/cgroups.h"

#define MAX_DEPTH 64

/* The mount point of the unified hierarchy. */
static const char *cgroup_root(void)
{
	static const char *const places[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
	struct statfs found;
	unsigned int i;

	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (!statfs(places[i], &found) && found.f_type == CGROUP2_SUPER_MAGIC)
			return places[i];
	return NULL;
}

/* Walks below `folder`, which it closes. A cgroup's id is the number of its inode. */
static void walk(int folder, char *path, size_t length, int depth,
		 void (*tell)(uint64_t id, const char *path))
{
	DIR *entries = fdopendir(folder);
	struct dirent *entry;
	size_t extra;
	int child;

	if (!entries) {
		close(folder);
		return;
	}
	while ((entry = readdir(entries))) {
		extra = strlen(entry->d_name) + 1;
		if (entry->d_type != DT_DIR || !strcmp(entry->d_name, ".") ||
		    !strcmp(entry->d_name, "..") || length + extra >= PATH_MAX)
			continue;
		path[length] = '/';
		memcpy(path + length + 1, entry->d_name, extra);
		tell(entry->d_ino, path);
		if (depth >= MAX_DEPTH)
			continue;
		child = openat(dirfd(entries), entry->d_name,
			       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (child >= 0)
			walk(child, path, length + extra, depth + 1, tell);
	}
	path[length] = 0;
	closedir(entries);
}

void walk_cgroups(void (*tell)(uint64_t id, const char *path))
{
	char path[PATH_MAX] = "";
	const char *root = cgroup_root();
	int folder = root ? open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (folder >= 0)
		walk(folder, path, 0, 0, tell);
}
