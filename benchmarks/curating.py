"""How many checked answers per second become a dataset, and in how much memory, with every filter on.

The answers are generated, ten per problem, of 4 kB each: a sixth are wrong, a tenth are exact duplicates, a tenth
differ from others in a few words, some are cut off, and some problems are test problems. The script runs as a user runs
it; its time is that of the whole run.

    python -m benchmarks.curating [FILES]     # 100,000, as by default, take a few minutes and 1 GB of disk
"""

import json
import random
import tempfile
from pathlib import Path

from benchmarks import run_benchmark
from benchmarks.converting import ROOT, program, run_measured, thought
from hindsight.text.uniform_format import render

FILES, SAMPLES = 100_000, 10


def write_answers(folder: Path, count: int) -> int:
    """Checked answers as files of a run, and tests.jsonl with the test's problems; returns the bytes of the answers."""
    chance, size, text = random.Random(0), 0, ""
    for number in range(count):
        question, sample = divmod(number, SAMPLES)
        if sample == 0:
            statement = thought(random.Random(question))
        kind = chance.random()
        if sample == 0 or kind > 0.2:
            text = render(thought(chance), f"So:\n\n{program(chance, 'solve')}")
        elif kind > 0.1:
            text = text.replace(" total = 0", f" total = {number}")
        record = {
            "prompt": [],
            "generated_text": text,
            "metadata": {"question": statement, "starter_code": "", "fn_name": None},
            "question_id": question,
            "sample_index": sample,
            "finish_reason": "length" if chance.random() < 0.02 else "stop",
            "converted_text": text,
            "correctness": chance.random() > 1 / 6,
        }
        content = json.dumps(record)
        (folder / f"converted_question_{question}_sample_{sample}.json").write_text(content)
        size += len(content)
    tests = (json.dumps({"question": thought(random.Random(seed)), "split": "test"}) for seed in range(0, 50_000, 50))
    (folder / "tests.jsonl").write_text("\n".join(tests))
    return size


def main(files: int = FILES) -> None:
    with tempfile.TemporaryDirectory() as parent:
        folder, data = Path(parent), Path(parent) / "data"
        size = write_answers(folder, files)
        flags = ["--input_dirs", folder, "--output_dir", data, "--test_problems", folder / "tests.jsonl"]
        flags += ["--tokenizer", ROOT / "lab" / "models" / "base", "--cutoff_len", 4096, "--max_samples", files]
        seconds, memory = run_measured("convert_to_data.py", *flags)
        counts = json.loads((data / "hindsight.report.json").read_text())["counts"]
    print(f"curating: convert_to_data.py, {files:,} files of {size / files / 1000:.1f} kB, every filter on")
    print("  " + ", ".join(f"{number:,} {name}" for name, (number,) in counts.items()))
    print(f"  {files / seconds:,.0f} files per second, {seconds:.1f} s in all")
    print(f"  memory of all its processes, MiB, by tenths of the run: {' '.join(map(str, memory))}")


if __name__ == "__main__":
    run_benchmark(main)
