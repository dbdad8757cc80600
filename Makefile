# `make test` is all that a fresh machine needs: it installs PostgreSQL, Chromium and curl where they are
# missing (Debian, Ubuntu), checks, and runs every test on both databases.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

export CHROMIUM ?= $(or $(shell command -v chromium chromium-browser google-chrome 2>/dev/null | head -n 1),/usr/bin/chromium)

# What is compiled once, for every test: dev is quick to build, `make test PROFILE=release` tests what the image holds.
PROFILE ?= dev
BINARY := $(CURDIR)/target/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))/coworking-analytics
UV := target/tools/uv/bin/uv
NODE_MODULES := tests/clients/node_modules/.package-lock.json web/node_modules/.package-lock.json
STEP = @scripts/steps.py one $@

.PHONY: test check steps build packages promtool format lint dependencies web-check check-pipeline manifests \
  rust-test manifest-test client-test quick-faults release image deploy-local bench deny faults fuzz pictures sbom schema snapshots soak web

# Steps that need each other wait, all others run side by side; in the end, a table says how long each took.
test:
	@scripts/steps.py all steps PROFILE=$(PROFILE)

# The longest first.
steps: build rust-test client-test quick-faults manifest-test manifests check-pipeline lint web-check dependencies format

# The quick round while working: no PostgreSQL, browser, Node, promtool or rendered manifests, and nothing is installed.
check: format lint
	cargo test --workspace --locked -- --skip postgres --skip promtool --skip manifests

# Whatever is tested, compiled.
build:
	$(STEP) cargo test --workspace --locked --profile $(PROFILE) --no-run

# PostgreSQL, Chromium and curl, where they are missing.
packages:
	$(STEP) scripts/packages.sh

$(UV):
	@scripts/steps.py one uv scripts/venv.sh uv

target/clients-venv/installed.txt: tests/clients/requirements.txt $(UV)
	@scripts/steps.py one python-clients scripts/venv.sh $< $(@D)

%/node_modules/.package-lock.json: %/package-lock.json
	@scripts/steps.py one npm-$(notdir $*) npm ci --loglevel=error --no-audit --no-fund --prefix $*
	@touch $@

# Prints where promtool is, having fetched it. Packages first: they refresh the lists of what there is.
promtool: packages
	$(STEP) scripts/check-pipeline.sh promtool

format:
	$(STEP) cargo fmt --all --check

# After the build, whose macros and build scripts it takes over.
lint: $(if $(STEPS),build)
	$(STEP) cargo clippy --workspace --all-targets --locked --profile $(PROFILE) -- -D warnings
	@RUSTDOCFLAGS='-D warnings' cargo doc --quiet --workspace --no-deps --document-private-items --locked --profile $(PROFILE)

dependencies:
	$(STEP) scripts/check-dependencies.py

# The dashboard's types, and that what is committed is what its sources make.
web-check: web/node_modules/.package-lock.json
	$(STEP) npm run --silent check --prefix web

rust-test: build packages promtool
	$(STEP) scripts/rust-test.sh $(PROFILE)

# What is rendered, apart: the other tests need not wait for it.
manifest-test: build manifests
	$(STEP) cargo test --locked --profile $(PROFILE) --test gateway -- manifests

client-test: build packages $(NODE_MODULES) target/clients-venv/installed.txt
	$(STEP) env GATEWAY_BIN=$(BINARY) node --test --test-concurrency=3 tests/clients/*.test.mjs

# Four of the faults that `make faults` makes. Last, and alone: how long a gateway takes to recover depends on what else
# the machine does.
quick-faults: build packages $(if $(STEPS),rust-test client-test lint)
	$(STEP) env GATEWAY_BIN=$(BINARY) python3 -B -m tests.faults.run --quick

# The image's, the pipeline's and the cloud's files: linted, and the build rehearsed.
check-pipeline: $(UV) promtool
	$(STEP) scripts/check-pipeline.sh

# Kubernetes' manifests: rendered into target/k8s/, linted, validated; as JSON for the tests in Rust.
manifests: $(UV)
	$(STEP) scripts/check-k8s.sh

# The overlay for kind and minikube; load the image coworking-analytics:local into the cluster first.
deploy-local:
	kubectl apply -k k8s/overlays/local
	kubectl --namespace coworking rollout status deployment/coworking-analytics --timeout 180s

# What the image holds: slow to build, quick to run.
release:
	cargo build --release --locked

# Measures the release binary: databases, load and a table in Markdown; ARGS="--only 5,6 --seconds 5" for less.
bench: release
	@python3 -B -m bench.run $(ARGS)

# Breaks what the release binary depends on, while it is used; ARGS="--quick", or ARGS="--only stopped,cut" for less.
faults: release
	@python3 -B -m tests.faults.run $(ARGS)

# Holds the release binary at 80 % of what it can do within a pod's limits; ARGS="--minutes 2" for less.
soak: release
	@python3 -B -m bench.soak $(ARGS)

# Fuzzes on the nightly toolchain: five minutes for each door, or TARGET=csv SECONDS=3600. New finds go into fuzz/corpus.
TARGET ?= filters cursors time_zones query_strings csv
SECONDS ?= 300
FUZZ := target/tools/bin/cargo-fuzz
fuzz: $(FUZZ)
	for target in $(TARGET); do \
	  mkdir -p target/fuzz-corpus/$$target; \
	  PATH="$(CURDIR)/target/tools/bin:$$PATH" cargo +nightly fuzz run --sanitizer none $$target target/fuzz-corpus/$$target \
	    fuzz/corpus/$$target -- -max_total_time=$(SECONDS) -max_len=4096 -print_final_stats=1 -close_fd_mask=1; \
	done

# Dependencies at length: known holes, licences, sources, duplicates. Needs the internet for the first.
deny: target/tools/bin/cargo-deny
	target/tools/bin/cargo-deny --locked check $(ARGS)

# What the release binary is made of, in CycloneDX.
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

# Builds the dashboard from web/ into src/http/pages/dashboard; `cargo build` puts it into the binary.
web: web/node_modules/.package-lock.json
	npm run --silent build --prefix web

# Takes the dashboard's pictures anew, for docs/ and for the tests that compare them.
pictures: build $(NODE_MODULES)
	GATEWAY_BIN=$(BINARY) node tests/clients/pictures.mjs

# Writes schema.graphql anew from the code.
schema:
	cargo run --quiet --locked -- schema > schema.graphql

# Accepts what the snapshot tests see now; read the difference before committing it.
snapshots:
	INSTA_UPDATE=always $(MAKE) rust-test
