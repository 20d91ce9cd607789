"""A row of each known problem set, in the set's own columns, and their files."""

import base64
import gzip
import json
import pickle
import zlib

WORDS = "Write a function to add two numbers."
ADD, ASSERT = "\ndef add(a, b):\n  return a + b\n", "assert add(1, 2) == 3"
MBPP = {
    "task_id": "Mbpp/2",
    "prompt": f'"""\n{WORDS}\n{ASSERT}\n"""\n',
    "entry_point": "add",
    "canonical_solution": ADD,
    "base_input": [[1, 2]],
    "atol": 0,
    "plus_input": [[3, 4]],
    "contract": "",
    "assertion": f"\n{ASSERT}\n",
}
HUB_MBPP = {
    "task_id": 2,
    "code": "\ndef helper(): pass\n" + ADD,
    "prompt": WORDS,
    "source_file": "",
    "test_imports": ["import math"],
    "test_list": ["assert set([add(1, 2)]) == {3}", ASSERT],
    "test": "inputs = [[1, 2], [5, 5]]\nresults = [3, 10]\nfor i, e in zip(inputs, results): assert add(*i) == e\n",
}
SIGNATURE = 'def double(x: int) -> int:\n    """ Twice x.\n    """\n'
HUMANEVAL = {
    "task_id": "HumanEval/0",
    "prompt": SIGNATURE,
    "entry_point": "double",
    "canonical_solution": "    return 2 * x\n",
    "base_input": [[1]],
    "plus_input": [[2]],
    "atol": 0.5,
    "contract": "",
    "test": "def check(candidate):\n    assert candidate(1) == 2\n",
}
HUB_HUMANEVAL = {key: HUMANEVAL[key] for key in ("task_id", "prompt", "canonical_solution", "entry_point", "test")}
SUM = "print(sum(map(int, input().split())))"
STDIN = json.dumps({"inputs": ["1 2\n"], "outputs": ["3\n"]})
APPS = {"id": 7, "question": "Add.", "solutions": '["print(3)"]', "input_output": STDIN,
        "difficulty": "interview", "url": "https://x", "starter_code": ""}  # fmt: skip


def pack(value):
    """As LiveCodeBench packs its private tests."""
    return base64.b64encode(zlib.compress(pickle.dumps(value))).decode()


def case(given, expected, kind="stdin"):
    return {"input": given, "output": expected, "testtype": kind}


LIVECODEBENCH = {
    "question_title": "Sum", "question_content": "Print the sum.", "platform": "atcoder", "question_id": "abc301_a",
    "contest_id": "abc301", "contest_date": "2024-08-01T00:00:00", "starter_code": "", "difficulty": "easy",
    "public_test_cases": json.dumps([case("1 2\n", "3\n")]),
    "private_test_cases": pack(json.dumps([case("2 2\n", "4\n")])),
    "metadata": "{}",
}  # fmt: skip
LEETCODE = {
    **LIVECODEBENCH, "question_content": "Add all of them.",
    "question_id": "2777", "contest_date": "2023-07-08T00:00:00", "difficulty": "hard",
    "starter_code": "class Solution:\n    def total(self, nums: List[int], k: int) -> int:\n        ",
    "public_test_cases": json.dumps([case("[1, 2]\n3", "6", "functional")]),
    "private_test_cases": pack(json.dumps([case('[]\n"a"', "null", "functional")])),
    "metadata": '{"func_name": "total"}',
}  # fmt: skip
CODE_CONTESTS = {
    "name": "1575_A. Sum", "description": "Print the sum.", "source": 2, "difficulty": 7, "cf_rating": 800,
    "cf_tags": ["math"], "input_file": "", "output_file": "",
    "public_tests": {"input": ["1 2\n"], "output": ["3\n"]},
    "private_tests": {"input": ["1 2\n", "2 2\n"], "output": ["3\n", "4\n"]},
    "generated_tests": {"input": ["3 3\n"], "output": ["6\n"]},
    "solutions": {"language": [2, 3, 1], "solution": ["int main", SUM, "print 3"]},
    "incorrect_solutions": {"language": [3], "solution": ["print(4)"]},
}  # fmt: skip


def write(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return str(path)
