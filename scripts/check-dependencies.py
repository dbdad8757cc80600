#!/usr/bin/env python3
"""Checks licences, sources, bans and `unsafe` in a second, without a network. `make deny` checks more.

Reads the lock file through `cargo metadata`, and the rules from deny.toml.
"""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
TARGET = "x86_64-unknown-linux-gnu"


def main() -> None:
    rules = tomllib.loads((ROOT / "deny.toml").read_text())
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", TARGET]
    metadata = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
    own = set(metadata["workspace_members"])
    used = {node["id"] for node in metadata["resolve"]["nodes"]}
    packages = [package for package in metadata["packages"] if package["id"] in used]
    problems = []
    for package in packages:
        name = f"{package['name']} {package['version']}"
        if package["id"] in own:
            manifest = tomllib.loads(Path(package["manifest_path"]).read_text())
            if manifest.get("lints") != {"workspace": True}:
                problems.append(f"{name} does not follow the workspace's lints, which forbid `unsafe`")
            continue
        if package["source"] is None or not package["source"].startswith("registry+"):
            problems.append(f"{name} is not from the registry")
        if package["name"] in rules["bans"]["deny"]:
            problems.append(f"{name} is banned")
        if not allowed(package["license"] or "", set(rules["licenses"]["allow"])):
            problems.append(f"{name} has the licence {package['license']}")
    if tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["lints"]["rust"]["unsafe_code"] != "forbid":
        problems.append("the workspace does not forbid `unsafe`")
    if problems:
        sys.exit("dependencies:\n  " + "\n  ".join(problems))
    print(f"dependencies: {len(packages) - len(own)} crates, all from the registry, under licences that are allowed")


def allowed(expression: str, licences: set[str]) -> bool:
    """Whether the allowed licences satisfy an SPDX expression. Older crates write `/` for `OR`."""
    expression = re.sub(r"(?<=\w)\s*/\s*(?=\w)", " OR ", expression)
    tokens = re.findall(r"[()]|[^\s()]+(?:\s+WITH\s+[^\s()]+)?", expression)
    terms = {"(": "(", ")": ")", "AND": " and ", "OR": " or "}
    # The evaluated text contains only brackets, `and`, `or`, `True` and `False`.
    return bool(tokens) and eval("".join(terms.get(token) or str(token in licences) for token in tokens))


if __name__ == "__main__":
    main()
