#!/bin/bash
# Runs Envoy, and at the end empties it before it goes.
set -u

stop() {
    /bin/bash /etc/weir/drain.sh
    kill "$envoy" 2>/dev/null
}

envoy "$@" &
envoy=$!
trap stop TERM INT
# The first wait ends with the signal, the second with Envoy.
wait "$envoy"
wait "$envoy"
