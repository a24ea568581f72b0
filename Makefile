# Every command of the project; each is also `python -m …` with --help. Settings are variables: make run PORT=9080

.DEFAULT_GOAL := help
.PHONY: help run test demo data train simulate check images up deploy e2e down bench

PYTHON ?= $(shell command -v python3.11 || command -v python3)
INSTALLED ?= .venv/installed
PY ?= .venv/bin/python
UV := .venv/bin/uv pip
LOCK := $(if $(TORCH_INDEX),build/without-torch.lock,requirements.lock)

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(INSTALLED) ## install, train if there is no release yet, serve until Ctrl-C (PORT=8080, PRODUCTS=, LOG_FORMAT=json)
	@$(PY) -m operations.local

test: $(INSTALLED) ## all tests that need no cluster, no docker and no network
	@$(PY) -m pytest -m "not cluster" -n 2 --dist loadfile

demo: $(INSTALLED) ## the whole loop once: train, serve, replay, correct, retrain, judge, promote, replay again (PRODUCTS=)
	@$(PY) -m operations.demo

data: $(INSTALLED) ## prepare data/ from data/raw, from the folder RAW=, or as a sample of PRODUCTS= products
	@$(PY) -m pipelines data

train: $(INSTALLED) ## run the pipeline here; prints the metrics and the release
	@$(PY) -m pipelines train

simulate: $(INSTALLED) ## replay data/unseen against a running gateway (URL=, RATE= per second, N=, CORRECT= share of wrong answers)
	@$(PY) -m inference.simulation

check: $(INSTALLED) ## format, lint, types; every overlay rendered (where kubectl is) and held against the schemas
	@$(PY) -m ruff format --check . && $(PY) -m ruff check . && $(PY) -m mypy
	@$(PY) -m pytest -q tests/manifests

bench: $(INSTALLED) ## measure ours and the peers in one run, into benchmarks/; one row with ROW=P3
	@$(PY) -m benchmarks $(ROW)

images: $(INSTALLED) ## build every image and load it into the cluster (BUILD="docker build", LOAD="kind load docker-image", TORCH_INDEX=)
	@$(PY) -m operations.cluster images

up: $(INSTALLED) ## make a kind cluster with cert-manager, KServe and Kubeflow Pipelines (CLUSTER=existing makes none)
	@$(PY) -m operations.cluster up

deploy: $(INSTALLED) ## apply the manifests to the current context and wait until everything is ready (OVERLAY=kind)
	@$(PY) -m operations.cluster deploy

e2e: $(INSTALLED) ## the cluster tests against the current context (CLUSTER=existing)
	@$(PY) -m pytest -m cluster

down: $(INSTALLED) ## remove the kind cluster
	@$(PY) -m operations.cluster down

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info[:2] == (3, 11) or sys.exit("this needs Python 3.11: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	@mkdir -p build && awk '/^[a-z]/ {drop = /^(torch|triton)==|^(nvidia|cuda)-/} !drop' requirements.lock > build/without-torch.lock
	.venv/bin/python -m pip install --quiet --disable-pip-version-check "$$(grep -o '^uv==[0-9.]*' requirements.lock)"
	$(UV) sync --quiet --require-hashes --compile-bytecode $(LOCK)
	$(if $(TORCH_INDEX),$(UV) install --quiet --no-deps --compile-bytecode --index-url $(TORCH_INDEX) "$$(grep -o '^torch==[0-9.]*' requirements.lock)")
	$(UV) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
