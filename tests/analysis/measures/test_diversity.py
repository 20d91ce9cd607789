"""Diversity: measures worked out by hand, their laws, intervals, what is compared, and the script that shows them."""

import json
import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU
from scripts import run_script, write_converted

from analysis.measures import diversity
from analysis.measures.distinct_programs import distinct_programs, effective_programs, normalise
from analysis.measures.ngrams import distinct_n, self_bleu
from analysis.measures.similarity import mean_similarity, pairwise_similarities, similarities_over_all, vendi_score
from analysis.reading.answers import Answer
from hindsight.errors import UserError
from hindsight.files.answer_files import converted_path, embedded_path
from hindsight.files.records import write_json

PROBLEM = {"question": "?", "input_output": "{}", "starter_code": "", "fn_name": None}
EFFECTIVE = 3 / 2 ** (2 / 3)  # exp of the entropy of the shares 2/3 and 1/3


def answer(question_id, sample_index, text="", code=None):
    return Answer("r", question_id, sample_index, "", "", "", text, code, "correct", None, [])


def random_rows(count, size, seed):
    return np.random.default_rng(seed).normal(size=(count, size))


# Embeddings


def test_similarity_is_the_mean_over_pairs_without_the_diagonal():
    rows = np.array([[3.0, 0.0], [0.0, 2.0], [1.0, 1.0]])  # cosines 0, 1/sqrt 2, 1/sqrt 2
    assert sorted(pairwise_similarities(rows)) == pytest.approx([0, 2**-0.5, 2**-0.5])
    assert mean_similarity(rows) == pytest.approx(2 / 3 * 2**-0.5)


@settings(deadline=None)
@given(st.integers(2, 8), st.integers(1, 5), st.integers(0, 1000))
def test_mean_similarity_is_that_of_the_pairs(count, size, seed):
    rows = random_rows(count, size, seed)
    assert mean_similarity(rows) == pytest.approx(pairwise_similarities(rows).mean())


def test_what_has_no_similarity_is_refused():
    with pytest.raises(ValueError, match="no pair"):
        mean_similarity(np.ones((1, 3)))
    with pytest.raises(ValueError, match="no direction"):
        mean_similarity(np.array([[1.0, 0.0], [0.0, 0.0]]))


def test_similarity_over_all_counts_pairs_of_different_problems_and_of_a_sample_where_there_are_many():
    problems = {1: np.array([[1.0, 0.0], [1.0, 0.0]]), 2: np.array([[0.0, 1.0]])}
    assert list(diversity.similarity_by_problem(problems)) == pytest.approx([1.0])
    assert sorted(diversity.similarity_over_all(problems)) == pytest.approx([0, 0, 1])
    assert len(diversity.similarity_over_all(problems, most=2)) == 1
    assert similarities_over_all(problems, np.ones((1, 2))) == pytest.approx([1 / 3])


@settings(deadline=None)
@given(st.lists(st.integers(2, 4), min_size=1, max_size=4), st.integers(0, 1000), st.data())
def test_a_problem_that_is_drawn_twice_weighs_twice_and_is_not_paired_with_its_copy(sizes, seed, data):
    problems = {number: random_rows(size, 3, seed + number) for number, size in enumerate(sizes)}
    times = data.draw(st.lists(st.integers(0, 3), min_size=len(sizes), max_size=len(sizes)).filter(any))
    drawn = [
        (number, copy, row / np.linalg.norm(row))
        for number, rows in problems.items()
        for copy in range(times[number])
        for row in rows
    ]
    pairs = [one[2] @ other[2] for one, other in combinations(drawn, 2) if one[0] != other[0] or one[1] == other[1]]
    assert similarities_over_all(problems, np.array([times], dtype=float)) == pytest.approx([np.mean(pairs)])


