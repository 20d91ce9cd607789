#!/usr/bin/env bash
# Several alphas in one job: one vLLM server with a dial merges, and each alpha is sampled, converted and judged.
#
#     bash jobs/slurm/sweep.sh
#     DEVICE=cpu bash jobs/slurm/sweep.sh --gres=none
#
# Killed or at its time limit, the job goes back into the queue and resumes with whatever is missing.
#SBATCH --job-name=sweep
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=8
#SBATCH --mem=64G
#SBATCH --time=08:00:00
#SBATCH --signal=B:USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append

RUN=${RUN:-runs/slurm/sweep}                   # gets a run folder per alpha, the table and the figure
BASE=${BASE:-lab/models/base}                  # meta-llama/Llama-3.1-8B
FINETUNED=${FINETUNED:-lab/models/instruct}    # deepseek-ai/DeepSeek-R1-Distill-Llama-8B
ALPHAS=${ALPHAS:-0 0.3 0.5 0.7 0.9 1}
PROBLEMS=${PROBLEMS:-lab}                      # mbppplus
END_IDX=${END_IDX:-0}                          # one past the last problem; 0: all
NUM_SAMPLES=${NUM_SAMPLES:-10}                 # answers per problem and alpha
MAX_TOKENS=${MAX_TOKENS:-512}                  # longest answer, in tokens; 8192
MAX_MODEL_LEN=${MAX_MODEL_LEN:-0}              # context of the server, in tokens; 0: as the model's config says; 10240
SWEEPING=${SWEEPING:-}                         # more flags of analysis/sweep_alphas.py
DEVICE=${DEVICE:-gpu}                          # gpu or cpu
START_DEADLINE=${START_DEADLINE:-1200}         # seconds the server may take to start
source jobs/slurm/common.sh || exit 2  # the job runs in the repository's folder, on a shared disk

[[ $DEVICE == cpu ]] || require_gpu
require_shared "$RUN"
run_items python analysis/sweep_alphas.py --output_dir "$RUN" --base_model "$BASE" --finetuned_model "$FINETUNED" \
    --alphas $ALPHAS --problems "$PROBLEMS" --end_idx "$END_IDX" --num_samples "$NUM_SAMPLES" \
    --max_tokens "$MAX_TOKENS" --max_model_len "$MAX_MODEL_LEN" --start_deadline "$START_DEADLINE" $SWEEPING
