"""Step 3: runs the program of every converted answer on its problem's tests and adds the verdict to the answer's file.

Reads converted_question_*_sample_*.json and their problems; adds `correctness` (true, false, or null if it could not be
judged), `correctness_reason` (empty when correct) and `test_results`. Files with a verdict are left alone, so after a
kill the script resumes with whatever is missing. SkyThought/README.md describes the verdicts and the sandbox.

    python check_converted_samples.py --input_dir runs/lab/instruct
    python check_converted_samples.py --input_dir runs/mbppplus/instruct --export_evalplus samples.jsonl
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

from tqdm import tqdm

from hindsight.errors import BrokenFile, UserError, require
from hindsight.files import records
from hindsight.files.evalplus_samples import export_evalplus
from hindsight.files.masks import read_mask
from hindsight.files.runs import converted_files, open_step
from hindsight.files.verdicts import NOT_JUDGED, verdict_in_full
from hindsight.problem_sets.problem_lookup import ProblemLookup
from hindsight.settings import Settings, run_script
from SkyThought.judges import JudgeOptions, Judges, ProblemToJudge, judge_all
from SkyThought.local_judges import open_judges
from SkyThought.problem_tests import read_tests
from SkyThought.special_judges import SpecialJudges
from SkyThought.taco import Verdict
from SkyThought.taco_special_judges import with_listed_rule

# fmt: off
INPUT_DIR = "runs/lab/instruct"  # the run folder; verdicts are written into its files
PROBLEMS = ""                    # where the tests are: a set by name or a file; empty: the set that each answer names
TIMEOUT = 4.0                    # CPU seconds a program may take for one test; TACO's: 4
MEMORY_MB = 4096                 # memory of a program, in MiB
WORKERS = 0                      # programs at once; 0: one per core
MASK = ""                        # mask made by SkyThought/audit_problems.py: problems to leave out; empty: none
CHECKERS = ""                    # folder of special judges, question_17.py for question 17; empty: none
REFERENCE_RULES = False          # judge by the rules of the paper's own checker, its bugs included
SANDBOX = ["namespaces", "landlock", "seccomp"]  # layers that contain the programs, each where the kernel allows it
UNSAFE = False                   # run the programs even if the layers do not contain them
RAY_ADDRESS = ""                 # Ray cluster to judge on: host:port, or auto for this machine's; empty: no cluster
EXPORT_EVALPLUS = ""             # also write the run as EvalPlus's samples, to this JSONL file; empty: no
ALLOW_OTHER_SETTINGS = False     # continue in a folder that was judged with other limits or rules
# fmt: on

# These settings change no verdict, so they may differ between two calls for one folder. The mask only decides which
# answers get one.
MAY_DIFFER = ("input_dir", "workers", "mask", "sandbox", "unsafe", "ray_address", "export_evalplus")
# Further keys of the record of an answer to EvalPlus's sets.
STATUSES = ("base_status", "plus_status")
KEYS = {"converted_text": str, "metadata": dict}
Files = dict[tuple[int, int], Path]
Record = dict[str, Any]
NOT_FOR_IT = (
    "its problem has no expected outputs that a special judge could take, but EvalPlus's rules or a test program"
)


class Problems:
    """The problem of each answer. Answers come problem by problem, so the last problem is kept parsed."""

    def __init__(self, problem_set: str, special_judges: SpecialJudges):
        self._lookup, self._special_judges = ProblemLookup(problem_set), special_judges
        self._key: Any = None

    def of(self, record: Record) -> ProblemToJudge:
        """Raises BrokenFile when the problem cannot be found, UserError when its special judge is wrong."""
        question_id, metadata = record["question_id"], record["metadata"]
        key = (question_id, metadata.get("origin"), metadata.get("input_output"))
        if key != self._key:
            try:
                problem = self._lookup.problem(record)
            except UserError as error:
                raise BrokenFile(str(error)) from None
            tests = with_listed_rule(read_tests(problem.get("input_output")), problem.get("origin"))
            judge = self._special_judges.of(question_id)
            require(not (judge and (tests.task or tests.test_program)), f"{judge and judge.name}: {NOT_FOR_IT}")
            self._problem = ProblemToJudge(question_id, tests, judge)
            self._key = key
        return self._problem

    def special_judge_digest(self, record: Record) -> str | None:
        """The digest of the special judge that has to judge the answer; None for no special judge."""
        return self._special_judges.digest(record["question_id"])


def programs_to_judge(
    files: Files, problems: Problems, judges: Judges, broken: list[str], verdicts: Counter
) -> Iterator[tuple[tuple[Path, Record], ProblemToJudge, str | None]]:
    """The answers without a verdict or with one by another special judge; counts the verdicts of the others.

    An answer whose record is malformed, or whose problem cannot be found, is named in `broken` and skipped.
    """
    for path, answer in records.read_records(files, tuple(KEYS), broken):
        record = cast(Record, answer)  # has KEYS, which AnswerRecord does not promise
        try:
            require_types(record)
            digest = problems.special_judge_digest(record)
            if not isinstance(record.get("correctness"), bool) or record.get("special_judge") != digest:
                problem = problems.of(record)
                yield (path, record), problem, judges.find_program(record["converted_text"], problem.tests)
            else:
                verdicts[verdict_in_full(record)] += 1
        except BrokenFile as error:
            broken.append(f"{path} is skipped: {error}")


def require_types(record: Record) -> None:
    """Raises BrokenFile when a value that is needed here does not have the expected type."""
    for key, kind in {**KEYS, "question_id": int}.items():
        if not isinstance(record[key], kind):
            raise BrokenFile(f"its {key} is of type {type(record[key]).__name__}, expected {kind.__name__}")


def write_verdict(path: Path, record: Record, verdict: Verdict, special_judge: str | None) -> None:
    """Add the verdict to an answer's file, with the digest of the special judge that gave it, if any."""
    record["correctness"] = verdict["correctness"]
    record["correctness_reason"] = verdict["reason"]
    record["test_results"] = verdict["tests"]
    record.update({key: value for key, value in verdict.items() if key in STATUSES})
    record.pop("special_judge", None)
    if special_judge:
        record["special_judge"] = special_judge
    records.write_json(path, record)


