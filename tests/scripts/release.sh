#!/usr/bin/env bash
# Builds what is shipped: static binaries and the filter.
# Usage: release.sh build DIR   into DIR, laid out as the Dockerfile takes it
#        release.sh dist DIR    into DIR, as archives with checksums, an SBOM and the licences
#
# The binaries are static: glibc's own resolver and allocator go into them, so they run on any Linux of their
# architecture, and in an image with nothing else. WEIR_BUILD says which build it is; the commit, where it is not
# set and there is git. The same source with the same Rust gives the same bytes, wherever it lies.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

command=${1:?"one of build, dist"}
out=${2:?"a directory"}
binaries=(weir-exporter weir-config weir-demo-provider)
host=$(rustc -vV | awk '$1 == "host:" { print $2 }')
[[ $host == *-linux-gnu ]] || { echo "release: needs a Rust for Linux with glibc, and this one is for $host" >&2 && exit 1; }

if [[ -z ${WEIR_BUILD+set} ]] && commit=$(git rev-parse --short=12 HEAD 2>/dev/null); then
    [[ -z $(git status --porcelain 2>/dev/null) ]] || commit+=-changed
    export WEIR_BUILD=$commit
fi
# Apart from the other builds, which would else be made anew for the build's name.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}/shipped
# Where things lie here is nobody's affair, and would make the bytes differ.
home=${CARGO_HOME:-$HOME/.cargo}
paths="--remap-path-prefix=$PWD=/weir --remap-path-prefix=$home=/cargo"
# Beside the flags that .cargo/config.toml sets for wasm, which RUSTFLAGS would replace.
wasm_paths="target.wasm32-unknown-unknown.rustflags=[\"${paths// /\", \"}\"]"

echo "== static binaries, $host"
RUSTFLAGS="-C target-feature=+crt-static $paths" cargo build --release --locked --target "$host" \
    -p weir-exporter -p weir-config -p weir-demo
echo "== filter"
tests/scripts/wasm.sh build --release -p weir-filter --config "$wasm_paths"
built=$CARGO_TARGET_DIR/$host/release
wasm=$CARGO_TARGET_DIR/weir_filter.wasm
for binary in "${binaries[@]}"; do
    ! ldd "$built/$binary" 2>/dev/null | grep -q '=>' || { echo "release: $binary is not static" >&2 && exit 1; }
done

rm -rf "$out"
mkdir -p "$out"
if [[ $command == build ]]; then
    install -D "$built/weir-exporter" "$out/exporter/usr/bin/weir-exporter"
    install -Dm644 /etc/ssl/certs/ca-certificates.crt "$out/exporter/etc/ssl/certs/ca-certificates.crt"
    install -D "$built/weir-config" "$out/config/usr/bin/weir-config"
    install -D "$built/weir-demo-provider" "$out/demo/usr/bin/weir-demo-provider"
    install -Dm644 "$wasm" "$out/plugin.wasm"
    mkdir "$out/empty"
    exit
fi
[[ $command == dist ]] || { echo "release: '$command' is none of build, dist" >&2 && exit 1; }

version=$("$built/weir-config" --version | awk '{ print $2 }')
name=weir-$version-${host%%-*}-linux
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
mkdir "$out/$name"
for binary in "${binaries[@]}"; do install "$built/$binary" "$out/$name/"; done
install -m644 "$wasm" LICENSE exporter/prices.yaml envoy/examples/gateway.yaml "$out/$name/"
install -m644 "$wasm" "$out/weir_filter.wasm"

echo "== SBOM and licences"
tools=${WEIR_TOOLS:-${WEIR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/weir}/tools}
for crate in exporter envoy demo filter; do
    package=weir-${crate/envoy/config}
    target=$host
    [[ $crate != filter ]] || target=wasm32-unknown-unknown
    "$tools/bin/cargo-cyclonedx" cyclonedx --quiet --format json --spec-version 1.5 --target "$target" \
        --manifest-path "$crate/Cargo.toml" --override-filename "$package.cdx"
    # Without the moment and the number by which every run differs.
    python3 - "$crate/$package.cdx.json" "$out/$package.cdx.json" "$PWD" <<'PYTHON'
import json
import os
import sys

source, target, here = sys.argv[1:]
with open(source) as file:
    text = file.read().replace(f"file://{here}", "file:///weir").replace(here, "/weir")
sbom = json.loads(text)
sbom.pop("serialNumber", None)
sbom["metadata"].pop("timestamp", None)
with open(target, "w") as file:
    json.dump(sbom, file, indent=1, sort_keys=True)
for folder in ("event", "settings", "filter", "exporter", "envoy", "demo", "structure", "tests"):
    left = os.path.join(here, folder, os.path.basename(source))
    if os.path.exists(left):
        os.remove(left)
PYTHON
done
# Of what is shipped, and not of what tests it.
for crate in exporter envoy demo filter; do
    "$tools/bin/cargo-about" about generate --locked --fail --config about.toml --format json \
        --manifest-path "$crate/Cargo.toml" -o "$out/$crate.licences.json"
done
python3 tests/scripts/licences.py "$out"/*.licences.json >"$out/LICENSES.md"
rm "$out"/*.licences.json
install -m644 "$out/LICENSES.md" "$out/$name/"

tar -C "$out" --sort=name --mtime="@$epoch" --owner=0 --group=0 --numeric-owner -c "$name" | gzip -n9 >"$out/$name.tar.gz"
rm -rf "${out:?}/$name"
"$built/weir-config" image --wasm "$wasm" --output "$out/weir-filter.oci" --tag "${version/+/-}"
tar -C "$out/weir-filter.oci" --sort=name --mtime="@$epoch" --owner=0 --group=0 --numeric-owner -cf "$out/weir-filter.oci.tar" .
rm -rf "$out/weir-filter.oci"
(cd "$out" && sha256sum -- * >SHA256SUMS && sha256sum weir_filter.wasm >weir_filter.wasm.sha256)
echo "$out:"
ls -l "$out" | tail -n +2
