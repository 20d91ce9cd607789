"""Audits a problem set: judges its own solutions and writes a mask of its faulty problems.

Reads problems in TACO's schema; writes a mask (see hindsight/files/masks.py), which steps 3, 4 and 5 take as --mask. A
problem is masked when none of its solutions passes its tests, when many of them give a wrong answer although others
pass (it probably accepts several answers and needs a special judge), or when its tests are malformed. After a kill the
script resumes with whatever is missing; new special judges cause only their own problems to be audited again.

    python SkyThought/audit_problems.py --problems lab --output runs/lab/mask.json
"""

import json
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # Python looks for modules next to a script, and ours are one folder up
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tqdm import tqdm

from hindsight.errors import BrokenFile, UserError, require
from hindsight.files import masks, records
from hindsight.files.runs import versions
from hindsight.files.verdicts import NOT_JUDGED, WRONG_ANSWER
from hindsight.problem_sets.problem_set import ProblemSet
from hindsight.problem_sets.problems import Problem
from hindsight.problem_sets.selection import select_problems
from hindsight.settings import Settings, run_script
from SkyThought.judges import JudgeOptions, Judges, ProblemToJudge, judge_all
from SkyThought.local_judges import open_judges
from SkyThought.problem_tests import read_tests
from SkyThought.program_test_rules import TESTS_FAULT
from SkyThought.special_judges import SpecialJudges
from SkyThought.taco_special_judges import SEVERAL, is_listed, with_listed_rule

# fmt: off
PROBLEMS = "lab"               # lab, a set by name (mbppplus, apps, ...), a file, or a Hub name (BAAI/TACO)
SPLIT = ""                     # train, test, ...; empty: all of a file or the lab, a named set's first part
DIFFICULTY = ""                # EASY, MEDIUM, ... as the set names them; empty: all
FROM = ""                      # first date of the problems, such as 2024-08-01; empty: all
UNTIL = ""                     # last date; empty: all
OUTPUT = "runs/lab/mask.json"  # file to write the mask to
MAX_SOLUTIONS = 20             # solutions per problem, chosen at random; 0: all
WRONG_SHARE = 0.2              # mask a problem if at least this share of its solutions' answers are wrong
CHECKERS = ""                  # folder of special judges, question_17.py for question 17; empty: none
TIMEOUT = 4.0                  # CPU seconds a program may take for one test; TACO's: 4
MEMORY_MB = 4096               # memory of a program, in MiB
WORKERS = 0                    # programs at once; 0: one per core
SEED = 0                       # seed of the random choice
SANDBOX = ["namespaces", "landlock", "seccomp"]  # layers that contain the programs, each where the kernel allows it
UNSAFE = False                 # run the programs even if the layers do not contain them
RAY_ADDRESS = ""               # Ray cluster to judge on: host:port, or auto for this machine's; empty: no cluster
# fmt: on

# Settings that may differ between two calls for one mask. The problem set and the special judges are compared by their
# digests; WRONG_SHARE is applied at the end.
MAY_DIFFER = ("problems", "output", "wrong_share", "checkers", "workers", "sandbox", "unsafe", "ray_address")
Entry = dict[str, Any]


