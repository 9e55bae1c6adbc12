#!/bin/sh
# fuzz: replays every kept crash, then runs each fuzz target for a while over its corpus.
# usage: tests/fuzz.sh [SECONDS [TARGET...]]
set -eu

cd "$(dirname "$0")/.."
seconds=${1:-60}
[ $# -eq 0 ] || shift
make --no-print-directory -j"$(nproc)" VARIANT=fuzz fuzz-binaries
[ $# -gt 0 ] || set -- $(cd tests/fuzz && ls fuzz_*.c | sed 's/^fuzz_//; s/\.c$//')

for name; do
    target=build/fuzz/bin/fuzz_$name
    if [ -d "tests/fuzz/regression/$name" ]; then
        if ! "$target" "tests/fuzz/regression/$name"/* >build/fuzz/regression.log 2>&1; then
            tail -n 60 build/fuzz/regression.log
            echo "fuzz: $name breaks again on a kept input" >&2
            exit 1
        fi
    fi
    found=build/fuzz/found/$name
    mkdir -p "$found"
    seeds=tests/fuzz/corpus/$name
    [ "$name" != config ] || seeds="$seeds tests/unit/data/config/broken"
    echo "== $name: $seconds s"
    if ! "$target" -max_total_time="$seconds" -max_len=65536 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$found/../$name-" "$found" $seeds >"$found.log" 2>&1; then
        tail -n 60 "$found.log"
        echo "fuzz: $name found something: keep it under tests/fuzz/regression/$name/" >&2
        exit 1
    fi
    grep -E 'Done|stat::number_of_executed_units|stat::average_exec' "$found.log"
done