@pytest.mark.parametrize(
    ("rows", "score"),
    [
        ([[2.0, 3.0]], 1),
        ([[1.0, 2.0]] * 5, 1),
        ([[1.0, 2.0], [-2.0, -4.0]], 1),  # opposite: cosine -1, eigenvalues 2 and 0
        (np.eye(4) * 7, 4),
        ([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]], EFFECTIVE),  # eigenvalues of K / n: 2/3, 1/3, 0
        ([[1.0, 0.0], [0.6, 0.8]], math.exp(-0.8 * math.log(0.8) - 0.2 * math.log(0.2))),  # (1 +- 0.6) / 2
    ],
)
def test_vendi_scores_worked_out_by_hand(rows, score):
    assert vendi_score(np.array(rows)) == pytest.approx(score, rel=1e-12)


@settings(deadline=None)
@given(st.integers(1, 8), st.integers(1, 10), st.integers(0, 1000))
def test_the_vendi_score_is_between_1_and_n_and_knows_no_order_and_no_doubling(count, size, seed):
    rows = random_rows(count, size, seed)
    score = vendi_score(rows)
    assert 1 - 1e-9 <= score <= min(count, size) + 1e-9
    assert vendi_score(rows[np.random.default_rng(seed).permutation(count)]) == pytest.approx(score)
    assert vendi_score(np.concatenate([rows, rows * 3])) == pytest.approx(score)


def test_points_on_a_line_have_one_component():
    groups = {"a": np.array([[0.0, 0.0], [3.0, 4.0]]), "b": np.array([[6.0, 8.0]])}
    points, shares = diversity.joint_components(groups)
    assert shares == pytest.approx([1, 0])
    assert abs(points["a"][0, 0]) == pytest.approx(5)
    assert points["a"][1] == pytest.approx([0, 0], abs=1e-9)
    assert points["b"][0, 0] == pytest.approx(-points["a"][0, 0])


# Words


def test_distinct_n_is_different_n_grams_over_all_tokens():
    texts = [["a", "b", "a", "b"], ["a", "b"]]  # 6 tokens; words a, b; pairs ab, ba
    assert distinct_n(texts, 1) == pytest.approx(2 / 6)
    assert distinct_n(texts, 2) == pytest.approx(2 / 6)
    assert distinct_n(texts, 5) == 0
    assert distinct_n([[]], 1) == 0