class Journal:
    """The entries of the problems already audited, by question id, from an earlier mask and the file beside it.

    The file beside the mask receives a line of JSON per audited problem; its first line holds the problem set and the
    settings. Raises UserError when these differ from before.
    """

    def __init__(self, output: Path, origin: dict[str, Any], settings: dict[str, Any]):
        self.path = output.with_name(f"{output.name}.part")
        self._head = {"problem set": origin, **settings}
        self.entries: dict[int, Entry] = {}
        if output.exists():
            try:
                made = records.read_record(output, ("origin", "settings", "problems"))
            except BrokenFile as error:
                raise UserError(f"{error}; delete it or choose another --output") from None
            self._take(output, {"problem set": made["origin"], **made["settings"]}, made["problems"].items())
        text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        # A kill or a full disk may have cut the last line short.
        head, *lines = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")] or [None]
        if head is not None:
            self._take(self.path, head, lines)

    def start(self, keep: Callable[[int, Entry], bool]) -> None:
        """Drop the entries that `keep` rejects, and start the file with the others."""
        self.entries = {question: entry for question, entry in self.entries.items() if keep(question, entry)}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(json.dumps(line) + "\n" for line in (self._head, *self.entries.items()))
        records.write_bytes(self.path, text.encode())

    def add(self, question_id: int, entry: Entry) -> None:
        """Add a problem's entry to the file at once, so that a kill does not lose it."""
        self.entries[question_id] = entry
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps((question_id, entry)) + "\n")

    def _take(self, path: Path, before: dict[str, Any], entries: Iterable[tuple[Any, Entry]]) -> None:
        others = [name for name, value in self._head.items() if (before.get(name) or None) != (value or None)]
        differing = "; ".join(f"{name} was {before.get(name)!r}, is {self._head[name]!r}" for name in others)
        require(not others, f"{path} belongs to another audit ({differing}); delete it or choose another --output")
        self.entries.update((int(question), entry) for question, entry in entries)


def solutions(problem: Problem, most: int, seed: int) -> list[str]:
    """Up to `most` different solutions of a problem (0: all), always the same ones for the same seed.

    Raises BrokenFile when they are neither a list nor the JSON of one.
    """
    given = problem.get("solutions") or []
    try:
        given = (json.loads(given) or []) if isinstance(given, str) else given
    except ValueError as error:
        raise BrokenFile(f"the solutions of question {problem['question_id']} are not JSON ({error})") from None
    if not isinstance(given, list):
        raise BrokenFile(f"the solutions of question {problem['question_id']} are not a list")
    different = list(dict.fromkeys(text for text in given if isinstance(text, str)))
    chance = random.Random(f"{seed} {problem['question_id']}")
    return chance.sample(different, min(len(different), most or len(different)))


def read_rows(problem_set: ProblemSet, numbers: Iterable[int], broken: list[str]) -> Iterator[Problem]:
    """The problems of these rows with their tests; one whose tests cannot be read is named in `broken`."""
    for number in numbers:
        try:
            yield problem_set.row(number)
        except UserError as error:
            broken.append(str(error))


def programs(
    problems: Iterable[Problem],
    special_judges: SpecialJudges,
    choice: tuple[int, int],
    journal: Journal,
    broken: list[str],
) -> Iterator[tuple[tuple[int, Entry], ProblemToJudge, str]]:
    """The `solutions` of each problem, with the entry for their verdicts; problems without any get theirs at once.

    choice: the most per problem, and the seed. A problem whose solutions cannot be read is named in `broken`.
    """
    for problem in problems:
        try:
            question, chosen = problem["question_id"], solutions(problem, *choice)
        except BrokenFile as error:
            broken.append(str(error))
            continue
        tests = with_listed_rule(read_tests(problem["input_output"]), problem["origin"])
        to_judge = ProblemToJudge(question, tests, special_judges.of(question))
        entry: Entry = {
            "tests": tests.count,
            "solutions": len(chosen),
            "verdicts": {},
            "special_judge": special_judges.digest(question),
        }
        if not chosen or to_judge.tests.fault:
            journal.add(question, entry)
            continue
        for source in chosen:
            yield (question, entry), to_judge, source


def audit(work: Iterator, judges: Judges, journal: Journal, total: int) -> int:
    """Judge every solution; returns how many problems get no entry because a solution could not be judged."""
    failed, before = 0, len(journal.entries)
    with tqdm(total=total, unit="problem") as bar:
        for (question, entry), verdict in judge_all(judges, work):
            name = "correct" if verdict["correctness"] else verdict["reason"]
            if name.startswith(TESTS_FAULT):
                entry["tests"] = 0
            elif name.startswith(NOT_JUDGED):
                name = NOT_JUDGED
            entry["verdicts"][name] = entry["verdicts"].get(name, 0) + 1
            if sum(entry["verdicts"].values()) == entry["solutions"]:
                if NOT_JUDGED in entry["verdicts"]:
                    failed += 1
                else:
                    journal.add(question, entry)
            bar.update(len(journal.entries) - before + failed - bar.n)
        bar.update(total - bar.n)
    return failed


