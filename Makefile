# Everything a developer does, in one list: `make` prints it. CI calls the same targets.

CARGO ?= cargo

# The simulation: the first seed, and how many.
SEED ?= 1
RUNS ?= 10000
FAMILY ?= marked
STRATEGY ?= recreate

# The torture: how often the process is killed, and the events per second.
KILLS ?= 100
RATE ?= 2000

# A hang under load: how many slots, and the events per second.
SLOTS ?= 20
EVENTS ?= 5000

# How many organizations, of five streams with two slots each.
ORGANIZATIONS ?= 100

.DEFAULT_GOAL := help
.PHONY: help demo run test lint bench docs image interop many same-stream sim torture

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Show a hang and its recovery, against a simulator of its own
	$(CARGO) run --release --locked --package streamkeeper-cli -- demo

run: ## Run the simulator and streamkeeper side by side (config/local.toml), until Ctrl-C
	scripts/run-local

test: ## Run all tests, those of the documentation included
	$(CARGO) test --workspace --locked

lint: ## Check formatting, lints, documentation and dependencies
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) rustdoc --package streamkeeper-cli --bin streamkeeper --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked
	scripts/tool cargo-deny check --hide-inclusion-graph bans licenses sources

bench: ## Run the benchmarks; their figures go to docs/benchmarks/
	$(CARGO) bench --workspace --locked --bench '*'

sim: ## Run the seeded simulation (SEED=1 RUNS=10000, STRATEGY=replay, FAMILY=cursored for the other policies)
	$(CARGO) run --profile simulation --locked --package streamkeeper-tests --bin sim -- --family $(FAMILY) --strategy $(STRATEGY) --seed $(SEED) --runs $(RUNS)

torture: ## Kill the process again and again while events flow (KILLS=100 RATE=2000)
	TORTURE_KILLS=$(KILLS) TORTURE_RATE=$(RATE) $(CARGO) test --release --locked \
		--package streamkeeper-cli --test e2e -- torture --nocapture

same-stream: ## Hang one of many slots under load, with the strategy `replay` (SLOTS=20 EVENTS=5000)
	SAME_STREAM_SLOTS=$(SLOTS) SAME_STREAM_RATE=$(EVENTS) $(CARGO) test --release --locked \
		--package streamkeeper-cli --test e2e -- many_slots_under_full_load --nocapture

many: ## Keep many organizations in one process, and print what it costs (ORGANIZATIONS=100)
	MANY_ORGANIZATIONS=$(ORGANIZATIONS) $(CARGO) test --release --locked \
		--package streamkeeper-cli --test e2e -- many_organizations --nocapture

interop: ## Keep the streams of real servers while both are killed; writes the table in docs/interop.md
	$(CARGO) test --locked --package streamkeeper-cli --test e2e -- interop::every_server --exact --ignored --nocapture

image: ## Build the container image, with buildah
	buildah bud --file config/Dockerfile --tag streamkeeper .

docs: ## Build the book of docs/ into target/book
	scripts/tool mdbook build
