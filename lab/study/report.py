"""Figures and tables of the study, from its results file.

python -m lab.study.report                                           # of the committed results, into runs/reproduce
python -m lab.study.report --results runs/reproduce/results.json
"""

from collections.abc import Sequence
from pathlib import Path

from hindsight.pass_at_k.drawing import PRINT_STYLE, save_figure
from hindsight.settings import run_script
from lab.study.figures import FIGURES
from lab.study.results import SHARES, read_results, setting_of
from lab.study.summary import KS, NAMES_OF_GROUPS, View
from lab.world.pipelines import GROUPS

# fmt: off
RESULTS = "lab/results.json"   # what `lab.study.reproduce` counted
OUTPUT_DIR = "runs/reproduce"  # where the figures and tables.md go
FORMATS = ["png"]              # pictures: png, pdf, svg
# fmt: on


def report(results: Path, output: Path, formats: Sequence[str] = ("png",)) -> None:
    """Writes the figures and tables.md, and prints the tables. Raises UserError for a file that holds no results."""
    from matplotlib import rc_context

    view = View(read_results(results))
    output.mkdir(parents=True, exist_ok=True)
    with rc_context(PRINT_STYLE):
        for name, draw in FIGURES.items():
            save_figure(draw(view), output / name, [f".{suffix}" for suffix in formats])
    tables = (
        summary_table,
        settings_table,
        differences_table,
        temperature_table,
        methods_table,
        groups_table,
        best_alphas_table,
        asked_again_table,
    )
    text = "\n\n".join(table(view) for table in tables)
    (output / "tables.md").write_text(text + "\n", encoding="utf-8")
    print(f"\n{text}\n\nfigures and tables.md: {output}")


def summary_table(view: View) -> str:
    """The merges by LERP and what stands beside them, each of these at its best for pass@10."""
    k, rows = KS[-1], []
    others = [view.best(names, k) for names in (view.base, view.base_chat, view.instruct, view.switching) if names]
    for name in (*others, *view.early, *view.merged):
        estimates = [view.pass_at(name, each) for each in KS]
        groups = [f"{view.pass_at(name, k, group).mean:.3f}" for group in GROUPS]
        shares = [
            f"{view.results.share(name, share).mean:.3f}" if view.results.has(name, share) else ""
            for share in ("in_format", "distinct", "entropy")
        ]
        rows.append([setting_of(name).label, *map(str, estimates), *groups, *shares])
    groups = [NAMES_OF_GROUPS[group] for group in GROUPS]
    columns = ["", *(f"pass@{each}" for each in KS), *groups, "in the format", "distinct programs", "entropy"]
    return markdown(columns, rows, f"pass@{k} by who has seen such families, and the measures of the answers")


def settings_table(view: View) -> str:
    """Every setting's measures."""
    results, rows = view.results, []
    for name in results.names:
        passed = [str(view.pass_at(name, k)) for k in KS]
        groups = [f"{view.pass_at(name, KS[-1], group).mean:.3f}" for group in GROUPS]
        shares = [str(results.share(name, share)) if results.has(name, share) else "" for share in SHARES]
        seeds = " ".join(map(str, results.seeds_of(name)))
        rows.append([name, seeds, *passed, *groups, *shares])
    of_groups = [f"@{KS[-1]}, {NAMES_OF_GROUPS[group]}" for group in GROUPS]
    columns = ["setting", "seeds", *(f"pass@{k}" for k in KS), *of_groups, *SHARES]
    return markdown(columns, rows, f"All settings: {len(results.problems)} problems")


