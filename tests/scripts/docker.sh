#!/usr/bin/env bash
# Runs envoy/compose.yaml and envoy/compose.cluster.yaml as they are, with a Docker engine, and tests them.
# Usage: docker.sh        installs an engine where there is none and that is possible, else fails
#        docker.sh test   the same as part of `make test`: skips, and says so, where there is no engine
#
# Where an engine runs it is used, with the official images. Where none runs, one is started here, with its own
# data and socket, and stopped at the end. It pulls nothing: stand-ins for the official images of Envoy and NATS
# are made of the very binaries that the other tests run, and what of a system they need. Weir's own images are
# made by their Dockerfile of the binaries that `make bins` has built.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

mode=${1:-must}
cache=${WEIR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/weir}
tools=${WEIR_TOOLS:-$cache/tools}
binaries=$CARGO_TARGET_DIR/debug
seconds=60 # that the engine may take to start: far more than it needs

die() {
    echo "docker: $*" >&2
    exit 1
}
has() { command -v "$1" >/dev/null; }

# What cannot be had is a reason to skip only where nobody asked for this test.
without() {
    [[ $mode == test ]] || die "$*"
    echo "skipped: no Docker engine ($*)"
    exit 0
}

running() { has docker && docker info >/dev/null 2>&1; }

own=
if ! running; then
    ((EUID == 0)) || without "none runs here, and starting one takes root"
    [[ $mode == test && ${CI:-} != true ]] || tests/scripts/setup.sh docker || without "it could not be installed"
    has dockerd || without "none runs here, and dockerd is not installed"
    own=1
fi

dir=$(mktemp -d "${TMPDIR:-/tmp}/weir-docker-XXXXXX")
engine=
stop() {
    if [[ $engine ]]; then
        kill "$engine" 2>/dev/null || true
        wait "$engine" 2>/dev/null || true
    fi
    # What was mounted below it has gone with the engine.
    rm -rf --one-file-system "$dir" || true
}
trap stop EXIT
trap 'exit 130' INT TERM

if [[ $own ]]; then
    export DOCKER_HOST=unix://$dir/docker.sock
    dockerd --host "$DOCKER_HOST" --data-root "$dir/data" --exec-root "$dir/run" --pidfile "$dir/pid" \
        >"$dir/log" 2>&1 &
    engine=$!
    for ((waited = 0; ; waited++)); do
        docker info >/dev/null 2>&1 && break
        kill -0 "$engine" 2>/dev/null || { tail -n 5 "$dir/log" >&2 && engine= && without "dockerd does not start here"; }
        ((waited < seconds * 5)) || { tail -n 5 "$dir/log" >&2 && without "dockerd was not ready within $seconds s"; }
        sleep 0.2
    done
fi
echo "== Docker $(docker info --format '{{.ServerVersion}}'), storage driver $(docker info --format '{{.Driver}}')"

# The Dockerfile needs BuildKit: a client with buildx, or one of the versions that came with BuildKit inside.
mkdir "$dir/bin"
while read -r client; do
    if "$client" buildx version >/dev/null 2>&1 || [[ $("$client" --version) =~ version\ (19|20)\. ]]; then
        ln -s "$client" "$dir/bin/docker"
        break
    fi
done < <(type -ap docker)
[[ -e $dir/bin/docker ]] || without "no docker client here has BuildKit"
export PATH=$dir/bin:$PATH DOCKER_BUILDKIT=1 COMPOSE_DOCKER_CLI_BUILD=1
if docker compose version >/dev/null 2>&1; then
    export WEIR_COMPOSE="docker compose"
elif has docker-compose; then
    export WEIR_COMPOSE=docker-compose
else
    without "neither docker compose nor docker-compose is installed"
fi

# lay BINARY ROOT PLACE: the binary without its debug symbols at ROOT/PLACE, and the libraries that it loads.
lay() {
    install -D "$1" "$2$3"
    strip "$2$3" 2>/dev/null || true
    local library
    while read -r library; do
        install -D "$library" "$2$library"
    done < <(ldd "$1" 2>/dev/null | grep -o '/[^ ]*')
}

# image NAME ROOT: an image of what lies there.
image() { tar -C "$2" -c . | docker import - "$1" >/dev/null; }

certificates() { install -D /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/ca-certificates.crt"; }

if [[ $own ]]; then
    echo "== stand-ins for the official images"
    read -r envoy nats < <(awk '$1 == "image:" { print $2 }' envoy/compose.yaml | sort -u | grep : | xargs)
    lay "$tools/bin/envoy" "$dir/envoy" /usr/local/bin/envoy
    for program in bash cat tr sleep; do lay "$(command -v $program)" "$dir/envoy" "/bin/$program"; done
    certificates "$dir/envoy"
    image "$envoy" "$dir/envoy"
    lay "$tools/bin/nats-server" "$dir/nats" /usr/local/bin/nats-server
    has busybox || die "missing: busybox. Install with: sudo apt-get install busybox-static"
    lay "$(command -v busybox)" "$dir/nats" /bin/busybox
    for program in sh wget; do ln -s busybox "$dir/nats/bin/$program"; done
    image "$nats" "$dir/nats"
fi

echo "== Weir's images"
export WEIR_CONTEXT=$dir/context WEIR_BUILT=prebuilt
prebuilt=$WEIR_CONTEXT/prebuilt
mkdir -p "$prebuilt/empty" "$WEIR_CONTEXT/envoy/docker"
cp envoy/docker/Dockerfile "$WEIR_CONTEXT/envoy/docker/"
cp "$WEIR_WASM" "$prebuilt/plugin.wasm"
lay "$binaries/weir-exporter" "$prebuilt/exporter" /usr/bin/weir-exporter
certificates "$prebuilt/exporter"
lay "$binaries/weir-config" "$prebuilt/config" /usr/bin/weir-config
lay "$binaries/weir-demo-provider" "$prebuilt/demo" /usr/bin/weir-demo-provider

cargo test -p weir-tests --locked --test compose -- --ignored --test-threads=1
