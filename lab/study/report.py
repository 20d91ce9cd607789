"""Figures and tables of the study, from its results file.

python -m lab.study.report                                           # of the committed results, into runs/reproduce
python -m lab.study.report --results runs/reproduce/results.json
"""

from collections.abc import Sequence
from pathlib import Path

from hindsight.pass_at_k.drawing import PRINT_STYLE, save_figure, suffixes_of
from hindsight.settings import Settings, run_script
from lab.study.figures import FIGURES
from lab.study.results import read_results
from lab.study.summary import Summary
from lab.study.tables import TABLES

# fmt: off
RESULTS = "lab/results.json"   # the counts that `lab.study.reproduce` made
OUTPUT_DIR = "runs/reproduce"  # where to write the figures and tables.md
FORMATS = ["png"]              # pictures: png, pdf, svg
# fmt: on


def write_report(results: Path, output: Path, formats: Sequence[str] = ("png",)) -> str:
    """Writes the figures and tables.md and returns the tables. Raises UserError for a file that holds no results."""
    from matplotlib import rc_context

    summary = Summary(read_results(results))
    output.mkdir(parents=True, exist_ok=True)
    with rc_context(PRINT_STYLE):
        for name, draw in FIGURES.items():
            save_figure(draw(summary), output / name, suffixes_of(formats))
    text = "\n\n".join(table(summary) for table in TABLES)
    (output / "tables.md").write_text(text + "\n", encoding="utf-8")
    return f"\n{text}\n\nfigures and tables.md: {output}"


def main(settings: Settings) -> None:
    print(write_report(Path(settings.results), Path(settings.output_dir), settings.formats))


if __name__ == "__main__":
    run_script(main, globals())
