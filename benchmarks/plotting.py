"""Measures time and memory of `pass_at_k_plot.py` for six runs of many checked answers, without and with its caches.

The answers are generated: 100 per problem, each with a raw and a converted file of 12 kB, as in real runs. The script
runs as a user runs it, and its time includes its start. It runs twice without caches, and the second run counts,
because new files may still be on their way to the disk during the first.

    python -m benchmarks.plotting [PROBLEMS]     # default 1,000: 600,000 answers, 10 GB, some minutes to generate
"""

import json
import random
import tempfile
from pathlib import Path

from benchmarks import run_benchmark
from benchmarks.converting import program, run_measured, thought
from hindsight.pass_at_k.run_counts import CACHE
from hindsight.text.uniform_format import render

PROBLEMS, SAMPLES, RUNS = 1_000, 100, 6


def write_run(folder: Path, problems: int, ease: float) -> None:
    """Writes a run folder of checked answers; `ease` is the share of correct ones, from 0 to 1."""
    chance = random.Random(ease)
    folder.mkdir()
    for question in range(problems):
        statement = thought(random.Random(question))
        text = render(thought(chance), f"So:\n\n{program(chance, 'solve')}")
        record = {
            "prompt": [{"role": "user", "content": statement}],
            "generated_text": text,
            "metadata": {"question": statement, "starter_code": "", "fn_name": None},
            "question_id": question,
            "finish_reason": "stop",
        }
        checked = {**record, "converted_text": text, "conversion": {"how": "rules"}}
        for sample in range(SAMPLES):
            verdict = {"sample_index": sample, "correctness": chance.random() < ease}
            name = f"question_{question}_sample_{sample}.json"
            (folder / name).write_text(json.dumps({**record, "sample_index": sample}))
            (folder / f"converted_{name}").write_text(json.dumps({**checked, **verdict}))


def main(problems: int = PROBLEMS) -> None:
    with tempfile.TemporaryDirectory() as parent:
        folders = [Path(parent) / f"run_{number}" for number in range(RUNS)]
        for number, folder in enumerate(folders):
            write_run(folder, problems, (number + 1) / (RUNS + 2))
        size = next(folders[0].glob("converted_*")).stat().st_size
        flags = ["--output", Path(parent) / "curves", "--ks", 1, 2, 5, 10, 20, 50, 100, "--input_dirs", *folders]
        for _ in range(2):
            for folder in folders:
                (folder / CACHE).unlink(missing_ok=True)
            first, memory = run_measured("pass_at_k_plot.py", *flags)
        again, _ = run_measured("pass_at_k_plot.py", *flags)
    answers = RUNS * problems * SAMPLES
    print(f"plotting: pass_at_k_plot.py, {RUNS} runs of {problems:,} x {SAMPLES} answers of {size / 1000:.1f} kB")
    print(f"  {first:.1f} s, {answers / first:,.0f} answers per second; with its caches: {again:.1f} s")
    print(f"  memory of all its processes, MiB, by tenths of the run: {' '.join(map(str, memory))}")


if __name__ == "__main__":
    run_benchmark(main)
