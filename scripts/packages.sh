#!/usr/bin/env bash
# Installs the programs that tests need, if they are missing (Debian, Ubuntu): PostgreSQL, PgBouncer,
# Chromium, Firefox, curl and poppler (which makes pictures of PDF).
set -euo pipefail
cd "$(dirname "$0")"

missing=()
./postgres.sh installed || missing+=(postgresql)
PATH=$PATH:/usr/sbin command -v pgbouncer >/dev/null || missing+=(pgbouncer)
[ -x "${CHROMIUM:-/usr/bin/chromium}" ] || missing+=(chromium)
# Ubuntu has Firefox as a snap alone: tests then use the one that FIREFOX names, or say that there is none.
if ! [ -x "${FIREFOX:-/usr/bin/firefox-esr}" ]; then
    if grep -qs '^ID=ubuntu' /etc/os-release; then
        echo "Ubuntu has no package firefox-esr: tests in Firefox are left out, unless FIREFOX names one" >&2
    else
        missing+=(firefox-esr)
    fi
fi
command -v pdftoppm >/dev/null || missing+=(poppler-utils)
command -v curl >/dev/null || missing+=(curl)
[ ${#missing[@]} = 0 ] || ./install.sh "${missing[@]}"
