#!/usr/bin/env python3
"""Writes the manual pages and shell completions from the program's own --help, so that none of them can lie.

  tools/gen_cli_docs.py [--check] [--program build/cloche]

--check writes nothing and fails when a committed file differs: run `tools/gen_cli_docs.py` after changing an option.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MAN, COMPLETION = ROOT / "packaging/man", ROOT / "packaging/completion"
EXIT_CODES = (("0", "done, or true"), ("1", "it failed"), ("2", "usage"), ("3", "checked, and not so"), ("4", "not found"),
              ("5", "refused by policy"), ("6", "busy or away"), ("7", "stored data is damaged"))
ENVIRONMENT = (("CLOCHE_DATA", "The data folder. Default: $XDG_DATA_HOME/cloche, else ~/.local/share/cloche."),
               ("CLOCHE_SERVER", "The server that ps and stop ask. Default: 127.0.0.1:11434."),
               ("CLOCHE_KEY", "The API key that they send."),
               ("CLOCHE_OFFLINE", "1: pull and push refuse to speak to another hub (HF_HUB_OFFLINE too)."),
               ("HF_ENDPOINT", "The hub of pull and push when none is named. Default: https://huggingface.co."),
               ("HF_TOKEN", "The token that they send."),
               ("CLOCHE_CPU", "Forces an instruction set: scalar, avx2, avx512, avx512-novnni, neon, neon-nodot. "
                              "The results are the same bits."))


def help_of(program, *command):
    p = subprocess.run([program, *command, "--help"], capture_output=True, text=True, cwd=ROOT)
    if p.returncode != 0:
        raise SystemExit(f"{' '.join(command)} --help: exit status {p.returncode}\n{p.stderr}")
    return p.stdout


def commands_of(program):
    """[(name, about)] in the order of `cloche --help`."""
    part = help_of(program).split("commands:\n", 1)[1].split("\n\n", 1)[0]
    return [tuple(re.match(r"  (\S+)\s+(.*)", line).groups()) for line in part.splitlines()]


def parse_option(line):
    m = re.match(r"  --([\w-]+)(?:, (--?[\w-]+))?(?: (\S+))?(?:\s{2,}(.*)|\s*)$", line)
    if not m:
        raise SystemExit(f"an option that does not parse: {line!r}")
    return {"name": m.group(1), "alias": m.group(2), "value": m.group(3), "help": (m.group(4) or "").strip()}


def parse_help(text):
    """usage, about, options and examples of a command."""
    usage = text.splitlines()[0].removeprefix("usage: cloche ")
    rest, _, examples = text.partition("\nexamples:\n")
    about, _, option_text = rest.partition("\noptions:\n")
    options = []
    for line in option_text.splitlines():
        if line.startswith("  --"):
            options.append(parse_option(line))
        elif line.strip():
            options[-1]["help"] = (options[-1]["help"] + " " + line.strip()).strip()
    return {"usage": usage, "about": "\n".join(about.splitlines()[2:]).strip(), "options": options,
            "examples": [x.strip() for x in examples.splitlines() if x.strip()]}


# --- manual pages --------------------------------------------------------------------------------------------------------
def roff(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + x if x.startswith((".", "'")) else x for x in text.splitlines())


def man_page(name, about, sections):
    out = [f'.TH {name.upper()} 1 "" "Cloche" "User Commands"', ".SH NAME", f"{roff(name)} \\- {roff(about)}"]
    for title, lines in sections:
        if lines:
            out += [f".SH {title}", *lines]
    return "\n".join(out) + "\n"


def tagged(pairs):
    return [x for tag, text in pairs for x in (".TP", f"\\fB{roff(tag)}\\fR", roff(text))]


def command_page(name, about, h):
    options = []
    for o in h["options"]:
        alias = f", \\fB{roff(o['alias'])}\\fR" if o["alias"] else ""
        value = f" \\fI{roff(o['value'])}\\fR" if o["value"] else ""
        options += [".TP", f"\\fB{roff('--' + o['name'])}\\fR{alias}{value}", roff(o["help"]) or "\\&"]
    examples = [x for e in h["examples"] for x in (".PP", ".EX", roff(e), ".EE")]
    return man_page(f"cloche-{name}", about, [
        ("SYNOPSIS", [f"\\fBcloche\\fR {roff(h['usage'])}"]), ("DESCRIPTION", [roff(h["about"])]), ("OPTIONS", options),
        ("EXAMPLES", examples), ("EXIT STATUS", tagged(EXIT_CODES)), ("SEE ALSO", [".BR cloche (1)"])])


def main_page(commands):
    return man_page("cloche", "run open language models offline, with the same bits on any processor", [
        ("SYNOPSIS", ["\\fBcloche\\fR \\fICOMMAND\\fR [\\fIoptions\\fR] ..."]),
        ("DESCRIPTION", [roff("Cloche runs open language models on the computers you have, with no connection to anywhere. "
                              "MODEL is a GGUF file, a Hugging Face folder, or a name in the data folder: of an imported model, or "
                              "of a repository, as ns/name[:FILE][@REVISION]. FILE is a GGUF file, or what its name ends in (Q8_0); "
                              "REVISION is a branch, a tag or a commit.")]),
        ("COMMANDS", [x for name, about in commands for x in (".TP", f".BR cloche\\-{name} (1)", roff(about))]),
        ("ENVIRONMENT", tagged(ENVIRONMENT)), ("EXIT STATUS", tagged(EXIT_CODES))])


# --- completions ---------------------------------------------------------------------------------------------------------
def flags_of(h):
    return [x for o in h["options"] for x in ("--" + o["name"], o["alias"]) if x] + ["--help"]


def bash(commands, helps):
    cases = "\n".join(f"        {name}) options='{' '.join(flags_of(helps[name]))}' ;;" for name, _ in commands)
    return f"""# bash completion for cloche. Written by tools/gen_cli_docs.py.
