#!/usr/bin/env bash
# From two checkpoints to a dataset and a curve, as a chain of jobs: each starts when those before it have succeeded.
#
#     merge -> for each alpha: sample -> judge -> curve
#                            TRAIN_ALPHA, also on the training problems: -> judge -> dataset
#
#     bash jobs/slurm/submit_chain.sh            # on a login node; it takes sbatch's flags, for all jobs: --account=me
#
# Submitted again, each job resumes with whatever is missing. Edit the constants, or set them, and those of sample.sh and
# judge.sh, for one run.
RUNS=${RUNS:-runs/slurm}                        # gets a folder per run, merged/, data/ and the curves
export BASE=${BASE:-lab/models/base}            # meta-llama/Llama-3.1-8B
export FINETUNED=${FINETUNED:-lab/models/instruct}  # deepseek-ai/DeepSeek-R1-Distill-Llama-8B
ALPHAS=${ALPHAS:-0.7 0.9 1}                     # 1 is the fine-tuned model itself
TRAIN_ALPHA=${TRAIN_ALPHA-0.7}                  # one of ALPHAS, whose answers become the dataset; empty: no dataset
CURATING=${CURATING:-}                          # more flags of convert_to_data.py, such as --max_samples 1000
export NUM_SAMPLES=${NUM_SAMPLES:-10}           # answers per problem, and the largest k of the curves
SHARDS=${SHARDS:-1}                             # jobs that sample one run, each with a server
JUDGE_NODES=${JUDGE_NODES:-1}                   # nodes that judge one run
DEVICE=${DEVICE:-gpu}                           # gpu or cpu
AFTER=${AFTER:-afterok}                         # afterany: a job starts even if those before it have failed
source jobs/slurm/common.sh || exit 2
require_sbatch
[[ -z $TRAIN_ALPHA || " $ALPHAS " == *" $TRAIN_ALPHA "* ]] ||
    fail "TRAIN_ALPHA is one of ALPHAS, $ALPHAS, not $TRAIN_ALPHA"
mark "$RUNS"
export PATH DEVICE
flags=("$@") gres=()
[[ $DEVICE == gpu ]] || gres=(--gres=none)

# Submits a command for a CPU node, after other jobs: name, jobs as 12:13, the command.
submit() { sbatch --parsable --job-name="$1" --requeue ${2:+--dependency=$AFTER:$2} "${flags[@]}" --wrap "$3"; }

# Submits the sampling of an alpha on some splits, after the merge.
submit_sampling() {
    RUN=$RUNS/alpha_$1 CHECKPOINT=$RUNS/merged/alpha_$1 NAME=alpha_$1 MERGED_FROM="$BASE $FINETUNED $1" SPLITS=$2 \
        SHARDS=$SHARDS bash jobs/slurm/sample.sh --parsable --dependency="$AFTER:$merge" --array="0-$((SHARDS - 1))" \
        "${gres[@]}" "${flags[@]}"
}

# Submits the judging of a run, after the job that samples it.
submit_judging() {
    RUN=$1 bash jobs/slurm/judge.sh --parsable --dependency="$AFTER:$2" --nodes="$JUDGE_NODES" "${flags[@]}"
}

merge=$(submit merge "" "python merge_models.py --base_model $BASE --finetuned_model $FINETUNED --alphas $ALPHAS \
    --output_dir $RUNS/merged")
echo "$RUNS/merged: job $merge"
all=
for alpha in $ALPHAS; do
    splits=test
    [[ $alpha != "$TRAIN_ALPHA" ]] || splits="test train"
    sampled=$(submit_sampling "$alpha" "$splits")
    echo "$RUNS/alpha_$alpha: sampled by job $sampled"
    for split in $splits; do
        judged=$(submit_judging "$RUNS/alpha_$alpha/$split" "$sampled")
        echo "$RUNS/alpha_$alpha/$split: judged by job $judged"
        [[ $split == train ]] || all=$all:$judged
    done
    if [[ $alpha == "$TRAIN_ALPHA" ]]; then
        data=$(submit dataset "$judged" "python convert_to_data.py --input_dirs $RUNS/alpha_$alpha/train \
            --output_dir $RUNS/data $CURATING")
        echo "$RUNS/data: job $data"
    fi
done
curve=$(submit curve "${all#:}" "python pass_at_k_plot.py --input_dirs $(printf "$RUNS/alpha_%s/test " $ALPHAS) \
    --ks $(seq -s ' ' "$NUM_SAMPLES") --output $RUNS/pass_at_k")
echo "$RUNS/pass_at_k.png: job $curve"
