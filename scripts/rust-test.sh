#!/usr/bin/env bash
# Runs every test in Rust beside a throw-away PostgreSQL, but those of the rendered manifests (`make manifest-test`).
#   rust-test.sh PROFILE
set -euo pipefail
cd "$(dirname "$0")/.."

PROMTOOL=$(scripts/check-pipeline.sh promtool)
export PROMTOOL
# Many tests wait for something more than they compute.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-4}
scripts/with-postgres.sh cargo test --workspace --locked --profile "$1" -- --skip manifests
