#!/usr/bin/env bash
# Keeps a Python environment that holds exactly what a list of requirements names; by uv, in a tenth of pip's time.
#   venv.sh REQUIREMENTS FOLDER
#   venv.sh uv                     only fetches uv
set -euo pipefail

tool=target/tools/uv
if [ ! -x "$tool/bin/uv" ]; then
  # Debian keeps that module in a package of its own.
  python3 -m venv --clear "$tool" >/dev/null || { "${0%/*}/install.sh" python3-venv && python3 -m venv --clear "$tool"; }
  "$tool/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: uv==0.13.9
fi
[ "$1" != uv ] || exit 0

requirements=$1
venv=$2
if ! cmp -s "$requirements" "$venv/installed.txt"; then
  "$tool/bin/uv" venv --quiet --clear --python python3 "$venv"
  VIRTUAL_ENV=$venv "$tool/bin/uv" pip install --quiet --requirement "$requirements"
  cp "$requirements" "$venv/installed.txt"
fi
