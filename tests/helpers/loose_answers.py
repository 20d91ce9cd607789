"""Raw answers that no rule can decide, one that rules can, and reformatting models: a good one and bad ones."""

import hashlib
import json
import re

from hindsight.text.uniform_format import render

CODE = "```python\nprint(input())\n```"
PLAIN = f"[begin_of_thought]\n\nHm, echo.\n\n[end_of_thought]\n\n[begin_of_solution]\n\n{CODE}\n\n[end_of_solution]"


def loose(number):
    """An answer without tags that has a draft and a final program; its right conversion is `expected`."""
    return f"{thought(number)}\n{solution(number)}"


def thought(number):
    return f"First try {number}:\n```python\nprint({number})\n```\nNo, it has to read its input, number {number}."


def solution(number):
    return f"Here is {number}:\n\n```python\nx = int(input())\nprint(x + {number})\n```\n\nDone with {number}."


def expected(number):
    return render(thought(number), solution(number))


def good_model(request):
    """Replies correctly in each mode and form."""
    number = number_of(request)
    if mode_of(request) == "cut":
        end = f"read its input, number {number}."
        fields = {"thought_end": end, "code_begin": "x = int(input())", "code_end": f"print(x + {number})"}
    else:
        fields = {"thought": thought(number), "solution": solution(number)}
    return written(request, fields)


def fixes_a_bug(request):
    return changed(request, f"print(x + {number_of(request)})", f"print(x + {number_of(request) + 1})")


def drops_the_thought(request):
    number = number_of(request)
    if mode_of(request) == "cut":
        return changed(request, f"read its input, number {number}.", "something else that is not there")
    return changed(request, thought(number), "Read it.")


def adds_a_solution(request):
    number = number_of(request)
    if mode_of(request) == "cut":
        return good_model(request) * 2
    extra = f"{solution(number)}\n\nOr:\n\n```python\nprint(int(input()) + {number})\n```"
    return changed(request, solution(number), extra)


def answers_in_prose(request):
    return "The thought ends where the solution begins."


def goes_on_and_on(request):
    """Reaches the token limit, so its finish reason is "length"."""
    return good_model(request) + " and so on" * 2000


BAD_MODELS = (fixes_a_bug, drops_the_thought, adds_a_solution, answers_in_prose, goes_on_and_on)


def changed(request, old, new):
    """The good model's reply with one text replaced."""
    reply, encoded = good_model(request), json.dumps(old)[1:-1]
    assert old in reply or encoded in reply
    return reply.replace(encoded, json.dumps(new)[1:-1]).replace(old, new)


def written(request, fields):
    """Named texts in the form that the request asks for: JSON, tags, or the two sections."""
    if "response_format" in request:
        return json.dumps(fields)
    if "solution" in fields:
        return render(**fields)
    return "\n".join(f"<{name}>{text}</{name}>" for name, text in fields.items())


def mode_of(request):
    return "cut" if "thought_end" in request["messages"][0]["content"] else "rewrite"


def number_of(request):
    return int(re.search(r"First try (\d+):", request["messages"][3]["content"])[1])


def attempt_of(request):
    """The number of requests about this answer so far, this one included."""
    return (len(request["messages"]) - 2) // 2


def chance(*parts):
    """A number in [0, 1) that depends only on the arguments."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big") / 2**64
