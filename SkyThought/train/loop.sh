#!/usr/bin/env bash
# The loop: a teacher answers problems, its correct answers become a dataset, a base model is fine-tuned on it, the
# result is merged back with that base model, and all of them are measured on other problems.
#
#     bash SkyThought/train/loop.sh      # or `make loop`, which first installs .venv and .venv-train
#
# It runs on the lab, in 8 minutes on 2 CPU cores; run again after a stop or a kill, it resumes with whatever is missing.
# For another model edit the constants, or set them for one run: `NUM_SAMPLES=4 RUNS=runs/try bash .../loop.sh`.
source "$(dirname "${BASH_SOURCE[0]}")/run.sh"

PYTHON=${PYTHON:-.venv/bin/python}            # LLAMAFACTORY overrides .venv-train's llamafactory-cli
RUNS=${RUNS:-runs/loop}                       # everything is written here: one folder per run, data/, models/
SERVE=${SERVE:-}                              # command that serves {model} as {name} on {port}; empty: as the lab does
PORT=${PORT:-8100}                            # of the server; one runs at a time
START_DEADLINE=${START_DEADLINE:-600}         # seconds it may take to start
START=${START:-lab/models/base}               # the model to fine-tune, and to merge back with; meta-llama/Llama-3.1-8B
START_PROMPT=${START_PROMPT:-base}            # how to prompt it: base (a transcript) or instruct (a chat)
TEACHER_BASE=${TEACHER_BASE:-lab/models/base} # the teacher is a merge of these two; meta-llama/Llama-3.1-8B
TEACHER_FINETUNED=${TEACHER_FINETUNED:-lab/models/instruct}  # deepseek-ai/DeepSeek-R1-Distill-Llama-8B
TEACHER_ALPHA=${TEACHER_ALPHA:-0.7}

PROBLEMS=${PROBLEMS:-$RUNS/problems.jsonl}    # this file is made below, with lab problems; BAAI/TACO
DIFFICULTY=${DIFFICULTY:-}                    # EASY, MEDIUM, ...; empty: all
TRAIN_SPLIT=${TRAIN_SPLIT:-train}             # the teacher answers these problems
TEST_SPLIT=${TEST_SPLIT:-test}                # all models are measured on these
MAX_TRAIN_PROBLEMS=${MAX_TRAIN_PROBLEMS:-500} # train problems to use; 0: all (the lab's file gets this many)
MAX_TEST_PROBLEMS=${MAX_TEST_PROBLEMS:-90}    # test problems to use; 0: all, 300 in the lab's file
TRAIN_SAMPLES=${TRAIN_SAMPLES:-8}             # answers per train problem; duplicates, which are many, are dropped
NUM_SAMPLES=${NUM_SAMPLES:-10}                # answers per test problem, and the largest k of the curves
MAX_TOKENS=${MAX_TOKENS:-512}                 # longest answer; 8192
VALIDATION=${VALIDATION:-0.1}                 # share of the solved problems kept for validation; 0: no eval loss
CUTOFF_LEN=${CUTOFF_LEN:-1024}                # longest row in tokens, as in CONFIG; 10240
CHAT_TEMPLATE=${CHAT_TEMPLATE:-}              # Jinja file for a START without one; SkyThought/train/llama3.jinja
CONFIG=${CONFIG:-SkyThought/train/lab_cpu.yaml}  # SkyThought/train/llama3.1_8b_full.yaml, with FORCE_TORCHRUN=1
TRAIN_ARGS=${TRAIN_ARGS:-}                    # settings that override CONFIG, as in "max_steps=3 seed=1"
EXPORT=${EXPORT:-}                            # export file for a LoRA CONFIG; empty: CONFIG leaves a whole checkpoint
ALPHAS=${ALPHAS:-0.4 0.7 0.9}                 # at which the result is merged with START; the paper: 0.7 and 0.9
ON_TEST=(--split "$TEST_SPLIT" --end_idx "$MAX_TEST_PROBLEMS" --num_samples "$NUM_SAMPLES")
read -ra alphas <<<"$ALPHAS"

[[ $PROBLEMS != "$RUNS/problems.jsonl" || -e $PROBLEMS ]] ||
    run "$PYTHON" -m lab.world.make_problems --train_problems "$MAX_TRAIN_PROBLEMS" --output_file "$PROBLEMS"

part "the teacher"
run "$PYTHON" merge_models.py --base_model "$TEACHER_BASE" --finetuned_model "$TEACHER_FINETUNED" \
    --alphas "$TEACHER_ALPHA" --output_dir "$RUNS/models/teacher"
answer teacher "$RUNS/models/teacher/alpha_$TEACHER_ALPHA" --merged_from "$TEACHER_BASE" "$TEACHER_FINETUNED" \
    "$TEACHER_ALPHA" --split "$TRAIN_SPLIT" --end_idx "$MAX_TRAIN_PROBLEMS" --num_samples "$TRAIN_SAMPLES"

part "the dataset"
run_items "$PYTHON" convert_to_data.py --input_dirs "$RUNS/teacher" --output_dir "$RUNS/data" \
    --validation "$VALIDATION" --cutoff_len "$CUTOFF_LEN" --tokenizer "$START" --chat_template "$CHAT_TEMPLATE" \
    --test_problems "$PROBLEMS" --test_split "$TEST_SPLIT"

part "fine-tuning"
finetuned=$RUNS/models/finetuned
[[ $VALIDATION != 0 ]] || TRAIN_ARGS="eval_dataset=null eval_strategy='no' $TRAIN_ARGS"  # a bare no is false there
run env LLAMAFACTORY="$LLAMAFACTORY" OUTPUT="$finetuned" EXPORT="$EXPORT" bash SkyThought/train/finetune.sh "$CONFIG" \
    model_name_or_path="$START" dataset_dir="$RUNS/data" cutoff_len="$CUTOFF_LEN" $TRAIN_ARGS
run "$PYTHON" merge_models.py --base_model "$START" --finetuned_model "$finetuned" --alphas "${alphas[@]}" \
    --output_dir "$RUNS/models/merged"

answer start "$START" --prompt "$START_PROMPT" "${ON_TEST[@]}"
answer finetuned "$finetuned" "${ON_TEST[@]}"
for alpha in "${alphas[@]}"; do
    answer "alpha_$alpha" "$RUNS/models/merged/alpha_$alpha" --merged_from "$START" "$finetuned" "$alpha" "${ON_TEST[@]}"
done

part "the curves"
run "$PYTHON" pass_at_k_plot.py --input_dirs "$RUNS/start" "${alphas[@]/#/$RUNS/alpha_}" "$RUNS/finetuned" \
    --ks $(seq "$NUM_SAMPLES") --output "$RUNS/pass_at_k"
part "done: the curves are $RUNS/pass_at_k.png, the dataset is in $RUNS/data"
