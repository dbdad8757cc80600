# `make test` is all that a fresh machine needs: it installs PostgreSQL and Chromium where they are
# missing (Debian, Ubuntu), checks, and runs every test on both databases.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

export CHROMIUM ?= $(or $(shell command -v chromium chromium-browser google-chrome 2>/dev/null | head -n 1),/usr/bin/chromium)

.PHONY: test tools lint rust-test browser-test schema snapshots

test: tools lint rust-test browser-test

tools:
	scripts/postgres.sh install
	[ -x "$(CHROMIUM)" ] || scripts/install.sh chromium
	command -v promtool >/dev/null || scripts/install.sh prometheus
	npm ci --loglevel=error --no-audit --no-fund --prefix tests/browser

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

rust-test:
	scripts/with-postgres.sh cargo test --workspace --locked

browser-test:
	cargo build --locked
	GATEWAY_BIN=$(CURDIR)/target/debug/coworking-analytics node --test tests/browser/

# Writes schema.graphql anew from the code.
schema:
	cargo run --quiet --locked -- schema > schema.graphql

# Accepts what the snapshot tests see now; read the difference before committing it.
snapshots:
	INSTA_UPDATE=always scripts/with-postgres.sh cargo test --workspace --locked
