"""Answers as HTML for the notebooks: side by side, or with the two writers of a switching answer marked.

Bold type marks the same characters as the background, because sites that render notebooks may drop colours.
"""

import html

from analysis.reading.answers import Answer

CELL = "text-align: left; vertical-align: top; font-size: 11px"
WRAP = "white-space: pre-wrap; text-align: left; font-size: 11px"
BASE_STYLE = "background: #F5D9A8; color: #000000"  # a light shade of switching's orange


def side_by_side(answers: list[Answer]) -> str:
    """Answers side by side, each under its run and verdict."""
    names = [html.escape(f"{answer.run}: {answer.verdict}") for answer in answers]
    heads = "".join(f"<th style='text-align: left'>{name}</th>" for name in names)
    cells = "".join(f"<td style='{CELL}'><pre style='{WRAP}'>{html.escape(a.text)}</pre></td>" for a in answers)
    return f"<table><tr>{heads}</tr><tr>{cells}</tr></table>"


def by_writer(answer: Answer) -> str:
    """A switching answer with the base model's turns in bold on a coloured background."""
    parts, end = [], 0
    for segment in answer.segments:
        parts.append(html.escape(answer.text[end : segment["start"]]))
        text = html.escape(answer.text[segment["start"] : segment["end"]])
        parts.append(f"<b style='{BASE_STYLE}'>{text}</b>" if segment["model"] == "base" else text)
        end = segment["end"]
    parts.append(html.escape(answer.text[end:]))
    return f"<pre style='{WRAP}'>{''.join(parts)}</pre>"
