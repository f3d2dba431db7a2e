/* See entropy.h. */
#include "base/entropy.h"

#include <errno.h>
#include <stdint.h>
#include <sys/random.h>

bool clo_entropy_bytes(void *out, size_t n, clo_err *err)
{
    for (size_t done = 0; done < n;) {
        ssize_t k = getrandom((uint8_t *)out + done, n - done, 0);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return clo_fail_sys(err, k < 0 ? errno : EIO, "random bytes");
        done += (size_t)k;
    }
    return true;
}

/* A byte at or past the last multiple of the set's size is drawn again, so that none is likelier. */
static bool draw(char *out, size_t n, const char *set, size_t n_set, clo_err *err)
{
    for (size_t i = 0; i < n;) {
        uint8_t b[64];
        if (!clo_entropy_bytes(b, sizeof b, err)) return false;
        for (size_t j = 0; j < sizeof b && i < n; j++)
            if (b[j] < 256 - 256 % n_set) out[i++] = set[b[j] % n_set];
    }
    out[n] = 0;
    return true;
}

bool clo_entropy_text(char *out, size_t n, clo_err *err)
{
    static const char set[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    return draw(out, n, set, sizeof set - 1, err);
}

bool clo_entropy_hex(char *out, size_t n, clo_err *err)
{
    static const char set[] = "0123456789abcdef";
    return draw(out, n, set, sizeof set - 1, err);
}
