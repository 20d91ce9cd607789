"""Step 4 as a script: which answers become rows, what is counted, what is written, what is refused."""

import json
import random
from pathlib import Path

import pytest
from curating import PLAIN, STDIN, counts_of, many, programs, sampled_in_a_style, sampled_with, sources_of
from hypothesis import given
from hypothesis import settings as example_settings
from hypothesis import strategies as st
from scripts import ROOT, write_converted

import convert_to_data
from hindsight.curation import filters
from hindsight.curation.candidates import SHOWN, find_candidates
from hindsight.curation.row_files import read_rows
from hindsight.curation.selection import ROW, SelectionOptions, select_rows, split_rows
from hindsight.curation.training_rows import RowOptions
from hindsight.files.masks import read_mask
from hindsight.settings import read_settings
from hindsight.text.uniform_format import render

OTHER = "import sys\nsys.stdout.write('x' * 99)"
THOUGHT = "We read one line after the other and add up what stands there, as the examples show that this is all."


def test_only_correct_answers_go_in_and_the_others_are_counted(checked, curate):
    result, output = curate(checked)
    assert result.returncode == 0, result.stderr
    assert programs(output) == {"print(input())", "def double(n): return 2 * n"}
    assert counts_of(output) == {"not judged": [1], "incorrect": [1], ROW: [2]}
    assert "       2  row of the dataset" in result.stdout
    curate(checked, flags=["--correct_only", "false"], name="all")
    assert counts_of(output, "all") == {filters.EXACT: [1], ROW: [3]}


def test_a_dataset_of_an_earlier_version_is_made_again_with_the_same_settings(checked, curate):
    _, output = curate(checked)
    path = output / "hindsight.report.json"
    report = json.loads(path.read_text())
    for setting in ("system_prompt", "think_tags"):
        del report["settings"][setting]
    path.write_text(json.dumps(report))
    assert curate(checked)[0].returncode == 0
    path.write_text(json.dumps(report))
    result, _ = curate(checked, flags=["--system_prompt", "no"])
    assert (result.returncode, "other settings (system_prompt)" in result.stderr) == (2, True)


def test_the_same_dataset_again_is_the_same_bytes_whatever_order_files_lie_in(tmp_path, curate):
    folder = many(tmp_path / "run")
    _, output = curate(folder, flags=["--max_samples", 12, "--validation", 0.3])
    names = ("hindsight.json", "hindsight_validation.json", "hindsight.sources.jsonl", "hindsight.card.md")
    before = [(output / name).read_bytes() for name in names]
    for path in sorted(folder.iterdir(), reverse=True):
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)
    result, _ = curate(folder, flags=["--max_samples", 12, "--validation", 0.3])
    assert result.returncode == 0, result.stderr
    assert [(output / name).read_bytes() for name in names] == before
    curate(folder, flags=["--max_samples", 12, "--validation", 0.3, "--seed", 1, "--overwrite"])
    assert (output / "hindsight.json").read_bytes() != before[0]


def test_a_dataset_of_other_answers_is_not_overwritten_unless_told_to(checked, curate):
    _, output = curate(checked)
    before = (output / "hindsight.json").read_bytes()
    for flags, why in ((["--max_samples", 1], "settings (max_samples)"), (["--base"], "settings (base)")):
        result, _ = curate(checked, flags=flags)
        assert (result.returncode, f"made by other {why}; give another --name" in result.stderr) == (2, True)
    report = json.loads((output / "hindsight.report.json").read_text())
    del report["settings"]["other_prompts"]  # as by a version that did not have this setting
    (output / "hindsight.report.json").write_text(json.dumps(report))
    assert curate(checked)[0].returncode == 0
    write_converted(checked, 9, 0, "print(9)", STDIN, correctness=True)
    result, _ = curate(checked)
    assert (result.returncode, "made of other answers; give another --name" in result.stderr) == (2, True)
    assert (output / "hindsight.json").read_bytes() == before and not list(output.glob(".*"))
    assert curate(checked, flags=["--max_samples", 1, "--overwrite"])[0].returncode == 0
    assert len(list(read_rows(output / "hindsight.json"))) == 1


