#!/usr/bin/env bash
# Checks Dockerfile, buildspec.yml and infra/ without a cloud: linters, tests of rules, and a rehearsal of the build.
#   check-pipeline.sh            all checks
#   check-pipeline.sh promtool   fetches promtool if it is missing, and prints its path
set -euo pipefail
cd "$(dirname "$0")/.."

find_promtool() {
  local tools=target/deploy-tools
  command -v promtool && return
  if [ ! -x "$tools/usr/bin/promtool" ]; then
    mkdir -p "$tools"
    # Unpack only: installing the package would start a server.
    (cd "$tools" && fetch && dpkg --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool && rm prometheus_*.deb) >&2 || return
  fi
  echo "$PWD/$tools/usr/bin/promtool"
}

# The package lists may be missing or out of date; scripts/install.sh updates them.
fetch() {
  command -v apt-get >/dev/null || { echo "please install: promtool" >&2; return 1; }
  apt-get download -qq prometheus 2>/dev/null || { "$OLDPWD/scripts/install.sh" && apt-get download -qq prometheus; }
}

# Fails when a file is missing or empty, because then nothing would be checked.
present() {
  local file
  for file in "$@"; do
    [ -s "$file" ] || { echo "nothing to check: $file" >&2; exit 1; }
  done
}

if [ "${1:-}" = promtool ]; then
  find_promtool
  exit
fi

venv=target/deploy-venv-pipeline
scripts/venv.sh tests/deploy/pipeline-requirements.txt "$venv"
tool=$(find_promtool)
export PATH="$PWD/$venv/bin:${tool%/*}:$PATH"

templates=(infra/pipeline.yaml infra/observability.yaml)
present Dockerfile .dockerignore .hadolint.yaml buildspec.yml "${templates[@]}" infra/alerts.prometheus.yaml \
  infra/alerts.prometheus.test.yaml infra/cluster.yaml infra/cwagent-prometheus.yaml

yamllint --strict -d '{extends: default, rules: {
  braces: {max-spaces-inside: 0}, comments: {min-spaces-from-content: 1}, comments-indentation: disable,
  document-start: disable, line-length: disable, truthy: {check-keys: false}}}' buildspec.yml infra .hadolint.yaml
hadolint Dockerfile
cfn-lint --include-checks I --non-zero-exit-code informational -- "${templates[@]}"
promtool check rules --lint-fatal infra/alerts.prometheus.yaml
promtool test rules infra/alerts.prometheus.test.yaml
python3 tests/deploy/test_buildspec.py
python3 tests/deploy/test_infra.py
