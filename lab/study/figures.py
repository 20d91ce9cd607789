"""The figures of the study."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.display.style import new_figure
from hindsight.pass_at_k.estimators import Estimate
from lab.study.results import setting_of
from lab.study.summary import KS, NAMES_OF_GROUPS, Summary
from lab.world.pipelines import GROUPS

BASE, BASE_CHAT, INSTRUCT, ONE_SEED = "#000000", "0.55", "#D55E00", "0.6"
METHOD_STYLES = {"lerp": ("#440154", "-", "o"), "slerp": ("#21918C", ":", "x")}
SHARE_LABELS = {
    "entropy": "entropy (nats a token)",
    "distinct": "distinct programs (share)",
    "in_format": "in the format (share)",
    "programs": "with a program (share)",
}
Level = tuple[str, str, str]  # a horizontal line: its label, setting and colour


def draw_claim(summary: Summary) -> Figure:
    """pass@1 and pass@10 by alpha, both parents at their best, and LERP per seed in grey."""
    figure, panels = new_panels(len(KS), 3.2)
    for k, axes in zip(KS, panels, strict=True):
        draw_by_alpha(axes, summary, partial(summary.pass_at, k=k), best_parents(summary, k))
        axes.set_title(f"pass@{k}", fontsize=8)
        for seed in summary.results.seeds if len(summary.results.seeds) > 1 else ():
            names = summary.alphas_of("lerp", seed)
            values = [summary.results.pass_at(name, k, seeds=[seed]).mean() for name in names.values()]
            axes.plot(list(names), values, color=ONE_SEED, linewidth=0.5, zorder=1)
    return finish(figure, panels, "pass@k")


def draw_groups(summary: Summary) -> Figure:
    """pass@10 by alpha, per group of problems."""
    figure, panels = new_panels(len(GROUPS), 2.4, sharey=True)
    for group, axes in zip(GROUPS, panels, strict=True):
        value = partial(summary.pass_at, k=KS[-1], group=group)
        draw_by_alpha(axes, summary, value, best_parents(summary, KS[-1], group))
        axes.set_title(f"families {NAMES_OF_GROUPS[group]}", fontsize=8)
    return finish(figure, panels, f"pass@{KS[-1]}")


def draw_measures(summary: Summary) -> Figure:
    """Entropy, distinct programs, format and programs by alpha, and the range of the base model's sweep."""
    figure, panels = new_panels(len(SHARE_LABELS), 2.0)
    swept = summary.base + summary.base_chat
    temperatures = sorted({setting_of(name).temperature for name in swept})
    label = f"base, either prompt, T {temperatures[0]:g} to {temperatures[-1]:g}"
    for share, axes in zip(SHARE_LABELS, panels, strict=True):
        draw_by_alpha(axes, summary, partial(summary.results.share, share=share), [])
        means = [summary.results.share(name, share).mean for name in swept]
        axes.axhspan(min(means), max(means), color=BASE, alpha=0.1, linewidth=0, label=label)
        axes.set_title(SHARE_LABELS[share], fontsize=8)
        axes.set_ylim(0, None)
    return finish(figure, panels, "")


def draw_controls(summary: Summary) -> Figure:
    """pass@1 against pass@10 of every setting: merging, temperature, switching and early stopping."""
    figure, (axes,) = new_panels(1, 5.4, 3.6)
    paths = {
        "merged by alpha (LERP)": (list(summary.by_alpha["lerp"].values()), METHOD_STYLES["lerp"][0], "o-"),
        "base, own prompt, by T": (summary.base, BASE, "s--"),
        "base in chat, by T": (summary.base_chat, BASE_CHAT, "s:"),
        "instruct, by T": (summary.instruct, INSTRUCT, "^--"),
        "switching, K/P": (summary.switching, "#009E73", "P"),
        "fine-tuning stopped early": (summary.early, "#E69F00", "D"),
    }
    for label, (names, color, style) in paths.items():
        points = [[summary.pass_at(name, k).mean for k in KS] for name in names]
        draw_path(axes, points, label, color, style, [short(name) for name in names])
    again = [[summary.asked_again(name, k).mean for k in KS] for name in summary.base_chat]
    draw_path(axes, again, "base in chat, asked again until there is a program", "#56B4E9", "s:", [])
    axes.set_xlabel("pass@1")
    axes.set_ylabel(f"pass@{KS[-1]}")
    axes.legend(frameon=False, fontsize=6)
    return figure


