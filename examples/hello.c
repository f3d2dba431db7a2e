/* The C library's first use: asks a model one question and prints the answer as it comes.
 *
 *   cc hello.c $(pkg-config --cflags --libs cloche) -o hello
 *   ./hello SmolLM2.gguf "Why is the sky blue?" */
#include <stdio.h>

#include <cloche/cloche.h>

static bool print_text(void *ctx, const char *text, size_t n_bytes)
{
    (void)ctx;
    return fwrite(text, 1, n_bytes, stdout) == n_bytes && fflush(stdout) == 0;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: hello MODEL QUESTION\n");
        return 2;
    }
    cloche_error err = {0};
    cloche_ids prompt = {0};
    cloche_answer answer = {0};
    cloche_model *model = cloche_open(argv[1], NULL, &err);
    if (!model) {
        fprintf(stderr, "hello: %s\n", err.text);
        return 1;
    }

    const cloche_message question = {"user", argv[2]};
    cloche_generate_options options = cloche_generate_defaults(model);
    options.n_max = 64;
    options.on_text = print_text;

    bool ok = cloche_chat(model, &question, 1, &prompt, &err) &&
              cloche_generate(model, &prompt, &options, &answer, &err);
    if (ok) printf("\n[%zu tokens, %s]\n", answer.ids.n, answer.finish);
    else fprintf(stderr, "hello: %s\n", err.text);

    cloche_answer_free(&answer);
    cloche_ids_free(&prompt);
    cloche_close(model);
    return ok ? 0 : 1;
}
