# Sourced by loop.sh, finetune.sh and jobs/speedrun.sh: strict bash in the repository's root, and how commands run.
set -euf -o pipefail  # -f: no setting is a pattern of file names
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
unset PYTHONDONTWRITEBYTECODE
LLAMAFACTORY=${LLAMAFACTORY:-.venv-train/bin/llamafactory-cli}

# Prints a command and runs it. A killed script ends its command too, by `setpriv` (util-linux 2.33 and newer).
END_WITH_SCRIPT=(setpriv --pdeathsig TERM)
"${END_WITH_SCRIPT[@]}" true 2>/dev/null || END_WITH_SCRIPT=(env)
run() { printf '\n$ %s\n' "$*"; "${END_WITH_SCRIPT[@]}" "$@"; }

# The same for commands that end with status 1 when some items failed: they report these, and the rest is written.
run_items() { run "$@" || { local status=$?; ((status == 1)) || exit "$status"; }; }

part() { printf '\n=== %s   (%d min %02d s so far)\n' "$1" $((SECONDS / 60)) $((SECONDS % 60)); }

# A model answers problems, by the constants of loop.sh or speedrun.sh: serves, samples (step 1a), ends the server,
# converts (step 2) and judges (step 3). Takes its name, which is its run's folder, its checkpoint, further flags.
answer() {
    part "$1 answers"
    run_items "$PYTHON" -m lab.pipeline --name "$1" --checkpoint "$2" --output_dir "$RUNS/$1" --problems "$PROBLEMS" \
        --difficulty "$DIFFICULTY" --max_tokens "$MAX_TOKENS" --serve "$SERVE" --port "$PORT" \
        --start_deadline "$START_DEADLINE" --concurrency "${CONCURRENCY:-256}" "${@:3}"
}
