#!/usr/bin/env bash
# The loop: a teacher answers problems, its correct answers become a dataset, a base model is fine-tuned on it, the
# result is merged back with that base model, and all of them are measured on other problems.
#
#     bash SkyThought/train/loop.sh      # or `make loop`, which first installs .venv and .venv-train
#
# As it stands it runs on the lab, in 8 minutes on 2 CPU cores, with real vLLM and LLaMA-Factory. Run it again after a
# stop or a kill: it resumes with whatever is missing. On a GPU machine edit the constants; the comments give other
# values. Each can also be set for one run: `NUM_SAMPLES=4 RUNS=runs/try bash SkyThought/train/loop.sh`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
unset PYTHONDONTWRITEBYTECODE

PYTHON=${PYTHON:-.venv/bin/python}
LLAMAFACTORY=${LLAMAFACTORY:-.venv-train/bin/llamafactory-cli}
RUNS=${RUNS:-runs/loop}                       # everything is written here: one folder per run, data/, models/
# How to serve a checkpoint; empty: as the lab does; "vllm serve {model} --served-model-name {name} --port {port} --max-model-len 10240"
SERVE=${SERVE:-}
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

part() { printf '\n=== %s   (%d min %02d s so far)\n' "$1" $((SECONDS / 60)) $((SECONDS % 60)); }

# Prints a command and runs it. A killed loop ends its command too, by `setpriv` (util-linux 2.33 and newer).
END_WITH_LOOP=(setpriv --pdeathsig TERM)
"${END_WITH_LOOP[@]}" true 2>/dev/null || END_WITH_LOOP=(env)
run() { printf '\n$ %s\n' "$*"; "${END_WITH_LOOP[@]}" "$@"; }

# The same for commands that end with status 1 when some items failed: they report these, and the rest is written.
run_items() { run "$@" || { local status=$?; ((status == 1)) || exit "$status"; }; }

# Serves a checkpoint, samples it on a split, converts and checks its answers:
# the run's name, the checkpoint, its prompt, the split, most problems, answers per problem, further flags.
answer() {
    part "$1 answers the $4 problems"
    run_items "$PYTHON" -m lab.pipeline --name "$1" --checkpoint "$2" --prompt "$3" --split "$4" --end_idx "$5" \
        --num_samples "$6" --problems "$PROBLEMS" --difficulty "$DIFFICULTY" --max_tokens "$MAX_TOKENS" \
        --serve "$SERVE" --port "$PORT" --start_deadline "$START_DEADLINE" --output_dir "$RUNS/$1" "${@:7}"
}

# Fine-tunes START into a folder ($1). A stopped training resumes from its last save if CONFIG saves on the way.
finetune() {
    local settings=("model_name_or_path=$START" "dataset_dir=$RUNS/data" "output_dir=$1" "cutoff_len=$CUTOFF_LEN") more
    [[ $VALIDATION != 0 ]] || settings+=("eval_dataset=null" "eval_strategy='no'")  # a bare no is false there
    read -ra more <<<"$TRAIN_ARGS"
    settings+=(${more[@]+"${more[@]}"})
    compgen -G "$1/checkpoint-*" >/dev/null || rm -f "$1"/*.safetensors
    run "$(dirname "$LLAMAFACTORY")/python" SkyThought/train/check_dataset.py "$CONFIG" "${settings[@]}"
    run "$LLAMAFACTORY" train "$CONFIG" "${settings[@]}"
}

mkdir -p "$RUNS"
if [[ $PROBLEMS == "$RUNS/problems.jsonl" && ! -e $PROBLEMS ]]; then
    part "problems"
    run "$PYTHON" -m lab.world.make_problems --train_problems "$MAX_TRAIN_PROBLEMS" --output_file "$PROBLEMS"
fi

part "the teacher"
run "$PYTHON" merge_models.py --base_model "$TEACHER_BASE" --finetuned_model "$TEACHER_FINETUNED" \
    --alphas "$TEACHER_ALPHA" --output_dir "$RUNS/models/teacher"
answer teacher "$RUNS/models/teacher/alpha_$TEACHER_ALPHA" instruct "$TRAIN_SPLIT" "$MAX_TRAIN_PROBLEMS" \
    "$TRAIN_SAMPLES" --merged_from "$TEACHER_BASE" "$TEACHER_FINETUNED" "$TEACHER_ALPHA"

part "the dataset"
run_items "$PYTHON" convert_to_data.py --input_dirs "$RUNS/teacher" --output_dir "$RUNS/data" \
    --validation "$VALIDATION" --cutoff_len "$CUTOFF_LEN" --tokenizer "$START" --chat_template "$CHAT_TEMPLATE" \
    --test_problems "$PROBLEMS" --test_split "$TEST_SPLIT"

part "fine-tuning"
finetuned=$RUNS/models/finetuned
trained=$([[ -z $EXPORT ]] && echo "$finetuned" || echo "$RUNS/models/adapter")
[[ -e $trained/train_results.json ]] || finetune "$trained"  # which LLaMA-Factory writes after the weights
if [[ ! -e $finetuned ]]; then
    run "$LLAMAFACTORY" export "$EXPORT" "model_name_or_path=$START" "adapter_name_or_path=$trained" \
        "export_dir=$finetuned.part"
    mv "$finetuned.part" "$finetuned"
fi
run "$PYTHON" merge_models.py --base_model "$START" --finetuned_model "$finetuned" --alphas $ALPHAS \
    --output_dir "$RUNS/models/merged"

answer start "$START" "$START_PROMPT" "$TEST_SPLIT" "$MAX_TEST_PROBLEMS" "$NUM_SAMPLES"
answer finetuned "$finetuned" instruct "$TEST_SPLIT" "$MAX_TEST_PROBLEMS" "$NUM_SAMPLES"
merged=()
for alpha in $ALPHAS; do
    merged+=("$RUNS/alpha_$alpha")
    answer "alpha_$alpha" "$RUNS/models/merged/alpha_$alpha" instruct "$TEST_SPLIT" "$MAX_TEST_PROBLEMS" \
        "$NUM_SAMPLES" --merged_from "$START" "$finetuned" "$alpha"
done

part "the curves"
run "$PYTHON" pass_at_k_plot.py --input_dirs "$RUNS/start" "${merged[@]}" "$RUNS/finetuned" \
    --ks $(seq "$NUM_SAMPLES") --output "$RUNS/pass_at_k"
part "done: the curves are $RUNS/pass_at_k.png, the dataset is in $RUNS/data"
