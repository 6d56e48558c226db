# What people and CI run. Recipes stay short: what is longer is a script in tests/scripts.
.DEFAULT_GOAL := help
.PHONY: help demo demo-down test conformance chart-test bench check fmt fmt-check lint arch doc verify generate chaos image build install needs
SHELL := /bin/bash
PREFIX ?= /usr/local
# A workspace of its own, whose files are beside the program's.
BENCH := --locked --manifest-path tests/bench/Cargo.toml --target-dir target/bench

help: ## Print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

needs: ## Check what the other targets need, and say how to get what is missing
	@tests/scripts/needs

demo: needs ## Start standalone, seal a secret, run it in a container, see a missing one named: on a real Docker
	tests/scripts/demo

demo-down: ## Remove everything that the demo made
	tests/scripts/demo down

test: needs ## Run every test; Docker, images and registry are set up by themselves
	tests/scripts/test

conformance: ## Hold the embedded API server against a real one, and run the end-to-end cases on that; needs Go
	@tests/scripts/needs conformance
	tests/scripts/conformance

chart-test: ## Hold the charts and what is shipped beside them against Helm, a real kube-apiserver, Prometheus and Lua; needs Go
	@tests/scripts/needs conformance
	CONFORMANCE_PARTS=charts tests/scripts/conformance

bench: needs ## Measure deployments beside the engine itself, Compose and Swarm, and the API server beside a real one; 30 minutes
	tests/scripts/bench

check: needs fmt-check lint arch doc verify test ## What a change must pass: format, lint, architecture, docs, generated files, tests

fmt: ## Format the sources
	cargo fmt
	cargo fmt --manifest-path tests/bench/Cargo.toml

fmt-check: ## Fail when a source is not formatted, or has the marks of a merge
	cargo fmt --check
	cargo fmt --check --manifest-path tests/bench/Cargo.toml
	! git grep -nE '^(<{7}|>{7}) '

lint: ## Lint everything, warnings are errors
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --test conformance --test transcripts --test charts --test gitops -- -D warnings
	cargo clippy $(BENCH) --all-targets -- -D warnings

arch: ## Hold the rooms against their plan
	cargo test --locked --quiet --test architecture

doc: ## Build the documentation, which opens with ARCHITECTURE.md; warnings are errors
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

generate: ## Write crds/ and charts/supercargo-crds from the types
	SUPERCARGO_GENERATE=1 cargo test --locked --quiet --test crds

verify: generate ## Fail when crds/ or charts/supercargo-crds are not what the types say
	git diff --exit-code crds charts/supercargo-crds
	test -z "$$(git status --porcelain crds charts/supercargo-crds)"

chaos: needs ## Kill operator, engine and containers at random moments and look at what is left; ROUNDS=100 by default, SEED repeats a run
	tests/scripts/chaos

image: ## Make the local image supercargo:VERSION from a static release build, without a registry
	tests/scripts/release image

build: ## Build the release binary, and fail unless it is static
	tests/scripts/release check

install: ## Install the binary to PREFIX/bin (default /usr/local), and as a kubectl plugin beside it
	tests/scripts/release install "$(DESTDIR)$(PREFIX)"
