"""Figures and tables of the study, from its results file.

python -m studies.smollm2.report                                            # of the committed results
python -m studies.smollm2.report --results runs/smollm2/results.json --output_dir runs/smollm2
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from hindsight.errors import UserError
from hindsight.files.records import write_bytes
from hindsight.pass_at_k.drawing import PRINT_STYLE, save_figure, suffixes_of
from hindsight.settings import Settings, run_script
from studies.smollm2.choices import Study
from studies.smollm2.results import read_results
from studies.smollm2.tables import TABLES, make_tables

# fmt: off
RESULTS = "studies/smollm2/results.json"  # the counts that `studies.smollm2.study` made
OUTPUT_DIR = "runs/smollm2/report"        # where to write the figures and tables.md
FORMATS = ["png"]                         # pictures: png, pdf, svg
README = ""                               # a page whose tables to renew, such as studies/smollm2/README.md; empty: none
# fmt: on

# A table of a page is between these marks, with the name of one of `tables.TABLES`.
TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def write_report(results: Path, output: Path, formats: Sequence[str] = ("png",), readme: str = "") -> str:
    """Writes the figures and tables.md, fills the tables of the readme, and returns all tables.

    Raises UserError for a file that holds no results, a readme that cannot be read, and an unknown format.
    """
    from matplotlib import rc_context

    from studies.smollm2.figures import FIGURES

    suffixes, study = suffixes_of(formats), Study(read_results(results))
    tables = make_tables(study)
    if readme:
        renew_tables(Path(readme), tables)
    output.mkdir(parents=True, exist_ok=True)
    with rc_context(PRINT_STYLE):
        for name, draw in FIGURES.items():
            save_figure(draw(study), output / name, suffixes)
    text = "\n\n".join(f"**{TABLES[name][0]}**\n\n{table}" for name, table in tables.items())
    write_bytes(output / "tables.md", f"{text}\n".encode())
    return f"\n{text}\n\nfigures and tables.md: {output}"


def fill_tables(text: str, tables: Mapping[str, str]) -> str:
    """The text with each table between its marks. Raises UserError for an unknown table."""

    def fill(match: re.Match[str]) -> str:
        start, name, end = match.groups()
        if name not in tables:
            raise UserError(f"there is no table {name!r} among {', '.join(tables)}")
        return f"{start}{tables[name]}\n{end}"

    return TABLE.sub(fill, text)


def renew_tables(readme: Path, tables: dict[str, str]) -> None:
    """Fills the tables of a page. Raises UserError when it cannot be read or names an unknown table."""
    try:
        text = readme.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{readme} cannot be read ({error})") from None
    write_bytes(readme, fill_tables(text, tables).encode())


def main(settings: Settings) -> None:
    print(write_report(Path(settings.results), Path(settings.output_dir), settings.formats, settings.readme))


if __name__ == "__main__":
    run_script(main, globals())
