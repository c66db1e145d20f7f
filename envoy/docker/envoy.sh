#!/bin/bash
# Runs Envoy, and at the end empties it before it goes: it takes no new connections, waits until every event that the
# filter holds has reached the exporter, or for 8 s, and only then ends.
set -u

admin=/dev/tcp/127.0.0.1/9901

# ask METHOD PATH: what Envoy's admin interface answers.
ask() {
    exec 3<>"$admin" || return
    printf '%s %s HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n' "$1" "$2" >&3
    cat <&3
    exec 3>&-
}

# How many events the filter holds: those that it made, less those that it is done with.
pending() {
    local name value sum=0
    while read -r name value; do
        case $name in
            *weir.events_created:) ((sum += value)) ;;
            *weir.events_*:) ((sum -= value)) ;;
            *weir.streams:) ((sum += value)) ;;
        esac
    done < <(ask GET "/stats?filter=weir%5C.(events_|streams)" | tr -d '\r')
    echo "$sum"
}

stop() {
    local end=$((SECONDS + 8))
    ask POST "/drain_listeners?graceful" >/dev/null
    while ((SECONDS < end)) && (($(pending) > 0)); do sleep 0.2; done
    kill "$envoy" 2>/dev/null
}

envoy "$@" &
envoy=$!
trap stop TERM INT
# The first wait ends with the signal, the second with Envoy.
wait "$envoy"
wait "$envoy"
