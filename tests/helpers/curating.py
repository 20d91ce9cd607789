"""Runs for step 4, and what it wrote."""

import json
import random

from problem_rows import MBPP
from scripts import write_converted

from hindsight.conversion.code_alone import before_stop_word
from hindsight.curation.row_files import read_rows
from hindsight.problem_sets import evalplus
from hindsight.text.code_blocks import fenced
from hindsight.text.program_choice import ProgramTarget, find_program
from hindsight.text.prompt_styles import prompts_of_style
from hindsight.text.prompts import Prompts
from hindsight.text.uniform_format import render

STDIN = {"question": "Echo the line.", "starter_code": "", "input_output": json.dumps({"inputs": [], "outputs": []})}
CALL = {"question": "Double.", "starter_code": "def double(n):", "input_output": '{"fn_name": "double"}'}
PLAIN = ("--cutoff_len", 0, "--test_problems", "", "--validation", 0)


def many(folder, problems=6, samples=5, **more):
    """A run of correct answers that have little in common."""
    for problem in range(problems):
        for sample in range(samples):
            chance = random.Random(f"{folder} {problem} {sample}")
            program = "\n".join(f"print({chance.random()})" for _ in range(9))
            question = {"question": f"Problem {problem}", "starter_code": ""}
            write_converted(folder, problem, sample, program, question, correctness=True, **more)
    return folder


def counts_of(output, name="hindsight"):
    return json.loads((output / f"{name}.report.json").read_text())["counts"]


def sources_of(output, name="hindsight"):
    return [json.loads(line) for line in (output / f"{name}.sources.jsonl").read_text().splitlines()]


def programs(output, name="hindsight.json"):
    return {find_program(row.answer, ProgramTarget()).strip() for row in read_rows(output / name)}


def sampled_in_a_style(folder, programs, style="evalplus", role="instruct", **more):
    """A run of `single_model_inference.py` with PROMPT_STYLE: right answers to the task of MBPP in `problem_rows`."""
    folder.mkdir()
    run = {"script": "single_model_inference.py", "settings": {"prompt_style": style}}
    (folder / "run.json").write_text(json.dumps(run))
    problem, prompts = evalplus.problem(MBPP, ""), prompts_of_style(style, "", True)
    question = problem.pop("question_id")
    prompt = prompts.chat(problem) if role == "instruct" else prompts.transcript(problem)
    for sample, program in enumerate(programs):
        code = before_stop_word(program, tuple(prompts.stop_words(role, problem)))
        text = {"generated_text": program, "converted_text": render("", fenced(code))}
        record = {"prompt": prompt, "correctness": True, **text, **prompts.marks(role, problem), **more}
        write_converted(folder, question, sample, program, problem, **record)
    return folder


def sampled_with(folder, prompt_file, problems=2, system_prompt=True):
    """A run of `single_model_inference.py` with a prompt file."""
    folder.mkdir()
    settings = {"prompt_file": str(prompt_file), "system_prompt": system_prompt}
    run = {"script": "single_model_inference.py", "settings": settings}
    (folder / "run.json").write_text(json.dumps(run))
    for number in range(problems):
        problem = {"question": f"Print {number}.", "starter_code": ""}
        prompt = Prompts(str(prompt_file), system_prompt).chat(problem)
        program = f"print({number})  # {folder.name}"
        write_converted(folder, number, 0, program, problem, correctness=True, prompt=prompt)
    return folder
