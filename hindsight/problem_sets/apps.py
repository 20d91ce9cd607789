"""APPS (Hendrycks et al. 2021, "Measuring Coding Challenge Competence With APPS").

    {"id": 4000, "question": "You are given two integers ...", "starter_code": "", "difficulty": "interview",
     "solutions": "[\\"n = int(input())\\\\n...\\"]", "url": "https://www.codechef.com/problems/...",
     "input_output": "{\\"inputs\\": [\\"2\\\\n5 3\\\\n\\"], \\"outputs\\": [\\"YES\\\\n\\"]}"}

These are the rows of the Hub's files; its old loading script called `id` `problem_id`, and files made with it do. Some
rows have no tests ("") or no solutions (""). Rows with `fn_name` mostly have each expected value in a list of one
element; the judge accepts such values wrapped or not.
"""

from typing import Any

from hindsight.problem_sets import taco
from hindsight.problem_sets.problems import Problem
from hindsight.problem_sets.rows import Row, Source, columns, number_in

NAMES = {"apps": Source("codeparrot/apps", {"test": ("test.jsonl",), "train": ("train.jsonl",)})}
COLUMNS = columns("question input_output problem_id", "question input_output id url difficulty solutions starter_code")


def problem(row: Row, name: str) -> Problem:
    """The row without its tests; its number is the question id."""
    number = row["problem_id"] if "problem_id" in row else row["id"]
    rest = {key: value for key, value in taco.problem(row, name).items() if key not in ("id", "problem_id")}
    return {**rest, "task_id": number, **number_in(number)}


def tests(row: Row, name: str) -> dict[str, Any]:
    """Its tests and solutions, as they are."""
    return taco.tests(row, name)