def judge_answers(files: Files, judges: Judges, problems: Problems, broken: list[str]) -> tuple[Counter, int]:
    """Judge every answer without a verdict: how often each verdict occurs, old ones included, and how many are new."""
    verdicts, new = Counter(), 0
    programs = programs_to_judge(files, problems, judges, broken, verdicts)
    with tqdm(total=len(files), unit="answer") as bar:
        for (path, record), verdict in judge_all(judges, programs):
            write_verdict(path, record, verdict, problems.special_judge_digest(record))
            verdicts[verdict_in_full(record)] += 1
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
    problems = Problems(settings.problems, SpecialJudges(settings.checkers))
    judge_options = settings.pick(JudgeOptions)
    with closing(open_judges(judge_options, settings.workers, settings.ray_address)) as judges:
        run = open_step(folder, Path(__file__).name, settings, MAY_DIFFER)
        print(judges.protection, flush=True)
        if settings.mask:
            print(mask.describe(all_files), flush=True)
        verdicts, new = judge_answers(files, judges, problems, broken)
    run.close(verdicts=dict(verdicts), broken=len(broken), left_out=len(all_files) - len(files))
    require(bool(verdicts) or not broken, f"no answer in {folder} can be judged: {(broken or [''])[0]}")
    for verdict, count in verdicts.most_common():
        print(f"{count:6d}  {verdict}")
    for sentence in broken:
        print(sentence)
    if new > judges.submitted:
        print(f"{new - judges.submitted} answers had the same program as another answer, which was judged once")
    if settings.export_evalplus:
        print(export_evalplus(folder, Path(settings.export_evalplus)))
    judged = sum(count for verdict, count in verdicts.items() if not verdict.startswith(NOT_JUDGED))
    print(f"{verdicts['correct']} of {judged} correct in {folder}; {len(files) - judged} not judged")
    return 1 if judged < len(files) else 0


if __name__ == "__main__":
    run_script(main, globals())
