"""The report of a search for the best alpha, as text and as numbers, and what an interval of pass@k needs."""

from dataclasses import asdict
from typing import Any

import numpy as np

from analysis.alpha_choice import Finding, SampledAlphas
from analysis.display.tables import markdown_table
from analysis.measures.alpha_objectives import Objective, judged_problems
from analysis.measures.best_alpha import Search
from hindsight.errors import require
from hindsight.pass_at_k.estimators import Estimate, estimate_difference, estimate_mean
from hindsight.pass_at_k.extrapolation import fit_distribution
from hindsight.pass_at_k.mixing_distributions import AnswerCounts
from hindsight.pass_at_k.precision import MOST, Precision


def by_number(values: np.ndarray) -> dict[int, float]:
    """A value per problem, by its number."""
    return dict(enumerate(values.tolist()))


def estimates(finding: Finding, number: int) -> tuple[Estimate, Estimate]:
    """An alpha's measure, and its difference to the best alpha's, each from its own answers alone."""
    own, best = by_number(finding.values[number]), by_number(finding.values[finding.decision.lead])
    return estimate_mean(own), estimate_difference(best, own)


def report_text(sampled: SampledAlphas, objective: Objective, search: Search, finding: Finding) -> str:
    """The choice, how sure it is, a table of the alphas, and what a sweep would have cost."""
    alphas, lead = sampled.runs.alphas, finding.decision.lead
    lines = [f"alpha {alphas[lead]:g} is the best of {len(alphas)} by {objective}", how_sure(search, finding, alphas)]
    if finding.decision.short > 0:
        lines.append(f"its pass@{objective.k} may miss {objective.level:g} by {finding.decision.short:.3f}")
    return "\n".join([*lines, "", markdown_table(rows_of(sampled, finding)), "", cost(sampled, search)])


def rows_of(sampled: SampledAlphas, finding: Finding) -> list[dict[str, str]]:
    """The table's rows: each alpha by its own answers, its difference to the best, and smoothed with its neighbours."""
    rows, decision = [], finding.decision
    for number, alpha in enumerate(sampled.runs.alphas):
        own, difference = estimates(finding, number)
        verdict = "may be the best" if number in decision.rivals else "no better by more than the tolerance"
        verdict = "best" if number == decision.lead else "worse" if number in decision.worse else verdict
        rows.append(
            {
                "alpha": f"{alpha:g}",
                "answers per problem": f"{sampled.answers[number]}",
                "measured": str(own),
                "best minus it": "" if number == decision.lead else difference.text("+"),
                "smoothed": f"{finding.beliefs.mean[number]:.3f}",
                "verdict": verdict,
            }
        )
    return rows


def how_sure(search: Search, finding: Finding, alphas: tuple[float, ...]) -> str:
    """One sentence on what ended the search and what is then known."""
    level, decision = f"at {100 * search.confidence:g} % confidence", finding.decision
    if finding.why == "known":
        return f"no other exceeds it by more than {max(decision.gap, 0.0):.3f} {level}"
    rivals = ", ".join(f"{alphas[number]:g}" for number in sorted(decision.rivals)) or "none"
    ended = {"budget": "TOKEN_BUDGET is spent", "most": "MOST_SAMPLES are asked"}[finding.why]
    unknown = f"the best is not known to within {search.tolerance:g}"
    return f"{ended}, and {unknown}: {level} it is exceeded by at most {max(decision.gap, 0.0):.3f}, by {rivals}"


def cost(sampled: SampledAlphas, search: Search) -> str:
    """One sentence on the answers and tokens that were made, and on those of a whole sweep."""
    count, spent = sum(map(len, sampled.found.values())), sum(map(sampled.tokens, sampled.found))
    rest = sum(sampled.tokens_for({number: search.most}) for number in sampled.found)
    problems = max(len({answer.question_id for answer in answers}) for answers in sampled.found.values())
    whole = problems * search.most * len(sampled.found)
    sweep = f"{search.most} answers per problem at every alpha would be {whole:,} answers"
    return f"{count:,} answers, {spent:,} tokens. {sweep}, about {spent + rest:,.0f} tokens"


def choice_as_json(sampled: SampledAlphas, finding: Finding) -> dict[str, Any]:
    """The numbers of the report."""
    decision, alphas = finding.decision, sampled.runs.alphas
    rows = []
    for number, alpha in enumerate(alphas):
        own, difference = estimates(finding, number)
        rows.append(
            {
                "alpha": alpha,
                "answers_per_problem": sampled.answers[number],
                "tokens": sampled.tokens(number),
                "measured": asdict(own),
                "best_minus_it": asdict(difference),
                "smoothed": float(finding.beliefs.mean[number]),
                "may_be_best": number in decision.rivals,
                "worse": number in decision.worse,
            }
        )
    known = {"alpha": alphas[decision.lead], "ended_by": finding.why, "exceeded_by_at_most": max(0.0, decision.gap)}
    return {**known, "may_miss_level_by": decision.short, "rounds": len(sampled.rounds), "alphas": rows}


def plan_text(sampled: SampledAlphas, k: int, half_width: float) -> str:
    """How exact pass@k is at each alpha, and what plus or minus `half_width` needs, judging by the existing answers."""
    require(half_width > 0, f"PLAN is half the width of an interval, above 0, not {half_width:g}")
    require(k <= MOST, f"K is at most {MOST} for a plan, not {k}")
    sampled.read_all()
    lines = []
    for number, answers in sampled.found.items():
        judged = judged_problems(answers).values()
        folder = sampled.runs.folder(sampled.runs.alphas[number])
        require(bool(judged), f"{folder} has no answer that was judged; run check_converted_samples.py on it")
        samples, correct = [len(each) for each in judged], [sum(a.is_correct for a in each) for each in judged]
        precision = Precision(fit_distribution(AnswerCounts.of(samples, correct)), k)
        lines += [f"alpha {sampled.runs.alphas[number]:g}", *plan_of(precision, samples, half_width)]
    return "\n".join(lines)


def plan_of(precision: Precision, samples: list[int], half_width: float) -> list[str]:
    """Sentences on intervals of these problems asked again and of others like them."""
    k, few, problems = precision.k, min(samples), len(samples)
    lines = [f"  pass@{k} of {few} answers to each of {problems} problems is only estimated"]
    if few >= k:
        same, other = (precision.half_width(problems, few, same) for same in (True, False))
        known = f"is known to +-{same:.3f} for these problems, to +-{other:.3f} for others like them"
        lines = [f"  pass@{k} of {few} answers to each of {problems} problems {known}"]
    same, other = (precision.answers_needed(problems, half_width, same) for same in (True, False))
    lines.append(f"  +-{half_width:g} for these problems: {same or f'more than {MOST}'} answers to each")
    if other:
        return [*lines, f"  +-{half_width:g} for others like them: {other} answers to each"]
    most = max(few, k)
    more = f"{precision.problems_needed(most, half_width):,} problems of {most} answers"
    return [*lines, f"  +-{half_width:g} for others like them: more answers do not suffice, {more} do"]
