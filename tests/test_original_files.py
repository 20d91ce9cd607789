"""Files as the paper's repository wrote them go through steps 2 to 5: tests inside, its tags, no finish reason."""

import json

import pytest
from scripts import run_in_process

import check_converted_samples
import convert_to_data
import format_converter
import pass_at_k_plot
from hindsight.files.answer_files import list_files

pytestmark = pytest.mark.slow  # together they take over ten seconds

PROBLEM = {
    "question": "Read two integers and print their sum.",
    "solutions": "[]",
    "starter_code": "",
    "input_output": json.dumps({"inputs": ["1 2\n", "5 -5\n"], "outputs": ["3\n", "0\n"]}),
    "difficulty": "MEDIUM",
    "raw_tags": "['Math']",
    "name": None,
    "source": "codeforces",
}
PROGRAMS = {(7, 0): "print(sum(map(int, input().split())))", (7, 1): "print(3)"}


@pytest.fixture
def original(tmp_path):
    """A folder with two answers to one problem."""
    for (question, index), program in PROGRAMS.items():
        record = {
            "prompt": [{"role": "user", "content": "..."}],
            "generated_text": "[begin_of_thought]\n\nSum them.\n\n[end_of_thought]\n\n[begin_of_solution]\n\n"
            f"```python\n{program}\n```\n\n[end_of_solution]",
            "metadata": PROBLEM,
            "question_id": question,
            "sample_index": index,
            "generation_config": {"temperature": 0.8, "top_p": 0.95},
        }
        (tmp_path / f"question_{question}_sample_{index}.json").write_text(json.dumps(record))
    return tmp_path


def test_a_run_of_which_nothing_can_be_converted_has_a_curve_of_zeros(original):
    for path in list_files(original, "sample").values():
        path.write_text(json.dumps({**json.loads(path.read_text()), "generated_text": "I do not know."}))
    for script, flags, status, words in (
        (check_converted_samples, ["--input_dir", original], 2, "run format_converter.py first"),
        (format_converter, ["--input_dir", original], 1, "0 converted"),
        (check_converted_samples, ["--input_dir", original], 0, "0 of 0 correct"),
        (
            pass_at_k_plot,
            ["--input_dirs", original, "--ks", 1, "--output", original / "curve", "--formats"],
            0,
            "2 of 2",
        ),
        (convert_to_data, ["--input_dirs", original, "--output_dir", original / "d"], 2, "no answer is left"),
    ):
        result = run_in_process(script, *flags)
        assert (result.returncode, words in result.stdout + result.stderr) == (status, True), result.stderr
    (curve,) = json.loads((original / "curve.json").read_text())["curves"]
    assert (curve["values"], curve["unconverted"]) == ({"1": 0.0}, 2)


def test_they_are_converted_judged_curated_and_counted(original):
    for script, flags in (
        (format_converter, ["--input_dir", original]),
        (check_converted_samples, ["--input_dir", original]),
        (convert_to_data, ["--input_dirs", original, "--output_dir", original / "data"]),
        (pass_at_k_plot, ["--input_dirs", original, "--ks", 1, 2, "--output", original / "curve", "--formats"]),
    ):
        result = run_in_process(script, *flags)
        assert result.returncode == 0, result.stdout + result.stderr
    records = [json.loads(path.read_text()) for path in list_files(original, "converted").values()]
    assert [record["correctness"] for record in records] == [True, False]
    assert records[0]["converted_text"].startswith("<begin_of_slow_thought>\n\nSum them.")
    (row,) = json.loads((original / "data" / "hindsight.json").read_text())
    assert PROGRAMS[7, 0] in row["conversations"][1]["value"]
    (curve,) = json.loads((original / "curve.json").read_text())["curves"]
    assert curve["values"] == {"1": 0.5, "2": 1.0}
