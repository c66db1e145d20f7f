#!/usr/bin/env bash
# Installs and starts Arize Phoenix on loopback, runs the tests that ship to it and read back what it
# shows, and looks at its page with Chromium where there is one. With WEIR_UPDATE=1 the page's picture
# becomes docs/phoenix.png. Nothing that it starts or writes is left.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

tests/scripts/setup.sh phoenix
phoenix=${WEIR_TOOLS:-${WEIR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/weir}/tools}/phoenix
python=$phoenix/bin/python
picture=docs/phoenix.png
seconds=180 # that Phoenix may take to start: far more than it needs

die() {
    echo "phoenix: $*" >&2
    exit 1
}

dir=$(mktemp -d "${TMPDIR:-/tmp}/weir-phoenix-XXXXXX")
server=
stop() {
    if [[ $server ]]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$dir"
}
trap stop EXIT
trap 'exit 130' INT TERM

read -r port grpc < <("$python" - <<'PYTHON'
import socket

sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(s.getsockname()[1] for s in sockets))
PYTHON
)
url=http://127.0.0.1:$port

# With nothing of this environment, and nothing that it would send to anybody.
env -i PATH="$PATH" HOME="$dir" TMPDIR="$dir" PHOENIX_WORKING_DIR="$dir" \
    PHOENIX_HOST=127.0.0.1 PHOENIX_PORT="$port" PHOENIX_GRPC_PORT="$grpc" \
    PHOENIX_TELEMETRY_ENABLED=false PHOENIX_ALLOW_EXTERNAL_RESOURCES=false PHOENIX_DISABLE_AGENT_ASSISTANT=true \
    "$python" -m phoenix.server.main serve >"$dir/log" 2>&1 &
server=$!
echo "== Phoenix on $url"
for ((waited = 0; ; waited++)); do
    "$python" -c "import urllib.request as r; r.build_opener(r.ProxyHandler({})).open('$url/healthz')" 2>/dev/null && break
    kill -0 "$server" 2>/dev/null || { tail -n 30 "$dir/log" >&2 && die "it ended before it was ready"; }
    ((waited < seconds)) || { tail -n 30 "$dir/log" >&2 && die "it was not ready within $seconds s"; }
    sleep 1
done

trace=$("$python" -c 'import secrets; print(secrets.token_hex(16))')
WEIR_PHOENIX=$url WEIR_PHOENIX_TRACE=$trace \
    cargo test -p weir-tests --locked --test phoenix -- --ignored --test-threads=1

CHROMIUM=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
export CHROMIUM
if [[ ! $CHROMIUM ]]; then
    [[ ! ${WEIR_UPDATE:-} ]] || die "missing: chromium, for the picture. On Debian: sudo apt-get install chromium"
    echo "phoenix: no Chromium here, so its page was not looked at"
    exit 0
fi
echo "== Phoenix's page"
span=$("$python" - "$url" "$trace" <<'PYTHON'
import json
import sys
import urllib.request

url, trace = sys.argv[1:]
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
spans = json.load(opener.open(f"{url}/v1/projects/default/spans?trace_id={trace}"))["data"]
print(next(span["context"]["span_id"] for span in spans if span["span_kind"] == "LLM"))
PYTHON
)
[[ ! ${WEIR_UPDATE:-} ]] && picture=$dir/phoenix.png
"$python" -B tests/python/screenshot.py "$url/redirects/spans/$span" "$picture" \
    "chat gpt-4o" "gpt-4o-2024-11-20" "What is a weir?" "A weir is a low dam" "stream"
echo "Phoenix's page shows the trace's spans, and the model, input and output of its LLM span."