def test_each_filter_leaves_out_its_answers_and_can_be_turned_off(tmp_path, curate):
    run, text = many(tmp_path / "run", problems=3, samples=1), render(THOUGHT, "```python\nprint(1)\n```")
    problem = {"question": "A problem that nobody has seen before, with no word of any test in it", "starter_code": ""}
    cases = {
        filters.CUT_OFF: dict(finish_reason="length"),
        filters.EMPTY_THOUGHT: dict(converted_text=render("", "```python\nprint(2)\n```")),
        filters.NOT_UNIFORM: dict(converted_text="<think>\n\nhm\n\n</think>\n\n```python\nprint(3)\n```"),
        filters.EXACT: dict(converted_text=text.replace("\n\n", "\n\n\n")),
        filters.NEAR: dict(converted_text=text.replace("print(1)", "print(0)")),
    }
    write_converted(run, 10, 0, "", problem, correctness=True, **{"converted_text": text})
    for number, more in enumerate(cases.values(), start=11):
        write_converted(run, number, 0, f"print({number}, {number}, {number})", problem, correctness=True, **more)
    _, output = curate(run, flags=["--near_duplicates", 0.7])
    assert counts_of(output) == {**{reason: [1] for reason in cases}, ROW: [4]}
    off = ["--near_duplicates", 0, "--drop_cut_off", "no", "--drop_empty_thought", "no", "--exact_duplicates", "no"]
    curate(run, flags=off, name="off")
    assert counts_of(output, "off") == {filters.NOT_UNIFORM: [1], ROW: [8]}


def test_rows_longer_than_the_models_limit_are_left_out_and_not_cut(tmp_path, curate):
    run, problem = many(tmp_path / "run", problems=1, samples=1), {"question": "Long", "starter_code": ""}
    write_converted(run, 8, 0, "print(8)", problem, correctness=True)
    write_converted(run, 9, 0, "\n".join(f"print({n})" for n in range(400)), problem, correctness=True)
    _, output = curate(run, flags=["--cutoff_len", 1024])
    assert counts_of(output) == {filters.TOO_LONG: [1], ROW: [2]}
    (first, second) = sources_of(output)
    longest = max(first["tokens"], second["tokens"])
    curate(run, flags=["--cutoff_len", longest], name="just")
    curate(run, flags=["--cutoff_len", longest - 1], name="less")
    assert counts_of(output, "just")[ROW] == [2] and counts_of(output, "less")[ROW] == [1]
    result, _ = curate(run, flags=["--cutoff_len", 10, "--tokenizer", "no/such/model"], name="none")
    assert (result.returncode, "TOKENIZER 'no/such/model'" in result.stderr) == (2, True)


def test_problems_like_a_test_are_left_out_and_named_with_it(tmp_path, curate):
    run = many(tmp_path / "run", problems=2, samples=2)
    tests = [json.loads(line) for line in (ROOT / "lab" / "problems.jsonl").read_text().splitlines()]
    test = next(row for row in tests if row["split"] == "test")
    for sample in range(2):
        write_converted(run, 9, sample, f"print({sample})", test, correctness=True)
    _, output = curate(run, flags=["--test_problems", "lab"])
    assert counts_of(output) == {filters.CONTAMINATED: [2], ROW: [4]}
    report = json.loads((output / "hindsight.report.json").read_text())
    assert report["compared_with"] == sum(row["split"] == "test" for row in tests)
    assert report["contaminated"] == {f"{run} question 9": [1.0, "lab test row 0"]}
    assert "lab test row 0" in (output / "hindsight.card.md").read_text()
    curate(run, flags=["--test_problems", "lab", "--contamination", 0], name="off")
    assert counts_of(output, "off") == {ROW: [6]}


