#!/usr/bin/env bash
# The loop: a teacher answers problems, its correct answers become a dataset, a base model is fine-tuned on that, the
# result is merged back with where it started, and all of them are measured on other problems.
#
#     bash SkyThought/train/loop.sh      # or `make loop`, which installs .venv and .venv-train first
#
# As it stands it runs on the lab, in 8 minutes on 2 CPU cores, with real vLLM and real LLaMA-Factory. Run
# again after a stop of whatever kind it goes on: no answer is made anew, no server is started for a run that is complete,
# and training is not repeated. On a GPU machine edit the constants and `serve`; behind the lab's values stand others. Every
# constant can also be set for one run: `NUM_SAMPLES=4 RUNS=runs/try bash SkyThought/train/loop.sh`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
unset PYTHONDONTWRITEBYTECODE

PYTHON=${PYTHON:-.venv/bin/python}
LLAMAFACTORY=${LLAMAFACTORY:-.venv-train/bin/llamafactory-cli}
RUNS=${RUNS:-runs/loop}                       # everything is written here: a folder a run, data/, models/
PORT=${PORT:-8100}                            # of the server; one runs at a time
START_DEADLINE=${START_DEADLINE:-600}         # seconds it may take to start

START=${START:-lab/models/base}               # what is fine-tuned, and merged with again; meta-llama/Llama-3.1-8B
START_PROMPT=${START_PROMPT:-base}            # how it is asked itself: base (a transcript) or instruct (a chat)
TEACHER_BASE=${TEACHER_BASE:-lab/models/base} # the teacher is these two merged; meta-llama/Llama-3.1-8B
TEACHER_FINETUNED=${TEACHER_FINETUNED:-lab/models/instruct}  # deepseek-ai/DeepSeek-R1-Distill-Llama-8B
TEACHER_ALPHA=${TEACHER_ALPHA:-0.7}

PROBLEMS=${PROBLEMS:-$RUNS/problems.jsonl}    # this file is made here, of the lab's kind; BAAI/TACO
DIFFICULTY=${DIFFICULTY:-}                    # EASY, MEDIUM, ...; empty: all
TRAIN_SPLIT=${TRAIN_SPLIT:-train}             # the teacher answers these
TEST_SPLIT=${TEST_SPLIT:-test}                # all are measured on these
MAX_TRAIN_PROBLEMS=${MAX_TRAIN_PROBLEMS:-500} # how many of them; 0: all (the lab's file gets as many as this says)
MAX_TEST_PROBLEMS=${MAX_TEST_PROBLEMS:-90}    # how many of those; 0: all, which of the lab are 300
TRAIN_SAMPLES=${TRAIN_SAMPLES:-8}             # answers a train problem: equal ones, of which there are many, are dropped
NUM_SAMPLES=${NUM_SAMPLES:-10}                # answers a test problem, and the largest k of the curves
MAX_TOKENS=${MAX_TOKENS:-512}                 # longest answer; 8192

VALIDATION=${VALIDATION:-0.1}                 # share of the solved problems that are not trained on; 0: no eval loss
CUTOFF_LEN=${CUTOFF_LEN:-1024}                # longest row in tokens, as CONFIG has it; 10240
CHAT_TEMPLATE=${CHAT_TEMPLATE:-}              # Jinja file, for a START that has none; SkyThought/train/llama3.jinja
CONFIG=${CONFIG:-SkyThought/train/lab_cpu.yaml}  # SkyThought/train/llama3.1_8b_full.yaml, with FORCE_TORCHRUN=1
TRAIN_ARGS=${TRAIN_ARGS:-}                    # settings behind it, as in "max_steps=3 seed=1"
EXPORT=${EXPORT:-}                            # export file, for a LoRA CONFIG; empty: CONFIG leaves a whole checkpoint
ALPHAS=${ALPHAS:-0.4 0.7 0.9}                 # at which the result is merged with START; the paper's are 0.7 and 0.9

# The server of a checkpoint ($1) by a name ($2) on a port ($3). On a GPU machine rather:
#     exec vllm serve "$1" --served-model-name "$2" --port "$3" --max-model-len 10240
serve() { exec "$PYTHON" -m hindsight.servers.vllm_process --model "$1" --name "$2" --port "$3"; }

# ----------------------------------------------------------------------------------------------------------------------

SERVER="" CHILD=""
end() { [[ -z $1 ]] || { kill "$1" 2>/dev/null || true; wait "$1" 2>/dev/null || true; }; }
trap 'end "$CHILD"; end "$SERVER"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

part() { printf '\n=== %s   (%d min %02d s so far)\n' "$1" $((SECONDS / 60)) $((SECONDS % 60)); }

# Both show a command and run it. With `run` any failure ends the loop; with `run_items` status 1 does not, by which our
# scripts say that some items failed (a base model's answer without a program, say) and that the rest is written.
run() {
    local status=0
    printf '\n$ %s\n' "$*"
    "$@" &  # in the background, so that a signal ends the loop at once and not after the command
    CHILD=$!
    wait "$CHILD" || status=$?
    CHILD=""
    return "$status"
}
run_items() {
    local status=0
    run "$@" || status=$?
    ((status <= 1)) || exit "$status"
}