@pytest.mark.parametrize(
    ("texts", "score"),
    [
        (["a b c d e", "a b c d e"], 1),
        (["a b", "a b", "c"], 2 / 3),  # c has nothing of the others, a b is found whole
        (["a b c d", "e f g h"], 0),
        (["a b c d e", "a b c d f"], (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25),
        # a b: both orders that it has, at a length of 2 against 4; a b c d: 2/4, 1/3, then none of 2 and none of 1
        (["a b", "a b c d"], (math.exp(1 - 4 / 2) + (2 / 4 * 1 / 3 * 1 / (2 * 2) * 1 / (4 * 1)) ** 0.25) / 2),
        (["", " ", "a"], 2 / 3),
        (["", "a"], 0),
        (["f(x-y)", "f ( x - y )"], 1),
    ],
)
def test_self_bleu_worked_out_by_hand(texts, score):
    assert self_bleu(texts) == pytest.approx(score)


@settings(deadline=None)
@given(st.lists(st.text("ab(-=1\n ", min_size=1, max_size=12).filter(str.strip), min_size=2, max_size=5))
def test_self_bleu_is_the_mean_of_sacrebleus_scores_of_one_against_the_others(texts):
    bleu = BLEU(tokenize="intl", effective_order=True)
    scores = [bleu.sentence_score(text, texts[:n] + texts[n + 1 :]).score / 100 for n, text in enumerate(texts)]
    assert self_bleu(texts) == pytest.approx(np.mean(scores))


def test_one_text_has_no_self_bleu():
    with pytest.raises(ValueError, match="two texts"):
        self_bleu(["a"])


# Programs

SAME_PROGRAMS = [
    "n = int(input())\nfor i in range(n):\n    print(i)",
    "count=int( input() )  # how many\nfor number in range(count): print(number)",
]
OTHER_PROGRAM = "n = int(input())\nfor i in range(n):\n    print(n)"


def test_programs_that_differ_in_names_and_formatting_are_one():
    assert distinct_programs([*SAME_PROGRAMS, OTHER_PROGRAM]) == pytest.approx(2 / 3)
    functions = [
        "def f(a, *b):\n    global c\n    c = a\n    return f",
        "def g(x, *y):\n    global z\n    z = x\n    return g",
    ]
    assert distinct_programs(functions) == 0.5
    aliases = ["import math as m\nprint(m.pi)", "import math as q\nprint(q.pi)", "import cmath as q\nprint(q.pi)"]
    assert distinct_programs(aliases) == pytest.approx(2 / 3)


def test_effective_programs_are_the_exponential_of_the_entropy_of_their_shares():
    assert effective_programs([*SAME_PROGRAMS, OTHER_PROGRAM]) == pytest.approx(EFFECTIVE)
    assert effective_programs(SAME_PROGRAMS) == pytest.approx(1)
    assert effective_programs(["a = 1", "a = 2", "a = 3"]) == pytest.approx(3)
    for measure in (distinct_programs, effective_programs):
        with pytest.raises(ValueError, match="no programs"):
            measure([])


@given(st.lists(st.integers(0, 4), min_size=1, max_size=8))
def test_effective_programs_are_the_vendi_score_where_programs_are_either_the_same_or_not(numbers):
    assert effective_programs([f"print({number})" for number in numbers]) == pytest.approx(
        vendi_score(np.eye(5)[numbers])
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("print(sorted(a))", "print(reversed(a))"),  # names that the program does not give
        ("a.append(1)", "a.extend(1)"),  # attributes
        ("sorted(x, key=len)", "sorted(x, reverse=len)"),  # keywords of calls
        ("a = 1\nb = 2\nprint(a)", "a = 1\nb = 2\nprint(b)"),  # which of two names
        ("a = 1\nb = a", "a = 1\nb = b"),
    ],
)
def test_programs_that_do_different_things_stay_different(one, other):
    assert normalise(one) != normalise(other)


def test_a_program_that_does_not_parse_is_taken_as_it_is():
    assert normalise("  def f(:\n") == "def f(:"
    assert normalise("a\0b") == "a\0b"
    assert normalise("(" * 5000) == "(" * 5000


# Values by problem and their intervals

ONE = [answer(1, 0, "a b", "x = 1"), answer(1, 1, "a c", "y = 1"), answer(2, 0, "a", "x"), answer(3, 0, "a b")]
ONE.append(answer(3, 1, "c d"))  # problem 2 has one answer, problem 3 has no program
VECTORS = {(1, 0): np.array([1.0, 0.0]), (1, 1): np.array([0.0, 1.0]), (3, 0): np.array([1.0, 0.0])}


def test_measures_are_by_problem_where_there_are_two_to_compare():
    measured = diversity.measure(ONE, VECTORS)
    assert measured["distinct-1"] == pytest.approx({1: 3 / 4, 3: 1})
    assert measured["distinct-2"] == pytest.approx({1: 2 / 4, 3: 2 / 4})
    assert measured["self-BLEU"].keys() == {1, 3} and measured["self-BLEU"][3] == 0
    assert (measured["distinct programs"], measured["effective programs"]) == ({1: 0.5}, {1: 1})
    assert (measured["similarity"], measured["Vendi score"]) == ({1: 0}, {1: pytest.approx(2)})
    assert set(measured) == set(diversity.MEASURES) - {diversity.OVER_ALL}
    assert {"similarity", "Vendi score"} == set(measured) - set(diversity.measure(ONE))


def test_a_difference_is_paired_on_the_problems_of_both():
    easy, hard = {1: 0.5, 2: 0.9, 3: 0.1, 4: 0.3}, {1: 0.4, 2: 0.8, 3: 0.0, 5: 0.7}
    assert str(diversity.difference(easy, hard)) == "0.100 [0.100, 0.100]"  # each by 0.1, whatever the problem
    assert diversity.difference(easy, hard).problems == 3
    measured = {
        name: diversity.Measured({"distinct-1": values}, {}, {}) for name, values in (("one", easy), ("other", hard))
    }
    assert diversity.difference_table(measured, [("one", "other")]) == [
        {"measure": "distinct-1", "one - other": "+0.100 [+0.100, +0.100]"}
    ]


