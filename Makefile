# `make test` is all that a fresh machine needs: it installs PostgreSQL and Chromium where they are
# missing (Debian, Ubuntu), checks, and runs every test on both databases.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

export CHROMIUM ?= $(or $(shell command -v chromium chromium-browser google-chrome 2>/dev/null | head -n 1),/usr/bin/chromium)

.PHONY: test tools lint check-pipeline manifests image deploy-local release rust-test client-test quick-faults \
  bench deny faults fuzz pictures sbom schema snapshots soak web

test: tools lint check-pipeline manifests rust-test client-test quick-faults

tools:
	scripts/postgres.sh install
	[ -x "$(CHROMIUM)" ] || scripts/install.sh chromium
	for folder in tests/clients web; do npm ci --loglevel=error --no-audit --no-fund --prefix $$folder; done
	scripts/venv.sh tests/clients/requirements.txt target/clients-venv

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	scripts/check-dependencies.py
	npm run --silent check --prefix web

rust-test: release
	GATEWAY_RELEASE_BIN=$(CURDIR)/target/release/coworking-analytics PROMTOOL="$$(scripts/check-pipeline.sh promtool)" \
	  scripts/with-postgres.sh cargo test --workspace --locked

client-test: release
	GATEWAY_BIN=$(CURDIR)/target/release/coworking-analytics node --test tests/clients/*.test.mjs

# Four of the faults that `make faults` makes.
quick-faults: release
	tests/faults/run.py --quick

# The image's, the pipeline's and the cloud's files: linted, and the build rehearsed.
check-pipeline:
	scripts/check-pipeline.sh

# Kubernetes' manifests: rendered into target/k8s/, linted, validated; as JSON for the tests in Rust.
manifests:
	scripts/check-k8s.sh

# The overlay for kind and minikube; load the image coworking-analytics:local into the cluster first.
deploy-local:
	kubectl apply -k k8s/overlays/local
	kubectl --namespace coworking rollout status deployment/coworking-analytics --timeout 180s

# What the image holds.
release:
	cargo build --release --locked

# Measures the release binary: databases, load and a table in Markdown; ARGS="--only 5,6 --seconds 5" for less.
bench: release
	@bench/run.py $(ARGS)

# Breaks what the release binary depends on, while it is used; ARGS="--quick", or ARGS="--only stopped,cut" for less.
faults: release
	@tests/faults/run.py $(ARGS)

# Holds the release binary at 80 % of what it can do within a pod's limits; ARGS="--minutes 2" for less.
soak: release
	@bench/soak.py $(ARGS)

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

# Builds the dashboard from web/ into src/http/assets/dashboard; `cargo build` puts it into the binary.
web:
	npm ci --loglevel=error --no-audit --no-fund --prefix web
	npm run --silent build --prefix web

# Takes the dashboard's pictures anew, for docs/ and for the tests that compare them.
pictures: release
	GATEWAY_BIN=$(CURDIR)/target/release/coworking-analytics node tests/clients/pictures.mjs

# Writes schema.graphql anew from the code.
schema:
	cargo run --quiet --locked -- schema > schema.graphql

# Accepts what the snapshot tests see now; read the difference before committing it.
snapshots:
	INSTA_UPDATE=always $(MAKE) rust-test
