#!/usr/bin/env bash
# Runs fuzz targets, each for so many seconds from its corpus, as many at a time as there are processors; a crash leaves
# its input in build/fuzz/crashes.
#   tools/fuzz.sh FOLDER SECONDS NAME...
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$1 seconds=$2
shift 2
export folder seconds

run_one() {
  local name=$1 seeds=tests/fuzz/corpus/$1 grown=build/fuzz/corpus/$1 log=build/fuzz/$1.log args
  mkdir -p "$grown" "build/fuzz/crashes/$name"
  args=("$grown")
  [ -d "$seeds" ] && args+=("$seeds")
  if "$folder/fuzz_$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=3000 -max_len=65536 -print_final_stats=1 \
      -artifact_prefix="build/fuzz/crashes/$name/" "${args[@]}" >"$log" 2>&1; then
    echo "  ok    fuzz $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs in $seconds s"
  else
    echo "  FAIL  fuzz $name"
    tail -n 40 "$log" | sed 's/^/        /'
  fi
}
export -f run_one

lines=$(printf '%s\n' "$@" | xargs -P "$(nproc)" -I NAME bash -c 'text=$(run_one NAME); echo "$text"')
echo "$lines"
passed=$(grep -c '^  ok    fuzz ' <<<"$lines" || true)
echo "$passed passed, $(($# - passed)) failed"
[ "$passed" -eq $# ] && [ $# -gt 0 ]
