#!/usr/bin/env bash
# Builds the fuzz targets with instrumentation and runs each for a time, two at once.
# Usage: fuzz.sh SECONDS [TARGET…]   without a target: all of them
# Each begins with its kept corpus (fuzz/corpus) and, where they are of its kind, with the recorded
# responses of the tests; what it learns is kept below the cache, and goes into a later run. An input
# that fails is left in fuzz/artifacts; give it to the target's program to see it fail again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../fuzz"

seconds=${1:?"how many seconds each target is to run"}
shift
cache=${WEIR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/weir}
target_dir=${CARGO_TARGET_DIR:-$cache/target/$(cd .. && pwd -P | cksum | cut -d' ' -f1)}/fuzz # as in the Makefile
triple=$(rustc -vV | awk '/^host:/ { print $2 }')
programs=$target_dir/$triple/release

all() { awk -F'"' '/^\[\[bin\]\]/ { bin = 1 } bin && /^name/ { print $2; bin = 0 }' Cargo.toml; }

# The code has nothing unsafe, so no sanitizer is needed, and with none a stable Rust will do.
build() {
    "$cache/tools/bin/cargo-fuzz" fuzz build --fuzz-dir . --sanitizer none \
        --codegen-units 16 --target "$triple" --target-dir "$target_dir"
}

# one TARGET: runs it.
one() {
    local target=$1 found=$cache/fuzz/$1 log=$cache/fuzz/$1.log seeds=(corpus/"$1")
    case $target in
        abridge | json | redact_json | response_body | sse) seeds+=(../tests/fixtures/{openai,anthropic,gemini,cohere}) ;;
    esac
    mkdir -p "$found" "artifacts/$target"
    if "$programs/$target" "$found" "${seeds[@]}" \
        -max_total_time="$seconds" -max_len=6000 -timeout=20 -rss_limit_mb=1024 \
        -artifact_prefix="artifacts/$target/" -print_final_stats=1 >"$log" 2>&1; then
        printf 'fuzz: %-16s %s runs\n' "$target" "$(awk '/number_of_executed_units/ { print $2 }' "$log")"
    else
        echo "fuzz: $target failed; its whole output is in $log:" >&2
        grep -a -B1 -A6 -m1 -E 'panicked|ERROR' "$log" >&2 || tail -n 20 "$log" >&2
        grep -a 'Test unit written' "$log" >&2
        return 1
    fi
}

mkdir -p "$cache/fuzz"
(($# > 0)) || mapfile -t targets < <(all)
(($# == 0)) || targets=("$@")
build
export seconds cache programs
export -f one
printf '%s\n' "${targets[@]}" | xargs -P 2 -I '{}' bash -euo pipefail -c 'one {}'
