"""The measures of a sweep by alpha, against values worked out by hand."""

from dataclasses import replace

import pytest
from toy_answers import make_answer, make_answers

from analysis.display.sweep_report import draw_sweep, sweep_tables
from analysis.measures.alpha_sweep import MEASURES, measure_sweep
from hindsight.errors import UserError
from hindsight.text.uniform_format import render

GOOD = render("I add a and b.", "```python\nprint(1)\n```")


def sweep():
    """Two problems with four answers at three alphas: 0, 4; 2, 3; 4, 4 of them correct."""
    return {0.0: make_answers(0, 4, of=4), 0.5: make_answers(2, 3, of=4), 1.0: make_answers(4, 4, of=4)}


def test_pass_at_k_and_its_differences_are_paired_by_problem():
    measured = measure_sweep(sweep(), (1, 2))
    assert measured.estimate(0.5, "pass@1").mean == pytest.approx((2 / 4 + 3 / 4) / 2)
    assert measured.estimate(0.5, "pass@2").mean == pytest.approx((1 - 1 / 6 + 1) / 2)  # of 6 pairs, 1 and 0 fail
    difference = measured.difference(0.5, 1.0, "pass@1")
    assert difference.mean == pytest.approx((-2 / 4 - 1 / 4) / 2) and difference.problems == 2
    assert (measured.parents, measured.difference(0.5, 0.0, "pass@1").mean) == ([0.0, 1.0], pytest.approx(1 / 8))


def test_a_problem_with_too_few_judged_answers_is_left_out_and_named():
    runs = sweep()
    runs[0.5] = [*runs[0.5][:7], make_answer(1, 3, "not judged")]
    measured = measure_sweep(runs, (1, 4))
    assert measured.values[0.5]["pass@4"] == {0: 1.0}
    assert measured.difference(0.5, 1.0, "pass@4").problems == 1
    assert measured.left_out == ("alpha 0.5: 1 problems have fewer than 4 judged answers, not in pass@4",)


def test_lengths_shares_and_programs_are_means_over_the_answers_of_each_problem():
    first = make_answer(0, 0, text=GOOD, finish_reason="stop", thought="I add a and b.", tokens=10, code="a = 1")
    second = make_answer(0, 1, text=GOOD, finish_reason="length", tokens=20, code="b = 1")
    third = make_answer(0, 2, text="?", finish_reason="stop", code="print(1)")
    fewer = [replace(first, code="x = 2"), replace(second, code="y = 2")]  # only two programs to compare at both alphas
    measured = measure_sweep({0.2: [first, second, third], 0.4: fewer}, (1,))
    values = {name: by_problem[0] for name, by_problem in measured.values[0.2].items()}
    assert values["thought"] == 5 and values["tokens"] == 15
    assert (values["cut off"], values["in format"]) == pytest.approx((1 / 3, 1 / 3))
    assert (values["distinct programs"], values["effective programs"]) == (1 / 2, 1)
    assert set(MEASURES) < set(measured.names)


def test_what_an_alpha_lacks_is_in_no_table_or_figure():
    measured = measure_sweep(sweep(), (1,))  # no answer has a program, a thought or a number of tokens
    assert measured.names == ["pass@1", "cut off", "in format"]
    text = sweep_tables(measured)
    assert "| 0.5 | 0.625 [" in text and "minus alpha 0 (base), paired by problem" in text
    assert "| 0.5 | -0.375 [" in text.partition("minus alpha 1 (fine-tuned)")[2]
    panels = draw_sweep(measured).axes
    assert [axes.get_title() for axes in panels if axes.get_visible()] == measured.names


def test_an_alpha_differs_from_its_parents_if_both_intervals_leave_out_zero():
    low, middle, high = (make_answers(*[correct] * 20) for correct in (2, 4, 6))
    measured = measure_sweep({0.0: low, 0.5: middle, 1.0: high}, (1,))
    assert measured.differs_from_parents(0.5, "pass@1") and not measured.differs_from_parents(0.5, "cut off")
    lines = {line.get_label(): list(line.get_xdata()) for line in draw_sweep(measured).axes[0].get_lines()}
    drawn = [lines[label] for label in ("differs from base and fine-tuned", "does not", "base", "fine-tuned")]
    assert drawn == [[0.5], [], [0], [1]]
    alone = measure_sweep({0.5: middle}, (1,))  # no parent was sampled
    assert not alone.differs_from_parents(0.5, "pass@1") and "minus" not in sweep_tables(alone)


def test_an_unchecked_answer_is_refused():
    with pytest.raises(UserError, match="have no verdict"):
        measure_sweep({0.0: [make_answer(0, 0, "not checked")]}, (1,))
