# Lead Marts. `make run` and `make test` are all a fresh machine needs. GNU make 3.81 or newer.

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000

BIN := .venv/bin
export DBT_SEND_ANONYMOUS_USAGE_STATS := false

# One thing after the other, also under `make -j`: each needs what the one before it made.
.NOTPARALLEL:
.PHONY: help run port demo build serve test check lint types tests test-contract soak openapi bench lock clean \
    safety accept-secrets up up-detached down logs

help: ## Say what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: port demo build serve ## Make a demo lake if there is none, build, publish, and serve

# First, so that a port in use is known before anything is built.
port: .venv/run
	@$(BIN)/python -m api --host $(HOST) --port $(PORT) --check

demo: .venv/run
	@if [ -z "$${LEADMARTS_LEADS_URI:-}$${LEADMARTS_MARKETING_URI:-}" ] \
	    && [ ! -d "$${LEADMARTS_DATA:-data}/lake" ]; then $(BIN)/python -m lake demo; fi

build: .venv/run ## Build, test and publish the marts (dbt build)
	@$(BIN)/dbt build || { \
	    echo "The build failed, for the reason above: nothing was published." >&2; exit 1; }

serve: .venv/run ## Serve the current publication
	@$(BIN)/python -m api --host $(HOST) --port $(PORT)

up: .env ## Build, publish and serve in containers, as .env says
	@$(COMPOSED) up --build

up-detached: .env ## The same in the background
	@$(COMPOSED) up --build --detach

down: .env ## Stop the containers; their data stays
	@$(COMPOSED) --profile schedule down

logs: .env ## Follow what the containers say
	@$(COMPOSED) logs --follow

.env:
	@echo "There is no .env: copy .env.example to .env, and fill it in." >&2; exit 1

COMPOSE ?= docker compose
# The image says which version it is, and of which commit.
COMPOSED = VERSION="$$(sed -n 's/^__version__ = "\(.*\)"/\1/p' api/__init__.py)" \
    REVISION="$$(git describe --always --dirty --abbrev=40 --exclude='*' 2>/dev/null)" $(COMPOSE)

test: check tests ## Everything that CI checks

check: lint types safety

lint: .venv/dev ## Style of Python and SQL, and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	LEADMARTS_WAREHOUSE=:memory: $(BIN)/sqlfluff lint --disable-progress-bar models tests/dbt

types: .venv/dev
	$(BIN)/mypy

safety: .venv/dev ## Secrets in the repository, and known vulnerabilities of dependencies
	$(BIN)/python .ci/scan_secrets.py
	$(BIN)/python .ci/audit.py

accept-secrets: .venv/dev
	$(BIN)/python .ci/scan_secrets.py --accept

tests: .venv/dev
	$(BIN)/pytest $(TWO) -m "not soak" --contract

test-contract: .venv/dev ## The API's tests, with each response held against the OpenAPI document
	$(BIN)/pytest $(TWO) tests/api --contract

soak: .venv/dev ## What takes long by nature, whole
	$(BIN)/pytest $(TWO) -m soak

# Two workers; one that has nothing left takes from the other's tests.
TWO := -n 2 --dist worksteal

# The same lake and publication each time, so that the documents change only with the API.
openapi: .venv/run ## Write docs/openapi.yaml and docs/openapi.html from the demo lake
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && export LEADMARTS_DATA=$$folder \
	    DBT_TARGET_PATH=$$folder/target DBT_LOG_PATH=$$folder/logs \
	    && $(BIN)/python -m lake demo $(DEMO) && $(BIN)/dbt --quiet build && $(BIN)/python -m api openapi docs

DEMO := --leads 2000 --days 366 --end 2026-09-30 --seed 1

bench: .venv/dev ## Measure speed side by side with references
	$(BIN)/python -m benchmarks

lock: .venv/dev ## Pin every dependency anew from pyproject.toml
	$(BIN)/uv pip compile -q $(LOCK) pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile -q $(LOCK) pyproject.toml --group dev -o requirements-dev.lock

# --no-strip-extras: without it the pip of Debian 12 refuses the file.
LOCK := --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-emit-index-url

clean: ## Remove the environment and what tools left; the data stays
	rm -rf .venv target logs .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# Two stamps in one environment: what running needs, and the tools on top.
.venv/run: requirements.lock | .venv/bin/pip
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

.venv/dev: requirements-dev.lock | .venv/bin/pip
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch .venv/run $@

.venv/bin/pip:
	@command -v $(PYTHON) >/dev/null || { \
	    echo "Python 3.11 or newer is needed: install it (Debian: apt-get install python3 python3-venv; macOS: brew install python)." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "$$($(PYTHON) --version) is too old: install Python 3.11 or newer and name it, as in 'make run PYTHON=python3.12'." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "Python lacks its venv module: install it (Debian: apt-get install python3-venv)." >&2; exit 1; }
	@echo "Making the environment .venv (once, about a minute) ..."
	@$(PYTHON) -m venv .venv
