"""The page of the paper's figure: its commands on the lab's scale, with the tests' servers of the lab's models."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from doc_blocks import BLOCKS
from quick_python import quick_python
from scripts import ROOT, converted, run_script

from hindsight.files.answer_files import list_files
from hindsight.pass_at_k.paper_curves import read_paper_figure
from hindsight.problem_sets.selection import load_problems
from hindsight.text.prompt_styles import PREFIX

PAGE = ROOT / "docs" / "paper_figure.md"
PROBLEMS = ROOT / "lab" / "mbpp_format.jsonl"


def on_the_labs_scale(commands: str, folder: Path, urls: dict[str, str], python: Path) -> str:
    """The page's commands with the lab's problems, models and servers, two short samples, and one model per loop."""
    lines = [line for line in commands.splitlines() if not line.startswith(("pip", "curl", "export"))]
    script = "trap 'jobs -p | xargs -r kill' EXIT\n" + "\n".join(lines).replace("\\\n", " ")
    changes = {
        r"base=\S+ finetuned=\S+ runs=\S+": f"base=lab-base finetuned=lab-instruct runs={folder}",
        r"--base_model \$base --finetuned_model": "--base_model lab/models/base --finetuned_model",
        r"--finetuned_model \$finetuned": "--finetuned_model lab/models/instruct",
        r"vllm serve .*": "sleep 600 > /dev/null 2>&1 &",
        r"in \S+/alpha_0.7 \S+/alpha_0.9 \$finetuned;": "in $finetuned;",
        r"in base alpha_0.7 alpha_0.9 ": "in base ",
        r"\S+/alpha_0.7 \S+/alpha_0.9 (?=\S+basename)": "",
        r'base "alpha 0.7" "alpha 0.9" instruct': "base instruct",
        r"--panels( Llama-3.1-8B){4}": "--ks 1 2 --panels Llama-3.1-8B Llama-3.1-8B",
        r"--num_samples 11 --max_tokens 768": "--num_samples 2 --max_tokens 96",
        r"(--model base --base_model)": rf"--base_urls {urls['base']} \1",
        r"(--instruct_model)": rf"--base_urls {urls['instruct']} \1",
    }
    for pattern, other in changes.items():
        script, number = re.subn(pattern, other, script)
        assert number, pattern
    return re.sub(r"(?<!/)\bpython (?=[\w-])", f"{python} ", script)


@pytest.mark.server
def test_the_pages_commands_lead_from_two_models_to_the_figure(lab_servers, tmp_path, forked_steps):
    (block,) = [block for block in BLOCKS if block.page == PAGE.name and "merge_models.py" in block.commands]
    script = on_the_labs_scale(block.commands, tmp_path, lab_servers, quick_python())
    environment = {"MBPP_OVERRIDE_PATH": str(PROBLEMS), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    result = subprocess.run(
        ["bash", "-ec", script],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert (tmp_path / "merged" / "alpha_0.9" / "model.safetensors").exists()
    numbers = json.loads((tmp_path / "figure.json").read_text())
    assert [(each["label"], each["panel"], each["problems"]) for each in numbers["curves"]] == [
        ("base", "Llama-3.1-8B", 20), ("instruct", "Llama-3.1-8B", 20),
    ]  # fmt: skip
    assert len(numbers["paper"]["curves"]) == 16 and (tmp_path / "figure.png").stat().st_size > 10_000
    for run in ("base", "lab-instruct"):
        check_run(tmp_path / run, tmp_path / f"{run}.jsonl", environment)


@pytest.mark.server
def test_vllm_continues_the_beginning_of_an_answer(lab_servers, tmp_path, forked_steps):
    flags = ("--problems", PROBLEMS, "--prompt_style", "evalplus", "--dry_run", "--output_dir", tmp_path / "run")
    result = run_script("single_model_inference.py", "--base_urls", lab_servers["instruct"], *flags)
    assert result.returncode == 0, result.stderr
    prompt = result.stdout[result.stdout.index("<|im_start|>user\n") :]
    assert prompt.endswith(f"<|im_end|>\n<|im_start|>assistant\n{PREFIX}\n"), prompt


def check_run(folder: Path, samples: Path, environment: dict[str, str]) -> None:
    """Each answer is a line of the samples, and EvalPlus's statuses are the same in the records and in its file."""
    answers = list_files(folder, "sample")
    assert len(answers) == len(samples.read_text().splitlines()) == 40
    for path in answers.values():
        assert json.loads(path.read_text())["prompt_style"] == "evalplus"
    result = run_script("SkyThought/evaluate_samples.py", "--problems", "mbppplus", "--samples", samples, **environment)
    assert result.returncode == 0, result.stdout + result.stderr
    judged = json.loads(samples.with_name(f"{samples.stem}_eval_results.json").read_text())["eval"]
    for record in converted(folder):
        sample = judged[record["metadata"]["task_id"]][record["sample_index"]]
        statuses = sample["base_status"], sample["plus_status"]
        assert statuses == (record["base_status"], record["plus_status"]), sample["solution"]


def test_the_twenty_problems_are_tasks_with_right_solutions():
    problems = load_problems(str(PROBLEMS))
    assert [problem["task_id"] for problem in problems] == [f"Mbpp/{1001 + number}" for number in range(20)]
    for problem in problems:
        tests, names = problem["input_output"], {}
        exec(tests["canonical_solution"], names)
        example = problem["prompt"].strip().splitlines()[-2]
        exec(example, names)
        assert example.startswith(f"assert {problem['fn_name']}(") and len(tests["plus_input"]) == 7


def test_the_page_has_the_papers_numbers():
    """Its table of pass@1 and pass@10, to the third digit."""
    rows = re.findall(r"^\| ((?:Vicuna|Llama)[^|]*) \| (.*) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    shown = {name: [float(number) for number in re.findall(r"\.\d{3}", cells)] for name, cells in rows}
    figure, table = read_paper_figure("mbppplus", (1, 10)), {}
    for curve in figure.curves:
        table.setdefault(curve.run.panel, []).extend(curve.mean)
    assert shown.keys() == table.keys()
    for name, numbers in table.items():
        assert shown[name] == pytest.approx(numbers, abs=0.00051)
