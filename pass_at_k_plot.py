"""Step 5: Pass@k curves of checked run folders and of evalplus's result files, with 95 % intervals.

Reads the verdicts in converted_question_*_sample_*.json. A sampled answer that could not be converted counts as wrong;
answers that step 3 could not judge and problems that the mask names are left out. Writes the picture, and the numbers
as JSON and CSV; prints each curve and the paired difference of every two curves.

    python pass_at_k_plot.py --input_dirs runs/lab/base runs/lab/instruct --labels base instruct
    python pass_at_k_plot.py --input_dirs "results/*.eval_results.json" --status base
    python pass_at_k_plot.py --beyond 100             # dashed: estimates for more samples than there are
    python pass_at_k_plot.py --paper mbppplus --output runs/mbppplus/paper    # the paper's own curves, without a run
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hindsight.errors import require
from hindsight.files import records
from hindsight.files.masks import Mask, read_mask
from hindsight.files.verdicts import Outcome
from hindsight.pass_at_k.curves import Curve, Difference, differences, go_beyond, make_curve
from hindsight.pass_at_k.drawing import draw_curves, require_output, suffixes_of
from hindsight.pass_at_k.evalplus_results import count_evalplus, label_of, result_files
from hindsight.pass_at_k.extrapolation import Extrapolation
from hindsight.pass_at_k.labels import RunLabel, alpha_in, describe_run, tell_apart
from hindsight.pass_at_k.paper_curves import PaperFigure, read_paper_figure
from hindsight.pass_at_k.run_counts import count_folder
from hindsight.settings import Settings, run_script

# fmt: off
INPUT_DIRS = []                       # run folders, evalplus's result files or folders, patterns; empty: the lab's runs
LABELS = []                           # names; "alpha 0.7" has that alpha's colour; empty: by run.json or file name
PANELS = []                           # a panel for each of INPUT_DIRS, such as Vicuna Vicuna Llama; empty: one panel
KS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]  # the values of k
BEYOND = 0                            # estimate pass@k up to this k, at most 10 times the number of samples; 0: off
OUTPUT = "runs/lab/pass_at_k"         # path of the files to write, without .pdf, .png, .json and .csv
FORMATS = ["pdf", "png"]              # formats of the picture: pdf, png, svg
BANDS = True                          # draw the 95 % intervals
LEAVE_OUT_FEW = False                 # leave out problems with fewer samples than the largest k; false: refuse them
STATUS = "plus"                       # which tests of evalplus's sets count: plus (base and plus) or base
EVALPLUS_STATUS = ""                  # plus: only the plus tests count, as in the paper; empty: by STATUS
PAPER = ""                            # mbppplus: also draw the paper's curves; PANELS then names its panels; empty: off
MASK = ""                             # mask made by SkyThought/audit_problems.py: problems to leave out; empty: none
LATEX = False                         # also print the table as LaTeX
TITLE = ""                            # title above the curves
WORKERS = 0                           # processes that read answers; 0: one per core
# fmt: on

LAB_RUNS = ("runs/lab/base", "runs/lab/switching", "runs/lab/alpha_0.7", "runs/lab/instruct")
PLUS_ALONE = " Your runs are counted differently; --evalplus_status plus counts them as the paper did."


@dataclass(frozen=True)
class Counting:
    """How answers are counted; reading: one of `evalplus_results.READINGS`."""

    ks: tuple[int, ...]
    mask: Mask
    leave_out_few: bool
    reading: str
    workers: int
    beyond: int


def find_inputs(names: Sequence[str], labels: Sequence[str], panels: Sequence[str]) -> list[tuple[Path, str, str]]:
    """The folders and files that INPUT_DIRS names, each with its given label, or "", and panel."""
    for setting, given in (("labels", labels), ("panels", panels)):
        require(not given or len(given) == len(names), f"{len(given)} {setting} for {len(names)} of INPUT_DIRS")
    found = []
    for name, label, panel in zip(names, labels or [""] * len(names), panels or [""] * len(names), strict=True):
        is_pattern = any(character in name for character in "*?[") and not Path(name).exists()
        matches = match_pattern(name) if is_pattern else [Path(name)]
        paths = dict.fromkeys(path for match in matches for path in result_files(match) or [match])
        several = len(paths) > 1 and label
        found += [(path, f"{label} {label_of(path)}" if several else label, panel) for path in paths]
    return found


def match_pattern(name: str) -> list[Path]:
    """The folders and the JSON files, plain or gzipped, that a pattern matches. Raises UserError for none."""
    root = Path(name).anchor or "."
    pattern = Path(name).relative_to(root) if Path(name).is_absolute() else Path(name)
    paths = sorted(Path(root).glob(str(pattern)))
    found = [path for path in paths if path.is_dir() or path.name.endswith((".json", ".json.gz"))]
    require(bool(found), f"nothing matches the pattern {name}")
    return found


def choose_reading(status: str, evalplus_status: str) -> str:
    """Which of `evalplus_results.READINGS` STATUS and EVALPLUS_STATUS ask for."""
    require(status in ("plus", "base"), f"STATUS is plus or base, not {status!r}")
    require(evalplus_status in ("", "plus"), f"EVALPLUS_STATUS is plus or empty, not {evalplus_status!r}")
    require(not evalplus_status or status == "plus", "STATUS base and EVALPLUS_STATUS plus contradict each other")
    return "plus alone" if evalplus_status else status


def label_run(path: Path, label: str, panel: str) -> RunLabel:
    """The given label of a run folder or of a result file of evalplus, else its own."""
    own, alpha = (label_of(path), None) if path.is_file() else describe_run(path)
    return RunLabel(label or own, panel, alpha_in(label or own) if alpha is None else alpha)


def read_curve(path: Path, run: RunLabel, counting: Counting) -> Curve:
    """The curve of a run folder or of a result file of evalplus. Raises UserError for what cannot be counted."""
    if path.is_file():
        counts = count_evalplus(path, counting.reading)
    else:
        counts = count_folder(path, counting.mask, counting.workers, counting.reading)
    curve = make_curve(counts, run, counting.ks, counting.leave_out_few, str(path))
    return go_beyond(curve, counting.beyond, str(path)) if counting.beyond else curve


def table(curves: Sequence[Curve], ks: Sequence[int], paper: PaperFigure | None) -> str:
    """The means as text: one row per curve, one column per k; the paper's curves first."""
    rows: list[tuple[str, int, int, Sequence[int], Any]] = []
    if paper:
        published = paper.problems, paper.samples
        rows += [(f"paper: {curve.run.name}", *published, curve.ks, curve.mean) for curve in paper.curves]
    rows += [(each.run.name, len(each.values), each.samples.sum(), each.ks, each.mean) for each in curves]
    width = max(len("run"), *(len(name) for name, *_ in rows))
    lines = [f"{'run':{width}}  problems  samples  " + "  ".join(f"{f'pass@{k}':>7}" for k in ks)]
    for name, problems, samples, its_ks, mean in rows:
        values = {k: f"{value:7.3f}" for k, value in zip(its_ks, mean, strict=True)}
        lines.append(f"{name:{width}}  {problems:8d}  {samples:7d}  " + "  ".join(values.get(k, " " * 7) for k in ks))
    return "\n".join(lines)


