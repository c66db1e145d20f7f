#!/bin/bash
# Empties an Envoy before it goes: /healthz begins to fail, and after GRACE seconds (0), in which load balancers notice,
# it takes no new connections; then it waits until every event that the filter holds has reached the exporter, or for
# LIMIT seconds (8). What is still held when Envoy ends is lost, and counted as missing by the exporter.
set -u

# ask METHOD PATH: what Envoy's admin interface answers.
ask() {
    exec 3<>/dev/tcp/127.0.0.1/9901 || return
    printf '%s %s HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n' "$1" "$2" >&3
    cat <&3
    exec 3>&-
}

# How many events the filter holds, and how many requests.
pending() {
    local name value sum=0
    while read -r name value; do
        case $name in
            *weir.events_pending: | *weir.streams:) ((sum += value)) ;;
        esac
    done < <(ask GET "/stats?filter=weir%5C.(events_pending|streams)" | tr -d '\r')
    echo "$sum"
}

ask POST /healthcheck/fail >/dev/null
sleep "${GRACE:-0}"
ask POST "/drain_listeners?graceful" >/dev/null
# The filter brings its figures up to date every 200 ms: they are believed once they have rested for a second.
end=$((SECONDS + ${LIMIT:-8})) rest=0
while ((SECONDS < end && rest < 5)); do
    if (($(pending) > 0)); then rest=0; else ((rest += 1)); fi
    sleep 0.2
done
exit 0
