# `make demo` and `make test` are the two commands of the README; the rest is for who works on zonecast.

CARGO ?= cargo
# Which build the demo and `make up` run: release for people, debug in CI, where the tests have built it already.
PROFILE ?= release
# Debug binaries are built together with what the tests need, so that nothing is built twice.
BINARIES = $(if $(filter release,$(PROFILE)),--release -p zonecast -p zonecast-bench --no-default-features,--workspace)
BIN = target/$(PROFILE)
# Cases of each property test in `make soak`, and of the builder's law.
SOAK_CASES ?= 20000
LAW_CASES ?= 100000
# Property tests draw the same cases at each `make test`, so that it says the same twice; `make soak` draws fresh ones.
TEST_SEED ?= 96790199
# Where tests write down that they did not run.
SKIPPED = $(CURDIR)/target/skipped

.PHONY: help demo up test soak soak-system build deb deb-test check lint deps bench must-reach fuzz-check package-check

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

demo: deps ## The main job on real input: root zone and 1,000 zones, one core, two edges, 200 changes
	$(CARGO) build --locked $(BINARIES)
	$(BIN)/zonecast-bench demo

up: deps ## As the demo, and leave it running until Ctrl-C
	$(CARGO) build --locked $(BINARIES)
	$(BIN)/zonecast-bench demo --stay

test: deps ## All tests, with NSD, Knot and BIND as partners; those that this machine cannot run are counted at the end
	@ops/apt.sh test
	@rm -f $(SKIPPED)
	$(CARGO) build --locked --workspace
	@ops/previous.sh
	PROPTEST_RNG_SEED=$(TEST_SEED) ZONECAST_SKIPPED=$(SKIPPED) $(CARGO) test --locked --workspace
	@ZONECAST_SKIPPED=$(SKIPPED) ops/deb-test.sh target/debug/zonecast
	@ops/skipped.sh $(SKIPPED)

soak: deps ## The same tests at large counts; results go into docs/proofs.md
	@ops/apt.sh test
	$(CARGO) build --locked --workspace
	@ops/previous.sh
	PROPTEST_CASES=$(LAW_CASES) $(CARGO) test --locked -p zonecast-builder --lib law
	ZONECAST_SOAK=1 PROPTEST_CASES=$(SOAK_CASES) $(CARGO) test --locked --workspace

soak-system: deps ## Of those, 200 rounds of kill -9, ten minutes of hostile bytes, and three cores under faults, with their figures
	@ops/apt.sh test
	$(CARGO) build --locked -p zonecast
	@ops/previous.sh
	ZONECAST_SOAK=1 $(CARGO) test --locked -p zonecast-tests --test system -- --nocapture crash hostile voters

build: deps ## Release binaries in target/release
	$(CARGO) build --locked --release -p zonecast -p zonecast-bench

deb: deps ## A Debian package in target/deb/debian
	$(CARGO) build --locked --release -p zonecast
	@ops/deb.sh target/release/zonecast

deb-test: deps ## The package installed, upgraded and purged on a throw-away copy of this system; needs root
	@ops/apt.sh test
	$(CARGO) build --locked -p zonecast
	@ops/deb-test.sh target/debug/zonecast

bench: build ## Measures zonecast beside its peers, about sixteen minutes; report in target/bench
	@ops/apt.sh bench
	target/release/zonecast-bench run --out target/bench

must-reach: build ## Prints the figures that a release must reach; they decide no test
	target/release/zonecast-bench must-reach

check: lint fuzz-check package-check test ## The gate: everything CI runs

lint: deps
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps

fuzz-check: deps ## Checks that the fuzz targets still build
	cd fuzz && CARGO_TARGET_DIR=../target $(CARGO) check --locked

package-check: deps ## Packages what others embed as crates.io would get it, and builds the packages and their tests alone
	@CARGO=$(CARGO) ops/package.sh

deps: ## Debian packages, and RocksDB's library once per version into the user's cache
	@ops/apt.sh build
	@ops/rocksdb.sh
