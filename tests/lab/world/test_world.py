"""The lab's problems are correct and new to its models, and its checkpoints are as the scripts and vLLM expect."""

import ast
import io
import json
from contextlib import redirect_stdout
from itertools import islice, pairwise
from pathlib import Path
from unittest import mock

import pytest
import torch
import transformers

from hindsight.conversion.reader import read
from hindsight.settings import read_settings
from hindsight.text.prompts import SYSTEM_PROMPT, Prompts
from hindsight.text.uniform_format import render
from lab.training import train_models
from lab.training.corpus import CAREFUL_SHARE, HABITS, PRINT_ALL, base_documents, instruct_documents
from lab.training.tokenizer import END_OF_TEXT, END_OF_TURN, TAGS, encode
from lab.world import make_problems
from lab.world.pipelines import FINETUNED_PIECES, GROUPS
from SkyThought.taco import TACOTaskHandler

pytestmark = pytest.mark.slow  # together they take over ten seconds

ROOT = Path(__file__).parents[3]
MODELS = ROOT / "lab" / "models"
BASE_DOCUMENTS_READ, INSTRUCT_DOCUMENTS_READ = 40_000, 3_000  # at least as many as training reads


@pytest.fixture(scope="module")
def rows():
    return [json.loads(line) for line in (ROOT / "lab" / "problems.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def corpora():
    base = list(islice(base_documents(train_models.SEED), BASE_DOCUMENTS_READ))
    return base + list(islice(instruct_documents(train_models.SEED), INSTRUCT_DOCUMENTS_READ))


@pytest.fixture(scope="module", params=["base", "instruct"])
def checkpoint(request):
    return MODELS / request.param


def answer_with(program):
    return render("Think.", f"```python\n{program}\n```")


def is_call(row):
    return "fn_name" in json.loads(row["input_output"])


def shape_of(program):
    """The program's syntax tree with every name numbered in order of appearance."""
    tree, numbers = ast.parse(program), {}
    for node in ast.walk(tree):
        for field in ("id", "arg", "name"):
            if isinstance(getattr(node, field, None), str):
                setattr(node, field, f"name{numbers.setdefault(getattr(node, field), len(numbers))}")
    return ast.dump(tree)


def pipelines(documents):
    """The pipelines of the documents' statements and programs."""
    for document in documents:
        yield document.asked
        if document.written:
            yield document.written


def pairings_of(names):
    """The pairings of a family's pieces: the source with the reduction, each step with the next."""
    source, *steps, reduction = names
    return {(source, reduction), *(("then", *pair) for pair in pairwise(steps))}


def constant_program(row):
    """A program that ignores its input and gives the most frequent output of the problem's tests."""
    tests = json.loads(row["input_output"])
    constant = max(tests["outputs"], key=tests["outputs"].count)
    if is_call(row):
        return f"def {tests['fn_name']}(*arguments):\n    return {constant!r}"
    return f"print({constant.strip()!r})"


def outputs_of(program, row):
    """The outputs of a reference program for the inputs of the problem's tests, run in this process."""
    found, tests = [], json.loads(row["input_output"])
    for given in tests["inputs"]:
        names, printed = {}, io.StringIO()
        with mock.patch("sys.stdin", io.StringIO("" if is_call(row) else given)), redirect_stdout(printed):
            exec(program, names)
        found.append(names[tests["fn_name"]](*given) if is_call(row) else printed.getvalue())
    return found


def test_every_reference_solution_gives_the_outputs_of_its_tests(rows):
    for row in rows:
        expected = json.loads(row["input_output"])["outputs"]
        for program in json.loads(row["solutions"]):
            found = outputs_of(program, row)
            assert found == expected if is_call(row) else list(map(str.split, found)) == list(map(str.split, expected))


def test_reference_solutions_pass_the_judge(rows):
    with TACOTaskHandler() as judge:
        for row in rows[::23]:
            for program in json.loads(row["solutions"]):
                verdict = judge.update_results(row, answer_with(program))
                assert verdict["correctness"], (row["name"], verdict["tests"][-1:])


def test_a_constant_output_solves_no_problem(rows):
    with TACOTaskHandler() as judge:
        for row in rows[::7]:
            assert judge.update_results(row, answer_with(constant_program(row)))["correctness"] is False, row["name"]


def test_every_kind_has_enough_problems(rows):
    test = [row for row in rows if row["split"] == "test"]
    assert len(test) >= 300 and len(rows) - len(test) >= 60
    for split, groups in (("train", GROUPS[:2]), ("test", GROUPS)):
        kinds = {(row["difficulty"], row["group"]) for row in rows if row["split"] == split}
        assert kinds == {(d, g) for d in ("EASY", "MEDIUM", "HARD") for g in groups}
    assert sum(map(is_call, rows)) >= 60 and sum(map(is_call, test)) >= 50
    assert len({row["task_id"] for row in rows}) == len(rows)


def test_the_first_problems_are_spread_evenly_over_the_groups(rows):
    for split, groups in (("train", GROUPS[:2]), ("test", GROUPS)):
        found = [row["group"] for row in rows if row["split"] == split]
        for count in range(1, len(found) + 1):
            of_each = [found[:count].count(group) for group in groups]
            assert max(of_each) - min(of_each) <= 1 and sum(of_each) == count


def test_development_problems_go_into_another_file_with_new_families(tmp_path, rows):
    output = tmp_path / "new" / "dev.jsonl"
    flags = ["--test_problems", "0", "--train_problems", "0", "--dev_problems", "9", "--output_file", str(output)]
    make_problems.main(read_settings(vars(make_problems), flags))
    dev = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert {row["split"] for row in dev} == {"dev"} and len(dev) == 9
    assert {row["name"].rsplit("|", 1)[0] for row in dev}.isdisjoint(row["name"].rsplit("|", 1)[0] for row in rows)
    assert [row["group"] for row in dev] == [*GROUPS] * 3


def test_every_row_has_tests_and_two_different_solutions(rows):
    for row in rows:
        tests = json.loads(row["input_output"])
        assert 8 <= len(tests["inputs"]) == len(tests["outputs"]) <= 12
        assert bool(row["starter_code"]) == is_call(row)
        texts = [] if is_call(row) else tests["inputs"] + tests["outputs"]
        assert all(text.endswith("\n") and text.strip() for text in texts)
        assert isinstance(ast.literal_eval(row["tags"]), list)
        first, second = json.loads(row["solutions"])
        assert shape_of(first) != shape_of(second), row["name"]


def test_shapes_of_renamed_programs_are_the_same():
    assert shape_of("b = [x for x in a]\nprint(b)") == shape_of("out = [v for v in nums]\nprint(out)")
    assert shape_of("print(sum(b))") != shape_of("t = 0\nfor x in b:\n    t += x\nprint(t)")


def test_no_corpus_contains_a_test_problem(rows, corpora):
    test = [row for row in rows if row["split"] == "test"]
    specifications = {row["name"] for row in test}
    families = {name.rsplit("|", 1)[0] for name in specifications}
    train = [row for row in rows if row["split"] == "train"]
    assert not specifications & {row["name"] for row in train}
    assert not {row["question"] for row in test} & {row["question"] for row in train}
    trained_on = {pipeline.family for pipeline in pipelines(corpora)}
    assert trained_on.isdisjoint(families)
    statements = {document.statement for document in corpora}
    assert not [row["name"] for row in test if row["question"].split("\n\n")[0] in statements]


def test_only_the_unseen_group_has_pairings_that_no_corpus_contains(rows, corpora):
    """Reads the pieces' names in the rows instead of `Pipeline.group`."""
    seen, pieces = set(), set()
    for pipeline in pipelines(corpora):
        seen |= pairings_of(pipeline.family.split("|"))
        pieces |= set(pipeline.family.split("|"))
    for row in rows:
        names = row["name"].rsplit("|", 1)[0].split("|")
        assert set(names) <= pieces
        assert (pairings_of(names) <= seen) == (row["group"] != "unseen"), row["name"]
        assert row["group"] != "finetuned" or set(names) <= FINETUNED_PIECES


def test_training_reads_no_more_documents_than_these_tests_search(corpora):
    """Estimates by the documents' lengths in tokens; padding of batches makes training read fewer."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(MODELS / "base")
    base, instruct = corpora[:1000], corpora[-1000:]
    for documents, steps, searched in (
        (base, train_models.BASE_STEPS, BASE_DOCUMENTS_READ),
        (instruct, train_models.INSTRUCT_STEPS, INSTRUCT_DOCUMENTS_READ),
    ):
        mean = sum(len(encode(tokenizer, document)[0]) for document in documents) / len(documents)
        assert steps * train_models.BATCH_TOKENS / mean + 1024 < searched


def test_authors_of_the_base_corpus_are_careful_and_have_habits_in_the_documented_shares(corpora):
    base = corpora[:BASE_DOCUMENTS_READ]
    share = {
        "right": sum(document.written == document.asked for document in base) / len(base),
        "no_program": sum(document.written is None for document in base) / len(base),
        "no_reduction": sum(
            document.written is not None and document.written.reduction == PRINT_ALL for document in base
        )
        / len(base),
    }
    habits = {name: weight / sum(HABITS.values()) * (1 - CAREFUL_SHARE) for name, weight in HABITS.items()}
    assert CAREFUL_SHARE - 0.02 < share["right"] <= CAREFUL_SHARE
    assert share["no_program"] == pytest.approx(habits["no_program"], abs=0.01)
    # Some pipelines make no sense without their last step; their authors forget the reduction instead.
    assert habits["no_reduction"] < share["no_reduction"] < habits["no_reduction"] + habits["no_last_step"] / 2
    assert all(("```python" in document.answer or "=" in document.answer) for document in base if document.written)


def test_habits_are_the_same_in_every_group(corpora):
    base = corpora[:BASE_DOCUMENTS_READ]
    for group in ("finetuned", "base_only"):
        documents = [document for document in base if document.asked.group == group]
        right = sum(document.written == document.asked for document in documents) / len(documents)
        assert right == pytest.approx(CAREFUL_SHARE - 0.01, abs=0.01)


@pytest.mark.slow
def test_the_committed_problems_are_made_again(tmp_path, rows):
    """The first of each split: a split's problems do not depend on how many the others have."""
    flags = ["--test_problems", "60", "--train_problems", "60", "--output_file", str(tmp_path / "again.jsonl")]
    make_problems.main(read_settings(vars(make_problems), flags))
    again = [json.loads(line) for line in (tmp_path / "again.jsonl").read_text(encoding="utf-8").splitlines()]
    for split in ("test", "train"):
        made, committed = ([row for row in each if row["split"] == split] for each in (again, rows))
        assert [row | {"task_id": 0} for row in made] == [row | {"task_id": 0} for row in committed[:60]]


def test_instruct_answers_are_short_and_in_the_uniform_format(corpora):
    tokenizer = transformers.AutoTokenizer.from_pretrained(MODELS / "base")
    lengths = [len(tokenizer.encode(document.answer)) for document in corpora[-200:]]
    assert sum(lengths) / len(lengths) < 60
    for document in corpora[-200:]:
        sections = read(document.answer)
        assert (sections.rule, sections.solution.count("```python")) == ("sections", 1)


def test_a_checkpoint_loads_in_bfloat16_and_is_small(checkpoint):
    model = transformers.LlamaForCausalLM.from_pretrained(checkpoint, dtype="auto")
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    assert 1.5e6 < sum(p.numel() for p in model.parameters()) < 5e6
    assert sum(path.stat().st_size for path in checkpoint.iterdir()) <= 12e6
    assert model.config.head_dim % 32 == 0


def test_a_checkpoint_stops_at_its_end_tokens(checkpoint):
    tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint)
    ends = [END_OF_TURN, END_OF_TEXT] if checkpoint.name == "instruct" else [END_OF_TEXT]
    generation = json.loads((checkpoint / "generation_config.json").read_text())
    assert generation["eos_token_id"] == tokenizer.convert_tokens_to_ids(ends)


def test_both_checkpoints_have_the_same_tokenizer():
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert (MODELS / "base" / name).read_bytes() == (MODELS / "instruct" / name).read_bytes()


def test_the_tokenizer_loses_nothing_of_a_text(checkpoint):
    tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint)
    texts = ["def f(x):\n    return x  # Grüße, 数, 🙂\n\n\n", "  two  blanks , and .", render("a\tb", "c\r\nd")]
    for text in [*texts, "", " \n \n", "a. b,\n\n  c: d:\n", "x = 1; y.z, [::-1]\r\n", SYSTEM_PROMPT]:
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_the_prompts_of_the_product_are_short_for_the_models(checkpoint, rows):
    tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint)
    for row in rows:
        problem = {**row, "fn_name": json.loads(row["input_output"]).get("fn_name")}
        chat = tokenizer.apply_chat_template(Prompts().chat(problem), tokenize=False, add_generation_prompt=True)
        assert chat.endswith(f"{END_OF_TURN}\n<|im_start|>assistant\n")
        assert max(len(tokenizer.encode(text)) for text in (chat, Prompts().transcript(problem))) < 250
    assert len(tokenizer.encode(SYSTEM_PROMPT)) < 50
    assert all(len(tokenizer.encode(tag)) == 1 for tag in TAGS)
