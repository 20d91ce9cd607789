"""Tables, marked texts, labelled peaks and line styles of the notebooks."""

import numpy as np
from toy_answers import make_answer

from analysis.display import answer_html, tables
from analysis.display.entropy_figure import find_peaks
from analysis.display.style import style_of
from hindsight.pass_at_k.drawing import line_style


def test_the_base_models_turns_are_marked_and_the_text_is_escaped():
    turns = [{"model": "instruct", "start": 4, "end": 6}, {"model": "base", "start": 6, "end": 9}]
    shown = answer_html.by_writer(make_answer(1, 0, text="TAG ab<c> d", segments=turns))
    inside = shown.split(">", 1)[1].removesuffix("</pre>")
    assert inside == f"TAG ab<b style='{answer_html.BASE_STYLE}'>&lt;c&gt;</b> d"


def test_tables_have_a_head_and_three_places():
    assert tables.markdown_table([{"run": "a|b", "x": 0.12345, "n": 3}]).splitlines() == [
        "| run | x | n |",
        "| --- | --- | --- |",
        "| a\\|b | 0.123 | 3 |",
    ]


def test_peaks_are_the_highest_and_apart():
    assert find_peaks(np.array([1.0, 9.0, 8.0, 0.0, 7.0]), most=2, apart=2) == [1, 4]


def test_a_merged_model_has_the_same_line_here_as_in_step_5_at_any_place_in_the_figure():
    assert style_of("alpha_0.7", 2) == style_of("alpha_0.7", 3) == line_style(0.7)
    assert style_of("alpha_0.7")["linestyle"] == "-" != style_of("unknown")["linestyle"]
