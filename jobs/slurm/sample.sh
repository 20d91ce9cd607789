#!/usr/bin/env bash
# Step 1a in one job: starts a vLLM server, samples, stops the server. Run it in the repository's folder:
#
#     bash jobs/slurm/sample.sh                  # submits itself; it takes sbatch's flags, such as --time=2:00:00
#     bash jobs/slurm/sample.sh --array=0-3      # four jobs, each with its server and a quarter of the problems
#     DEVICE=cpu bash jobs/slurm/sample.sh --gres=none
#
# Preempted, killed or at its time limit, the job goes back into the queue and resumes with the missing samples.
# Edit the constants, or set them for one run: RUN=runs/try NUM_SAMPLES=4 bash jobs/slurm/sample.sh
#SBATCH --job-name=sample
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=8
#SBATCH --mem=64G
#SBATCH --time=08:00:00
#SBATCH --signal=B:USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append

RUN=${RUN:-runs/slurm/instruct}                 # gets a run folder per split, on a disk that all nodes share
CHECKPOINT=${CHECKPOINT:-lab/models/instruct}   # deepseek-ai/DeepSeek-R1-Distill-Llama-8B
NAME=${NAME:-lab-instruct}                      # its name on the server
MERGED_FROM=${MERGED_FROM:-}                    # of a merged model: base, fine-tuned model and alpha
PROBLEMS=${PROBLEMS:-lab}                       # BAAI/TACO
SPLITS=${SPLITS:-test}                          # parts of the problem set, sampled one after the other; train
DIFFICULTY=${DIFFICULTY:-}                      # MEDIUM
END_IDX=${END_IDX:-0}                           # one past the last problem; 0: all
NUM_SAMPLES=${NUM_SAMPLES:-10}                  # answers per problem
MAX_TOKENS=${MAX_TOKENS:-512}                   # longest answer, in tokens; 8192
SAMPLING=${SAMPLING:-}                          # more flags of single_model_inference.py, such as --seed 1
DEVICE=${DEVICE:-gpu}                           # gpu or cpu
SERVING=${SERVING:-}                            # more flags of `vllm serve`, such as --max-model-len 10240; on a CPU,
                                                # of hindsight.serving
START_DEADLINE=${START_DEADLINE:-1200}          # seconds the server may take to start
PORT=${PORT:-$((20000 + ${SLURM_JOB_ID:-0} % 10000))}  # of the server; jobs on one node need different ones
SHARD=${SLURM_ARRAY_TASK_ID:-0}                 # the part of the problems that this job samples
SHARDS=${SHARDS:-${SLURM_ARRAY_TASK_COUNT:-1}}  # the number of parts; to submit one again: SHARDS=4 ... --array=2
source jobs/slurm/common.sh || exit 2  # the job runs in the repository's folder, on a shared disk

[[ $DEVICE == cpu ]] || require_gpu
require_free_port "$PORT"
require_shared "$RUN"
mkdir -p "$RUN"

# Step 1a on a split, with further flags.
sample() {
    run python single_model_inference.py --output_dir "$RUN/$1" --problems "$PROBLEMS" --split "$1" \
        --difficulty "$DIFFICULTY" --end_idx "$END_IDX" --instruct_model "$NAME" --merged_from $MERGED_FROM \
        --shard "$SHARD" --shards "$SHARDS" --num_samples "$NUM_SAMPLES" --max_tokens "$MAX_TOKENS" $SAMPLING \
        --base_urls "http://127.0.0.1:$PORT/v1" --wait_for_server "$START_DEADLINE" "${@:2}"
}

missing=0
for split in $SPLITS; do
    sample "$split" --only_count || missing=$?
    ((missing < 2)) || exit "$missing"
done
if ((missing == 0)); then
    echo "$SLURM_JOB_NAME: no sample is missing in $RUN, so no server is started"
    exit
fi

log=$RUN/server_$SHARD.log
if [[ $DEVICE == cpu ]]; then
    python -m hindsight.serving --model "$CHECKPOINT" --name "$NAME" --port "$PORT" \
        --start_deadline "$START_DEADLINE" $SERVING >"$log" 2>&1 &
else
    vllm serve "$CHECKPOINT" --served-model-name "$NAME" --host 127.0.0.1 --port "$PORT" $SERVING >"$log" 2>&1 &
fi
server=$!

for split in $SPLITS; do
    sample "$split"
done
