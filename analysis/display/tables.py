"""Numbers and texts as Markdown, for notebooks and reports."""

import html
from collections.abc import Iterable, Sequence
from typing import Any


def markdown_table(rows: Iterable[dict[str, Any]]) -> str:
    """Rows as a table: the keys of the first row are the heads; floats have three decimals."""
    rows = list(rows)
    heads = list(rows[0]) if rows else []
    return markdown(heads, ([_cell(row[head]) for head in heads] for row in rows))


def markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells of text as a table, as they are."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, ["---"] * len(heads), *rows))


def _cell(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value).replace("|", "\\|")


def quote(text: str) -> str:
    """A text as a block quote that keeps its lines."""
    return "\n".join(f"> {html.escape(line)}  " for line in text.splitlines())
