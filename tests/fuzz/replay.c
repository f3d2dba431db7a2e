/* Replays a corpus through one fuzz target without libFuzzer: every file of the folders named, once. A crash kills the
 * program, so the name is printed before the call. Also used to look at one crashing input under a debugger. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Runs the target on one file through an exact heap copy, so that a sanitizer sees every byte read past the end. */
static int replay_file(const char *path, off_t n_bytes)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        return 1;
    }
    size_t n = (size_t)n_bytes;
    uint8_t *data = malloc(n ? n : 1);
    int bad = !data || fread(data, 1, n, f) != n;
    if (bad) {
        fprintf(stderr, "%s: cannot be read\n", path);
    } else {
        printf("# %s\n", path);
        fflush(stdout);
        LLVMFuzzerTestOneInput(data, n);
    }
    free(data);
    fclose(f);
    return bad;
}

static int replay_folder(const char *folder, size_t *n_files)
{
    int bad = 0;
    struct dirent **names = NULL;
    int n = scandir(folder, &names, NULL, alphasort);
    if (n < 0) {
        perror(folder);
        return 1;
    }
    for (int i = 0; i < n; i++) {
        char path[4096];
        struct stat st;
        int len = snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
        if (len > 0 && (size_t)len < sizeof path && stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
            bad += replay_file(path, st.st_size);
            (*n_files)++;
        }
        free(names[i]);
    }
    free(names);
    return bad;
}

int main(int argc, char **argv)
{
    int bad = 0;
    size_t n_files = 0;
    for (int i = 1; i < argc; i++) {
        struct stat st;
        if (stat(argv[i], &st) != 0) {
            perror(argv[i]);
            bad++;
        } else if (S_ISDIR(st.st_mode)) {
            bad += replay_folder(argv[i], &n_files);
        } else {
            bad += replay_file(argv[i], st.st_size);
            n_files++;
        }
    }
    /* One line in the Test Anything Protocol, as the unit tests print. */
    printf("1..1\n%s 1 - %zu inputs replayed\n", bad ? "not ok" : "ok", n_files);
    return bad != 0;
}
