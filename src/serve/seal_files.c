/* See seal_impl.h. Source: Linux, Documentation/userspace-api/landlock.rst. The constants are written out, because the
 * headers that a distribution ships are older than the kernels it runs on. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "serve/seal_impl.h"

/* Numbers of the calls, the same on every architecture. */
#define NR_CREATE_RULESET 444
#define NR_ADD_RULE 445
#define NR_RESTRICT_SELF 446
#define ASK_VERSION 1u
#define RULE_PATH_BENEATH 1

enum {
    FS_EXECUTE = 1 << 0,
    FS_WRITE_FILE = 1 << 1,
    FS_REMOVE_DIR = 1 << 4,
    FS_REMOVE_FILE = 1 << 5,
    FS_MAKE_CHAR = 1 << 6,
    FS_MAKE_DIR = 1 << 7,
    FS_MAKE_REG = 1 << 8,
    FS_MAKE_SOCK = 1 << 9,
    FS_MAKE_FIFO = 1 << 10,
    FS_MAKE_BLOCK = 1 << 11,
    FS_MAKE_SYM = 1 << 12,
    FS_REFER = 1 << 13,     /* ABI 2: a link or a rename between folders */
    FS_TRUNCATE = 1 << 14,  /* ABI 3 */
    FS_IOCTL_DEV = 1 << 15, /* ABI 5 */
    NET_BIND_TCP = 1 << 0,  /* ABI 4 */
    NET_CONNECT_TCP = 1 << 1,
    SCOPE_ABSTRACT_UNIX = 1 << 0, /* ABI 6 */
    SCOPE_SIGNAL = 1 << 1,
};

/* struct landlock_ruleset_attr: 8 bytes up to ABI 3, 16 up to 5, 24 from 6 on. */
typedef struct {
    uint64_t fs, net, scoped;
} ruleset_attr;

/* struct landlock_path_beneath_attr */
typedef struct {
    uint64_t allowed;
    int32_t parent_fd;
} __attribute__((packed)) beneath_attr;

static size_t attr_of(ruleset_attr *a, int abi)
{
    *a = (ruleset_attr){.fs = FS_EXECUTE | FS_WRITE_FILE | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_CHAR | FS_MAKE_DIR |
                              FS_MAKE_REG | FS_MAKE_SOCK | FS_MAKE_FIFO | FS_MAKE_BLOCK | FS_MAKE_SYM};
    if (abi >= 2) a->fs |= FS_REFER;
    if (abi >= 3) a->fs |= FS_TRUNCATE;
    if (abi >= 4) a->net = NET_BIND_TCP | NET_CONNECT_TCP;
    if (abi >= 5) a->fs |= FS_IOCTL_DEV;
    if (abi >= 6) a->scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
    return abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
}

static bool add_folder(int ruleset, uint64_t handled, const char *folder, clo_err *err)
{
    beneath_attr rule = {.allowed = handled & (FS_WRITE_FILE | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_DIR | FS_MAKE_REG |
                                               FS_REFER | FS_TRUNCATE)};
    rule.parent_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (rule.parent_fd < 0) return clo_fail_sys(err, errno, "seal: open folder '%s'", folder);
    bool ok = syscall(NR_ADD_RULE, ruleset, RULE_PATH_BENEATH, &rule, 0) == 0 ||
              clo_fail_sys(err, errno, "seal: allow '%s'", folder);
    close(rule.parent_fd);
    return ok;
}

bool clo_seal_files(int *abi, const char *data_dir, clo_err *err)
{
    ruleset_attr a;
    long version = syscall(NR_CREATE_RULESET, NULL, 0, ASK_VERSION);
    *abi = version > 0 ? (int)version : 0;
    if (version <= 0) return true;
    size_t size = attr_of(&a, *abi);
    int ruleset = (int)syscall(NR_CREATE_RULESET, &a, size, 0);
    if (ruleset < 0) return clo_fail_sys(err, errno, "seal: make the rules of files");
    bool ok = !data_dir || add_folder(ruleset, a.fs, data_dir, err);
    if (ok && syscall(NR_RESTRICT_SELF, ruleset, 0)) ok = clo_fail_sys(err, errno, "seal: apply the rules of files");
    close(ruleset);
    return ok;
}