def classify(entry: Entry, wrong_share: float, several: bool = False) -> str:
    """A problem's class (one of `masks.CLASSES`) by the verdicts on its solutions.

    several: TACO's authors list it among those with several right answers; it is left out unless it has a judge.
    """
    if not entry["tests"]:
        return masks.MALFORMED
    if several and not entry["special_judge"]:
        return masks.SEVERAL
    if not entry["solutions"]:
        return masks.NO_SOLUTIONS
    right, wrong = (entry["verdicts"].get(name, 0) for name in ("correct", WRONG_ANSWER))
    if not right:
        return masks.NO_PASS
    return masks.DISAGREE if wrong and wrong / (right + wrong) >= wrong_share else masks.AGREE


def add_classes(
    audited: dict[int, Entry], rows: dict[int, int], origin: dict[str, Any], wrong_share: float
) -> dict[int, Entry]:
    """The entries of the problems in `rows` (row numbers by question id), each with its "class"."""
    several = {question for question, row in rows.items() if is_listed({**origin, "row": row}, SEVERAL)}
    return {
        question: {**entry, "class": classify(entry, wrong_share, question in several)}
        for question in rows
        if (entry := audited.get(question))
    }


def write_mask(output: Path, settings: dict[str, Any], origin: dict[str, Any], entries: dict[int, Entry]) -> None:
    """Write the mask of all entries, each with its "class", and print the number of problems per class."""
    counts = Counter(entry["class"] for entry in entries.values())
    head = {"script": Path(__file__).name, "settings": settings, "versions": versions(), "origin": origin}
    records.write_json(output, {**head, "counts": counts, "problems": entries})
    for name in masks.CLASSES:
        print(f"{counts[name]:6d}  {name:18s}  {'left out' if name in masks.MASKED else 'kept'}")


def main(settings: Settings) -> int:
    require(0 < settings.wrong_share <= 1, "WRONG_SHARE is above 0 and at most 1")
    output, special_judges, failed, broken = Path(settings.output), SpecialJudges(settings.checkers), 0, []
    days = settings["from"], settings.until
    problems = list(select_problems(settings.problems, settings.split, settings.difficulty, *days))
    rows = {problem["question_id"]: problem["origin"].pop("row") for problem in problems}
    origin = problems[0]["origin"]
    journal = Journal(output, origin, {name: value for name, value in settings.items() if name not in MAY_DIFFER})
    journal.start(lambda question, entry: entry["special_judge"] == special_judges.digest(question))
    left = [row for question, row in rows.items() if question not in journal.entries]
    if left:
        problem_set = ProblemSet(settings.problems, settings.split, origin.get("revision", ""))
        judge_options = settings.pick(JudgeOptions)
        with closing(open_judges(judge_options, settings.workers, settings.ray_address)) as judges:
            print(judges.protection, flush=True)
            choice = settings.max_solutions, settings.seed
            work = programs(read_rows(problem_set, left, broken), special_judges, choice, journal, broken)
            failed = audit(work, judges, journal, len(left))
    if broken and not journal.entries:
        raise UserError(broken[0])
    entries = add_classes(journal.entries, rows, origin, settings.wrong_share)
    write_mask(output, dict(settings), origin, entries)
    journal.path.unlink()
    for sentence in broken:
        print(f"{sentence}; it is missing from the mask")
    if failed:
        print(f"{failed} problems could not be judged and are missing from the mask; run again to retry them")
    print(f"{len(entries)} problems of {settings.problems} audited: {output}")
    return 1 if failed or broken else 0


if __name__ == "__main__":
    run_script(main, globals())
