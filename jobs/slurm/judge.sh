#!/usr/bin/env bash
# Steps 2 and 3 in one job: converts the answers of a run and judges them, on one node or, with Ray, on several.
#
#     RUN=runs/slurm/instruct/test bash jobs/slurm/judge.sh
#     RUN=runs/slurm/instruct/test bash jobs/slurm/judge.sh --nodes=4      # Ray: pip install "ray==2.*"
#
# Killed or at its time limit, the job goes back into the queue and resumes with the answers that have no verdict.
#SBATCH --job-name=judge
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --mem=64G
#SBATCH --time=04:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append

RUN=${RUN:-runs/slurm/instruct/test}      # the run's folder, on a disk that all nodes share
JUDGING=${JUDGING:-}                      # more flags of check_converted_samples.py, such as --mask mask.json
ADDRESS=${ADDRESS:-$(hostname -I)}        # Ray's first node, as the others reach it: the first of its addresses
PORT=${PORT:-$((30000 + ${SLURM_JOB_ID:-0} % 2000))}  # Ray's port on its first node
START_DEADLINE=${START_DEADLINE:-300}     # seconds that Ray's nodes may take to join
source jobs/slurm/common.sh || exit 2  # the job runs in the repository's folder, on a shared disk

# Whether the run has converted answers, and each has a verdict. Other special judges can judge them again.
all_judged() {
    local answers=(find "$RUN" -maxdepth 1 -name "converted_question_*_sample_*[0-9].json")
    [[ $JUDGING != *--checkers* && -n $("${answers[@]}" -print -quit) &&
        -z $("${answers[@]}" -exec grep -L '"correctness": \(true\|false\)' {} + | head -n 1) ]]
}

# Starts Ray on all nodes of the job, waits until each has joined, and sets `address`.
start_ray() {
    local until=$((SECONDS + START_DEADLINE))
    export RAY_USAGE_STATS_ENABLED=0 ADDRESS=${ADDRESS%% *} PORT
    command -v ray >/dev/null ||
        fail "judging on several nodes needs Ray, which is not installed: pip install \"ray==2.*\""
    require_free_port "$PORT"
    address=$ADDRESS:$PORT
    srun --ntasks-per-node=1 --cpus-per-task="$SLURM_CPUS_PER_TASK" --kill-on-bad-exit=1 bash -c '
    if ((SLURM_PROCID)); then
        until (: <"/dev/tcp/$ADDRESS/$PORT") 2>/dev/null; do sleep 1; done
        ray start --block --num-cpus="$SLURM_CPUS_PER_TASK" --address="$ADDRESS:$PORT"
    else
        ray start --block --num-cpus="$SLURM_CPUS_PER_TASK" --head --node-ip-address="$ADDRESS" --port="$PORT" \
            --include-dashboard=false
    fi' >"$log" 2>&1 &
    server=$!
    until (($(ray status --address "$address" 2>/dev/null | grep -c " node_") == SLURM_JOB_NUM_NODES)); do
        ((SECONDS < until)) && kill -0 "$server" || fail "Ray did not start on all nodes; its log: $log"
        sleep 1
    done
}

require_shared "$RUN"
run_items python format_converter.py --input_dir "$RUN"
address=
log=$RUN/ray.log
((SLURM_JOB_NUM_NODES == 1)) || all_judged || start_ray
run python check_converted_samples.py --input_dir "$RUN" --ray_address "$address" $JUDGING
