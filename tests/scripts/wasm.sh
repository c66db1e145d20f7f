#!/usr/bin/env bash
# Runs cargo for wasm32-unknown-unknown with whichever Rust can build for it:
#   rustup  the usual toolchain, its wasm target installed;
#   debian  Debian's rustc-web, which builds the standard library from source.
# Usage: wasm.sh route | wasm.sh build|check|clippy|test [arguments of cargo]
# A release build always ends at $CARGO_TARGET_DIR/weir_filter.wasm, whichever way it took.
# WEIR_WASM_ROUTE=rustup or =debian forces one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

target=wasm32-unknown-unknown
cache=${WEIR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/weir}
target_dir=${CARGO_TARGET_DIR:-$cache/target/$(pwd -P | cksum | cut -d' ' -f1)} # as in the Makefile

rustup_ready() {
    local lib
    lib=$(rustc --print target-libdir --target $target 2>/dev/null) && compgen -G "$lib/libstd-*.rlib" >/dev/null
}

# rustup's own linker serves Debian's compiler too; Debian's is there only beside its lld.
find_linker() {
    local sysroot linker
    sysroot=$(rustc --print sysroot 2>/dev/null || true)
    for linker in "$sysroot"/lib/rustlib/*/bin/rust-lld /usr/bin/rust-lld; do
        [[ -x $linker ]] && echo "$linker" && return
    done
    return 1
}

debian_ready() {
    [[ -x /usr/bin/cargo && -x /usr/bin/rustc ]] || return 1
    [[ -f $(/usr/bin/rustc --print sysroot)/lib/rustlib/src/rust/library/std/Cargo.toml ]] || return 1
    find_linker >/dev/null
}

find_route() {
    local route
    for route in ${WEIR_WASM_ROUTE:-rustup debian}; do
        case $route in
            rustup) rustup_ready && echo rustup && return ;;
            debian) debian_ready && echo debian && return ;;
            *) echo "wasm.sh: WEIR_WASM_ROUTE is '$route'; it can be rustup or debian" >&2 && return 2 ;;
        esac
    done
    return 1
}

route=$(find_route) || {
    [[ ${1:-} == route ]] || echo "wasm.sh: no Rust here can build for $target; \`make setup\` installs one" >&2
    exit 1
}
command=${1:?"one of route, build, check, clippy, test"}
shift
[[ $command == route ]] && echo "$route" && exit

# Either would silently replace the flags that .cargo/config.toml sets for this target.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER=$cache/tools/bin/wasm-bindgen-test-runner

cargo=cargo
options=(--locked --target "$target")
export CARGO_TARGET_DIR=$target_dir
if [[ $route == debian ]]; then
    cargo=/usr/bin/cargo
    # Building the standard library is unstable in cargo; the bootstrap switch lets a stable one do it.
    export RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc RUSTDOC=/usr/bin/rustdoc
    options+=("-Zbuild-std=std,panic_abort,test")
    CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$(find_linker)
    export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER
    # Another compiler gets a directory of its own, or each would undo the other's work.
    CARGO_TARGET_DIR=$target_dir/debian
fi
"$cargo" "$command" "${options[@]}" "$@"

# Copied only when it changed: what depends on the file by time is then left alone.
built=$CARGO_TARGET_DIR/$target/release/weir_filter.wasm
stable=$target_dir/weir_filter.wasm
if [[ $command == build && -f $built ]] && ! cmp -s "$built" "$stable"; then
    cp "$built" "$stable.new"
    mv "$stable.new" "$stable"
fi