def test_a_difference_over_all_has_the_same_draws_on_both_sides():
    problems = {number: random_rows(4, 3, number) + np.array([2, 0, 0]) for number in range(12)}
    alone = diversity.interval_over_all(problems)
    assert alone.low < alone.mean < alone.high
    assert alone.mean == pytest.approx(pairwise_similarities(np.concatenate(list(problems.values()))).mean())
    none = diversity.interval_over_all(problems, problems)
    assert (none.mean, none.low, none.high, none.problems) == (0, 0, 0, 12)
    nearly = {number: rows + np.array([0.01, 0, 0]) for number, rows in problems.items()}
    paired = diversity.interval_over_all(nearly, problems)
    assert 0 < paired.low < paired.mean < paired.high
    assert paired.high - paired.low < 0.05 * (alone.high - alone.low)


# What is compared


def test_runs_are_compared_on_the_first_answers_of_the_problems_of_all():
    one = [answer(1, index, "a") for index in (2, 0, 1)] + [answer(2, 0), answer(2, 1), answer(4, 0), answer(4, 1)]
    other = [answer(1, 3), answer(1, 5), answer(2, 0), answer(3, 0), answer(3, 1), answer(4, 0), answer(4, 1)]
    chosen = diversity.alike({"one": one, "other": other})
    assert [(a.question_id, a.sample_index) for a in chosen["one"]] == [(1, 0), (1, 1), (4, 0), (4, 1)]
    assert [(a.question_id, a.sample_index) for a in chosen["other"]] == [(1, 3), (1, 5), (4, 0), (4, 1)]


def test_a_run_with_more_answers_of_the_same_kind_is_not_taken_for_less_diverse():
    two = [answer(1, 0, "a b", "p"), answer(1, 1, "c d", "q")]
    rows = diversity.compare({"two": two, "four": [*two, answer(1, 2, "a b", "p"), answer(1, 3, "c d", "q")]})
    assert rows[0] == {**rows[1], "run": "two"}
    assert rows[0]["distinct-1"] == "1.000 [1.000, 1.000]"
    assert rows[0]["effective programs"] == "2.000 [2.000, 2.000]"


def test_programs_are_compared_on_equal_numbers_of_programs():
    four = [answer(1, index, "a", f"print({index % 2})") for index in range(4)]
    two = [answer(1, 0, "a"), answer(1, 1, "a", "print(0)"), answer(1, 2, "a", "print(1)"), answer(1, 3, "a")]
    measured = diversity.measure_alike({"four": four, "two": two})
    assert measured["four"].counts == measured["two"].counts == {"texts": 4, "programs": 2, "embeddings": 0}
    assert measured["four"].values["distinct programs"] == {1: 1}


def test_the_measures_of_embeddings_want_those_of_every_run():
    every = diversity.compare({"one": ONE, "other": ONE}, {"one": VECTORS, "other": VECTORS})
    assert list(every[0]) == ["run", *diversity.MEASURES]
    assert every[0]["similarity over all"] == "0.000 [0.000, 0.000]"
    (row, _) = diversity.compare({"one": ONE, "other": ONE}, {"one": VECTORS})
    assert set(diversity.MEASURES) - set(row) == {"similarity", "similarity over all", "Vendi score"}


def test_runs_without_a_problem_in_common_are_refused():
    with pytest.raises(UserError, match="no problem has two answers of every run"):
        diversity.compare({"one": ONE, "other": [answer(9, 0), answer(9, 1)]})


# The script


