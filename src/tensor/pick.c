/* Which kernels run here: processor flags and CLOCHE_CPU to one table, chosen once at start.
 *
 * Rows stand from plain to fast; the last one that the processor can run is the default. A name in CLOCHE_CPU stands
 * for the fastest row that carries it. All rows give the same bits, so the choice shows in the speed alone. */
#include <stdlib.h>
#include <string.h>

#include "base/slice.h"
#include "tensor/kernel.h"

#if defined(__aarch64__) && !defined(CLO_SCALAR_ONLY)
#include <sys/auxv.h>
#endif

typedef struct {
    const char *cpu[2]; /* values of CLOCHE_CPU that ask for this row; the second may be NULL */
    const clo_kernels *table;
    bool (*runs)(void);
} row;

static bool always(void)
{
    return true;
}

#if defined(__x86_64__) && !defined(CLO_SCALAR_ONLY)

extern const clo_kernels clo_kernels_avx2, clo_kernels_avx512, clo_kernels_avx512vnni;

/* gcc's and clang's builtin asks the operating system too (XGETBV). F16C is not among clang's names before 19: every
 * processor with AVX2 and FMA has it, and cpuid says so. */
static bool has_f16c(void)
{
    unsigned a = 1, b, c = 0, d;
    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return (c >> 29 & 1u) != 0;
}

static bool runs_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
}

static bool runs_avx512(void)
{
    return runs_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

static bool runs_avx512vnni(void)
{
    return runs_avx512() && __builtin_cpu_supports("avx512vnni");
}

static const row rows[] = {
    {{"scalar", NULL}, &clo_kernels_scalar, always},
    {{"avx2", NULL}, &clo_kernels_avx2, runs_avx2},
    {{"avx512", "avx512-novnni"}, &clo_kernels_avx512, runs_avx512},
    {{"avx512", NULL}, &clo_kernels_avx512vnni, runs_avx512vnni},
};

#elif defined(__aarch64__) && !defined(CLO_SCALAR_ONLY)

extern const clo_kernels clo_kernels_neon, clo_kernels_neondot;

static bool runs_neon(void)
{
    return (getauxval(AT_HWCAP) & (1ul << 1)) != 0; /* HWCAP_ASIMD */
}

static bool runs_neondot(void)
{
    return runs_neon() && (getauxval(AT_HWCAP) & (1ul << 20)) != 0; /* HWCAP_ASIMDDP */
}

static const row rows[] = {
    {{"scalar", NULL}, &clo_kernels_scalar, always},
    {{"neon", "neon-nodot"}, &clo_kernels_neon, runs_neon},
    {{"neon", NULL}, &clo_kernels_neondot, runs_neondot},
};

#else

static const row rows[] = {
    {{"scalar", NULL}, &clo_kernels_scalar, always},
};

#endif

enum { N_ROWS = sizeof rows / sizeof rows[0] };

const clo_kernels *clo_kernels_at(size_t i)
{
    for (size_t r = 0; r < N_ROWS; r++)
        if (rows[r].runs() && i-- == 0) return rows[r].table;
    return NULL;
}

static bool asked_by(const row *r, const char *cpu)
{
    return strcmp(r->cpu[0], cpu) == 0 || (r->cpu[1] && strcmp(r->cpu[1], cpu) == 0);
}

bool clo_kernels_pick(const clo_kernels **out, clo_err *err)
{
    static const char *const names[] = {"scalar", "avx2", "avx512", "avx512-novnni", "neon", "neon-nodot"};
    const char *cpu = getenv("CLOCHE_CPU");
    if (cpu && !*cpu) cpu = NULL;
    bool known = !cpu;
    for (size_t i = 0; !known && i < sizeof names / sizeof names[0]; i++) known = strcmp(cpu, names[i]) == 0;
    if (!known)
        return clo_fail(err, CLO_ERR_USAGE,
                        "CLOCHE_CPU is '" CLO_STR_FMT
                        "', expected scalar, avx2, avx512, avx512-novnni, neon or neon-nodot",
                        CLO_STR_ARG(clo_str_from(cpu)));
    for (size_t r = N_ROWS; r-- > 0;) {
        if (!rows[r].runs() || (cpu && !asked_by(&rows[r], cpu))) continue;
        *out = rows[r].table;
        return true;
    }
    return clo_fail(
        err, CLO_ERR_UNSUPPORTED,
        "CLOCHE_CPU asks for %s, which this processor or build does not have: unset it for the fastest one here", cpu);
}
