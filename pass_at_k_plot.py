"""Step 5: Pass@k curves of checked run folders and of evalplus's result files, with 95 % intervals.

Reads the verdicts in converted_question_*_sample_*.json; an answer that was sampled but could not be converted counts
as not correct; one that step 3 could not judge, and problems that the mask names, are left out. Writes the picture, and
the numbers as JSON and CSV, and prints them: each curve, and the paired difference of every two of them.

    python pass_at_k_plot.py --input_dirs runs/lab/base runs/lab/instruct --labels base instruct
    python pass_at_k_plot.py --input_dirs "results/*.eval_results.json" --status base
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hindsight.errors import require
from hindsight.files import records
from hindsight.files.masks import Mask, read_mask
from hindsight.pass_at_k.curves import Curve, Difference, differences, make_curve
from hindsight.pass_at_k.drawing import draw_curves
from hindsight.pass_at_k.evalplus_results import STATUSES, count_evalplus
from hindsight.pass_at_k.labels import alpha_in, describe_run
from hindsight.pass_at_k.verdict_counts import count_folder
from hindsight.settings import Settings, run_script

INPUT_DIRS = [
    "runs/lab/base",
    "runs/lab/switching",
    "runs/lab/alpha_0.7",
    "runs/lab/instruct",
]  # checked run folders, evalplus's result files, or patterns of either
# fmt: off
LABELS = []                           # names, "alpha 0.7" in that alpha's colour; empty: by run.json or the file's name
PANELS = []                           # a panel's name for each of INPUT_DIRS, as Vicuna Vicuna Llama; empty: one panel
KS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]  # the values of k
OUTPUT = "runs/lab/pass_at_k"         # the files' name without .pdf, .png, .json and .csv
FORMATS = ["pdf", "png"]              # pictures: pdf, png, svg
BANDS = True                          # draw the 95 % intervals
LEAVE_OUT_FEW = False                 # leave out problems with fewer samples than the largest k; false: refuse
STATUS = "plus"                       # of evalplus's files: plus or base
MASK = ""                             # file of SkyThought/audit_problems.py: problems to leave out; empty: none
LATEX = False                         # print the table as LaTeX too
TITLE = ""                            # above the curves
WORKERS = 0                           # processes that read answers; 0: one a core
# fmt: on


def find_inputs(settings: Settings) -> list[tuple[Path, str, str]]:
    """The folders and files that INPUT_DIRS names, each with its label ("" for its own) and panel."""
    names = settings.input_dirs
    for setting in ("labels", "panels"):
        given = settings[setting]
        require(not given or len(given) == len(names), f"{len(given)} {setting} for {len(names)} of INPUT_DIRS")
    labels, panels = (given or [""] * len(names) for given in (settings.labels, settings.panels))
    found = []
    for name, label, panel in zip(names, labels, panels, strict=True):
        matches = [Path(name)]
        if any(character in name for character in "*?["):
            root = Path(name).anchor or "."
            pattern = Path(name).relative_to(root) if Path(name).is_absolute() else Path(name)
            every = sorted(Path(root).glob(str(pattern)))
            matches = [path for path in every if path.is_dir() or path.suffix == ".json"]
            require(bool(matches), f"nothing is there of the pattern {name}")
        several = len(matches) > 1 and label
        found += [(path, f"{label} {path.name}" if several else label, panel) for path in matches]
    return found


def read_curve(path: Path, label: str, panel: str, ks: Sequence[int], mask: Mask, settings: Settings) -> Curve:
    """The curve of a run folder or of a result file of evalplus. Raises UserError for what cannot be counted."""
    if path.is_file():
        counts, own, alpha = count_evalplus(path, settings.status), path.name.removesuffix(".eval_results.json"), None
    else:
        counts = count_folder(path, mask, settings.workers)
        own, alpha = describe_run(path)
    alpha = alpha_in(label or own) if alpha is None else alpha
    return make_curve(counts, str(path), label or own, panel, alpha, ks, settings.leave_out_few)


def table(curves: Sequence[Curve]) -> str:
    """The numbers as text: a row a curve, a column a k, and shares of answers."""
    ks, width = curves[0].ks, max(len("run"), *(len(curve.name) for curve in curves))
    head = f"{'run':{width}}  problems  samples  " + "  ".join(f"{f'pass@{k}':>7}" for k in ks)
    rows = [
        f"{curve.name:{width}}  {len(curve.questions):8d}  {curve.counts.of('samples').sum():7d}  "
        + "  ".join(f"{value:7.3f}" for value in curve.mean)
        for curve in curves
    ]
    return "\n".join([head, *rows])


def remarks(curves: Sequence[Curve]) -> list[str]:
    """What else there is to know of each curve, in sentences."""
    said = []
    for curve in curves:
        counts = curve.counts
        answers = counts.of("samples").sum() + counts.of("not_judged").sum()
        for name, words in (
            ("unconverted", "could not be converted: wrong"),
            ("no_code", "hold no code: wrong"),
            ("cut_off", "were cut off by length"),
            ("not_judged", "could not be judged and are left out"),
        ):
            if number := counts.of(name).sum():
                said.append(f"{curve.name}: {number} of {answers} answers {words}")
        if curve.too_few:
            said.append(f"{curve.name}: {len(curve.too_few)} problems have too few samples and are left out")
        said += [f"{curve.name}: {counts.left_out}"] if counts.left_out else []
    return said


def compare(found: Sequence[Difference], k: int) -> list[str]:
    """The paired differences at the largest k, in lines; the interval is that of 95 %."""
    lines = []
    for each in found:
        names = f"{each.one} against {each.other}"
        if each.problems:
            numbers = f"{each.mean[-1]:+.3f} [{each.low[-1]:+.3f}, {each.high[-1]:+.3f}]"
            lines.append(f"{names}: pass@{k} {numbers} on {each.problems} problems")
        if each.unlike:
            lines.append(f"{names}: {each.unlike} problems of the same id have another text, and are not compared")
    return lines


def latex(curves: Sequence[Curve]) -> str:
    """The numbers as a LaTeX table, each with its interval in small print."""
    ks = curves[0].ks
    rows = [
        " & ".join(
            [curve.name.replace("_", r"\_").replace("%", r"\%").replace("&", r"\&")]
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
    """A curve's numbers: what they are, and what they rest on."""

    def by_k(numbers: Sequence[float]) -> dict[str, float]:
        return {str(k): float(number) for k, number in zip(curve.ks, numbers, strict=True)}

    counts = {name: int(curve.counts.of(name).sum()) for name in ("samples", "correct", "unconverted", "no_code")}
    return {
        "label": curve.label,
        "folder": str(path),
        "panel": curve.panel,
        "alpha": curve.alpha,
        "values": by_k(curve.mean),
        "low": by_k(curve.low),
        "high": by_k(curve.high),
        "problems": len(curve.questions),
        **counts,
        "cut_off": int(curve.counts.of("cut_off").sum()),
        "not_judged": int(curve.counts.of("not_judged").sum()),
        "too_few_samples": list(curve.too_few),
        "left_out": curve.counts.left_out,
    }


