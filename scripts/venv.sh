#!/usr/bin/env bash
# Creates a Python environment with exactly the packages of a requirements file, or updates it. Uses uv, which takes a
# tenth of pip's time.
#   venv.sh REQUIREMENTS FOLDER
#   venv.sh uv                     only fetches uv
set -euo pipefail

tool=target/tools/uv
if [ ! -x "$tool/bin/uv" ]; then
  # On Debian, the module venv is a separate package.
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
