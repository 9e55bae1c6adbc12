#!/bin/sh
# fuzz: replays every kept crash, then runs each fuzz target for a while over its corpus.
# usage: tests/fuzz.sh [SECONDS]
set -eu

cd "$(dirname "$0")/.."
seconds=${1:-60}
make --no-print-directory -j"$(nproc)" VARIANT=fuzz fuzz-binaries

for target in build/fuzz/bin/fuzz_*; do
    case $target in *.o | *.d) continue ;; esac
    name=${target##*/fuzz_}
    if [ -d "tests/fuzz/regression/$name" ]; then
        "$target" "tests/fuzz/regression/$name"/* 2>&1 | tail -n 1
    fi
    found=build/fuzz/found/$name
    mkdir -p "$found"
    echo "== $name: $seconds s"
    if ! "$target" -max_total_time="$seconds" -max_len=65536 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$found/crash-" "$found" "tests/fuzz/corpus/$name" >"$found.log" 2>&1; then
        tail -n 60 "$found.log"
        echo "fuzz: $name found something: keep it under tests/fuzz/regression/$name/" >&2
        exit 1
    fi
    grep -E 'Done|stat::number_of_executed_units|stat::average_exec' "$found.log"
done
