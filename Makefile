# Thin targets: the logic is in `tieline` and in scripts/. Start with `make demo`.
TIELINE := $(or $(CARGO_TARGET_DIR),target)/release/tieline
# `make call` rings this server, and says ARGS. Example: make call ARGS='--wav question.wav --out call.wav'
WEBHOOK ?= http://127.0.0.1:8080/voice/incoming
ARGS    ?= --say "Hello, what are your opening hours?"

# A shell that has not seen rustup's profile yet finds cargo all the same.
export PATH := $(PATH):$(HOME)/.cargo/bin

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo run call test bench sbom build models bootstrap clean

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

demo: build ## set everything up and place a simulated call through the real pipeline
	@scripts/demo.sh

run: build models ## serve calls (configuration: environment or .env)
	@exec "$(TIELINE)" serve

call: build ## place a simulated call to a running server (WEBHOOK=…, ARGS=…)
	@"$(TIELINE)" call --webhook "$(WEBHOOK)" $(ARGS)

test: ## format, lint, documentation, all tests
	@scripts/test.sh

bench: build models ## measure (quiet machine, please)
	cargo bench --locked --bench '*' -- --noplot
	@python3 scripts/bench_table.py "$(or $(CARGO_TARGET_DIR),target)"

sbom: ## write the software bill of materials (CycloneDX) to target/tieline.cdx.json
	@scripts/sbom.sh

build: bootstrap ## compile target/release/tieline
	cargo build --release --locked

models: build ## download the models that the configuration names
	@"$(TIELINE)" models pull

bootstrap: ## install missing system packages
	@scripts/bootstrap.sh

clean: ## remove build results; models and data stay
	cargo clean
	rm -rf .cache
