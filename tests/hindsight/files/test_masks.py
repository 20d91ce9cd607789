"""Masks: the problems left out in steps 3, 4 and 5, and refused files."""

import json

import pytest
from scripts import run_in_process, write_converted

import check_converted_samples
import convert_to_data
import pass_at_k_plot
from hindsight.errors import UserError
from hindsight.files.masks import DISAGREE, MALFORMED, NO_PASS, NO_SOLUTIONS, read_mask
from hindsight.problem_sets.local_files import file_digest
from hindsight.problem_sets.sources import LAB_FILE

ECHO = {"question": "Echo.", "input_output": json.dumps({"inputs": ["a\n"], "outputs": ["a\n"]})}
CLASSES = {0: "solutions agree", 1: DISAGREE, 2: NO_PASS, 3: MALFORMED, 4: NO_SOLUTIONS}
KEPT = ("0_sample_0", "0_sample_1", "4_sample_0", "4_sample_1")
ORIGIN = {"dataset": "somewhere/problems.jsonl", "split": "", "digest": "sha256:1"}


def write_mask(folder, classes=CLASSES, origin=ORIGIN):
    path = folder / "mask.json"
    problems = {question: {"class": name} for question, name in classes.items()}
    path.write_text(json.dumps({"origin": origin, "problems": problems}))
    return path


def make_run(folder, origin=ORIGIN, problems=5, **more):
    """A run with a right and a wrong answer to each problem, and run.json as the sampling scripts write it."""
    for question in range(problems):
        for sample in range(2):
            write_converted(folder, question, sample, f"print({'input()' if sample == 0 else ''})", ECHO, **more)
    (folder / "run.json").write_text(json.dumps({"script": "single_model_inference.py", "problems": origin}))
    return folder


def test_three_classes_are_masked_and_the_others_kept(tmp_path):
    assert read_mask(str(write_mask(tmp_path))).reasons == {1: DISAGREE, 2: NO_PASS, 3: MALFORMED}
    assert read_mask("").reasons == {}


def test_step_3_does_not_change_the_files_of_masked_problems(tmp_path):
    run = make_run(tmp_path / "run")
    before = {path.name: path.read_bytes() for path in run.glob("converted_*")}
    result = run_in_process(check_converted_samples, "--input_dir", run, "--mask", write_mask(tmp_path))
    assert result.returncode == 0, result.stderr
    why = "no solution passes: 1, solutions disagree: 1, tests malformed: 1"
    assert f"the mask leaves out 3 problems ({why}) with 6 answers" in result.stdout
    assert "2 of 4 correct" in result.stdout
    changed = {path.name for path in run.glob("converted_*") if path.read_bytes() != before[path.name]}
    assert changed == {f"converted_question_{name}.json" for name in KEPT}


def test_step_3_continues_with_another_mask_or_none(tmp_path):
    run = make_run(tmp_path / "run")
    run_in_process(check_converted_samples, "--input_dir", run, "--mask", write_mask(tmp_path))
    result = run_in_process(check_converted_samples, "--input_dir", run)
    assert (result.returncode, "5 of 10 correct" in result.stdout) == (0, True)


def test_step_4_leaves_out_answers_to_masked_problems(tmp_path):
    run = make_run(tmp_path / "run", correctness=True)
    flags = ["--input_dirs", run, "--output_dir", tmp_path / "data", "--cutoff_len", 0, "--mask", write_mask(tmp_path)]
    result = run_in_process(convert_to_data, *flags)
    assert result.returncode == 0, result.stderr
    assert "       6  problem is masked\n" in result.stdout
    assert "       2  exact duplicate\n       2  row of the dataset\n" in result.stdout


def test_step_4_needs_no_verdicts_on_masked_problems(tmp_path):
    run = make_run(tmp_path / "run", problems=1, correctness=True)
    write_converted(run, 1, 0, "print()", ECHO)
    flags = ["--input_dirs", run, "--output_dir", tmp_path / "data", "--cutoff_len", 0]
    assert run_in_process(convert_to_data, *flags).returncode == 1
    assert run_in_process(convert_to_data, *flags, "--overwrite", "--mask", write_mask(tmp_path)).returncode == 0


