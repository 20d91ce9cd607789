# Every target works on a fresh clone with Python 3.11: it makes .venv first where that is not there.
#   make demo     the whole pipeline on the lab, in minutes on a CPU
#   make test     every test
#   make serve MODEL=lab/models/instruct PORT=8001     a vLLM server, until Ctrl-C
#   make finetune         fine-tunes on step 4's dataset, with LLaMA-Factory, in .venv-train (8 GB);
#                         CONFIG=SkyThought/train/..., ARGS="max_steps=3"
#   make reproduce        the lab's claim measured, one training seed: in minutes on a CPU (lab/README.md)
#   make reproduce-all    the same for three seeds, all alphas and controls, training included: hours
#   make loop             sample, curate, fine-tune, merge back, measure: on the lab, 15 minutes on a CPU
#   make setup, make lint, make bench

PYTHON ?= python3
MODEL  ?= lab/models/instruct
NAME   ?=
PORT   ?= 8000
CONFIG ?= SkyThought/train/lab_cpu.yaml
ARGS   ?=
BIN    := .venv/bin
LOCKED := $(BIN)/python -m pip install --no-deps --no-compile -r requirements-cpu.lock
TRAIN_BIN    := .venv-train/bin
TRAIN_NEEDED := SkyThought/train/requirements-train.txt
TRAIN_PIP    := $(TRAIN_BIN)/python -m pip install --quiet -r $(TRAIN_NEEDED)
PYTORCH_CPU  := https://download.pytorch.org/whl/cpu

# Many containers set it; every process would then compile all of torch, transformers and vLLM that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test setup lint bench serve reproduce reproduce-all finetune loop

demo: setup
	$(BIN)/python -m lab.demo

test: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

setup: .venv/installed

serve: setup
	$(BIN)/python -m hindsight.servers.vllm_process --model $(MODEL) --name "$(NAME)" --port $(PORT)

reproduce: setup
	$(BIN)/python -m lab.study.reproduce

reproduce-all: setup
	$(BIN)/python -m lab.study.reproduce --everything --seeds 0 1 2

lint: setup
	$(BIN)/ruff check .

bench: setup
	$(BIN)/python -m benchmarks

# The check first: whether LLaMA-Factory reads the dataset as step 4 meant it.
finetune: .venv-train/installed
	$(TRAIN_BIN)/python SkyThought/train/check_dataset.py $(CONFIG) $(ARGS)
	$(TRAIN_BIN)/llamafactory-cli train $(CONFIG) $(ARGS)

loop: setup .venv-train/installed
	bash SkyThought/train/loop.sh

# torch's CPU build: pip finds it by itself where it is mirrored, else on PyTorch's index.
.venv/installed: requirements-cpu.lock pyproject.toml
	@echo "Installing into .venv: two to five minutes, 4 GB"
	$(PYTHON) -m venv .venv
	$(LOCKED) --quiet || $(LOCKED) --quiet --extra-index-url $(PYTORCH_CPU)
	@touch $@

# An environment of its own: LLaMA-Factory wants an older transformers and datasets.
.venv-train/installed: $(TRAIN_NEEDED)
	@echo "Installing LLaMA-Factory into .venv-train: two to five minutes, 8 GB"
	$(PYTHON) -m venv .venv-train
	$(TRAIN_PIP) || $(TRAIN_PIP) --extra-index-url $(PYTORCH_CPU)
	@touch $@
