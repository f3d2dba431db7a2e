/* A folder of a test's own, and its end. */
#ifndef CLO_TESTS_TEMP_FOLDER_H
#define CLO_TESTS_TEMP_FOLDER_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline void temp_folder_make(char out[64])
{
    snprintf(out, 64, "/tmp/cloche-test-XXXXXX");
    if (!mkdtemp(out)) abort();
}

/* Removes the folder and the files in it (no folders within). */
static inline void temp_folder_remove(const char *folder)
{
    char path[512];
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (e->d_name[0] != '.') unlink(path);
    }
    if (d) closedir(d);
    rmdir(folder);
}

#endif