FIGURES = {"claim": draw_claim, "groups": draw_groups, "measures": draw_measures, "controls": draw_controls}


def draw_path(axes: Axes, points: list, label: str, color: str, style: str, names: Sequence[str]) -> None:
    """Points, [n, 2], joined by a line, each with its name."""
    if points:
        axes.plot(*np.transpose(points), style, color=color, markersize=4, linewidth=1, label=label)
    for name, point in zip(names, points, strict=False):
        axes.annotate(name, point, xytext=(3, 3), textcoords="offset points", fontsize=5, color=color)


def short(name: str) -> str:
    """The name of a point: its alpha, temperature, turns or steps."""
    setting = setting_of(name)
    if setting.kind == "switching":
        return "/".join(setting.turns)
    if setting.steps:
        return f"{setting.steps} steps"
    return f"{setting.alpha:g}" if setting.alpha not in (0, 1) else f"T {setting.temperature:g}"


def best_parents(summary: Summary, k: int, group: str = "") -> list[Level]:
    """The base model in its own prompt and in chat and the instruct model, each at its best temperature."""
    return [
        ("base, own prompt, at its best T", summary.best(summary.base, k, group), BASE),
        ("base in chat, at its best T", summary.best(summary.base_chat, k, group), BASE_CHAT),
        ("instruct, at its best T", summary.best_instruct(k, group), INSTRUCT),
    ]


def draw_by_alpha(axes: Axes, summary: Summary, value: Callable[[str], Estimate], levels: Sequence[Level]) -> None:
    """A measure by alpha, with a band for LERP, and for some other settings a horizontal line with its band."""
    for method, names in summary.by_alpha.items():
        estimates = [value(name) for name in names.values()]
        color, line, marker = METHOD_STYLES[method]
        style: dict[str, Any] = {"color": color, "linestyle": line, "marker": marker, "markersize": 3}
        style |= {"linewidth": 1.2, "zorder": 3, "label": f"merged, {method.upper()}"}
        axes.plot(list(names), [each.mean for each in estimates], **style)
        if method == "lerp":
            ends = [each.low for each in estimates], [each.high for each in estimates]
            axes.fill_between(list(names), *ends, color=color, alpha=0.12, linewidth=0)
    for label, name, color in levels:
        estimate = value(name)
        axes.axhline(estimate.mean, color=color, linestyle="--", linewidth=1, label=label)
        axes.axhspan(estimate.low, estimate.high, color=color, alpha=0.06, linewidth=0)
    axes.set_xlabel("alpha (0: base in chat, 1: instruct)")
    axes.set_xticks(np.linspace(0, 1, 6))


def new_panels(count: int, width: float, height: float = 2.4, sharey: bool = False) -> tuple[Figure, list[Axes]]:
    """Plain axes in a row, `width` inches each."""
    figure, panels = new_figure(width * count, height, count, sharey)
    for axes in panels:
        axes.grid(alpha=0.3, linewidth=0.4)
        axes.tick_params(labelsize=7)
        axes.xaxis.label.set_fontsize(7)
    return figure, panels


def finish(figure: Figure, panels: Sequence[Axes], label: str) -> Figure:
    """Labels the first axis and puts one legend for all panels below."""
    panels[0].set_ylabel(label)
    entries = panels[0].get_legend_handles_labels()
    figure.legend(*entries, loc="outside lower center", ncols=min(len(entries[0]), 3), frameon=False, fontsize=7)
    return figure
