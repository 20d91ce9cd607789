"""Answers and numbers as Markdown and HTML for the notebooks.

What is told by colour is told by bold type too: pages that show notebooks may drop the colours.
"""

import html
from collections.abc import Iterable
from typing import Any

from analysis.reading.answers import Answer

CELL = "text-align: left; vertical-align: top; font-size: 11px"
WRAP = "white-space: pre-wrap; text-align: left; font-size: 11px"
BASE_STYLE = "background: #F5D9A8; color: #000000"  # a light shade of switching's orange


def markdown_table(rows: Iterable[dict[str, Any]]) -> str:
    """Rows as a table; the keys of the first are the head, numbers that are not whole get three places."""
    rows = list(rows)
    heads = list(rows[0]) if rows else []
    lines = [heads, ["---"] * len(heads), *([_cell(row[head]) for head in heads] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value).replace("|", "\\|")


def quote(text: str) -> str:
    """A text as a quoted block of Markdown, its lines as they are."""
    return "\n".join(f"> {html.escape(line)}  " for line in text.splitlines())


def side_by_side(answers: list[Answer]) -> str:
    """Answers beside each other, each under its run and verdict."""
    names = [html.escape(f"{answer.run}: {answer.verdict}") for answer in answers]
    heads = "".join(f"<th style='text-align: left'>{name}</th>" for name in names)
    cells = "".join(f"<td style='{CELL}'><pre style='{WRAP}'>{html.escape(a.text)}</pre></td>" for a in answers)
    return f"<table><tr>{heads}</tr><tr>{cells}</tr></table>"


def by_writer(answer: Answer) -> str:
    """A switching answer with the base model's turns in bold on a coloured ground, the instruct model's plain."""
    parts, end = [], 0
    for segment in answer.segments:
        parts.append(html.escape(answer.text[end : segment["start"]]))
        text = html.escape(answer.text[segment["start"] : segment["end"]])
        parts.append(f"<b style='{BASE_STYLE}'>{text}</b>" if segment["model"] == "base" else text)
        end = segment["end"]
    parts.append(html.escape(answer.text[end:]))
    return f"<pre style='{WRAP}'>{''.join(parts)}</pre>"