def test_shortest_takes_the_shortest_and_diverse_the_farthest(tmp_path, curate):
    folder, problem = tmp_path / "run", {"question": "Which?", "starter_code": ""}
    same = "".join(f"a{n} = {n}\n" for n in range(20))
    for sample, program in enumerate((f"{same}print(0)", f"{same}print(1, 1)", OTHER)):
        write_converted(folder, 1, sample, program, problem, correctness=True)
    for select, samples in (("shortest", {0, 2}), ("diverse", {0, 1, 2})):
        flags = ["--select", select, "--max_per_problem", 2, "--near_duplicates", 0]
        result, output = curate(folder, flags=flags, name=select)
        assert result.returncode == 0, result.stderr
        chosen = {source["sample_index"] for source in sources_of(output, select)}
        assert len(chosen) == 2 and 2 in chosen and chosen <= samples
    assert "1 by code tokens" in result.stdout


def test_diverse_goes_by_embeddings_where_every_answer_has_one(tmp_path, curate):
    """By code 0 and 1 are alike; by their embeddings 1 and 2 are, so one of each pair and 0 are taken."""
    folder, problem = tmp_path / "run", {"question": "Which?", "starter_code": ""}
    for sample, program in enumerate(("print(1)", "print(1 )", OTHER)):
        path = write_converted(folder, 1, sample, program, problem, correctness=True)
        vector = [1.0, 0.0] if sample == 0 else [0.0, 1.0 + sample]
        path.with_name(f"{path.stem}_with_embeddings.json").write_text(json.dumps({"converted_embedding": vector}))
    flags = ["--select", "diverse", "--max_per_problem", 2, "--near_duplicates", 0, "--exact_duplicates", "no"]
    result, output = curate(folder, flags=flags)
    assert "1 by embedding" in result.stdout
    assert 0 in {source["sample_index"] for source in sources_of(output)}
    for record in (
        {"converted_embedding": [float("nan"), 1]},
        {"converted_embedding": [1, 2], "converted_text": "old"},
    ):
        path.with_name(f"{path.stem}_with_embeddings.json").write_text(json.dumps(record))
        assert "1 by code tokens" in curate(folder, flags=[*flags, "--overwrite"])[0].stdout


def test_shares_divide_the_rows_between_folders(tmp_path, curate):
    one, other = many(tmp_path / "one", samples=4), many(tmp_path / "other", samples=4)
    result, output = curate(one, other, flags=["--shares", 3, 1, "--max_samples", 20])
    assert result.returncode == 0, result.stderr
    assert counts_of(output)[ROW] == [15, 5]
    for flags, words in ((["--shares", 1], "as many numbers"), (["--shares", "a", 1], "SHARES are numbers, not a 1")):
        result, _ = curate(one, other, flags=flags, name="bad")
        assert (result.returncode, words in result.stderr) == (2, True)


def test_one_problem_in_two_runs_is_one(tmp_path, curate):
    """Its text says which it is: ids are unique in one set only."""
    one = many(tmp_path / "one", problems=4, samples=2)
    other = many(tmp_path / "other", problems=4, samples=2)
    result, output = curate(one, other, flags=["--max_per_problem", 1])
    assert counts_of(output)[ROW] != [4, 4] and sum(counts_of(output)[ROW]) == 4
    assert "4 rows from 4 problems" in result.stdout


def test_what_a_dataset_was_made_of_is_recorded(tmp_path, curate):
    folder = many(tmp_path / "run", problems=4, samples=2)
    run = {"script": "single_model_inference.py", "models": ["m"], "settings": {"merged_from": ["b", "f", "0.7"]},
           "steps": {"check_converted_samples.py": {"settings": {"reference_rules": True}}},
           "problems": {"dataset": "lab", "split": "train", "digest": "sha256:12", "count": 4}}  # fmt: skip
    (folder / "run.json").write_text(json.dumps(run))
    _, output = curate(folder, flags=["--validation", 0.3])
    card, rows = (output / "hindsight.card.md").read_text(), sources_of(output)
    for words in ("m (b and f merged at alpha 0.7)", "lab train `sha256:12`", "a program that times out as correct"):
        assert words in card
    assert len(rows) == 8 and all(json.loads(Path(row["file"]).read_text())["converted_text"] for row in rows)
    splits = [row["split"] for row in rows]
    assert splits == sorted(splits) and set(splits) == {"train", "validation"}
    both = {split: {row["problem"] for row in rows if row["split"] == split} for split in set(splits)}
    assert not both["train"] & both["validation"]