def test_step_5_counts_neither_verdicts_nor_unconverted_answers_of_masked_problems(tmp_path):
    run = make_run(tmp_path / "run", correctness=True)
    write_converted(run, 2, 2, "print()", ECHO)  # has no verdict, which step 5 would refuse
    for question in (0, 3):
        (run / f"question_{question}_sample_2.json").write_text("{}")
    flags = ["--input_dirs", run, "--ks", 1, "--output", tmp_path / "curve", "--mask", write_mask(tmp_path)]
    result = run_in_process(pass_at_k_plot, *flags)
    assert result.returncode == 0, result.stderr
    (curve,) = json.loads((tmp_path / "curve.json").read_text())["curves"]
    assert (curve["problems"], curve["samples"], curve["correct"], curve["unconverted"]) == (2, 5, 4, 1)
    assert curve["values"]["1"] == pytest.approx((2 / 3 + 1) / 2)
    assert "3 problems" in result.stdout
    assert "with 8 answers" in result.stdout


def test_a_mask_of_another_version_of_the_problem_set_is_refused_by_each_step(tmp_path):
    run = make_run(tmp_path / "run", origin={**ORIGIN, "digest": "sha256:2"}, correctness=True)
    mask = write_mask(tmp_path)
    for script, folder, *flags in (
        (check_converted_samples, "--input_dir"),
        (convert_to_data, "--input_dirs", "--output_dir", tmp_path / "data"),
        (pass_at_k_plot, "--input_dirs", "--ks", 1, "--output", tmp_path / "curve"),
    ):
        result = run_in_process(script, folder, run, "--mask", mask, *flags)
        assert (result.returncode, "is a mask of another problem set" in result.stderr) == (2, True), result.stderr


def test_the_mask_must_fit_the_problem_set_of_the_judge_not_that_of_the_sampling(tmp_path):
    lab = {"dataset": "lab", "digest": file_digest(LAB_FILE)}
    run, mask = make_run(tmp_path / "run", origin={**ORIGIN, "digest": "sha256:2"}), write_mask(tmp_path, origin=lab)
    files = {(1, 0): run / "x", (4, 0): run / "y"}
    assert read_mask(str(mask)).keep(files, run, "lab").keys() == {(4, 0)}
    with pytest.raises(UserError, match="another problem set"):
        read_mask(str(mask)).keep(files, run)
    steps = {"check_converted_samples.py": {"settings": {"problems": "lab"}}}
    (run / "run.json").write_text(json.dumps({"script": "x", "problems": {"digest": "sha256:2"}, "steps": steps}))
    assert read_mask(str(mask)).keep(files, run).keys() == {(4, 0)}


def test_a_mask_of_another_split_of_a_hub_data_set_is_refused(tmp_path):
    hub = {"dataset": "BAAI/TACO", "revision": "r1"}
    mask = read_mask(str(write_mask(tmp_path, origin={**hub, "split": "train"})))
    for split, refused in (("", False), ("train", False), ("test", True)):
        run = make_run(tmp_path / f"run{split}", origin={**hub, "split": split}, problems=1)
        if refused:
            with pytest.raises(UserError, match="mask of the split train"):
                mask.keep({}, run)
        else:
            assert mask.keep({(1, 0): run}, run) == {}


def test_a_mask_is_accepted_if_the_run_records_no_version(tmp_path):
    run = make_run(tmp_path / "run", problems=2)
    (run / "run.json").unlink()
    assert len(read_mask(str(write_mask(tmp_path))).keep({(0, 0): run, (1, 0): run}, run)) == 1


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "there is no mask"),
        ("{", "is not a mask of audit_problems.py"),
        ("[]", "is not a mask of audit_problems.py"),
        ('{"origin": {}, "problems": {"one": {"class": "solutions agree"}}}', "is not a mask"),
        ('{"origin": {}, "problems": {"1": {}}}', "is not a mask"),
        ('{"origin": {}, "problems": [1]}', "is not a mask"),
        ('{"origin": {}, "problems": {"1": {"class": "bad"}}}', "has problems of class bad; classes are"),
    ],
)
def test_a_wrong_file_is_refused_in_one_sentence(tmp_path, content, sentence):
    path = tmp_path / "mask.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=sentence):
        read_mask(str(path))