def describe_beyond(curve: Curve) -> list[str]:
    """Sentences on the estimates of a curve beyond its samples, if it has some."""
    if not (beyond := curve.beyond):
        return []
    last = beyond.ks[-1]
    numbers = f"{beyond.mean[-1]:.3f} [{beyond.low[-1]:.3f}, {beyond.high[-1]:.3f}]"
    lines = [f"{curve.run.name}: pass@{last} {numbers} is estimated from {beyond.answers} samples per problem"]
    if beyond.open_from:
        lines.append(f"{curve.run.name}: these samples leave pass@k open from k = {beyond.open_from} on")
    return lines


def remarks(curve: Curve) -> list[str]:
    """Sentences on the answers of a curve that were left out, or counted as wrong without running a program."""
    counts, name = curve.counts, curve.run.name
    answers = counts.samples.sum() + counts.of(Outcome.NOT_JUDGED).sum()
    lines = [
        f"{name}: {number.sum()} of {answers} answers {words}"
        for number, words in (
            (counts.of(Outcome.NOT_CONVERTED), "could not be converted and count as wrong"),
            (
                np.array(counts.no_answer),
                "hold no answer (no program, or a cut-off thought); these are among those not converted",
            ),
            (counts.of(Outcome.NO_CODE), "hold no code and count as wrong"),
            (counts.cut_off, "were cut off by length"),
            (counts.of(Outcome.NOT_JUDGED), "could not be judged and are left out"),
        )
        if number.sum()
    ]
    if curve.too_few:
        lines.append(f"{name}: {len(curve.too_few)} problems have too few samples and are left out")
    return [*lines, f"{name}: {counts.left_out}"] if counts.left_out else lines


