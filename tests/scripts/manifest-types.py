"""Turns manifests into TypeScript that compiles only if each is of its kind, down to the last field.

The types are made from the schemas that the projects publish; the compiler refuses fields that a kind does not have.
Usage: manifest-types.py FILE… > checked.ts
"""

import json
import sys

import yaml

TYPES = {
    "extensions.istio.io": "@kubernetes-models/istio",
    "networking.istio.io": "@kubernetes-models/istio",
    "monitoring.coreos.com": "@kubernetes-models/prometheus-operator",
}
OWN = {"gateway.envoyproxy.io": "./envoy-gateway.mjs"}


def main():
    count = 0
    for file in sys.argv[1:]:
        for manifest in yaml.safe_load_all(open(file, encoding="utf-8")):
            group, _, version = manifest["apiVersion"].rpartition("/")
            kind = manifest["kind"]
            if group in TYPES:
                module = f"{TYPES[group]}/{group}/{version}/{kind}"
            elif group in OWN:
                module = OWN[group]
            elif group in ("", "apps", "policy") or group.endswith(".k8s.io"):
                continue  # Kubernetes' own, which are checked elsewhere
            else:
                sys.exit(f"{file}: no schema is known of {manifest['apiVersion']} {kind}")
            name = f"{manifest['metadata']['namespace']}/{manifest['metadata']['name']}"
            print(f"// {kind} {name}")
            print(f'import type {{ I{kind} as T{count} }} from "{module}";')
            print(f"export const manifest{count}: T{count} = {json.dumps(manifest)};")
            count += 1
    print(f"{count} objects of other kinds", file=sys.stderr)


main()
