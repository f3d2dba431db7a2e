# bash completion for cloche. Written by tools/gen_cli_docs.py.
_cloche_models() {
    local folder=${CLOCHE_DATA:-${XDG_DATA_HOME:-$HOME/.local/share}/cloche}/models file
    for file in "$folder"/*/cloche-model.json "$folder"/*/*/cloche-model.json; do
        [ -e "$file" ] || continue
        file=${file#"$folder"/}
        printf '%s\n' "${file%/cloche-model.json}"
    done
}

_cloche() {
    local word=${COMP_WORDS[COMP_CWORD]} options=
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W 'run replay serve ps stop import list show rm inspect tokenize render embed logits quantize perplexity key user org token repo pull push fsck gc audit bench doctor version help' -- "$word")
        return
    fi
    case ${COMP_WORDS[1]} in
        run) options='--system --raw --max-tokens -n --temp --top-k --top-p --min-p --typical-p --repeat-penalty --presence-penalty --frequency-penalty --repeat-last-n --order --seed --stop --schema --json-mode --ctx --set --no-stream --special --ignore-eos --lookup --no-lookup --receipt --receipt-private --threads -t --chunk --data --no-cache --json --help' ;;
        replay) options='--tokens --prompt-file --threads -t --chunk --data --no-cache --json --help' ;;
        serve) options='--listen --model --keep-alive --kv-memory --ctx --parallel --queue --tls-cert --tls-key --allow-origin --allow-host --drain --threads -t --sealed --no-keys --audit-text --metrics-compat --lfs-part --receipts-max --receipts-days --data --json --help' ;;
        ps) options='--server --key-file --json --help' ;;
        stop) options='--server --key-file --json --help' ;;
        import) options='--name --sha256 --repo --type --message -m --private --force --data --json --help' ;;
        list) options='--data --json --help' ;;
        show) options='--verify --data --json --help' ;;
        rm) options='--data --json --help' ;;
        inspect) options='--tensor --out -o --data --json --help' ;;
        tokenize) options='--special --pieces --bos --no-bos --decode -d --lines --json-lines --json --save --data --help' ;;
        render) options='--messages --template --tools --documents --no-generation-prompt --set --now --spans --data --help' ;;
        embed) options='--out -o --dimensions --truncate --threads -t --chunk --data --no-cache --json --help' ;;
        logits) options='--tokens --out -o --digest --reuse --threads -t --chunk --data --no-cache --json --help' ;;
        quantize) options='--type --pure --allow-requantize --threads -t --data --json --help' ;;
        perplexity) options='--file -f --ctx --windows --threads -t --chunk --data --no-cache --json --help' ;;
        key) options='--tokens-per-day --concurrent --models --expires --admin --all -a --data --json --help' ;;
        user) options='--password-stdin --admin --fullname --email --tokens-per-day --concurrent --models --data --json --help' ;;
        org) options='--fullname --role --data --json --help' ;;
        token) options='--user --name --read --write --repo --expires --all -a --data --json --help' ;;
        repo) options='--type --private --owner --data --json --help' ;;
        pull) options='--type --from --token --jobs -j --data --revision --include --exclude --history --force --public --json --help' ;;
        push) options='--type --to --token --jobs -j --data --as --create --force --json --help' ;;
        fsck) options='--data --json --help' ;;
        gc) options='--dry-run -n --data --json --help' ;;
        audit) options='--expect --data --json --help' ;;
        bench) options='--prompt -p --decode -n --repeats -r --lookup --no-limits --threads -t --chunk --data --no-cache --json --help' ;;
        doctor) options='--airgap --sealed --threads -t --data --json --help' ;;
        version) options='--json --help' ;;
    esac
    case $word in
        -*) mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word") ;;
        *) mapfile -t COMPREPLY < <(compgen -W "$(_cloche_models)" -- "$word"; compgen -f -- "$word") ;;
    esac
}
complete -o filenames -F _cloche cloche