def as_pair(difference: Difference) -> dict[str, Any]:
    """A difference's numbers: lists by k, in the order of the ks."""
    numbers = vars(difference).items()
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in numbers}


def as_csv(curves: Sequence[Curve]) -> str:
    """The numbers as CSV: a row for each curve and k."""
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(["label", "panel", "alpha", "k", "pass_at_k", "low", "high", "problems"])
    for curve in curves:
        for k, mean, low, high in zip(curve.ks, curve.mean, curve.low, curve.high, strict=True):
            numbers = [repr(float(number)) for number in (mean, low, high)]
            alpha = "" if curve.alpha is None else curve.alpha
            writer.writerow([curve.label, curve.panel, alpha, k, *numbers, len(curve.questions)])
    return lines.getvalue()


def main(settings: Settings) -> int:
    ks = sorted(set(settings.ks))
    require(bool(ks) and ks[0] >= 1, f"KS are whole numbers from 1 up, not {ks}")
    require(bool(settings.input_dirs), "give at least one folder by --input_dirs")
    require(settings.status in STATUSES, f"STATUS is plus or base, not {settings.status!r}")
    unknown = set(settings.formats) - {"pdf", "png", "svg"}
    require(not unknown, f"FORMATS are pdf, png and svg, not {', '.join(sorted(unknown))}")
    inputs, mask = find_inputs(settings), read_mask(settings.mask)
    curves = [read_curve(*each, ks, mask, settings) for each in inputs]
    found, output = differences(curves), Path(settings.output)
    output.parent.mkdir(parents=True, exist_ok=True)
    suffixes = [f".{name}" for name in settings.formats]
    draw_curves(curves, settings.title, output, suffixes, settings.bands)
    pairs = [as_pair(each) for each in found]
    numbers = [as_json(curve, path) for curve, (path, _, _) in zip(curves, inputs, strict=True)]
    records.write_json(output.with_name(f"{output.name}.json"), {"ks": ks, "curves": numbers, "differences": pairs})
    records.write_bytes(output.with_name(f"{output.name}.csv"), as_csv(curves).encode())
    broken = [sentence for curve in curves for sentence in curve.counts.broken]
    print(table(curves))
    for line in [*compare(found, ks[-1]), *remarks(curves), *broken]:
        print(line)
    if settings.latex:
        print(latex(curves))
    print(f"picture: {', '.join(f'{output}{suffix}' for suffix in suffixes)}; numbers: {output}.json, {output}.csv")
    return 1 if broken else 0


if __name__ == "__main__":
    run_script(main, globals())