def test_answers_sampled_with_other_prompts_than_their_rows_are_refused_unless_wanted(tmp_path, curate):
    own = tmp_path / "own.jinja"
    own.write_text("{% block user %}Do: {{ question }}{% endblock %}")
    usual, other = sampled_with(tmp_path / "usual", ""), sampled_with(tmp_path / "other", own)
    for flags in ([], ["--base"]):
        result, output = curate(usual, other, flags=flags)
        assert result.returncode == 2
        assert f"{other} was sampled with the prompts of {own}, not the default prompts" in result.stderr
        assert "--other_prompts" in result.stderr and not output.exists()
    result, output = curate(other, flags=["--prompt_file", own])
    assert result.returncode == 0, result.stderr
    assert {row.prompt for row in read_rows(output / "hindsight.json")} == {"Do: Print 0.", "Do: Print 1."}
    assert "other_prompts" not in json.loads((output / "hindsight.report.json").read_text())["folders"][0]
    result, output = curate(usual, other, flags=["--other_prompts"], name="wanted")
    assert result.returncode == 0, result.stderr
    assert not any(row.prompt.startswith("Do:") for row in read_rows(output / "wanted.json"))
    sentence = f"2 rows of {other} do not have the prompts that their answers were sampled with"
    assert sentence in result.stdout and sentence in (output / "wanted.card.md").read_text()


ADDITIONS = [
    "def add(a, b):\n    return a + b",
    "def add(a, b):\n    return  a + b",
    "def add(a, b):\n    return a + b\nif __name__",
    "from operator import add",
]


@pytest.mark.parametrize("role", ["instruct", "base"])
def test_rows_of_a_run_in_a_prompt_style_have_its_prompts_and_its_code(tmp_path, curate, role):
    """Answers have no thought, and programs are compared without what all answers have in common."""
    run = sampled_in_a_style(tmp_path / "run", ADDITIONS[:2] + ADDITIONS[3:], role=role)
    flags = ["--near_duplicates", 0.5, "--base", str(role == "base")]
    result, output = curate(run, flags=[*flags, "--prompt_style", "evalplus"])
    assert result.returncode == 0, result.stderr
    assert counts_of(output) == {filters.EXACT: [1], ROW: [2]}
    sent = json.loads(next(run.glob("converted*")).read_text())
    begun, prompt = (sent["continues"], sent["prompt"][0]["content"]) if role == "instruct" else ("", sent["prompt"])
    end = "\n```" if role == "instruct" else ""
    rows = {(row.system, row.prompt, row.answer) for row in read_rows(output / "hindsight.json")}
    assert rows == {("", prompt, f"{begun}{program}{end}") for program in (ADDITIONS[0], ADDITIONS[3])}
    assert "each a program after a prompt of PROMPT_STYLE evalplus" in (output / "hindsight.card.md").read_text()
    for style, advice in ("", "give --prompt_style evalplus"), ("evalplus_openai", "give --prompt_style evalplus"):
        result, _ = curate(run, flags=["--prompt_style", style], name="other")
        assert (result.returncode, advice in result.stderr) == (2, True), result.stderr


