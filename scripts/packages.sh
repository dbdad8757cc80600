#!/usr/bin/env bash
# Installs the programs that tests need, if they are missing (Debian, Ubuntu): PostgreSQL, Chromium and curl.
set -euo pipefail
cd "$(dirname "$0")"

missing=()
./postgres.sh installed || missing+=(postgresql)
[ -x "${CHROMIUM:-/usr/bin/chromium}" ] || missing+=(chromium)
command -v curl >/dev/null || missing+=(curl)
[ ${#missing[@]} = 0 ] || ./install.sh "${missing[@]}"
