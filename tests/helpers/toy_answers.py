"""Hand-made answers for the tests of analysis."""

from analysis.reading.answers import Answer
from hindsight.files.verdicts import Outcome

PROBLEM = {"question": "?", "input_output": "{}", "starter_code": "", "fn_name": None}


def make_answer(question_id, sample_index, verdict="correct", **more):
    """An answer with that verdict; a reason that is no outcome counts as wrong."""
    names = {str(outcome): outcome for outcome in Outcome}
    values = {
        "run": "r",
        "question": "",
        "difficulty": "",
        "text": "",
        "code": None,
        "outcome": names.get(verdict, Outcome.WRONG),
        "tokens": None,
        "segments": [],
    }
    return Answer(question_id=question_id, sample_index=sample_index, verdict=verdict, **{**values, **more})


def make_answers(*correct_of_each, of=10):
    """`of` answers to each of the problems 0, 1, ..., as many of them correct as given."""
    return [
        make_answer(question, index, "correct" if index < correct else "wrong answer")
        for question, correct in enumerate(correct_of_each)
        for index in range(of)
    ]
