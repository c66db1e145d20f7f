#!/usr/bin/env bash
# Builds envoy/kubernetes as `kubectl apply -k` would, checks every object strictly: Kubernetes' own kinds against its
# published schemas, those of Istio and the Prometheus operator against the types made from theirs, those of Envoy
# Gateway against types of ours; and the configurations in it by Weir's own commands. Without a kubectl there is
# nothing to build with, which is said.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

version=1.34.0 # of Kubernetes
tools=${WEIR_TOOLS:-${WEIR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/weir}/tools}
crds='[A-Za-z]+' # kinds that Kubernetes itself has no schema of: manifest-types.py knows which there may be

if ! kubectl kustomize --help >/dev/null 2>&1; then
    echo "skipped: no kubectl"
    exit 0
fi
dir=$(mktemp -d "${TMPDIR:-/tmp}/weir-kubernetes-XXXXXX")
trap 'rm -rf "$dir"' EXIT
for place in envoy/kubernetes/base envoy/kubernetes/overlays/*/ examples/istio; do
    kubectl kustomize "$place" >"$dir/all.yaml"
    cp "$dir/all.yaml" "$dir/built-$(basename "$place").yaml"
    status=0
    "$tools/kubernetes/bin/python" -m kubernetes_validate --strict -k "$version" "$dir/all.yaml" >"$dir/said" 2>&1 || status=$?
    if grep -vE "Couldn't find schema for kind $crds " "$dir/said" | grep -E '^(WARN|ERROR)' || ((status > 1)); then
        cat "$dir/said" >&2
        exit 1
    fi
    grep -q 'passed for resource deployment/weir-ship' "$dir/said"
    echo "$place: $(grep -c 'passed for resource' "$dir/said") objects are right"
    # Nothing runs as root, writes to its own file system, or takes more memory than it is given.
    "$tools/kubernetes/bin/python" - "$dir/all.yaml" <<'PYTHON'
import sys

import yaml

for document in yaml.safe_load_all(open(sys.argv[1])):
    if document["kind"] != "Deployment":
        continue
    pod = document["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"], document["metadata"]["name"]
    for container in pod.get("initContainers", []) + pod["containers"]:
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] and context["capabilities"]["drop"] == ["ALL"], container["name"]
        assert not context["allowPrivilegeEscalation"] and container["resources"]["limits"]["memory"], container["name"]
    assert all("readinessProbe" in container for container in pod["containers"]), document["metadata"]["name"]
PYTHON
done
# What a gateway with everything that Istio has an equal of is rendered as, has fields that no overlay has.
config=$CARGO_TARGET_DIR/debug/weir-config
digest=$(printf '0%.0s' {1..64})
awk '/^jwt:/ { skip = 1 } /^$/ { skip = 0 } !skip && !/^ *(proxy|hash_key):/' envoy/examples/gateway.yaml >"$dir/whole.yaml"
"$config" istio "$dir/whole.yaml" --image oci://registry.example.com/weir-filter:0.1.0 --sha256 "$digest" >"$dir/whole-istio.yaml"
ln -s "$tools/manifest-types/node_modules" "$dir/node_modules"
cp tests/scripts/envoy-gateway.d.ts "$dir/envoy-gateway.d.mts"
"$tools/kubernetes/bin/python" tests/scripts/manifest-types.py "$dir"/built-*.yaml "$dir/whole-istio.yaml" >"$dir/checked.mts"
(cd "$dir" && node node_modules/typescript/bin/tsc --noEmit --strict --skipLibCheck --module nodenext --target es2022 checked.mts)
for overlay in envoy istio-gateway istio-sidecar envoy-gateway; do
    "$config" check "envoy/kubernetes/overlays/$overlay/weir.yaml"
done