count_problems() {  # of a split ($1), of which $2 at most are used
    "$PYTHON" -c 'import sys
from hindsight.problem_sets.selection import select_problems
found, most = len(select_problems(*sys.argv[1:4])), int(sys.argv[4])
print(min(found, most or found))' "$PROBLEMS" "$1" "$DIFFICULTY" "$2"
}

# Of a checkpoint ($1), by a name ($2). It is ended on exit, and by a process of its own should this one be killed.
start_server() {
    serve "$1" "$2" "$PORT" >"$RUNS/server_$2.log" 2>&1 &
    SERVER=$!
    (while kill -0 $$; do kill -0 "$SERVER" || exit 0; sleep 1; done; kill "$SERVER") >/dev/null 2>&1 &
    until (: <"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null; do
        kill -0 "$SERVER" 2>/dev/null || { echo "the server of $1 ended:"; tail -n 20 "$RUNS/server_$2.log"; exit 2; }
        sleep 1
    done
}

# Has a model answer a split, then converts the answers and checks them:
# run's name, checkpoint, prompt (base or instruct), split, most problems, samples of each, and what more is said to the
# sampling script.
answer() {
    local name=$1 checkpoint=$2 prompt=$3 split=$4 most=$5 samples=$6 there wanted
    shift 6
    part "$name answers the $split problems"
    mkdir -p "$RUNS/$name"
    there=$(find "$RUNS/$name" -name 'question_*_sample_*.json' | wc -l)
    wanted=$(count_problems "$split" "$most")
    if ((there < wanted * samples)); then
        start_server "$checkpoint" "$name"
        run_items "$PYTHON" single_model_inference.py \
            --problems "$PROBLEMS" --split "$split" --difficulty "$DIFFICULTY" --end_idx "$most" \
            --num_samples "$samples" --max_tokens "$MAX_TOKENS" \
            --model "$prompt" "--${prompt}_model" "$name" --base_urls "http://127.0.0.1:$PORT/v1" \
            --wait_for_server "$START_DEADLINE" --output_dir "$RUNS/$name" "$@"
        end "$SERVER"
        SERVER=""
    fi
    run_items "$PYTHON" format_converter.py --input_dir "$RUNS/$name"
    run_items "$PYTHON" check_converted_samples.py --input_dir "$RUNS/$name"
}

# Fine-tunes START into $RUNS/models/finetuned. LLaMA-Factory writes the weights and then train_results.json: with that
# a training is complete. One that was stopped goes on from its last save, where CONFIG saves on the way, or anew.
finetune() {
    local whole=$RUNS/models/finetuned trained=$RUNS/models/finetuned more
    local settings=("model_name_or_path=$START" "dataset_dir=$RUNS/data")
    [[ -z $EXPORT ]] || trained=$RUNS/models/adapter
    [[ $VALIDATION != 0 ]] || settings+=("eval_dataset=null" "eval_strategy='no'")  # a bare no is false there
    read -ra more <<<"$TRAIN_ARGS"
    settings+=("output_dir=$trained" "cutoff_len=$CUTOFF_LEN" ${more[@]+"${more[@]}"})
    if [[ ! -e $trained/train_results.json ]]; then
        compgen -G "$trained/checkpoint-*" >/dev/null || rm -f "$trained"/*.safetensors
        run "$(dirname "$LLAMAFACTORY")/python" SkyThought/train/check_dataset.py "$CONFIG" "${settings[@]}"
        run "$LLAMAFACTORY" train "$CONFIG" "${settings[@]}"
    fi
    if [[ -n $EXPORT && ! -e $whole ]]; then
        run "$LLAMAFACTORY" export "$EXPORT" "model_name_or_path=$START" "adapter_name_or_path=$trained" \
            "export_dir=$whole.part"
        mv "$whole.part" "$whole"
    fi
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
finetune
run "$PYTHON" merge_models.py --base_model "$START" --finetuned_model "$RUNS/models/finetuned" \
    --alphas $ALPHAS --output_dir "$RUNS/models/merged"

answer start "$START" "$START_PROMPT" "$TEST_SPLIT" "$MAX_TEST_PROBLEMS" "$NUM_SAMPLES"
answer finetuned "$RUNS/models/finetuned" instruct "$TEST_SPLIT" "$MAX_TEST_PROBLEMS" "$NUM_SAMPLES"
for alpha in $ALPHAS; do
    answer "alpha_$alpha" "$RUNS/models/merged/alpha_$alpha" instruct "$TEST_SPLIT" "$MAX_TEST_PROBLEMS" \
        "$NUM_SAMPLES" --merged_from "$START" "$RUNS/models/finetuned" "$alpha"
done

part "the curves"
folders=("$RUNS/start")
for alpha in $ALPHAS; do folders+=("$RUNS/alpha_$alpha"); done
folders+=("$RUNS/finetuned")
run "$PYTHON" pass_at_k_plot.py --input_dirs "${folders[@]}" --ks $(seq "$NUM_SAMPLES") --output "$RUNS/pass_at_k"
part "done: the curves are $RUNS/pass_at_k.png, the dataset is in $RUNS/data"
