"""Changes the alpha of a running server that merges while it loads; without ALPHA, prints its current one.

    python -m hindsight.dial --url http://localhost:8000 --alpha 0.4

Start the server with `hindsight.serving --merge_base` (docs/merging.md has the flags for `vllm serve`). Requests in
flight end before the change, and those that arrive meanwhile wait; every answer is made with one alpha.
"""

import time

from hindsight.errors import UserError
from hindsight.merging.alphas import AlphaRule
from hindsight.servers.alpha_dial import Dial, read_dial, set_alpha
from hindsight.settings import Settings, run_script

# fmt: off
URL = "http://localhost:8000"  # the server, with or without /v1
ALPHA = ""                     # weight of the fine-tuned model; 0: the base, 1: the fine-tuned model; empty: print it
ALPHA_OF = []                  # other alphas for parts, such as layers.0-7:0.3 mlp:0.9; see docs/merging.md
DEADLINE = 7200                # seconds that the change may take, including the requests in flight before it
# fmt: on


def main(settings: Settings) -> int:
    url = settings.url.rstrip("/").removesuffix("/v1") + "/v1"
    begun = time.monotonic()
    if settings.alpha:
        rule = AlphaRule.parse(
            number(settings.alpha), settings.alpha_of, extrapolate=True
        )  # the server says what it refuses
        dial = set_alpha(url, rule.to_json(), settings.deadline)
    elif (dial := read_dial(url)) is None:
        raise UserError(f"{url} has no alpha dial: start it with `python -m hindsight.serving --merge_base BASE`")
    took = f", set in {time.monotonic() - begun:.2f} s" if settings.alpha else ""
    print(described(dial) + took)
    return 0


def described(dial: Dial) -> str:
    """What a server merges, in one line."""
    return (
        f"alpha {dial.header}, {dial.method} of {dial.base} (0) and {dial.finetuned} (1); {dial.changes} changes so far"
    )


def number(text: str) -> float:
    """ALPHA as a number. Raises UserError if it is not a number."""
    try:
        return float(text)
    except ValueError:
        raise UserError(f"ALPHA is a number, not {text!r}") from None


if __name__ == "__main__":
    run_script(main, globals())
