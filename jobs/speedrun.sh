#!/usr/bin/env bash
# The whole pipeline on one node of 8 GPUs of 80 GB: from two Hub names and a problem set to a dataset of the merged
# model's correct answers, a model fine-tuned on it, and the figure that compares them all.
#
#     pip install -r requirements.txt && make .venv-train/installed && .venv-train/bin/pip install deepspeed==0.18.4
#     bash jobs/speedrun.sh
#
# Estimates; no step was measured at this size:
#
#     step                                        tokens    hours  dollars
#     download and merge                                      0.1        2
#     the teacher answers the training problems    160 M      1.9       37
#     five models answer the test problems          50 M      0.6       12
#     six servers start                                       0.3        6
#     42,000 answers are judged                               0.2        5
#     fine-tuning                                  110 M      0.8       16
#     all                                                     3.9       78
#
# Assumed: 2.50 dollars per GPU hour; 24,000 tokens per second of 8 servers of 8 billion parameters; 3,200 problems in
# TACO's train split at MEDIUM, 200 in its test split; 10 answers each, 5,000 tokens on average; 3 minutes per start;
# 2 seconds of one of 96 cores per answer judged; 10,000 rows of 5,500 tokens, 2 epochs, 8 operations per parameter and
# token, at 30 % of 989 TFLOP/s per GPU. After a stop or a kill the same command resumes with whatever is missing.
# `python -m hindsight.progress runs/speedrun` shows how far it is. docs/cluster.md has the same on the lab, on a CPU.
source "$(dirname "${BASH_SOURCE[0]}")/../SkyThought/train/run.sh"

# Each constant can be set for one run: `ALPHAS="0.4 0.7" RUNS=runs/try bash jobs/speedrun.sh`.
BASE=${BASE-meta-llama/Llama-3.1-8B}                                # also the model that is fine-tuned
FINETUNED=${FINETUNED-deepseek-ai/DeepSeek-R1-Distill-Llama-8B}     # an existing fine-tuned model of it
ALPHAS=${ALPHAS-0.7 0.9}                                            # merges of the two; the first is the teacher
RUNS=${RUNS-runs/speedrun}                                          # everything is written here
PROBLEMS=${PROBLEMS-BAAI/TACO} DIFFICULTY=${DIFFICULTY-MEDIUM}      # difficulty empty: all
TRAIN_PROBLEMS=${TRAIN_PROBLEMS-0} TEST_PROBLEMS=${TEST_PROBLEMS-0} # of the splits train and test; 0: all
NUM_SAMPLES=${NUM_SAMPLES-10}                                       # answers per problem, and the largest k
MAX_TOKENS=${MAX_TOKENS-8192} CUTOFF_LEN=${CUTOFF_LEN-10240}        # longest answer; longest row with its prompt
vllm='vllm serve {model} --served-model-name {name} --port {port} --max-model-len 10240 --data-parallel-size 8'
SERVE=${SERVE-$vllm}                                                # empty: as the lab does
CONCURRENCY=${CONCURRENCY-2048}                                     # requests in flight: 256 per GPU
CONFIG=${CONFIG-SkyThought/train/llama3.1_8b_full.yaml}             # of LLaMA-Factory
CHAT_TEMPLATE=${CHAT_TEMPLATE-SkyThought/train/llama3.jinja}        # the base model's rows have it; empty: its own
TRAIN_ARGS=${TRAIN_ARGS-}                                           # settings that override CONFIG
PYTHON=${PYTHON-python} PORT=${PORT-8000} START_DEADLINE=${START_DEADLINE-3600}
export FORCE_TORCHRUN=${FORCE_TORCHRUN-1}                           # one training process per GPU
read -ra alphas <<<"$ALPHAS"
teacher=${alphas[0]}
train=(--split train --end_idx "$TRAIN_PROBLEMS" --num_samples "$NUM_SAMPLES")
test=(--split test --end_idx "$TEST_PROBLEMS" --num_samples "$NUM_SAMPLES")

part "step 0: merge"
run "$PYTHON" merge_models.py --base_model "$BASE" --finetuned_model "$FINETUNED" --alphas "${alphas[@]}" \
    --output_dir "$RUNS/models"

# Each `answer` serves a model, samples it (step 1a), ends the server, converts (step 2) and judges (step 3).
answer teacher "$RUNS/models/alpha_$teacher" --merged_from "$BASE" "$FINETUNED" "$teacher" "${train[@]}"
answer base "$BASE" --prompt base "${test[@]}"
answer finetuned "$FINETUNED" "${test[@]}"
for alpha in "${alphas[@]}"; do
    answer "alpha_$alpha" "$RUNS/models/alpha_$alpha" --merged_from "$BASE" "$FINETUNED" "$alpha" "${test[@]}"
done

part "step 4: the teacher's correct answers become a dataset"
run_items "$PYTHON" convert_to_data.py --input_dirs "$RUNS/teacher" --output_dir "$RUNS/data" \
    --cutoff_len "$CUTOFF_LEN" --tokenizer "$BASE" --chat_template "$CHAT_TEMPLATE" \
    --test_problems "$PROBLEMS" --test_split test

part "fine-tune the base model on it"
run env LLAMAFACTORY="$LLAMAFACTORY" OUTPUT="$RUNS/models/trained" bash SkyThought/train/finetune.sh "$CONFIG" \
    model_name_or_path="$BASE" dataset_dir="$RUNS/data" cutoff_len="$CUTOFF_LEN" $TRAIN_ARGS
answer trained "$RUNS/models/trained" "${test[@]}"

part "step 5: the figure"
run "$PYTHON" pass_at_k_plot.py --ks $(seq "$NUM_SAMPLES") --leave_out_few true --output "$RUNS/pass_at_k" \
    --input_dirs "$RUNS/base" "${alphas[@]/#/$RUNS/alpha_}" "$RUNS/finetuned" "$RUNS/trained"
part "done: $RUNS/pass_at_k.png, the dataset in $RUNS/data, the model in $RUNS/models/trained"
