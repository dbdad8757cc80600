#!/usr/bin/env bash
# Runs a command with a temporary PostgreSQL. TEST_POSTGRES_URL has its URL, and TEST_POSTGRES_AUTHORITY the path of the
# authority that signed its certificate.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cluster=$(mktemp -d)
# PostgreSQL may run as another user, who needs access.
chmod 755 "$cluster"
trap '"$here/postgres.sh" stop "$cluster" || true; rm -rf "$cluster"' EXIT
TEST_POSTGRES_URL=$("$here/postgres.sh" start "$cluster")
export TEST_POSTGRES_URL TEST_POSTGRES_AUTHORITY="$cluster/authority.pem"
"$@"
