# shellcheck shell=bash
# The job scripts' shared functions; each script sources it after its constants. Outside a job it submits that script.
set -euo pipefail

VENV=${VENV:-.venv}                     # the virtual environment, on a disk that all nodes share
MOST_REQUEUES=${MOST_REQUEUES:-20}      # times that a job may go back into the queue
export TQDM_MININTERVAL=${TQDM_MININTERVAL:-30}  # seconds between two lines of a progress bar in a job's log
server="" log=""                        # the server's process and its log, if a script has started one

fail() {
    echo "${SLURM_JOB_NAME:-$(basename "$0")}: $*" >&2
    exit 2
}

require_sbatch() {
    command -v sbatch >/dev/null || fail "no sbatch found: run this on a login node of a Slurm cluster"
}

# Makes a run's folder, with a file by which jobs recognize the same folder on their node.
mark() {
    export MARKED_BY=${MARKED_BY:-$(hostname)}
    mkdir -p "$1" && touch "$1/.marked_by_$MARKED_BY"
}

# The folder must be the one for which `mark` was called, and all nodes of the job must see what this node writes there.
require_shared() {
    local file=$1/.written_by_job_$SLURM_JOB_ID
    [[ -z ${MARKED_BY:-} || -e $1/.marked_by_$MARKED_BY ]] ||
        fail "$1 is not shared: $(node) does not see what $MARKED_BY wrote there; choose a folder on a shared disk"
    if ((${SLURM_JOB_NUM_NODES:-1} > 1)); then
        mkdir -p "$1" && touch "$file"
        srun --ntasks-per-node=1 test -e "$file" ||
            fail "$1 is not shared: other nodes do not see what $(node) wrote there; choose a folder on a shared disk"
        rm "$file"
    fi
}

require_gpu() {
    ((${SLURM_GPUS_ON_NODE:-$(nvidia-smi -L 2>/dev/null | wc -l)} > 0)) ||
        fail "the job has no GPU on $(node): submit it with --gres=gpu:1, or set DEVICE=cpu"
}

require_free_port() {
    ! (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null || fail "port $1 is in use on $(node): set PORT to another one"
}

node() { echo "${SLURMD_NODENAME:-$(hostname)}"; }

stop_server() { [[ -z $server ]] || { kill "$server" 2>/dev/null || true; wait "$server" || true; }; }
trap stop_server EXIT
trap 'requeue "the time limit is near"' USR1

# Back into the queue; the next start resumes with whatever is missing.
requeue() {
    ((${SLURM_RESTART_COUNT:-0} < MOST_REQUEUES)) || fail "$1, and was requeued $MOST_REQUEUES times before"
    echo "$SLURM_JOB_NAME: $1; job $SLURM_JOB_ID goes back into the queue" >&2
    scontrol requeue "$SLURM_JOB_ID" || fail "Slurm does not requeue job $SLURM_JOB_ID: submit it again to resume"
    exit
}

# Runs a command beside the server and returns its exit status. Requeues the job when the command is killed, or when
# Slurm sends USR1 because the time limit is near: bash acts on a signal when it waits, so the command runs in the
# background.
run() {
    local status=0
    "$@" &
    wait -n || status=$?
    if [[ -n $server ]] && ! kill -0 "$server" 2>/dev/null; then
        tail -n 25 "$log" >&2
        fail "the server ended on $(node); its log: $log"
    fi
    ((status <= 128)) || requeue "$1 was killed (status $status)"
    return "$status"
}

# The same for a step whose status 1 means that some items failed, which it has reported.
run_items() {
    local status=0
    run "$@" || status=$?
    ((status == 1)) || return "$status"
}

if [[ -z ${SLURM_JOB_ID:-} && $0 != *submit_chain.sh ]]; then
    require_sbatch
    mark "$RUN"
    exec sbatch "$@" "$0"
fi
[[ -x $VENV/bin/python ]] || fail "no Python in $VENV: run make setup, or set VENV"
PATH=$(cd "$VENV/bin" && pwd):$PATH