def compare(difference: Difference, k: int) -> list[str]:
    """Sentences on a paired difference at the largest k, with its 95 % interval."""
    lines = []
    names = f"{difference.one} against {difference.other}"
    if difference.mean is not None and difference.low is not None and difference.high is not None:
        numbers = f"{difference.mean[-1]:+.3f} [{difference.low[-1]:+.3f}, {difference.high[-1]:+.3f}]"
        lines.append(f"{names}: pass@{k} {numbers} on {difference.problems} problems")
    if difference.unlike:
        lines.append(
            f"{names}: {difference.unlike} problems have the same id but different texts, and are not compared"
        )
    return lines


def latex(curves: Sequence[Curve]) -> str:
    """The numbers as a LaTeX table, each with its interval in small print."""
    ks = curves[0].ks
    rows = [
        " & ".join(
            [curve.run.name.replace("_", r"\_").replace("%", r"\%").replace("&", r"\&").replace("#", r"\#")]
            + [
                rf"{mean:.3f} {{\scriptsize [{low:.3f}, {high:.3f}]}}"
                for mean, low, high in zip(curve.mean, curve.low, curve.high, strict=True)
            ]
        )
        + r" \\"
        for curve in curves
    ]
    head = " & ".join(["run", *(f"pass@{k}" for k in ks)]) + r" \\"
    lines = [rf"\begin{{tabular}}{{l{'c' * len(ks)}}}", r"\hline", head, r"\hline", *rows, r"\hline", r"\end{tabular}"]
    return "\n".join(lines)


def as_json(curve: Curve, path: Path) -> dict[str, Any]:
    """A curve's numbers, and how many answers and problems they are based on."""

    def by_k(numbers: Sequence[float] | np.ndarray) -> dict[str, float]:
        return {str(k): float(number) for k, number in zip(curve.ks, numbers, strict=True)}

    counts = curve.counts
    return {
        "label": curve.run.label,
        "folder": str(path),
        "panel": curve.run.panel,
        "alpha": curve.run.alpha,
        "values": by_k(curve.mean),
        "low": by_k(curve.low),
        "high": by_k(curve.high),
        "problems": len(curve.values),
        "samples": int(curve.samples.sum()),
        "correct": int(curve.correct.sum()),
        "unconverted": int(counts.of(Outcome.NOT_CONVERTED).sum()),
        "no_answer": counts.no_answer,
        "no_code": int(counts.of(Outcome.NO_CODE).sum()),
        "cut_off": int(counts.cut_off.sum()),
        "not_judged": int(counts.of(Outcome.NOT_JUDGED).sum()),
        "too_few_samples": list(curve.too_few),
        "left_out": counts.left_out,
        **({"beyond": fields_as_json(curve.beyond)} if curve.beyond else {}),
    }


