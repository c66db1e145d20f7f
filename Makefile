# Everything that is installed or built lives below WEIR_CACHE, so a clone stays as it was.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# The steps of `test` come in their order, and two cargos would only wait for each other.
.NOTPARALLEL:

export WEIR_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/weir
# One directory a checkout: cargo tells sources apart by time and path within the workspace, so two
# checkouts that shared one would run each other's code.
checkout := $(shell pwd -P | cksum | cut -d' ' -f1)
export CARGO_TARGET_DIR ?= $(WEIR_CACHE)/target/$(checkout)
# Where the harness and weir-run find the tools and the filter.
export WEIR_TOOLS := $(WEIR_CACHE)/tools
export WEIR_WASM := $(CARGO_TARGET_DIR)/weir_filter.wasm

setup := tests/scripts/setup.sh
wasm := tests/scripts/wasm.sh

##@ Use
run: setup-run wasm bins ## Start the gateway on this machine: Envoy, the exporter, nats-server
	@exec "$$CARGO_TARGET_DIR/debug/weir-run"

##@ Check
test: setup fmt-check lint wasm unit wasm-test fuzz-short bins kubernetes docker e2e ## Run all that follow here, the end-to-end tests last

lint: setup-run ## Run clippy for this machine and for wasm, every warning an error, and check the tree's structure
	@echo "== structure"
	@cargo test -q -p weir-structure --locked
	@echo "== clippy"
	@cargo clippy --workspace --all-targets --locked -- -D warnings
	@echo "== clippy, wasm"
	@if [[ $$($(wasm) route) == rustup ]]; then $(wasm) clippy -p weir-filter --lib --test core -- -D warnings; \
	else echo "(Debian's Rust comes without clippy: cargo check instead)"; $(wasm) check -p weir-filter --lib --test core; fi

unit: ## Run the unit tests
	@echo "== unit tests"
	@cargo test --workspace --exclude weir-tests --locked

wasm-test: setup ## Run the filter's core as wasm, in Node
	@echo "== wasm tests in Node"
	@$(wasm) test -p weir-filter --no-default-features --test core

e2e: setup wasm bins ## Run the end-to-end tests on a real Envoy and a real nats-server
	@echo "== end-to-end tests"
	@cargo test -p weir-tests --locked --tests -- --test-threads=2

fuzz: setup ## Run every fuzz target for SECONDS (30), or those of TARGETS, from the kept corpus on
	@echo "== fuzz targets, $(or $(SECONDS),30) s each"
	@tests/scripts/fuzz.sh $(or $(SECONDS),30) $(TARGETS)

test-faults: setup-run bins ## Run the fault tests of delivery in their long form (a quarter of an hour)
	@echo "== fault tests, long"
	@WEIR_FAULTS=long cargo test -p weir-tests --locked --test delivery -- --test-threads=2

test-docker: setup-run wasm bins ## Run the compose files with a Docker engine, which is installed and started where there is none
	@tests/scripts/docker.sh

bench: setup wasm ## Measure what Weir costs beside bare Envoy: throughput, latency, streams, memory
	@cargo build --release --locked -p weir-exporter -p weir-tests --bin weir-exporter --bin weir-bench
	@"$$CARGO_TARGET_DIR/release/weir-bench"

bench-peers: wasm ## Measure Weir beside LiteLLM's proxy and Portkey's gateway, which are installed first
	@$(setup) peers
	@cargo build --release --locked -p weir-exporter -p weir-tests --bin weir-exporter --bin weir-bench-peers
	@"$$CARGO_TARGET_DIR/release/weir-bench-peers"

bench-exporter: setup-run ## Measure the exporter: events a second a core, and memory while a million wait
	@cargo build --release --locked -p weir-exporter -p weir-tests --bin weir-exporter --bin weir-bench-exporter
	@"$$CARGO_TARGET_DIR/release/weir-bench-exporter"

chaos: setup-run wasm bins ## Run load while everything fails in turn, then prove the ledger (MINUTES=5 SEED= NODES= RATE=60)
	@"$$CARGO_TARGET_DIR/debug/weir-chaos" --minutes $(or $(MINUTES),5) --rate $(or $(RATE),60) $(if $(SEED),--seed $(SEED)) $(if $(NODES),--nodes $(NODES))

soak: setup-run wasm ## Run a constant load and see that nothing grows (MINUTES=60 RATE=300); writes target/soak
	@cargo build --release --locked -p weir-exporter
	@cargo build --locked -p weir-tests --bin weir-soak
	@"$$CARGO_TARGET_DIR/debug/weir-soak" --minutes $(or $(MINUTES),60) --rate $(or $(RATE),300) --exporter "$$CARGO_TARGET_DIR/release/weir-exporter"

fill-memory: setup-run wasm bins ## Fill a worker's memory: 1000 requests of values to restore, 500 held events
	@cargo test --locked -p weir-tests --test hostile -- --ignored --nocapture a_thousand_requests

