"""Serve, sample, convert, check: steps 1 to 3 of a run, for the demo, the study, the loop and the sweep of alphas.

Each step is the script that a user runs, in its own process. Everything resumes: no server is started for a run that
has all of its answers, and each step skips what exists.
"""

import contextlib
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hindsight.errors import UserError
from hindsight.files.answer_files import existing_samples
from hindsight.files.runs import read_run
from hindsight.servers.alpha_dial import read_dial, set_alpha
from hindsight.servers.vllm_process import ServeOptions, VllmProcess, end_with_parent, start, stop, wait_until_up

ROOT = Path(__file__).resolve().parents[1]
MAY_DIFFER = ("num_samples", "end_idx", "concurrency", "server_deadline")  # flags of step 1 that change no answer


@dataclass(frozen=True)
class ServedModel:
    """A model to serve: its name on the server, its checkpoint, the options of its vLLM.

    `url` is the address of a server that already runs; empty: one is started.
    """

    name: str
    checkpoint: Path | str
    options: ServeOptions = field(default_factory=ServeOptions)
    url: str = ""


@dataclass(frozen=True)
class SamplingRun:
    """A run to sample: its folder, the number of problems, the first ones, and of samples of each; script and flags.

    `models` names the model behind each flag that takes a server's address, as in {"--base_urls": "lab-base"}. The
    script's output goes to the file `log`; None: to the terminal. alpha: set on the dial of each model's server before
    sampling; None: the dial is not touched.
    """

    folder: Path
    problems: int
    samples: int
    script: str
    flags: tuple[str, ...]
    models: Mapping[str, str]
    log: Path | None = None
    alpha: float | None = None

    @property
    def answers(self) -> int:
        return self.problems * self.samples

    def is_complete(self) -> bool:
        """Whether the folder has each sample, made with these flags. With others, the script has to refuse the folder.

        Raises UserError if the folder's `run.json` is broken.
        """
        folder, whole = ROOT / self.folder, (1 << self.samples) - 1
        if not folder.is_dir():
            return False
        run, existing = read_run(folder), existing_samples(folder, "sample")
        questions = (run.get("problems") or {}).get("question_ids", [])[: self.problems]
        has_all = all(existing.get(question, 0) & whole == whole for question in questions)
        return len(questions) == self.problems and has_all and self._made(run)

    def _made(self, run: dict[str, Any]) -> bool:
        """Whether the script made a run with these flags, except those that affect no answer."""
        given = {name: words for name, words in words_by_flag(self.flags).items() if name not in MAY_DIFFER}
        settings = {name: words_of(value) for name, value in (run.get("settings") or {}).items()}
        return run["script"] == self.script and given == {name: settings.get(name) for name in given}

    def sample(self, urls: Mapping[str, str], may_fail: bool = False) -> int:
        """Runs the script with the addresses of the models, by name; returns its exit status as `run_step` does.

        Raises what `set_alpha` raises.
        """
        if self.alpha is not None:
            for name in self.models.values():
                dial = read_dial(urls[name])
                if dial is None or dial.alpha != self.alpha:
                    set_alpha(urls[name], self.alpha)
        addresses = (word for flag, name in self.models.items() for word in (flag, urls[name]))
        folder = ("--output_dir", str(self.folder))
        return run_step(self.script, *self.flags, *addresses, *folder, may_fail=may_fail, log=self.log)


def words_by_flag(flags: Iterable[str]) -> dict[str, list[str]]:
    """The values of each flag, in the form of `words_of`."""
    found: dict[str, list[str]] = {}
    for word in flags:
        name, equals, value = word.partition("=") if word.startswith("--") else ("", "", "")
        if name:
            words = found[name.removeprefix("--")] = [value] if equals else []
        else:
            words.append(word)
    return {name: words_of(words) for name, words in found.items()}


def words_of(setting: Any) -> list[str]:
    """A setting as the words after its flag, in one form: `1.0` for 1, no word for true."""
    words = [str(each) for each in (setting if isinstance(setting, list) else [setting])]
    return [_as_number(word) for word in words if word.lower() != "true"]