def differences_table(view: View) -> str:
    """Merged models against each parent at its best for that k, and the two other ways likewise."""
    rows = []
    for k in KS:
        parents = (view.best_base(k), view.best_instruct(k))
        merged = [name for names in view.by_alpha.values() for alpha, name in names.items() if alpha not in (0, 1)]
        for name in (*merged, *view.switching, *view.early):
            cells = [f"pass@{k}", name]
            for parent in parents:
                cells.append(view.difference(name, parent, k).text("+"))
                cells.append(" ".join(f"{value:+.3f}" for value in view.by_seed(name, parent, k)))
            rows.append(cells)
    best = "; ".join(f"for pass@{k} {view.best_base(k)} and {view.best_instruct(k)}" for k in KS)
    columns = ["", "setting", "minus the base", "by seed", "minus the instruct model", "by seed"]
    return markdown(columns, rows, f"Differences to each parent at its best on these problems ({best})")


def temperature_table(view: View) -> str:
    """LERP's merges, all at one temperature, against the instruct model at each: what heat does not do."""
    rows = []
    for name in view.merged:
        for other in view.instruct:
            rows.append([name, other, *(view.difference(name, other, k).text("+") for k in KS)])
    return markdown(["setting", "minus", *(f"pass@{k}" for k in KS)], rows, "Merging against temperature")


def methods_table(view: View) -> str:
    """SLERP less LERP at the same alpha, where both were sampled."""
    lerp, slerp = view.by_alpha["lerp"], view.by_alpha.get("slerp", {})
    rows = []
    for alpha in sorted(set(lerp) & set(slerp) - {0, 1}):
        found = [view.difference(slerp[alpha], lerp[alpha], k).text("+") for k in KS]
        rows.append([f"{alpha:g}", *found])
    return markdown(["alpha", *(f"pass@{k}" for k in KS)], rows, "SLERP minus LERP")


def groups_table(view: View) -> str:
    """The same for pass@10 in each group, each parent at its best in that group."""
    k, rows = KS[-1], []
    for group in GROUPS:
        parents = (view.best_base(k, group), view.best_instruct(k, group))
        for name in view.merged:
            found = [view.difference(name, parent, k, group).text("+") for parent in parents]
            rows.append([NAMES_OF_GROUPS[group], name, str(view.pass_at(name, k, group)), *found])
    columns = ["families", "setting", f"pass@{k}", "minus the base", "minus the instruct model"]
    return markdown(columns, rows, "By group, each parent at its best there")


def best_alphas_table(view: View) -> str:
    """For each measure the alpha where it is highest."""
    results, rows = view.results, []
    for method, names in view.by_alpha.items():
        for k in KS:
            values = {alpha: results.pass_at(name, k).mean(axis=0) for alpha, name in names.items()}
            best, low, high = results.best_alpha(values)
            rows.append([method.upper(), f"pass@{k}", f"{best:g}", f"{low:g} to {high:g}"])
        for share in SHARES:
            means = {alpha: results.share(name, share).mean for alpha, name in names.items()}
            rows.append([method.upper(), share, f"{max(means, key=means.get):g}", ""])
    return markdown(["", "measure", "highest at alpha", "nine tenths of resamples"], rows, "The best alpha")


def asked_again_table(view: View) -> str:
    """The base model asked again until its answer holds a program, beside the best merge on the same problems."""
    rows, k = [], KS[-1]
    merged = view.best(view.merged, k)
    for name in (*view.base, *view.base_chat):
        both = view.results.mean(view.results.pass_at(merged, k) - view.results.pass_at(name, k, of="programs"))
        rows.append([name, *(str(view.asked_again(name, each)) for each in KS), both.text("+"), str(both.problems)])
    columns = ["base model", *(f"pass@{each}" for each in KS), f"{merged} minus it, pass@{k}", "problems"]
    title = f"Asked again until there is a program (problems with {k} programs or more in every seed)"
    return markdown(columns, rows, title)


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str) -> str:
    lines = [f"| {' | '.join(row)} |" for row in (columns, ["---"] * len(columns), *rows)]
    return "\n".join([f"**{title}**", "", *lines])


def main(settings) -> None:
    report(Path(settings.results), Path(settings.output_dir), settings.formats)


if __name__ == "__main__":
    run_script(main, globals())
