/* cloche: one program, one table of commands. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *about;
} commands[] = {
    {"run", clo_cmd_run, "answer once, or talk"},
    {"replay", clo_cmd_replay, "check an answer's receipt, bit for bit"},
#ifndef CLO_NO_SERVE
    {"serve", clo_cmd_serve, "answer OpenAI and Ollama clients"},
#endif
    {"ps", clo_cmd_ps, "models that a running server has open"},
    {"stop", clo_cmd_stop, "have a running server close a model"},
    {"import", clo_cmd_import, "take a model into the data folder"},
    {"list", clo_cmd_list, "models in the data folder"},
    {"show", clo_cmd_show, "what a model is"},
    {"rm", clo_cmd_rm, "remove a model from the data folder"},
    {"inspect", clo_cmd_inspect, "look into a model file"},
    {"tokenize", clo_cmd_tokenize, "text to tokens and back"},
    {"render", clo_cmd_render, "fill in a chat template"},
    {"embed", clo_cmd_embed, "texts to vectors"},
    {"logits", clo_cmd_logits, "a model's raw numbers for given tokens"},
    {"quantize", clo_cmd_quantize, "make a model smaller"},
    {"perplexity", clo_cmd_perplexity, "how well a model predicts a text"},
    {"key", clo_cmd_key, "API keys of the server"},
    {"user", clo_cmd_user, "people who may use the hub"},
    {"org", clo_cmd_org, "organisations of the hub and their members"},
    {"token", clo_cmd_token, "tokens of the hub's users"},
#ifndef CLO_NO_SERVE
    {"repo", clo_cmd_repo, "repositories of the hub"},
    {"pull", clo_cmd_pull, "bring a repository from another hub"},
    {"push", clo_cmd_push, "send a repository to another hub"},
    {"fsck", clo_cmd_fsck, "reads everything back that the hub holds"},
    {"gc", clo_cmd_gc, "removes what nothing in the hub needs any more"},
#endif
    {"audit", clo_cmd_audit, "check the server's audit log"},
    {"bench", clo_cmd_bench, "time a model beside the machine's own limits"},
    {"doctor", clo_cmd_doctor, "what this machine can do"},
    {"version", clo_cmd_version, "the version of this program"},
};

static void print_commands(FILE *f)
{
    fprintf(f, "usage: cloche COMMAND ...\n\ncommands:\n");
    for (size_t i = 0; i < CLO_COUNT(commands); i++) fprintf(f, "  %-12s %s\n", commands[i].name, commands[i].about);
    fprintf(f, "\n'cloche COMMAND --help' shows options and examples. MODEL is a GGUF file, a Hugging Face folder,\n"
               "or a name in the data folder ($CLOCHE_DATA): of an imported model, or of a repository, as\n"
               "ns/name[:FILE][@REVISION].\n");
}

/* Output that was lost (a full disk, a reader that went away) makes any command a failure. */
static int end(int rc)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) return rc;
    fputs("cloche: standard output could not be written\n", stderr);
    return rc == CLO_EXIT_OK ? CLO_EXIT_FAILED : rc;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        print_commands(stderr);
        return CLO_EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        print_commands(stdout);
        return end(CLO_EXIT_OK);
    }
    if (strcmp(name, "--version") == 0) name = "version";
    for (size_t i = 0; i < CLO_COUNT(commands); i++)
        if (strcmp(name, commands[i].name) == 0) return end(commands[i].run(argc - 1, argv + 1));
    fprintf(stderr, "cloche: no command '%s'\n  'cloche --help' lists the commands\n", name);
    return CLO_EXIT_USAGE;
}