def fields_as_json(found: Difference | Extrapolation) -> dict[str, Any]:
    """The numbers of a difference or of estimates beyond the samples: lists by k, in the order of the ks."""
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in vars(found).items()}


def as_csv(curves: Sequence[Curve]) -> str:
    """The numbers as CSV: one row per curve and k."""
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(["label", "panel", "alpha", "k", "pass_at_k", "low", "high", "problems"])
    for curve in curves:
        alpha = "" if curve.run.alpha is None else curve.run.alpha
        for k, *estimate in zip(curve.ks, curve.mean, curve.low, curve.high, strict=True):
            numbers = [repr(float(number)) for number in estimate]
            writer.writerow([curve.run.label, curve.run.panel, alpha, k, *numbers, len(curve.values)])
    return lines.getvalue()


def write_numbers(
    curves: Sequence[Curve],
    paths: Sequence[Path],
    ks: Sequence[int],
    found: Sequence[Difference],
    paper: PaperFigure | None,
    output: Path,
) -> None:
    """The numbers as JSON and CSV; the paper's only as JSON."""
    numbers = {
        "ks": list(ks),
        "curves": [as_json(curve, path) for curve, path in zip(curves, paths, strict=True)],
        "differences": [fields_as_json(difference) for difference in found],
        **({"paper": paper.as_json()} if paper else {}),
    }
    records.write_json(output.with_name(f"{output.name}.json"), numbers)
    records.write_bytes(output.with_name(f"{output.name}.csv"), as_csv(curves).encode(errors="replace"))


def choose_paper(name: str, ks: Sequence[int], runs: Sequence[str], panels: Sequence[str]) -> PaperFigure | None:
    """The paper's figure of that name, if one is named. Raises UserError if a run is in none of its panels."""
    if not name:
        return None
    paper = read_paper_figure(name, ks)
    strange = sorted(set(panels) - set(paper.panels)) or [""] * (bool(runs) and not panels)
    has = f"not {strange[0]!r}" if strange and strange[0] else "one for each run"
    require(not strange, f"PANELS of the paper's figure are {', '.join(paper.panels)}: {has}")
    return paper


def main(settings: Settings) -> int:
    require_output(settings.output)
    ks = sorted(set(settings.ks))
    require(bool(ks) and ks[0] >= 1, f"KS are whole numbers of at least 1, not {ks}")
    names = settings.input_dirs or (() if settings.paper else LAB_RUNS)
    paper = choose_paper(settings.paper, ks, names, settings.panels)
    reading = choose_reading(settings.status, settings.evalplus_status)
    suffixes = suffixes_of(settings.formats)
    inputs = find_inputs(names, settings.labels, settings.panels)
    counting = settings.pick(Counting, ks=tuple(ks), mask=read_mask(settings.mask), reading=reading)
    paths = [path for path, _, _ in inputs]
    runs = tell_apart([label_run(*each) for each in inputs], paths)
    curves = [read_curve(path, run, counting) for path, run in zip(paths, runs, strict=True)]
    found, output = differences(curves), Path(settings.output)
    output.parent.mkdir(parents=True, exist_ok=True)
    draw_curves(curves, settings.title, output, suffixes, settings.bands, paper.curves if paper else ())
    write_numbers(curves, paths, ks, found, paper, output)
    broken = [sentence for curve in curves for sentence in curve.counts.broken]
    compared = [line for difference in found for line in compare(difference, ks[-1])]
    print(table(curves, ks, paper))
    estimated = [line for curve in curves for line in describe_beyond(curve)]
    for line in [*compared, *estimated, *(line for curve in curves for line in remarks(curve)), *broken]:
        print(line)
    if paper:
        print(f"{paper.about}{PLUS_ALONE if curves and reading != 'plus alone' else ''}")
    if settings.latex and curves:
        print(latex(curves))
    print(f"picture: {', '.join(f'{output}{suffix}' for suffix in suffixes)}; numbers: {output}.json, {output}.csv")
    return 1 if broken else 0


if __name__ == "__main__":
    run_script(main, globals())
