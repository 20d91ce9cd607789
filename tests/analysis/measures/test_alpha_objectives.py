"""What an alpha can be best at: values worked out by hand."""

import pytest

from analysis.measures.alpha_objectives import Objective, different_programs, judged_problems
from analysis.reading.answers import Answer
from hindsight.errors import UserError
from hindsight.files.verdicts import Outcome


def answer(question=0, sample=0, code=None, outcome=Outcome.CORRECT):
    return Answer("run", question, sample, "q", "", "", code, outcome, "", 10, [])


WRONG = answer(outcome=Outcome.WRONG)
FOUR = [answer(code="print(1)"), answer(code="print( 1 )"), answer(code="print(2)"), WRONG]


def test_different_programs_in_up_to_as_many_answers_are_their_expected_number():
    """Of 4 answers, program 1 is in two and program 2 in one: two hold them with chances 1 - 1/6 and 1/2."""
    assert different_programs(FOUR, k=4) == 2
    assert different_programs(FOUR, k=2) == pytest.approx(5 / 6 + 1 / 2)
    assert different_programs([WRONG], k=1) == 0


def test_beyond_them_they_are_extrapolated_as_species_are():
    """Chao 2014: Q1 = Q2 = 1, n = 4: Q0 = 3/4 * 1/2 = .375, and 2 + .375 * (1 - (1 - 1 / (4 * .375 + 1))^4)."""
    assert different_programs(FOUR, k=8) == pytest.approx(2 + 0.375 * (1 - 0.6**4))
    assert different_programs([answer(code="print(1)")], k=8) == 1
    two = [answer(code="print(1)"), answer(code="print(2)")]  # Q0 = 1/2 * 2 * 1 / 2 = .5; 1 - 2 / (2 * .5 + 2) = 1/3
    assert different_programs(two, k=4) == pytest.approx(2 + 0.5 * (1 - (1 / 3) ** 2))


def test_pass_at_k_is_unbiased_where_there_are_k_answers():
    problems = [[answer(), WRONG, WRONG], [WRONG] * 3]
    assert Objective("pass@k", 2).values(problems) == pytest.approx([2 / 3, 0])
    limited = Objective("pass@1", 2, 0.5)
    assert limited.values(problems) == pytest.approx([1 / 3, 0]) and limited.needed(problems) == pytest.approx(
        [2 / 3, 0]
    )
    assert Objective("pass@k", 2).needed(problems) is None


def test_with_fewer_answers_it_is_the_models():
    problems = [[answer()] * right + [WRONG] * (4 - right) for right in (0, 0, 1, 2, 3, 4) * 5]
    values = Objective("pass@k", 8).values(problems)
    assert len(values) == 30 and 4 / 6 < values.mean() < 1


def test_answers_that_could_not_be_judged_do_not_count():
    answers = [answer(10), answer(9, outcome=Outcome.NOT_JUDGED), answer(2), answer(2, 1)]
    assert {question: len(each) for question, each in judged_problems(answers).items()} == {2: 2, 10: 1}
    assert list(judged_problems(answers)) == [2, 10]


def test_an_unknown_objective_is_refused():
    with pytest.raises(UserError, match="OBJECTIVE is one of"):
        Objective("pass@10", 10)
