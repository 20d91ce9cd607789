"""Measures the converter: files per second and memory by rules, and tokens of an LLM's reply in both modes.

The answers are generated, in every dialect: a thought of some hundred words with a draft in it, and a program. The
script runs as a user runs it, and the time includes its start. The replies are correct ones, so both modes give the
same two sections; the tokenizer of all-MiniLM-L6-v2 counts their tokens.

    python -m benchmarks.converting [FILES]     # 100,000 files take two minutes and 1 GB
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean

from analysis.embeddings.models import packaged_minilm
from benchmarks import run_benchmark
from benchmarks.client import anonymous_mib
from hindsight.conversion.fidelity import FidelityLimits, check_fidelity
from hindsight.conversion.replies import sections_of
from hindsight.files.runs import RUN_FILE
from hindsight.text.uniform_format import BEGIN_SOLUTION, BEGIN_THOUGHT, END_SOLUTION, END_THOUGHT

ROOT = Path(__file__).resolve().parents[1]
FILES, ANSWERS = 20_000, 200
POLL_SECONDS = 0.1  # between two measurements of memory
TEXT = "so we read each line and take the largest of all sums that we have seen, wait, no, first sort them; then"
DIALECTS = (
    (f"{BEGIN_THOUGHT}\n\n", f"\n\n{END_THOUGHT}\n\n{BEGIN_SOLUTION}\n\n", f"\n\n{END_SOLUTION}"),
    ("<think>\n", "\n</think>\n\n", ""),
    ("", "\n</think>\n\n", ""),
    ("[begin_of_thought]\n", "\n[end_of_thought]\n[begin_of_solution]\n", "\n[end_of_solution]"),
    ("<think>\n<think>\n", f"\n</think>\n\n{BEGIN_SOLUTION}\n", ""),
    ("## Thought\n\n", "\n\n## Solution\n\n", ""),
)


def thought(chance: random.Random) -> str:
    """Lines of some hundred words, with a draft of the program among them."""
    lines = [" ".join(chance.choices(TEXT.split(), k=chance.randint(5, 20))) for _ in range(chance.randint(10, 50))]
    lines.insert(len(lines) // 2, program(chance, "draft"))
    return "\n".join(lines)


def program(chance: random.Random, name: str) -> str:
    """A program of some lines in a code block."""
    steps = "\n".join(f"    total += values[{chance.randint(0, 9)}] * {chance.randint(2, 99)}" for _ in range(12))
    return f"```python\ndef {name}(values):\n    total = 0\n{steps}\n    return total\n\n\nprint({name}([1] * 10))\n```"


def write_answers(folder: Path, count: int) -> int:
    """Writes raw answers as files of a run; returns their size in bytes."""
    chance, size = random.Random(0), 0
    question = "You are given ten integers on one line. Print what is asked. " * 10
    for number in range(count):
        begin, middle, end = DIALECTS[number % len(DIALECTS)]
        record = {
            "prompt": question,
            "generated_text": f"{begin}{thought(chance)}{middle}{program(chance, 'solve')}{end}",
            "metadata": {"question": question},
            "finish_reason": "stop",
            "question_id": number,
            "sample_index": 0,
        }
        content = json.dumps(record)
        (folder / f"question_{number}_sample_0.json").write_text(content)
        size += len(content)
    return size


def memory_of(pid: int) -> int:
    """The memory of a process and its children, in MiB."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sum([anonymous_mib(int(each)) for each in [str(pid), *children]])


def run_measured(script: str, *flags: object) -> tuple[float, list[int]]:
    """Runs a script; its seconds, and its memory and its children's, in MiB, at each tenth of the run."""
    begin, memory = time.monotonic(), []
    command = [sys.executable, str(ROOT / script), *map(str, flags)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            try:
                memory.append(memory_of(process.pid))
            except (OSError, StopIteration):  # a process has just ended
                continue
            finally:
                time.sleep(POLL_SECONDS)
    assert process.returncode in (0, 1), command
    return time.monotonic() - begin, [memory[len(memory) * tenth // 10] for tenth in range(10)] + memory[-1:]


def measure_rules(files: int) -> None:
    """Prints the time and memory of the script, by rules only, for this number of files."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent)
        size = write_answers(folder, files)
        seconds, memory = run_measured("format_converter.py", "--input_dir", folder, "--rules", "only")
        step = json.loads((folder / RUN_FILE).read_text())["steps"]["format_converter.py"]
    print(f"converter: format_converter.py by rules, {files:,} files of {size / files / 1000:.1f} kB")
    print(f"  {step['converted']:,} converted, {step['missing']} missing, by {len(step['rules'])} rules")
    print(f"  {files / seconds:,.0f} files per second, {seconds:.1f} s in total")
    print(f"  memory of all its processes, MiB, by tenths of the run: {' '.join(map(str, memory))}")


def measure_replies(answers: int) -> None:
    """Prints the tokens of correct replies in both modes, to answers that no rule can split: two programs, no tags."""
    from transformers import AutoTokenizer  # slow to import, and needed only here

    tokenizer, chance = AutoTokenizer.from_pretrained(packaged_minilm()), random.Random(1)
    counts: dict[str, list[int]] = {"cut": [], "rewrite": []}
    for number in range(answers):
        text, code = thought(chance), program(chance, f"solve_{number}")
        end, solution = f"This is attempt {number}.", f"So, for {number}:\n\n{code}"
        answer = f"{text}\n{end}\n{solution}"
        lines = code.splitlines()
        quotes = {"thought_end": end, "code_begin": lines[1], "code_end": lines[-2]}
        whole = {"thought": f"{text}\n{end}", "solution": solution}
        found = set()
        for mode, reply in (("cut", json.dumps(quotes)), ("rewrite", json.dumps(whole))):
            sections = sections_of(reply, answer, mode, structured=True)
            check_fidelity(answer, sections, FidelityLimits(min_kept=1.0, max_new=0))
            found.add(sections)
            counts[mode].append(len(tokenizer.tokenize(reply)))
        assert len(found) == 1
    cut, rewritten = mean(counts["cut"]), mean(counts["rewrite"])
    print(f"  tokens of an LLM's reply, {answers} answers: cut {cut:.0f}, rewritten {rewritten:.0f}")
    print(f"  ratio                {cut / rewritten:6.3f}")


def main(files: int = FILES) -> None:
    measure_rules(files)
    measure_replies(ANSWERS)


if __name__ == "__main__":
    run_benchmark(main)
