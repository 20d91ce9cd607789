"""How many correct answers steps 2 and 3 find, of those that evalplus's sanitizer and base tests find.

Reads `shared/field_cases` (779 answers of SmolLM2-135M-Instruct to MBPP problems) and `shared/evalplus` (2,068
programs, each written in every style of FENCES) where they lie beside the repository. Each answer is converted by
rules, without a language model; its program runs on the problem's base tests. evalplus's outcomes are recorded in the
files, so evalplus is not needed.

    python -m benchmarks.finding_programs [--list]      # list: name each answer that is correct by only one of the two
"""

import argparse
import gzip
import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tqdm import tqdm

from hindsight.conversion.by_rules import RuleOptions, convert_answer
from hindsight.conversion.conversions import raw_answer
from hindsight.conversion.fidelity import FidelityLimits, NotFaithful
from hindsight.conversion.sections import Undecided
from hindsight.files.records import AnswerRecord
from hindsight.text.program_choice import choose_program
from hindsight.text.programs import syntax_text
from SkyThought.problem_tests import make_tests
from SkyThought.taco import TACOTaskHandler

SHARED = Path(__file__).resolve().parents[2] / "shared"
OPTIONS = RuleOptions("only", False, FidelityLimits(min_kept=0.9, max_new=10))
TESTS = """import contextlib, copy, io
space = {{"__name__": "solution"}}
with contextlib.redirect_stdout(io.StringIO()):
    exec({program!r}, space)
    try:
        exec({assertion!r}, space)
    except Exception:  # of some problems, evalplus's own solution fails the original assertions
        right = dict()
        exec({solution!r}, right)
        for arguments in {inputs!r}:
            assert space[{name!r}](*copy.deepcopy(arguments)) == right[{name!r}](*copy.deepcopy(arguments))
print("passed")
"""
ONE_TEST = make_tests({"inputs": [""], "outputs": ["passed"]})
USAGE = "```python\nprint({name})\n```"
FENCES = {
    "no fence": "{program}",
    "fence": "```python\n{program}\n```",
    "no opening fence": "{program}\n```\n\nThis is the function.",
    "fence after words": "The function: ```python\n{program}\n```\nThat is all.",
    "fence at the end of the code": "Here:\n```py\n{program}```",
    "end token on the fence": "<think>Hm.</think>\n```python3\n{program}\n```<|im_end|>",
    "usage after it": f"```python\n{{program}}\n```\n\nExample:\n\n{USAGE}",
    "output after it": "```\n{program}\n```\nOutput:\n```\n[1, 2]\n```",
    "quoted": "> ```python\n{quoted}\n> ```",
}


def read_rows(name: str) -> Iterator[dict[str, Any]]:
    """The rows of a file in SHARED."""
    with gzip.open(SHARED / name, "rt") as file:
        yield from map(json.loads, file)


def found_program(text: str, function: str, finish_reason: str = "stop") -> tuple[str | None, str]:
    """The program that steps 2 and 3 take from an answer, or None and why there is none."""
    record: AnswerRecord = {"question_id": 0, "sample_index": 0, "generated_text": text, "finish_reason": finish_reason}
    answer = raw_answer((0, 0), {**record, "metadata": {"fn_name": function}})
    try:
        sections = convert_answer(answer, OPTIONS).sections
    except (Undecided, NotFaithful) as error:
        lost = isinstance(error, Undecided) and error.lost
        return None, f"{'no answer' if lost else 'undecided'}: {error}"
    return choose_program(sections.solution, answer.target).program, sections.rule


def tested(program: str, problem: dict[str, Any]) -> str:
    """A program that prints "passed" if another one passes a problem's base tests."""
    return TESTS.format(
        program=program,
        assertion=problem["assertion"],
        solution=problem["prompt"] + problem["canonical_solution"],
        inputs=problem["base_input"],
        name=problem["entry_point"],
    )


def measure_answers(named: bool) -> None:
    """Counts the model's answers by evalplus's outcome and ours."""
    problems = {row["task_id"]: row for row in read_rows("evalplus/MbppPlus.jsonl.gz")}
    rows = list(read_rows("field_cases/smollm2_mbpp.jsonl.gz"))
    found = [found_program(row["generated_text"], row["entry_point"], row["finish_reason"]) for row in rows]
    sources = [
        program and tested(program, problems[f"Mbpp/{row['question_id']}"])
        for row, (program, _) in zip(rows, found, strict=True)
    ]
    with TACOTaskHandler() as one, TACOTaskHandler() as other, ThreadPoolExecutor(2) as pool:
        judges = [(one, other)[number % 2] for number in range(len(sources))]
        verdicts = list(
            tqdm(
                pool.map(lambda judge, source: judge.judge(source, ONE_TEST), judges, sources),
                total=len(rows),
                disable=None,
            )
        )
    counts: Counter = Counter()
    for row, (_, how), verdict in zip(rows, found, verdicts, strict=True):
        ours = (
            "pass"
            if verdict["correctness"]
            else how.split(":")[0]
            if how.startswith(("no answer", "undecided"))
            else "fail"
        )
        before = "pass" if row["ours_2026_11_29"][0] == "correct" else "fail"
        counts[row["evalplus"], before, ours] += 1
        if named and (row["evalplus"] == "pass") != (ours == "pass"):
            print(f"\n--- question {row['question_id']} sample {row['sample_index']}, {row['asked']}: evalplus "
                  f"{row['evalplus']}, ours {ours} ({how}; {verdict['reason']})\n{row['generated_text']}")  # fmt: skip
    for (evalplus, before, ours), count in sorted(counts.items(), reverse=True):
        print(f"{count:5d}  evalplus {evalplus}, steps 2 and 3 before {before}, now {ours}")


def measure_programs(named: bool) -> None:
    """Counts what steps 2 and 3 make of each of evalplus's programs, in each style."""
    names = {
        row["task_id"]: row["entry_point"]
        for name in ("MbppPlus", "HumanEvalPlus")
        for row in read_rows(f"evalplus/{name}.jsonl.gz")
    }
    counts: Counter = Counter()
    for row in tqdm(list(read_rows("evalplus/programs.jsonl.gz")), disable=None):
        program, name = row["solution"].strip("\n"), names[row["task_id"]]
        for style, form in FENCES.items():
            quoted = "\n".join(f"> {line}" for line in program.splitlines())
            found, how = found_program(form.format(program=program, quoted=quoted, name=f"{name}(1)"), name)
            same = found is not None and (
                found.strip() == program.strip() or (syntax_text(found) == syntax_text(program) is not None)
            )
            outcome = "the same" if same else "another" if found is not None else how.split(":")[0]
            counts[style, row["base_status"], outcome] += 1
            if named and not same:
                print(f"\n--- {row['task_id']}, {row['source']}, {style}: {outcome} ({how})\n{program}")
    for (style, status, outcome), count in sorted(counts.items()):
        print(f"{count:5d}  {style}: evalplus {status}, {outcome}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="print each answer that is correct by only one of the two")
    flags = parser.parse_args()
    if not SHARED.is_dir():
        print(f"{SHARED} is missing: nothing to measure")
        return
    measure_answers(flags.list)
    measure_programs(flags.list)


if __name__ == "__main__":
    main()
