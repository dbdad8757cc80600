#!/usr/bin/env bash
# A temporary PostgreSQL for tests, in its own folder, reachable on 127.0.0.1 only.
#   postgres.sh installed    exits with 0 if the server is installed
#   postgres.sh install      installs the server if it is missing (Debian, Ubuntu)
#   postgres.sh start DIR    starts it (creates it the first time) and prints its URL
#   postgres.sh stop DIR     stops it at once, and disconnects its clients
set -euo pipefail

programs() {
  { command -v postgres && command -v initdb; } >/dev/null && dirname "$(command -v postgres)" && return
  find /usr/lib/postgresql /opt/homebrew/opt /usr/local/opt -maxdepth 3 -name initdb -printf '%h\n' 2>/dev/null | sort -V | tail -n 1
}

# PostgreSQL refuses to run as root.
as_owner() {
  if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi
}

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

installed() {
  [ -n "$(programs)" ]
}

install() {
  installed || "$(dirname "$0")/install.sh" postgresql
}

# Creates a certificate authority, and a server certificate for 127.0.0.1 signed by it.
certificates() {
  local dir=$1
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=test authority" \
    -keyout "$dir/authority.key" -out "$dir/authority.pem" 2>/dev/null
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=127.0.0.1" \
    -keyout "$dir/server.key" -out "$dir/server.csr" 2>/dev/null
  openssl x509 -req -in "$dir/server.csr" -CA "$dir/authority.pem" -CAkey "$dir/authority.key" -CAcreateserial -days 2 \
    -extfile <(printf 'subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n') -out "$dir/server.pem" 2>/dev/null
  chmod 600 "$dir/server.key"
  [ "$(id -u)" != 0 ] || chown postgres "$dir/server.key"
}

start() {
  local dir=$1 bin
  bin=$(programs)
  [ -n "$bin" ] || { echo "PostgreSQL is not installed: run scripts/postgres.sh install" >&2; exit 1; }
  if [ ! -d "$dir/data" ]; then
    mkdir -p "$dir"
    [ "$(id -u)" != 0 ] || chown postgres "$dir"
    as_owner "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$dir/initdb.log"
    # Only the tests' superuser can log in without a password.
    printf 'host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n' |
      as_owner tee "$dir/data/pg_hba.conf" >/dev/null
    certificates "$dir"
    free_port >"$dir/port"
  fi
  as_owner "$bin/pg_ctl" -D "$dir/data" -w -t 60 -l "$dir/data/server.log" -o \
    "-p $(cat "$dir/port") -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off -c wal_level=logical -c max_replication_slots=20 -c max_connections=300 -c timezone=Asia/Tokyo -c ssl=on -c ssl_cert_file=$dir/server.pem -c ssl_key_file=$dir/server.key" \
    start >/dev/null || { cat "$dir/data/server.log" >&2; exit 1; }
  echo "postgres://postgres@127.0.0.1:$(cat "$dir/port")/postgres"
}

stop() {
  as_owner "$(programs)/pg_ctl" -D "$1/data" -m immediate -w stop >/dev/null
}

"$@"
