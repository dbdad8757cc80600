#!/usr/bin/env bash
# Installs the programs that tests need, if they are missing (Debian, Ubuntu): PostgreSQL, PgBouncer,
# Chromium, curl and poppler (which makes pictures of PDF).
set -euo pipefail
cd "$(dirname "$0")"

missing=()
./postgres.sh installed || missing+=(postgresql)
PATH=$PATH:/usr/sbin command -v pgbouncer >/dev/null || missing+=(pgbouncer)
[ -x "${CHROMIUM:-/usr/bin/chromium}" ] || missing+=(chromium)
command -v pdftoppm >/dev/null || missing+=(poppler-utils)
command -v curl >/dev/null || missing+=(curl)
[ ${#missing[@]} = 0 ] || ./install.sh "${missing[@]}"
