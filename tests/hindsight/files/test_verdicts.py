"""What an answer counts as: every combination of conversion, verdict and reason has one outcome."""

import pytest

from hindsight.files.verdicts import NO_CODE, REASONS, RUNTIME_ERROR, Outcome, counts_as, verdict_name

CONVERTED = {"converted_text": "<begin_of_slow_thought>..."}


@pytest.mark.parametrize(
    ("record", "outcome"),
    [
        ({"generated_text": "..."}, Outcome.NOT_CONVERTED),
        ({"generated_text": "...", "correctness": True}, Outcome.NOT_CONVERTED),
        (CONVERTED, Outcome.UNCHECKED),
        ({**CONVERTED, "correctness": None}, Outcome.NOT_JUDGED),
        ({**CONVERTED, "correctness": None, "correctness_reason": "not judged"}, Outcome.NOT_JUDGED),
        ({**CONVERTED, "correctness": True}, Outcome.CORRECT),
        ({**CONVERTED, "correctness": True, "correctness_reason": ""}, Outcome.CORRECT),
        ({**CONVERTED, "correctness": False}, Outcome.WRONG),
        ({**CONVERTED, "correctness": False, "correctness_reason": NO_CODE}, Outcome.NO_CODE),
    ],
)
def test_a_records_keys_decide_its_outcome(record, outcome):
    assert counts_as(record) is outcome


@pytest.mark.parametrize("reason", [reason for reason in REASONS if reason != "not judged"])
def test_every_reason_of_a_wrong_answer_is_wrong_and_only_no_code_is_counted_apart(reason):
    outcome = counts_as({**CONVERTED, "correctness": False, "correctness_reason": reason})
    assert outcome is (Outcome.NO_CODE if reason == NO_CODE else Outcome.WRONG)
    assert outcome.is_sample


def test_pass_at_k_counts_all_but_unjudged_and_unchecked_answers():
    left_out = {outcome for outcome in Outcome if not outcome.is_sample}
    assert left_out == {Outcome.NOT_JUDGED, Outcome.UNCHECKED}


@pytest.mark.parametrize(
    ("verdict", "name"),
    [
        ({"correctness": True, "correctness_reason": ""}, "correct"),
        ({"correctness": False, "correctness_reason": f"{RUNTIME_ERROR}: ValueError"}, RUNTIME_ERROR),
        ({"correctness": False, "correctness_reason": NO_CODE}, NO_CODE),
        ({"correctness": False, "correctness_reason": ""}, "wrong"),
        ({"correctness": None, "correctness_reason": "not judged"}, "not judged"),
        ({}, "not checked"),
    ],
)
def test_a_verdict_is_named_without_its_particulars(verdict, name):
    assert verdict_name({**CONVERTED, **verdict}) == name
    assert verdict_name({"generated_text": "..."}) == "not converted"