def test_a_style_leaves_out_thoughts_cut_answers_and_programs_that_do_not_fit(tmp_path, curate):
    run = sampled_in_a_style(tmp_path / "run", ADDITIONS[::2], finish_reason="length")
    problem = json.loads(next(run.glob("converted*")).read_text())["metadata"]
    more = {"correctness": True, "prompt_style": "evalplus"}
    write_converted(run, 2, 5, ADDITIONS[0], problem, **more)
    longer = render("", f'````python\n{ADDITIONS[0]}\n\nTEXT = """\n```\n"""\n````')
    write_converted(run, 2, 6, "", problem, converted_text=longer, **more)
    _, output = curate(run, flags=["--prompt_style", "evalplus"])
    assert counts_of(output) == {filters.HAS_THOUGHT: [1], filters.NO_PLACE: [1], filters.CUT_OFF: [1], ROW: [1]}


def test_statements_are_compared_without_their_tests(tmp_path, curate):
    """The test problem begins with all 7 words; with the assert it would share one of its five 7-grams."""
    run, tests = sampled_in_a_style(tmp_path / "run", ADDITIONS[:1]), tmp_path / "tests.jsonl"
    tests.write_text(json.dumps({"question": "Write a function to add two numbers. They are positive."}))
    flags = ["--prompt_style", "evalplus", "--test_problems", tests, "--test_split", "", "--ngram", 7]
    result, _ = curate(run, flags=flags)
    assert f"(1 {filters.CONTAMINATED}, 0 {ROW})" in result.stderr, result.stderr


def test_the_papers_answers_are_kept_and_their_other_prompts_reported(tmp_path, curate):
    """A folder without run.json."""
    prompt = [{"role": "user", "content": "Your role as an assistant ..."}]
    result, output = curate(many(tmp_path / "run", problems=2, samples=1, prompt=prompt))
    assert result.returncode == 0, result.stderr
    assert "2 rows of" in result.stdout and counts_of(output) == {ROW: [2]}
    assert json.loads((output / "hindsight.report.json").read_text())["folders"][0]["other_prompts"] == 2


def test_answers_without_a_verdict_are_named(checked, curate):
    write_converted(checked, 9, 0, "print()", STDIN)
    write_converted(checked, 9, 1, "print()", {"question": None}, correctness=True)
    write_converted(checked, 9, 2, "print('\ud800')", STDIN, correctness=True)
    write_converted(checked, 9, 3, "print(3)", STDIN, correctness="no")
    result, output = curate(checked)
    assert result.returncode == 1
    for words in ("9_sample_0.json lacks correctness", "9_sample_1.json has no text", "half of a surrogate"):
        assert words in result.stdout
    assert "9_sample_3.json has 'no' as its correctness, expected true, false or null" in result.stdout
    assert counts_of(output)[filters.BROKEN] == [4]


def test_a_run_that_was_not_judged_says_so_and_not_a_thousand_times(tmp_path, curate):
    for sample in range(50):
        write_converted(tmp_path / "run", 1, sample, f"print({sample})", STDIN)
    result, _ = curate(tmp_path / "run")
    assert (result.returncode, result.stdout.count("lacks correctness")) == (2, SHOWN)
    assert "and 30 more broken files" in result.stdout and "(50 file is broken" in result.stderr


