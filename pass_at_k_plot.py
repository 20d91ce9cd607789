"""Step 5: Pass@k curves of one or more checked run folders.

Reads the verdicts in converted_question_*_sample_*.json; an answer that was sampled but could not be converted counts
as not correct; problems that the mask names are left out. Writes a PDF, a PNG and a JSON file with the numbers, and
prints them as a table.

    python pass_at_k_plot.py --input_dirs runs/lab/base runs/lab/instruct --labels base instruct
"""

from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from hindsight import records
from hindsight.estimator import mean_pass_at_k
from hindsight.mask import Mask, read_mask
from hindsight.runs import converted_files, raw_folder
from hindsight.settings import Settings, UserError, require, run_script

INPUT_DIRS = ["runs/lab/base", "runs/lab/switching", "runs/lab/alpha_0.7", "runs/lab/instruct"]  # checked run folders
LABELS = []                           # a curve's name for each folder; empty: the folders' own names
KS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]  # the values of k
OUTPUT = "runs/lab/pass_at_k"         # the files' name without .pdf, .png and .json
MASK = ""                             # file of SkyThought/audit_problems.py: problems to leave out; empty: none
TITLE = ""                            # above the curves

COLORS = ("#000000", "#E69F00", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9")  # Okabe and Ito 2008
MARKERS = "osD^vPX"


@dataclass(frozen=True)
class Curve:
    """A run's pass@k, mean over problems, for each k, and what it rests on."""

    label: str
    values: dict[int, float]
    problems: int
    samples: int
    correct: int
    unconverted: int
    left_out: str  # by the mask, as a sentence


def count_answers(folder: Path, mask: Mask, broken: list[str]) -> tuple[dict[int, list[bool]], int, str]:
    """The verdicts of a run by question, how many answers could not be converted, and what the mask leaves out.

    Raises UserError when an answer has no verdict: it would otherwise be counted as wrong.
    """
    converted = converted_files(folder)
    sampled = {**records.list_files(raw_folder(folder), "sample"), **converted}
    kept = mask.keep(sampled, folder)
    files = {key: path for key, path in converted.items() if key in kept}
    verdicts: dict[int, list[bool]] = {}
    unjudged = 0
    for _, record in tqdm(records.read_records(files, (), broken), total=len(files), desc=str(folder), leave=False):
        if record.get("correctness") is None:
            unjudged += 1
            continue
        verdicts.setdefault(record["question_id"], []).append(bool(record["correctness"]))
    if unjudged:
        raise UserError(
            f"{unjudged} of {len(files)} answers in {folder} have no verdict; run check_converted_samples.py on it"
        )
    unconverted = kept.keys() - files.keys()
    for question_id, _ in unconverted:
        verdicts.setdefault(question_id, []).append(False)
    return verdicts, len(unconverted), mask.describe(sampled) if mask.path else ""


def make_curve(folder: Path, label: str, ks: list[int], mask: Mask, broken: list[str]) -> Curve:
    """The curve of a run folder. Raises UserError when a problem has fewer samples than the largest k."""
    verdicts, unconverted, left_out = count_answers(folder, mask, broken)
    require(bool(verdicts), f"{folder} has no answer to count" + f" ({left_out})" * bool(left_out))
    few = [question for question, answers in verdicts.items() if len(answers) < max(ks)]
    if few:
        raise UserError(
            f"{folder}: pass@{max(ks)} needs {max(ks)} samples a problem, {len(few)} problems have fewer "
            f"(question {few[0]} has {len(verdicts[few[0]])}); give smaller --ks or sample more"
        )
    counts = [(len(answers), sum(answers)) for answers in verdicts.values()]
    values = {k: mean_pass_at_k(counts, k) for k in ks}
    samples, correct = sum(n for n, _ in counts), sum(c for _, c in counts)
    return Curve(label, values, len(counts), samples, correct, unconverted, left_out)


def table(curves: list[Curve], ks: list[int]) -> str:
    """The numbers as text: a row a curve, a column a k."""
    width = max(len("run"), *(len(curve.label) for curve in curves))
    head = f"{'run':{width}}  problems  samples  " + "  ".join(f"{f'pass@{k}':>7}" for k in ks)
    rows = [
        f"{curve.label:{width}}  {curve.problems:8d}  {curve.samples:7d}  "
        + "  ".join(f"{curve.values[k]:7.3f}" for k in ks)
        for curve in curves
    ]
    return "\n".join([head, *rows])


def draw(curves: list[Curve], ks: list[int], title: str, output: Path) -> None:
    """The curves as `output`.pdf and `output`.png."""
    from matplotlib.figure import Figure  # here, as bad input is said sooner without it

    figure = Figure(figsize=(4.8, 3.4), layout="constrained")
    axes = figure.subplots()
    for number, curve in enumerate(curves):
        color, marker = COLORS[number % len(COLORS)], MARKERS[number % len(MARKERS)]
        values = [curve.values[k] for k in ks]
        axes.plot(ks, values, color=color, marker=marker, markersize=4, linewidth=1.4, label=curve.label)
    axes.set(xlabel="k", ylabel="pass@k", title=title, xticks=ks, ylim=(0, None))
    axes.grid(alpha=0.3, linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize="small")
    for suffix, extra in ((".pdf", {"metadata": {"CreationDate": None}}), (".png", {"dpi": 200})):
        figure.savefig(output.with_name(output.name + suffix), **extra)


def main(settings: Settings) -> int:
    ks, folders = sorted(set(settings.ks)), [Path(folder) for folder in settings.input_dirs]
    require(bool(ks) and ks[0] >= 1, f"KS are whole numbers from 1 up, not {ks}")
    require(bool(folders), "give at least one folder by --input_dirs")
    labels = list(settings.labels) or [folder.name for folder in folders]
    require(len(labels) == len(folders), f"{len(labels)} labels for {len(folders)} folders")
    broken: list[str] = []
    mask = read_mask(settings.mask)
    curves = [make_curve(folder, label, ks, mask, broken) for folder, label in zip(folders, labels, strict=True)]
    output = Path(settings.output)
    output.parent.mkdir(parents=True, exist_ok=True)
    draw(curves, ks, settings.title, output)
    numbers = [{**vars(curve), "folder": str(folder)} for curve, folder in zip(curves, folders, strict=True)]
    records.write_json(output.with_name(output.name + ".json"), {"ks": ks, "curves": numbers})
    print(table(curves, ks))
    for curve in curves:
        if curve.unconverted:
            print(f"{curve.label}: {curve.unconverted} of {curve.samples} answers could not be converted: wrong")
        if curve.left_out:
            print(f"{curve.label}: {curve.left_out}")
    for sentence in broken:
        print(sentence)
    print(f"picture: {output}.png, {output}.pdf; numbers: {output}.json")
    return 1 if broken else 0


if __name__ == "__main__":
    run_script(main, globals())
