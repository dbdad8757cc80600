#!/usr/bin/env bash
# Runs all Rust tests with a temporary PostgreSQL, except those of the rendered manifests (`make manifest-test`).
#   rust-test.sh PROFILE
set -euo pipefail
cd "$(dirname "$0")/.."

PROMTOOL=$(scripts/check-pipeline.sh promtool)
export PROMTOOL
# Four by default, because many tests mostly wait.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-4}
scripts/with-postgres.sh cargo test --workspace --locked --profile "$1" -- --skip manifests
