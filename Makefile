# Every target works on a fresh clone with Python 3.11: it makes .venv first where that is not there.
#   make demo     the whole pipeline on the lab, in minutes on a CPU
#   make test     every test
#   make serve MODEL=lab/models/instruct PORT=8001     a vLLM server, until Ctrl-C
#   make setup, make lint, make bench

PYTHON ?= python3
MODEL  ?= lab/models/instruct
NAME   ?=
PORT   ?= 8000
BIN    := .venv/bin
LOCKED := $(BIN)/python -m pip install --no-deps --no-compile -r requirements-cpu.lock

# Many containers set it; every process would then compile all of torch, transformers and vLLM that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test setup lint bench serve

demo: setup
	$(BIN)/python -m lab.demo

test: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

setup: .venv/installed

serve: setup
	$(BIN)/python -m hindsight.serving --model $(MODEL) --name "$(NAME)" --port $(PORT)

lint: setup
	$(BIN)/ruff check .

bench: setup
	$(BIN)/python -m benchmarks

# torch's CPU build: pip finds it by itself where it is mirrored, else on PyTorch's index.
.venv/installed: requirements-cpu.lock pyproject.toml
	@echo "Installing into .venv: two to five minutes, 4 GB"
	$(PYTHON) -m venv .venv
	$(LOCKED) --quiet || $(LOCKED) --quiet --extra-index-url https://download.pytorch.org/whl/cpu
	@touch $@