_cloche_models() {{
    local folder=${{CLOCHE_DATA:-${{XDG_DATA_HOME:-$HOME/.local/share}}/cloche}}/models file
    for file in "$folder"/*/cloche-model.json "$folder"/*/*/cloche-model.json; do
        [ -e "$file" ] || continue
        file=${{file#"$folder"/}}
        printf '%s\\n' "${{file%/cloche-model.json}}"
    done
}}

_cloche() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} options=
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W '{' '.join(n for n, _ in commands)} help' -- "$word")
        return
    fi
    case ${{COMP_WORDS[1]}} in
{cases}
    esac
    case $word in
        -*) mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word") ;;
        *) mapfile -t COMPREPLY < <(compgen -W "$(_cloche_models)" -- "$word"; compgen -f -- "$word") ;;
    esac
}}
complete -o filenames -F _cloche cloche
"""


def zsh_quote(text):
    return text.replace("'", "'\\''").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")


def zsh(commands, helps):
    names = "\n".join(f"        '{name}:{zsh_quote(about)}'" for name, about in commands)
    cases = []
    for name, _ in commands:
        specs = []
        for o in helps[name]["options"]:
            value = f":{o['value'].lower()}:_files" if o["value"] else ""
            for flag in ("--" + o["name"], o["alias"]):
                if flag:
                    specs.append(f"'{flag}[{zsh_quote(o['help'])}]{value}'")
        cases.append(f"        {name}) _arguments {' '.join(specs)} '*:model or file:_cloche_models' ;;")
    return """#compdef cloche
# zsh completion for cloche. Written by tools/gen_cli_docs.py.
_cloche_models() {
    local folder=${CLOCHE_DATA:-${XDG_DATA_HOME:-$HOME/.local/share}/cloche}/models
    local -a names
    names=($folder/*/cloche-model.json(N) $folder/*/*/cloche-model.json(N))
    names=(${${names#$folder/}%/cloche-model.json})
    compadd -a names
    _files
}

_cloche() {
    local -a commands
    commands=(
""" + names + """
    )
    if (( CURRENT == 2 )); then
        _describe command commands
        return
    fi
    local command=$words[2]
    shift words
    (( CURRENT-- ))
    case $command in
""" + "\n".join(cases) + """
    esac
}
_cloche "$@"
"""


def fish_quote(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def fish(commands, helps):
    out = ["# fish completion for cloche. Written by tools/gen_cli_docs.py.",
           "function __cloche_models",
           "    set -l folder $HOME/.local/share/cloche",
           "    set -q XDG_DATA_HOME; and set folder $XDG_DATA_HOME/cloche",
           "    set -q CLOCHE_DATA; and set folder $CLOCHE_DATA",
           "    for file in $folder/models/*/cloche-model.json $folder/models/*/*/cloche-model.json",
           "        string replace -r '.*/models/(.*)/cloche-model.json' '$1' $file",
           "    end",
           "end",
           "complete -c cloche -n 'not __fish_use_subcommand' -a '(__cloche_models)'"]
    for name, about in commands:
        out.append(f"complete -c cloche -n __fish_use_subcommand -f -a {name} -d {fish_quote(about)}")
        for o in helps[name]["options"]:
            alias = o["alias"] or ""
            short = f" -l {alias[2:]}" if alias.startswith("--") else f" -s {alias[1:]}" if alias else ""
            need = " -r" if o["value"] else ""
            out.append(f"complete -c cloche -n '__fish_seen_subcommand_from {name}' -l {o['name']}{short}{need} "
                       f"-d {fish_quote(o['help'])}")
    return "\n".join(out) + "\n"


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--check", action="store_true")
    ap.add_argument("--program", default=os.environ.get("CLOCHE_BIN", "build/cloche"))
    args = ap.parse_args()
    program = str(ROOT / args.program)
    commands = commands_of(program)
    helps = {name: parse_help(help_of(program, name)) for name, _ in commands}
    files = {MAN / "cloche.1": main_page(commands), COMPLETION / "cloche.bash": bash(commands, helps),
             COMPLETION / "_cloche": zsh(commands, helps), COMPLETION / "cloche.fish": fish(commands, helps)}
    files |= {MAN / f"cloche-{name}.1": command_page(name, about, helps[name]) for name, about in commands}
    stale = sorted(p for p in MAN.glob("*.1") if p not in files)
    bad = [p for p, text in files.items() if not p.is_file() or p.read_text(encoding="utf-8") != text] + stale
    if args.check:
        for p in bad:
            print(f"{p.relative_to(ROOT)} does not say what --help says; run tools/gen_cli_docs.py", file=sys.stderr)
        return 1 if bad else 0
    for p in stale:
        p.unlink()
    for p, text in files.items():
        p.parent.mkdir(parents=True, exist_ok=True)
        p.write_text(text, encoding="utf-8")
    print(f"{len(files)} files, {len(bad)} changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
