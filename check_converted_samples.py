"""Step 3: runs the program of every converted answer on its problem's tests and adds the verdict to its file.

Reads converted_question_*_sample_*.json and the problems they came from; adds `correctness` (true, false, or null when
it could not be judged), `correctness_reason` (empty when correct) and `test_results`. Files with a verdict are left
alone, so a run that was killed goes on where it was. The programs are contained as SkyThought/README.md says.

    python check_converted_samples.py --input_dir runs/lab/instruct
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from tqdm import tqdm

from hindsight.errors import require
from hindsight.files import records
from hindsight.files.masks import read_mask
from hindsight.files.runs import converted_files, open_step
from hindsight.files.verdicts import NOT_JUDGED
from hindsight.problem_sets.problem_lookup import ProblemLookup
from hindsight.settings import Settings, run_script
from SkyThought.judges import Judges, Task, judge_all, make_task, open_judges
from SkyThought.special_judges import SpecialJudges

# fmt: off
INPUT_DIR = "runs/lab/instruct"  # the run folder; verdicts are written into its files
PROBLEMS = ""                    # where the tests are: lab, a file or a Hub name; empty: where each answer says
TIMEOUT = 4.0                    # CPU seconds a program may take for one test; TACO's: 4
MEMORY_MB = 4096                 # memory of a program, in MiB
WORKERS = 0                      # programs at once; 0: one a core
MASK = ""                        # file of SkyThought/audit_problems.py: problems to leave out; empty: none
CHECKERS = ""                    # folder of special judges, question_17.py for question 17; empty: none
REFERENCE_RULES = False          # verdicts by the rules of the paper's own checker, its faults included
SANDBOX = ["namespaces", "landlock", "seccomp"]  # what contains the programs, each where the kernel allows it
UNSAFE = False                   # run them although they are not contained
RAY_ADDRESS = ""                 # Ray cluster to judge on, host:port, or auto: the one here; empty: this machine
ALLOW_OTHER_SETTINGS = False     # go on in a folder that was judged by other limits or rules
# fmt: on

# Settings that may change between two calls that judge one folder: they change no verdict. The mask says only which
# answers get one.
MAY_DIFFER = ("input_dir", "workers", "mask", "sandbox", "unsafe", "ray_address")
KEYS = ("converted_text", "metadata")
Files = dict[tuple[int, int], Path]
Answer = tuple[Path, dict[str, Any]]


class Tasks:
    """The problem of each answer, parsed once: answers come problem by problem, so the last problem is kept."""

    def __init__(self, problems: str, special_judges: SpecialJudges):
        self._lookup, self._special_judges = ProblemLookup(problems), special_judges
        self._key: Any = None

    def task(self, record: dict[str, Any]) -> Task:
        """Raises UserError when the problem cannot be found, or its special judge is wrong."""
        question_id, metadata = record["question_id"], record["metadata"]
        key = (question_id, metadata.get("origin"), metadata.get("input_output"))
        if key != self._key:
            tests = self._lookup.problem(record).get("input_output")
            self._task = make_task(question_id, tests, self._special_judges.of(question_id))
            self._key = key
        return self._task

    def rules(self, record: dict[str, Any]) -> str | None:
        """Which special judge an answer's verdict has to come from: its digest, None for no special judge."""
        return self._special_judges.digest(record["question_id"])


def programs_to_judge(
    files: Files, tasks: Tasks, find_program: Callable[[str], str | None], broken: list[str], verdicts: Counter
) -> Iterator[tuple[Answer, Task, str | None]]:
    """The answers without a verdict, or with that of another special judge; the verdicts of the others are counted."""
    for path, record in records.read_records(files, KEYS, broken):
        if record.get("correctness") is None or record.get("special_judge") != tasks.rules(record):
            yield (path, record), tasks.task(record), find_program(record["converted_text"])
        else:
            verdicts[verdict_name(record)] += 1


def write_verdict(path: Path, record: dict[str, Any], verdict: dict[str, Any], special_judge: str | None) -> None:
    """Adds the verdict to an answer's file, with the digest of the special judge that it comes from, if any."""
    record["correctness"] = verdict["correctness"]
    record["correctness_reason"] = verdict["reason"]
    record["test_results"] = verdict["tests"]
    record.pop("special_judge", None)
    if special_judge:
        record["special_judge"] = special_judge
    records.write_json(path, record)


def verdict_name(record: dict[str, Any]) -> str:
    """`correct`, or the reason why it is not."""
    return "correct" if record["correctness"] else record.get("correctness_reason") or "incorrect"


def judge_answers(files: Files, judges: Judges, tasks: Tasks, broken: list[str]) -> tuple[Counter, int]:
    """Judges every answer without a verdict. The number of answers by verdict, old ones included, and of new ones."""
    verdicts, new = Counter(), 0
    programs = programs_to_judge(files, tasks, judges.find_program, broken, verdicts)
    with tqdm(total=len(files), unit="answer") as bar:
        for (path, record), verdict in judge_all(judges, programs):
            write_verdict(path, record, verdict, tasks.rules(record))
            verdicts[verdict_name(record)] += 1
            new += 1
            bar.update(verdicts.total() - bar.n)
        bar.update(verdicts.total() - bar.n)
    return verdicts, new


def main(settings: Settings) -> int:
    both = settings.reference_rules and settings.checkers
    require(not both, "the paper's checker has no special judges: give either REFERENCE_RULES or CHECKERS")
    folder, mask, broken = Path(settings.input_dir), read_mask(settings.mask), []
    all_files = converted_files(folder)
    files = mask.keep(all_files, folder, settings.problems)
    tasks = Tasks(settings.problems, SpecialJudges(settings.checkers))
    with closing(open_judges(settings)) as judges:
        run = open_step(folder, Path(__file__).name, settings, MAY_DIFFER)
        print(judges.protection, flush=True)
        if settings.mask:
            print(mask.describe(all_files), flush=True)
        verdicts, new = judge_answers(files, judges, tasks, broken)
    run.close(verdicts=dict(verdicts), broken=len(broken), left_out=len(all_files) - len(files))
    for verdict, count in verdicts.most_common():
        print(f"{count:6d}  {verdict}")
    for sentence in broken:
        print(sentence)
    if new > judges.submitted:
        print(f"{new - judges.submitted} answers had the program of another one, which was judged once")
    judged = sum(count for verdict, count in verdicts.items() if verdict != NOT_JUDGED)
    print(f"{verdicts['correct']} of {judged} correct in {folder}; {len(files) - judged} not judged")
    return 1 if judged < len(files) else 0


if __name__ == "__main__":
    run_script(main, globals())
