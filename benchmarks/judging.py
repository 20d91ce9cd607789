"""The judge's time a test against a new interpreter a test, on the lab's reference solutions, one at a time.

A new interpreter runs the program after the imports that TACO's checker puts before it (numpy among them); ours runs
it with the same names at hand. Both are timed in turn, problem by problem, and the medians compared.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hindsight.formats import render
from hindsight.problems import Problem, load_problems, parse_tests
from SkyThought.taco import TACOTaskHandler

PROBLEMS = 12
IMPORTS = "import bisect, collections, functools, heapq, itertools, math, re, string, typing\nimport numpy as np\n"


def seconds_with_new_interpreters(program: str, tests: dict) -> float:
    """Wall seconds a test when each one starts an interpreter."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "program.py"
        path.write_text(IMPORTS + program)
        begun = time.perf_counter()
        for text in tests["inputs"]:
            subprocess.run([sys.executable, path], input=text, capture_output=True, text=True, check=True)
        return (time.perf_counter() - begun) / len(tests["inputs"])


def seconds_with_the_judge(judge: TACOTaskHandler, problem: Problem, program: str, tests: dict) -> float:
    """Wall seconds a test with the judge."""
    answer = render("-", f"```python\n{program}\n```")
    begun = time.perf_counter()
    result = judge.update_results(problem, answer)
    seconds = time.perf_counter() - begun
    if not result["correctness"]:
        raise RuntimeError(f"a reference solution of question {problem['question_id']} failed: {result['reason']}")
    return seconds / len(tests["inputs"])


def main() -> None:
    problems = [problem for problem in load_problems("lab", "test") if problem["fn_name"] is None][:PROBLEMS]
    new, ours = [], []
    with TACOTaskHandler() as judge:
        judge.update_results(problems[0], render("-", "```python\npass\n```"))  # starts its helper process
        for problem in problems:
            tests, program = parse_tests(problem["input_output"]), json.loads(problem["solutions"])[0]
            new.append(seconds_with_new_interpreters(program, tests))
            ours.append(seconds_with_the_judge(judge, problem, program, tests))
    old, now = statistics.median(new), statistics.median(ours)
    print("judging: wall time a test, median over problems")
    print(f"  a new interpreter a test  {1000 * old:7.1f} ms")
    print(f"  this judge                {1000 * now:7.1f} ms")
    print(f"  ratio                     {old / now:7.1f}")


if __name__ == "__main__":
    main()
