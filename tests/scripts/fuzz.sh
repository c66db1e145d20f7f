#!/usr/bin/env bash
# Builds the fuzz targets with instrumentation and runs each for a time, JOBS (2) at once.
# Usage: fuzz.sh SECONDS [TARGET…]   without a target: all of them
#        fuzz.sh report              what each target has had on this machine, all runs together
# Each begins with its kept corpus (fuzz/corpus) and, where they are of its kind, with the recorded
# responses of the tests; what it learns is kept below the cache, and goes into a later run. Each run
# adds a line to the report there, so that a long time can be made of short ones. An input that fails
# is left in fuzz/artifacts; give it to the target's program to see it fail again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../fuzz"

seconds=${1:?"how many seconds each target is to run, or report"}
shift
cache=${WEIR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/weir}
target_dir=${CARGO_TARGET_DIR:-$cache/target/$(cd .. && pwd -P | cksum | cut -d' ' -f1)}/fuzz # as in the Makefile
report=$cache/fuzz/report.tsv # when it ended, target, seconds, executions, new units, crashes

all() { awk -F'"' '/^\[\[bin\]\]/ { bin = 1 } bin && /^name/ { print $2; bin = 0 }' Cargo.toml; }

sums() {
    all | LC_ALL=C awk -F'\t' '
        BEGIN { form = "%-16s %9s %15s %10s %8s\n"; printf form, "target", "minutes", "executions", "new units", "crashes" }
        !known { seconds[$2] += $3; runs[$2] += $4; units[$2] += $5; crashes[$2] += $6; next }
        { printf form, $1, sprintf("%.1f", seconds[$1] / 60), runs[$1] + 0, units[$1] + 0, crashes[$1] + 0 }
    ' "$report" known=1 -
}

# The code has nothing unsafe, so no sanitizer is needed, and with none a stable Rust will do.
build() {
    "$cache/tools/bin/cargo-fuzz" fuzz build --fuzz-dir . --sanitizer none \
        --codegen-units 16 --target "$triple" --target-dir "$target_dir"
}

# one TARGET: runs it.
one() {
    local target=$1 found=$cache/fuzz/$1 log=$cache/fuzz/$1.log seeds=(corpus/"$1") status=0 crashes=0 took
    case $target in
        abridge | json | redact_json | response_body | sse) seeds+=(../tests/fixtures/{openai,anthropic,gemini,cohere}) ;;
    esac
    mkdir -p "$found" "artifacts/$target"
    took=$(date +%s)
    "$programs/$target" "$found" "${seeds[@]}" \
        -max_total_time="$seconds" -max_len=6000 -timeout=20 -rss_limit_mb=1024 \
        -artifact_prefix="artifacts/$target/" -print_final_stats=1 >"$log" 2>&1 || status=$?
    took=$(($(date +%s) - took))
    # 72 is libFuzzer's way to say that it was told to end.
    ((status == 0 || status == 72)) || crashes=1
    local told
    told=$(LC_ALL=C awk '/^stat::number_of_executed_units:/ { runs = $2 } /^stat::new_units_added:/ { units = $2 }
        END { print runs + 0, units + 0 }' "$log")
    local runs=${told% *} units=${told#* }
    printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$(date -u +%FT%TZ)" "$target" "$took" "$runs" "$units" "$crashes" >>"$report"
    printf 'fuzz: %-16s %12s executions %6s s %6s new units %2s crashes\n' "$target" "$runs" "$took" "$units" "$crashes"
    ((crashes)) || return 0
    echo "fuzz: $target failed; its whole output is in $log:" >&2
    grep -a -B1 -A6 -m1 -E 'panicked|ERROR' "$log" >&2 || tail -n 20 "$log" >&2
    grep -a 'Test unit written' "$log" >&2
    return 1
}

mkdir -p "$cache/fuzz"
touch "$report"
if [[ $seconds == report ]]; then
    sums
    exit
fi
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { echo "fuzz: '$seconds' is no number of seconds" >&2 && exit 1; }
mapfile -t known < <(all)
targets=("$@")
(($# > 0)) || targets=("${known[@]}")
for target in "${targets[@]}"; do
    [[ " ${known[*]} " == *" $target "* ]] || { echo "fuzz: no target '$target'; there are: ${known[*]}" >&2 && exit 1; }
done
triple=$(rustc -vV | awk '/^host:/ { print $2 }')
programs=$target_dir/$triple/release
build
export seconds cache programs report
export -f one
printf '%s\n' "${targets[@]}" | xargs -P "${JOBS:-2}" -I '{}' bash -euo pipefail -c 'one {}'
