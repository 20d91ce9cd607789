"""The tables in the study's README, and the numbers of its text.

A table is between `<!-- table: NAME -->` and `<!-- end -->`, where NAME is one of `tables.TABLES`.
"""

import re
from collections.abc import Callable, Iterator, Mapping

from hindsight.errors import UserError

TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
BLOCK = re.compile(r"<!--.*?-->|```.*?```|^ {4}.*?$", re.DOTALL | re.MULTILINE)
NO_PROSE = re.compile(r"`[^`]*`|\]\([^)]*\)|arXiv:? ?\d{4}\.\d{4,5}|\d+(?:\.\d+){2,}")
PAGE = re.compile(r"\]\(([\w./]+\.md)\)")  # a link to a page of this repository
DECIMAL = re.compile(r"(?<![\w.])([-+−]?)(\d*\.\d+)(?![\w.]*\d)")


def fill_tables(text: str, tables: Mapping[str, str]) -> str:
    """The text with each table between its marks. Raises UserError for an unknown table."""

    def fill(match: re.Match[str]) -> str:
        start, name, end = match.groups()
        if name not in tables:
            raise UserError(f"there is no table {name!r} among {', '.join(tables)}")
        return f"{start}{tables[name]}\n{end}"

    return TABLE.sub(fill, text)


def decimal_numbers(text: str) -> Iterator[str]:
    """The decimal numbers of a text, each as ".489", "+.012" or "-.010": the sign as written, no zero in front."""
    for sign, number in DECIMAL.findall(text):
        whole, _, decimals = number.partition(".")
        yield f"{sign.replace('−', '-')}{whole.lstrip('0')}.{decimals}"


def unknown_numbers(text: str, known: str, linked: Callable[[str], str]) -> list[str]:
    """The decimal numbers in a README's prose that are not in the known text.

    Prose is everything except tables, code, links, version numbers and paper numbers. A number without a sign may be
    the size of a negative one ("lower by .012"); one with a sign must be known with it. A paragraph may also use the
    numbers of the pages that it links to: `linked` gives the text of a page.
    """
    found = []
    for paragraph in BLOCK.sub("", TABLE.sub("\n\n", text)).split("\n\n"):
        pages = [linked(target) for target in PAGE.findall(paragraph)]
        signed = set(decimal_numbers("\n".join([known, *pages])))
        plain = {number.lstrip("+-") for number in signed}
        numbers = decimal_numbers(NO_PROSE.sub(" ", paragraph))
        found += [each for each in numbers if each not in (signed if each[0] in "+-" else plain)]
    return found