def test_bad_input_is_one_sentence(checked, tmp_path, curate):
    for flags, words in (
        (["--max_samples", 0], "at least 1"),
        (["--format", "csv"], "FORMAT is one of sharegpt, jsonl, parquet, not 'csv'"),
        (["--name", "x/y"], "NAME is a name without < > : / "),
        (["--name", ""], "NAME is a name without < > : / "),
        (["--select", "best"], "SELECT is one of random, shortest, diverse, not 'best'"),
        (["--near_duplicates", 2], "NEAR_DUPLICATES is a share from 0 to 1, not 2.0"),
        (["--shares", "inf"], "SHARES are as many numbers"),
        (["--output_dir", ""], "OUTPUT_DIR is empty"),
        (["--output_dir", "l\udce4uf"], r"the name of 'l\udce4uf' is not UTF-8: rename it"),
        (["--ngram", 65], "NGRAM is from 1 to 64 words, not 65"),
        (["--validation", 1], "VALIDATION is a share from 0 to below 1"),
        (["--benchmarks", "nothing.jsonl"], "there is no problem file nothing.jsonl"),
        (["--chat_template", "nothing.jinja", "--cutoff_len", 9], "CHAT_TEMPLATE cannot be read"),
    ):
        result, _ = curate(checked, flags=flags)
        assert (result.returncode, words in result.stderr) == (2, True), result.stderr
    (tmp_path / "link").symlink_to(checked)
    for again in (checked, checked / ".." / checked.name, tmp_path / "link"):
        result, _ = curate(checked, again)
        assert (result.returncode, "INPUT_DIRS names a folder twice" in result.stderr) == (2, True)
    write_converted(tmp_path / "wrong", 1, 0, "print()", STDIN, correctness=False)
    result, output = curate(tmp_path / "wrong")
    assert (result.returncode, "no answer is left in" in result.stderr) == (2, True)
    assert "(1 incorrect, 0 row of the dataset)" in result.stderr and not output.exists()


KINDS = ("right", "wrong", "unknown", "again", "cut", "thoughtless", "broken")
ANSWERS = st.lists(st.tuples(st.integers(0, 5), st.sampled_from(KINDS)), min_size=1, max_size=25)


@example_settings(max_examples=25, deadline=None)
@given(ANSWERS, st.integers(1, 12), st.integers(1, 3), st.sampled_from([0, 0.3, 0.6]), st.integers(0, 3))
def test_nothing_is_lost_without_a_count(tmp_path_factory, kinds, most, most_per_problem, validation, seed):
    folder = tmp_path_factory.mktemp("run")
    wanted, samples = dict.fromkeys(KINDS, 0), {}
    for number, (problem, kind) in enumerate(kinds):
        sample = samples[problem] = samples.get(problem, -1) + 1
        verdict = {"wrong": False, "unknown": None}.get(kind, True)
        text = " ".join(str(random.Random(number).random()) for _ in range(20))
        more = {"finish_reason": "length"} if kind == "cut" else {}
        if kind in ("thoughtless", "again"):
            thought, text = ("hm", "the same") if kind == "again" else ("", text)
            more["converted_text"] = render(thought, f"```python\nprint('{text}')\n```")
        path = write_converted(folder, problem, sample, f"print('{text}')", {"question": f"P{problem}"},
                               correctness=verdict, **more)  # fmt: skip
        if kind == "broken":
            path.write_text("{")
        wanted[kind] += 1
    settings = read_settings(vars(convert_to_data), [str(word) for word in (
        "--input_dirs", folder, *PLAIN, "--near_duplicates", 0, "--max_samples", most, "--max_per_problem",
        most_per_problem, "--validation", validation, "--seed", seed)])  # fmt: skip
    options = settings.pick(filters.FilterOptions)
    found = find_candidates([folder], read_mask(""), options, settings.pick(RowOptions), workers=1)
    assert len(found.table) == wanted["right"] + min(1, wanted["again"])
    counts = found.counts
    for reason, number in (
        (filters.INCORRECT, wanted["wrong"]),
        (filters.NOT_JUDGED, wanted["unknown"]),
        (filters.CUT_OFF, wanted["cut"]),
        (filters.EMPTY_THOUGHT, wanted["thoughtless"]),
        (filters.BROKEN, wanted["broken"]),
        (filters.EXACT, max(0, wanted["again"] - 1)),
    ):
        assert counts[0, reason] == number
    selection = settings.pick(SelectionOptions)
    selected = select_rows(found, selection)
    splits = split_rows(found, selected.rows, selection)
    assert (counts + selected.counts).total() == len(kinds)
    assert selected.counts[0, ROW] == sum(map(len, splits.values())) <= most
    problems = [{int(found.table["problem"][number]) for number in rows} for rows in splits.values()]
    assert len(set().union(*problems)) == sum(map(len, problems))