def write_run(folder, programs, vectors=True, model="m"):
    """Answers to problems 0, 1, ..., each with its programs; embeddings with as many axes as problems and programs."""
    for question, group in enumerate(programs):
        for index, program in enumerate(group):
            write_converted(folder, question, index, program, PROBLEM)
            if vectors:
                record = json.loads(converted_path(folder, question, index).read_text())
                vector = [float(question + 1), float(index)]
                path = embedded_path(folder, question, index)
                write_json(path, {**record, "converted_embedding": vector, "generated_embedding": [1.0, 0.0]})
    step = {"embed.py": {"settings": {"embedding_model": model}}}
    write_json(folder / "run.json", {"script": "single_model_inference.py", "models": [folder.name], "steps": step})
    return folder


def measure(*flags):
    result = run_script("analysis/measure_diversity.py", *flags)
    assert "Traceback" not in result.stderr, result.stderr
    return result


def test_the_script_prints_and_writes_every_measure_and_difference(tmp_path):
    alike = write_run(tmp_path / "alike", [["print(1)", "print(1)"], ["print(2)", "print(2)"]])
    unlike = write_run(tmp_path / "unlike", [["print(1)", "print(2)"], ["print(2)", "print(3)"]])
    flags = ("--input_dirs", alike, unlike, "--labels", "A", "B", "--output", tmp_path / "out" / "d")
    result = measure(*flags, "--formats", "png", "svg")
    assert result.returncode == 0, result.stderr
    assert "difference to A, paired by problem" in result.stdout
    assert "A: of 4 answers 4 are compared" in result.stdout
    content = json.loads((tmp_path / "out" / "d.json").read_text())
    by_label = {run["label"]: run["estimates"] for run in content["runs"]}
    assert list(by_label["A"]) == list(content["measures"]) == list(diversity.MEASURES)
    assert by_label["A"]["distinct programs"] == {"mean": 0.5, "low": 0.5, "high": 0.5, "problems": 2}
    assert {"one": "B", "other": "A", "measure": "distinct programs"}.items() <= content["differences"][6].items()
    assert content["differences"][6]["mean"] == 0.5
    assert by_label["A"]["similarity"]["mean"] == pytest.approx((2**-0.5 + 2 / 5**0.5) / 2)
    assert (tmp_path / "out" / "d.png").stat().st_size > 1000
    assert "effective programs" in (tmp_path / "out" / "d.svg").read_text()


def test_the_script_does_without_embeddings_and_says_how_to_make_them(tmp_path):
    bare = write_run(tmp_path / "bare", [["print(1)", "print(2)"]], vectors=False)
    whole = write_run(tmp_path / "whole", [["print(1)", "print(1)"]])
    result = measure("--input_dirs", bare, whole, "--output", tmp_path / "d", "--formats", "png", "--width", 3.3)
    assert result.returncode == 0, result.stderr
    assert f"bare has no embeddings; make them by: python analysis/embed.py --input_dir {bare}" in result.stdout
    assert "left out, as not every run has two of what they compare: similarity, similarity over all" in result.stdout
    content = json.loads((tmp_path / "d.json").read_text())
    assert next(iter(content["runs"][1]["estimates"])) == "distinct-1"


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--labels", "a"], "1 labels for 2 INPUT_DIRS"),
        (["--labels", "a", "a"], "two runs are called a"),
        (["--what", "raw"], "WHAT is one of generated, converted, code"),
        (["--formats", "gif"], "FORMATS are pdf, png and svg, not gif"),
        (["--width", "1"], "WIDTH is at least"),
        (["--input_dirs", "no/such/folder"], "there is no folder no/such/folder"),
        ([], "embeddings of different models cannot be compared: one by m, other by n"),
    ],
)
def test_the_script_ends_in_one_sentence_on_bad_input(tmp_path, flags, sentence):
    one = write_run(tmp_path / "one", [["a", "b"]])
    other = write_run(tmp_path / "other", [["a", "b"]], model="n")
    result = measure("--input_dirs", one, other, "--output", tmp_path / "d", *flags)
    assert (result.returncode, sentence in result.stderr) == (2, True), result.stderr
    assert not list(tmp_path.glob("d.*"))
