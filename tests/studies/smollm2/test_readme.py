"""The study's README: its tables and every decimal number of its text are those of the committed results."""

import json
import re
from functools import cache

import pytest
from scripts import ROOT

from hindsight.errors import UserError
from studies.smollm2.choices import Study
from studies.smollm2.report import TABLE, fill_tables
from studies.smollm2.results import read_results
from studies.smollm2.tables import TABLES, make_tables

BLOCK = re.compile(r"<!--.*?-->|```.*?```|^ {4}.*?$", re.DOTALL | re.MULTILINE)
NO_PROSE = re.compile(r"`[^`]*`|\]\([^)]*\)|arXiv:? ?\d{4}\.\d{4,5}|\d+(?:\.\d+){2,}")
PAGE = re.compile(r"\]\(([\w./]+\.md)\)")  # a link to a page of this repository
DECIMAL = re.compile(r"(?<![\w.])([-+−]?)(\d*\.\d+)(?![\w.]*\d)")
FOLDER = ROOT / "studies" / "smollm2"
needs_results = pytest.mark.skipif(not (FOLDER / "results.json").exists(), reason="the study is not yet measured")


def readme():
    return (FOLDER / "README.md").read_text("utf-8")


@cache
def tables_of(name):
    """The tables of committed results."""
    return make_tables(Study(read_results(FOLDER / name)))


def decimal_numbers(text):
    """The decimal numbers of a text, each as ".489", "+.012" or "-.010": the sign as written, no zero in front."""
    for sign, number in DECIMAL.findall(text):
        whole, _, decimals = number.partition(".")
        yield f"{sign.replace('−', '-')}{whole.lstrip('0')}.{decimals}"


def unknown_numbers(text, known, linked):
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


@pytest.mark.slow
@needs_results
def test_the_readme_has_the_tables_of_the_committed_results():
    assert fill_tables(readme(), tables_of("results.json")) == readme()


@needs_results
def test_every_decimal_number_of_the_readme_is_one_of_the_results():
    results = read_results(FOLDER / "results.json")
    known = [*tables_of("results.json").values(), json.dumps(results.about), json.dumps(results.chosen)]
    known += [json.dumps([run.setting.alpha, run.setting.temperature]) for run in results.runs]
    known += tables_of("float32.json").values()
    found = unknown_numbers(readme(), "\n".join(known), lambda page: (FOLDER / page).read_text("utf-8"))
    assert not found


def test_the_float32_table_has_the_cells_of_its_results():
    def cells(table):
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]

    (written,) = re.findall(r"^(\| in float32 .*?)\n\n", readme(), re.MULTILINE | re.DOTALL)
    titles, _, *rows = cells(tables_of("float32.json")["test"])
    wanted, _, *found = cells(written)
    columns = [0, *(titles.index(title) for title in wanted[1:])]
    assert found == [[row[column] for column in columns] for row in rows]


def test_the_readme_names_only_tables_that_exist():
    names = [name for _, name, _ in TABLE.findall(readme())]
    assert {"test", "chosen", "best_alpha", "missing"} <= set(names) <= set(TABLES)


def test_tables_are_filled_between_their_marks_and_stay_when_filled_again():
    page = "Text.\n\n<!-- table: test -->\nold\n<!-- end -->\n\nMore.\n<!-- table: seeds -->\n<!-- end -->\n"
    tables = {"test": "| a |\n| --- |", "seeds": "\\1"}
    filled = fill_tables(page, tables)
    assert filled == (
        "Text.\n\n<!-- table: test -->\n| a |\n| --- |\n<!-- end -->\n\n"
        "More.\n<!-- table: seeds -->\n\\1\n<!-- end -->\n"
    )
    assert fill_tables(filled, tables) == filled
    with pytest.raises(UserError, match="there is no table 'seeds' among test"):
        fill_tables(page, {"test": ""})


def test_decimal_numbers_are_compared_without_their_zero_and_with_their_sign():
    text = "from .4 to 0.489 [0.431, +0.012], by -.010 or 0.3-0.6, at 12.50; not 3, 2026 or v0.3.1"
    assert list(decimal_numbers(text)) == [".4", ".489", ".431", "+.012", "-.010", ".3", ".6", "12.50"]


def test_numbers_that_no_table_has_are_found():
    page = """Lower by .012, that is -.012 [-.020, .004], at `0.99`, evalplus 0.3.1, [arXiv 2504.10478](https://a.org/2504.10478).
<!-- table: test -->
| 0.777 |
<!-- end -->

    python --alpha 0.55

It gains +.012, and .013.

As in [the lab](../lab.md) .610, here .611.
"""
    known = "| -0.012 [-0.020, 0.004] |"
    assert unknown_numbers(page, known, {"../lab.md": "0.610"}.__getitem__) == ["+.012", ".013", ".611"]
