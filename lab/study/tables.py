"""The tables of the study, in Markdown."""

from collections.abc import Sequence

from analysis.display.tables import markdown
from lab.study.results import SHARES, setting_of
from lab.study.summary import KS, NAMES_OF_GROUPS, Summary
from lab.world.pipelines import GROUPS


def summary_table(summary: Summary) -> str:
    """LERP's merges beside the other models, each of which is shown at its best for pass@10."""
    k, rows = KS[-1], []
    others = [
        summary.best(names, k)
        for names in (summary.base, summary.base_chat, summary.instruct, summary.switching)
        if names
    ]
    for name in (*others, *summary.early, *summary.merged):
        estimates = [summary.pass_at(name, each) for each in KS]
        groups = [f"{summary.pass_at(name, k, group).mean:.3f}" for group in GROUPS]
        shares = [
            f"{summary.results.share(name, share).mean:.3f}" if summary.results.has(name, share) else ""
            for share in ("in_format", "distinct", "entropy")
        ]
        rows.append([setting_of(name).label, *map(str, estimates), *groups, *shares])
    groups = [NAMES_OF_GROUPS[group] for group in GROUPS]
    columns = ["", *(f"pass@{each}" for each in KS), *groups, "in the format", "distinct programs", "entropy"]
    return titled(f"pass@{k} by who has seen such families, and the measures of the answers", columns, rows)


def settings_table(summary: Summary) -> str:
    """Every setting's measures."""
    results, rows = summary.results, []
    for name in results.names:
        passed = [str(summary.pass_at(name, k)) for k in KS]
        groups = [f"{summary.pass_at(name, KS[-1], group).mean:.3f}" for group in GROUPS]
        shares = [str(results.share(name, share)) if results.has(name, share) else "" for share in SHARES]
        seeds = " ".join(map(str, results.seeds_of(name)))
        rows.append([name, seeds, *passed, *groups, *shares])
    of_groups = [f"@{KS[-1]}, {NAMES_OF_GROUPS[group]}" for group in GROUPS]
    columns = ["setting", "seeds", *(f"pass@{k}" for k in KS), *of_groups, *SHARES]
    return titled(f"All settings: {len(results.problems)} problems", columns, rows)


def differences_table(summary: Summary) -> str:
    """Merged models, switching and early stopping minus each parent at its best for that k."""
    rows = []
    for k in KS:
        parents = (summary.best_base(k), summary.best_instruct(k))
        merged = [name for names in summary.by_alpha.values() for alpha, name in names.items() if alpha not in (0, 1)]
        for name in (*merged, *summary.switching, *summary.early):
            cells = [f"pass@{k}", name]
            for parent in parents:
                cells.append(summary.difference(name, parent, k).text("+"))
                cells.append(" ".join(f"{value:+.3f}" for value in summary.by_seed(name, parent, k)))
            rows.append(cells)
    best = "; ".join(f"for pass@{k} {summary.best_base(k)} and {summary.best_instruct(k)}" for k in KS)
    columns = ["", "setting", "minus the base", "by seed", "minus the instruct model", "by seed"]
    return titled(f"Differences to each parent at its best on these problems ({best})", columns, rows)


def temperature_table(summary: Summary) -> str:
    """LERP's merges, all at one temperature, minus the instruct model at each temperature."""
    rows = []
    for name in summary.merged:
        for other in summary.instruct:
            rows.append([name, other, *(summary.difference(name, other, k).text("+") for k in KS)])
    return titled("Merging against temperature", ["setting", "minus", *(f"pass@{k}" for k in KS)], rows)


def methods_table(summary: Summary) -> str:
    """SLERP minus LERP at each alpha that both have."""
    lerp, slerp = summary.by_alpha["lerp"], summary.by_alpha.get("slerp", {})
    rows = []
    for alpha in sorted(set(lerp) & set(slerp) - {0, 1}):
        found = [summary.difference(slerp[alpha], lerp[alpha], k).text("+") for k in KS]
        rows.append([f"{alpha:g}", *found])
    return titled("SLERP minus LERP", ["alpha", *(f"pass@{k}" for k in KS)], rows)


def groups_table(summary: Summary) -> str:
    """pass@10 of LERP's merges per group, minus each parent at its best in that group."""
    k, rows = KS[-1], []
    for group in GROUPS:
        parents = (summary.best_base(k, group), summary.best_instruct(k, group))
        for name in summary.merged:
            found = [summary.difference(name, parent, k, group).text("+") for parent in parents]
            rows.append([NAMES_OF_GROUPS[group], name, str(summary.pass_at(name, k, group)), *found])
    columns = ["families", "setting", f"pass@{k}", "minus the base", "minus the instruct model"]
    return titled("By group, each parent at its best there", columns, rows)


def best_alphas_table(summary: Summary) -> str:
    """The alpha at which each measure is highest."""
    results, rows = summary.results, []
    for method, names in summary.by_alpha.items():
        for k in KS:
            values = {alpha: results.pass_at(name, k).mean(axis=0) for alpha, name in names.items()}
            best, low, high = results.best_alpha(values)
            rows.append([method.upper(), f"pass@{k}", f"{best:g}", f"{low:g} to {high:g}"])
        for share in SHARES:
            means = {alpha: results.share(name, share).mean for alpha, name in names.items()}
            rows.append([method.upper(), share, f"{max(means, key=means.__getitem__):g}", ""])
    return titled("The best alpha", ["", "measure", "highest at alpha", "nine tenths of resamples"], rows)


def asked_again_table(summary: Summary) -> str:
    """The base model, asked again until its answer holds a program, against the best merge on the same problems."""
    rows, k = [], KS[-1]
    merged = summary.best(summary.merged, k)
    for name in (*summary.base, *summary.base_chat):
        both = summary.results.mean(
            summary.results.pass_at(merged, k) - summary.results.pass_at(name, k, of="programs")
        )
        rows.append([name, *(str(summary.asked_again(name, each)) for each in KS), both.text("+"), str(both.problems)])
    columns = ["base model", *(f"pass@{each}" for each in KS), f"{merged} minus it, pass@{k}", "problems"]
    title = f"Asked again until there is a program (problems with {k} programs or more in every seed)"
    return titled(title, columns, rows)


def titled(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return f"**{title}**\n\n{markdown(columns, rows)}"


# In the order of tables.md.
TABLES = (
    summary_table,
    settings_table,
    differences_table,
    temperature_table,
    methods_table,
    groups_table,
    best_alphas_table,
    asked_again_table,
)
