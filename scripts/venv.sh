#!/usr/bin/env bash
# Keeps a Python environment that holds exactly what a list of requirements names.
#   venv.sh REQUIREMENTS FOLDER
set -euo pipefail

requirements=$1
venv=$2
if ! cmp -s "$requirements" "$venv/installed.txt"; then
  rm -rf "$venv"
  # Debian keeps that module in a package of its own.
  python3 -m venv "$venv" >/dev/null || { "${0%/*}/install.sh" python3-venv && python3 -m venv --clear "$venv"; }
  "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements"
  cp "$requirements" "$venv/installed.txt"
fi
