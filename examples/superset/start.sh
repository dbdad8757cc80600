#!/usr/bin/env bash
# Starts Superset with a dashboard of an invented space: PostgreSQL, the reports in SQL, a role that may do nothing else.
# With PICTURE=file.png, it takes a picture of the dashboard and ends. Run it by `make superset`.
set -euo pipefail
here=$(dirname "$0")

if [ -z "${TEST_POSTGRES_URL:-}" ]; then
  exec scripts/with-postgres.sh "$0"
fi

export SUPERSET_HOME=$PWD/target/superset/home SUPERSET_CONFIG_PATH=$PWD/$here/superset_config.py
export SUPERSET_USER=admin SUPERSET_PASSWORD=admin FLASK_APP=superset
bin=$PWD/target/superset/venv/bin
rm -rf "$SUPERSET_HOME"
mkdir -p "$SUPERSET_HOME"

# The space, with the role of docs/postgresql.md.
DATABASE_URL=$TEST_POSTGRES_URL "$BINARY" migrate >/dev/null
DATABASE_URL=$TEST_POSTGRES_URL "$BINARY" seed --users 1000 --tokens 40000 --days 540 >/dev/null
sed -n '/^CREATE ROLE sql_tools/,/^```/p' docs/postgresql.md | grep -v '```' |
  sed "s/…/sql_tools/; s/DATABASE coworking/DATABASE postgres/" | psql -Xq -v ON_ERROR_STOP=1 "$TEST_POSTGRES_URL"

# Superset's own database, and its administrator.
{
  "$bin/superset" db upgrade
  "$bin/superset" fab create-admin --username admin --password admin --firstname A --lastname Dmin --email admin@example.org
  "$bin/superset" init
} >"$SUPERSET_HOME/set-up.log" 2>&1 || { tail "$SUPERSET_HOME/set-up.log" >&2; exit 1; }

port=${SUPERSET_PORT:-8088}
"$bin/gunicorn" --bind "127.0.0.1:$port" --workers 1 --threads 8 --timeout 120 "superset.app:create_app()" >"$SUPERSET_HOME/superset.log" 2>&1 &
server=$!
trap 'kill $server; wait $server || true' EXIT
curl -fs --retry 60 --retry-connrefused --retry-delay 1 -o /dev/null "http://127.0.0.1:$port/health"
page=$("$bin/python" "$here/dashboard.py" "http://127.0.0.1:$port" "postgresql+psycopg2://sql_tools:sql_tools@${TEST_POSTGRES_URL#*@}")
if [ -n "${PICTURE:-}" ]; then
  node "$here/picture.mjs" "$page" "$PICTURE"
else
  echo "Superset is ready: $page (admin, admin); end it with Ctrl-C"
  wait $server
fi
