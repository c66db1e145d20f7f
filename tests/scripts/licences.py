"""Writes the licences that cargo-about found in several crates as one Markdown document.

Usage: licences.py FILE.json... > LICENSES.md

Every text stands there once, with all whose work it covers.
"""

import json
import sys

users = {}
for path in sys.argv[1:]:
    with open(path) as file:
        found = json.load(file)
    for licence in found["licenses"]:
        crates = users.setdefault((licence["name"], licence["text"].strip()), set())
        for user in licence["used_by"]:
            crate = user["crate"]
            crates.add((crate["name"], crate["version"], crate.get("repository") or ""))

print("# Licences\n\nWhat is shipped contains work of others, under these licences.")
for (name, text), crates in sorted(users.items()):
    print(f"\n## {name}\n")
    for crate, version, repository in sorted(crates):
        print(f"- {crate} {version}" + (f": {repository}" if repository else ""))
    print(f"\n```text\n{text}\n```")
