#!/usr/bin/env bash
# Runs fuzz targets, each for so many seconds from its corpus; a crash leaves its input in build/fuzz/crashes.
#   tools/fuzz.sh FOLDER SECONDS NAME...
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$1 seconds=$2
shift 2
passed=0 failed=0
mkdir -p build/fuzz/crashes build/fuzz/corpus
for name in "$@"; do
  seeds=tests/fuzz/corpus/$name grown=build/fuzz/corpus/$name
  mkdir -p "$grown" "build/fuzz/crashes/$name"
  args=("$grown")
  [ -d "$seeds" ] && args+=("$seeds")
  log=build/fuzz/$name.log
  if "$folder/fuzz_$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=3000 -max_len=65536 -print_final_stats=1 \
      -artifact_prefix="build/fuzz/crashes/$name/" "${args[@]}" >"$log" 2>&1; then
    passed=$((passed + 1))
    echo "  ok    fuzz $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs in $seconds s"
  else
    failed=$((failed + 1))
    echo "  FAIL  fuzz $name"
    tail -n 40 "$log" | sed 's/^/        /'
  fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
