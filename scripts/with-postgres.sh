#!/usr/bin/env bash
# Runs a command beside a throw-away PostgreSQL, whose URL it finds in TEST_POSTGRES_URL, and the
# authority that signed its certificate in TEST_POSTGRES_AUTHORITY.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cluster=$(mktemp -d)
# PostgreSQL may run as another user, who has to get in.
chmod 755 "$cluster"
trap '"$here/postgres.sh" stop "$cluster" || true; rm -rf "$cluster"' EXIT
TEST_POSTGRES_URL=$("$here/postgres.sh" start "$cluster")
export TEST_POSTGRES_URL TEST_POSTGRES_AUTHORITY="$cluster/authority.pem"
"$@"
