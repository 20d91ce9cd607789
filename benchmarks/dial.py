"""Eleven alphas on one server with a dial against eleven servers: the seconds that are not spent sampling.

Both ways answer the same request at each alpha, greedily, and the answers are compared.

    python -m benchmarks.dial                                        # the lab's models: four minutes
    python -m benchmarks.dial --base BASE --finetuned FINETUNED --parents memory
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

from hindsight.servers.alpha_dial import set_alpha
from hindsight.servers.vllm_process import ServeOptions, VllmProcess, serve

ROOT = Path(__file__).resolve().parents[1]
ALPHAS = [tenth / 10 for tenth in range(11)]
REQUEST = {"model": "merge", "prompt": "def f(x):", "temperature": 0, "max_tokens": 32, "logprobs": 0}
DEADLINE = 600.0


def ask(server: VllmProcess) -> tuple[list[Any], float]:
    """The tokens of an answer with their log-probabilities, and the seconds it took."""
    import requests

    begun = time.perf_counter()
    choice = requests.post(f"{server.url}/completions", json=REQUEST, timeout=DEADLINE).json()["choices"][0]
    return [choice["text"], choice["logprobs"]["token_logprobs"]], time.perf_counter() - begun


def by_dial(model: str, merge: dict[str, Any]) -> tuple[list[float], list[Any]]:
    """The seconds that are not sampling, first the server's start, and the answers."""
    begun = time.perf_counter()
    with serve(model, "merge", DEADLINE, ServeOptions(merge={**merge, "alpha": 0.0})) as server:
        seconds, answers = [time.perf_counter() - begun], []
        for alpha in ALPHAS:
            begun = time.perf_counter()
            set_alpha(server.url, alpha)
            seconds.append(time.perf_counter() - begun)
            answers.append(ask(server)[0])
        begun = time.perf_counter()
    return [*seconds, time.perf_counter() - begun], answers


def by_starts(model: str, merge: dict[str, Any]) -> tuple[list[float], list[Any]]:
    """The same with a server for each alpha."""
    seconds, answers = [], []
    for alpha in ALPHAS:
        begun = time.perf_counter()
        with serve(model, "merge", DEADLINE, ServeOptions(merge={**merge, "alpha": alpha})) as server:
            answer, asked = ask(server)
        seconds.append(time.perf_counter() - begun - asked)
        answers.append(answer)
    return seconds, answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default=str(ROOT / "lab/models/base"), help="alpha 0; default: the lab's")
    parser.add_argument("--finetuned", default=str(ROOT / "lab/models/instruct"), help="alpha 1; default: the lab's")
    parser.add_argument("--parents", default="disk", help="disk or memory, as in hindsight.serving; default: disk")
    flags = parser.parse_args()
    merge = {"base": flags.base, "method": "lerp", "parents": flags.parents}
    dial, answers = by_dial(flags.finetuned, merge)
    starts, others = by_starts(flags.finetuned, merge)
    same = sum(one == other for one, other in zip(answers, others, strict=True))
    change, start = statistics.median(dial[1:-1]), statistics.median(starts)
    print(f"{flags.finetuned}, {len(ALPHAS)} alphas, parents from {flags.parents}")
    print(
        f"  a change by the dial {change:6.2f} s, a server's start and end {start:6.1f} s, ratio {start / change:.0f}"
    )
    print(f"  all but sampling: one server {sum(dial):6.1f} s, eleven servers {sum(starts):6.1f} s, "
          f"ratio {sum(starts) / sum(dial):.1f}")  # fmt: skip
    print(f"  answers with the same tokens and log-probabilities: {same} of {len(ALPHAS)}")


if __name__ == "__main__":
    main()