redaction-report: ## Print how well each detector of personal data and secrets does on its corpus
	@cargo test -q -p weir-filter --locked --test detectors -- --nocapture

outside := microsoft/presidio-research gitleaks/gitleaks trufflesecurity/trufflehog Yelp/detect-secrets
redaction-outside: ## Print how well the detectors do on corpora of others, cloned into FOLDER
	@for one in $(outside); do test -d "$(FOLDER)/$${one#*/}" && continue; \
	echo "redaction-outside reads corpora of others, and $(or $(FOLDER),no FOLDER) has no $${one#*/}. Clone them, then name the folder:" >&2; \
	for one in $(outside); do echo "  git clone --depth 1 https://github.com/$$one FOLDER/$${one#*/}" >&2; done; \
	echo "  make redaction-outside FOLDER=FOLDER [NOTES=1 to list each value missed]" >&2; exit 1; done
	@WEIR_OUTSIDE="$(abspath $(FOLDER))" $(if $(NOTES),WEIR_OUTSIDE_NOTES=1) \
	cargo test -q -p weir-filter --locked --test recognition -- --ignored --nocapture

screenshots: wasm bins ## Run the page under traffic and take the README's pictures of it
	@echo "== screenshots of the page"
	@cargo test -q -p weir-tests --locked --test page -- --ignored --exact screenshots::every_view_light_and_dark_wide_and_narrow

bench-filter: setup ## Measure a request in the filter, and redaction, on this machine and as wasm in Node
	@echo "== native"
	@cargo test -q --release -p weir-filter --locked --test speed -- --ignored --nocapture
	@echo "== wasm, in Node"
	@$(wasm) test --release -p weir-filter --no-default-features --test speed -- --nocapture

test-phoenix: wasm bins ## Ship to a real Arize Phoenix and read back what it shows
	@tests/scripts/phoenix.sh

deny: ## Check licences, advisories and sources of every dependency
	@command -v cargo-deny >/dev/null || { echo "missing: cargo-deny. Install with: cargo install --locked cargo-deny@0.20.2" >&2; exit 1; }
	@cargo deny --locked check

##@ Build
setup: ## Install what is missing: the wasm target, Envoy, nats-server, the test tools
	@$(setup) test

wasm: setup-run ## Build the filter as it is shipped
	@echo "== filter, release build for wasm"
	@$(wasm) build --release -p weir-filter

image: wasm bins ## Write the filter as an OCI image, an image layout, without any daemon
	@"$$CARGO_TARGET_DIR/debug/weir-config" image --wasm "$$WEIR_WASM" --output "$$CARGO_TARGET_DIR/weir-filter.oci"

dist: ## Build what is shipped: static binaries, the filter, checksums, an SBOM and the licences
	@$(setup) dist
	@tests/scripts/release.sh dist "$$CARGO_TARGET_DIR/dist"

fmt: ## Format the code
	@cargo fmt --all
	@cargo fmt --manifest-path fuzz/Cargo.toml

generate: ## Write anew what is generated: the Rust of the event's protobuf, schemas, golden spans
	@WEIR_UPDATE=1 cargo test -p weir-event --locked --test generated
	@WEIR_UPDATE=1 cargo test -p weir-config --locked --test schema --test settings --test overlays
	@WEIR_UPDATE=1 cargo test -p weir-exporter --locked --test schema --test golden
	@WEIR_UPDATE=1 cargo test -p weir-exporter --locked --test docs
	@WEIR_UPDATE=1 cargo test -p weir-tests --locked --test golden

clean: ## Remove what was built
	@rm -rf "$$CARGO_TARGET_DIR"
	@echo "Removed $$CARGO_TARGET_DIR. To remove the installed tools too: rm -rf $$WEIR_CACHE"

help: ## Show this list
	@awk -F ':.*## ' '/^##@/ { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z0-9-]+:.*## / { printf "  make %-16s  %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# Steps of the targets above, not for the list.
fuzz-short: setup
	@echo "== fuzz targets, 10 s each"
	@tests/scripts/fuzz.sh 10

setup-run:
	@$(setup) run

fmt-check:
	@echo "== formatting"
	@cargo fmt --all --check
	@cargo fmt --manifest-path fuzz/Cargo.toml --check

bins:
	@echo "== exporter, renderer and harness"
	@cargo build --locked -p weir-exporter -p weir-config -p weir-demo -p weir-tests --bins

kubernetes: setup bins
	@echo "== Kubernetes manifests"
	@tests/scripts/kubernetes.sh

docker:
	@echo "== compose files, with a Docker engine"
	@tests/scripts/docker.sh test

.PHONY: run test lint unit wasm-test fuzz fuzz-short e2e screenshots bench bench-filter bench-exporter bench-peers chaos soak fill-memory redaction-report redaction-outside test-faults test-docker docker kubernetes test-phoenix deny setup wasm image dist fmt generate clean help setup-run fmt-check bins
