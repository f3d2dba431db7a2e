/* cloche audit: checks the audit log of the server. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "serve/audit.h"

#define NEXT "compare with a copy of the log that nobody here could change"

static int print_report(const clo_audit_report *r, bool json)
{
    char hex[65];
    clo_sha256_hex(hex, &r->head);
    if (json)
        return clo_cli_print_json(json_pack("{s:b, s:I, s:I, s:I, s:I, s:s, s:{s:I, s:I}}", "holds", 1, "first", (json_int_t)r->first,
                                            "last", (json_int_t)r->last, "files", (json_int_t)r->n_files, "torn",
                                            (json_int_t)r->n_torn, "head", hex, "receipts", "named",
                                            (json_int_t)r->n_receipts, "here", (json_int_t)r->n_receipts_here));
    if (r->last == 0) {
        printf("no lines yet\n");
        return CLO_EXIT_OK;
    }
    printf("the chain holds: lines %llu to %llu in %llu files\n", (unsigned long long)r->first,
           (unsigned long long)r->last, (unsigned long long)r->n_files);
    if (r->first > 1) printf("lines before %llu are not here: they were moved away\n", (unsigned long long)r->first);
    if (r->n_torn) printf("%llu lines were left torn by a crash, before anyone was told of them\n", (unsigned long long)r->n_torn);
    if (r->n_receipts)
        printf("%llu of the %llu receipts that lines name are here, as they were named\n",
               (unsigned long long)r->n_receipts_here, (unsigned long long)r->n_receipts);
    printf("head %s\n", hex);
    return CLO_EXIT_OK;
}

int clo_cmd_audit(int argc, char **argv)
{
    const char *data = NULL, *expect = NULL;
    bool json = false;
    const clo_opt opts[] = {
        {"expect", NULL, CLO_OPT_STR, &expect, "HEAD", "a head noted earlier: it must be the digest of one of the lines"},
        {"data", NULL, CLO_OPT_STR, &data, "DIR", "data folder (default: $CLOCHE_DATA)"},
        {"json", NULL, CLO_OPT_FLAG, &json, NULL, "print one JSON object"},
    };
    const clo_cli_spec spec = {
        "audit",
        "Checks the audit log of the server: that every line follows the one before it, and that its end is the one that\n"
        "the database knows; and the receipts that lines name, where they are still in the data folder. Exit code 3 when it\n"
        "does not hold. Note the head somewhere else: --expect finds it again.",
        "  cloche audit\n  cloche audit --json\n", opts, CLO_COUNT(opts), 0, 0};
    clo_cli_args args;
    clo_err err = {0};
    clo_sha256 digest;
    clo_audit_report report;
    char dir[4096];
    int rc = 0;
    if (!clo_cli_parse(&args, &spec, argc, argv, &rc)) return rc;
    if (expect && !clo_sha256_parse(&digest, expect, strlen(expect)))
        return clo_cli_fail_usage("--expect: 64 lower-case hexadecimal digits are expected");
    if (!clo_cli_data_dir(dir, data, &err)) return clo_cli_fail(&err, NULL);
    if (clo_audit_verify(&report, dir, expect ? &digest : NULL, &err)) return print_report(&report, json);
    if (json && err.code == CLO_ERR_MISMATCH) {
        clo_cli_print_json(json_pack("{s:b, s:s}", "holds", 0, "fault", err.text));
        return CLO_EXIT_NOT_SO;
    }
    return clo_cli_fail(&err, err.code == CLO_ERR_MISMATCH ? NEXT : NULL);
}