def _as_number(word: str) -> str:
    try:
        return str(float(word))
    except ValueError:
        return word.lower() if word.lower() == "false" else word


def run_step(script: str, *flags: str, may_fail: bool = False, log: Path | None = None) -> int:
    """Runs a script as a user would and returns its exit status, as `run_command` does.

    Raises UserError when it fails; `may_fail` accepts status 1: some items failed, which the script reports.
    """
    return run_command([sys.executable, script, *flags], log, may_fail=may_fail)


def run_command(
    command: Sequence[str],
    log: Path | None = None,
    environment: Mapping[str, str] | None = None,
    may_fail: bool = False,
) -> int:
    """Runs a command in the repository's folder and returns its exit status. Prints it, or appends output to `log`.

    `environment` is added to this process's. The command ends when this process ends, even by SIGKILL: otherwise it
    would keep working in a folder that the next call resumes. Raises UserError when it fails, as `run_step` does.
    """
    words = ["python" if word == sys.executable else word for word in command]
    name = next(word for word in words if word not in ("python", "bash"))
    run: Any = {"cwd": ROOT, "preexec_fn": end_with_parent, "env": {**os.environ, **(environment or {})}}
    if log is None:
        print(f"\n$ {shlex.join(words)}", flush=True)
        status = subprocess.run(command, **run).returncode
    else:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            status = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, **run).returncode
    if status != 0 and not (may_fail and status == 1):
        raise UserError(f"{name} ended with status {status}" + (f"; see {log}" if log else ""))
    return status


@contextlib.contextmanager
def serve_models(models: Sequence[ServedModel], deadline: float) -> Iterator[dict[str, str]]:
    """The address of each model's server, by name. Starts the missing servers together and ends them afterwards.

    `deadline` is in seconds per server. Raises UserError when a server does not start.
    """
    urls = {model.name: model.url for model in models}
    started: list[VllmProcess] = []
    try:
        for model in models:
            if not model.url:
                started.append(start(model.checkpoint, model.name, model.options))
                urls[model.name] = started[-1].url
        for server in started:
            wait_until_up(server, deadline)
        yield urls
    finally:
        for server in started:
            stop(server)


def sample_runs(
    models: Sequence[ServedModel],
    runs: Sequence[SamplingRun],
    deadline: float = 600.0,
    then: Callable[[SamplingRun, int, float], None] = lambda run, status, seconds: None,
    may_fail: bool = False,
) -> None:
    """Serves the models and samples the incomplete runs; starts no server when all runs are complete.

    `then` is called with each run as soon as it is sampled, its exit status as of `run_step`, and the seconds that it
    took; first with the runs that were already complete, which took none.
    """
    missing = [run for run in runs if not run.is_complete()]
    for run in runs:
        if run not in missing:
            then(run, 0, 0.0)
    if missing:
        starting = [model.name for model in models if not model.url]
        if starting and missing[0].log is None:
            print(f"\nstarting vLLM for {' and '.join(starting)} (a minute or two)", flush=True)
        with serve_models(models, deadline) as urls:
            for run in missing:
                begun = time.monotonic()
                status = run.sample(urls, may_fail)
                then(run, status, time.monotonic() - begun)


def in_lanes(make: Callable[[Any], Any], groups: Iterable[Any], lanes: int) -> Iterator[Any]:
    """The result of `make` on each group as soon as it is made, `lanes` groups at a time. The first error ends all."""
    with ThreadPoolExecutor(lanes) as pool:
        try:
            for future in as_completed([pool.submit(make, group) for group in groups]):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def convert_and_check(
    folder: Path, log: Path | None = None, may_fail: bool = False, check_flags: Sequence[str] = ()
) -> int:
    """Converts and checks the answers of a run; returns the larger exit status, as `run_step` does.

    Answers that cannot be converted count as wrong, so they are always accepted; `may_fail` also accepts answers that
    cannot be checked. check_flags: more flags of the check.
    """
    converted = run_step("format_converter.py", "--input_dir", str(folder), may_fail=True, log=log)
    checked = run_step(
        "check_converted_samples.py", "--input_dir", str(folder), *check_flags, may_fail=may_fail, log=log
    )
    return max(converted, checked)
