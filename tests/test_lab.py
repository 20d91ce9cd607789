"""The lab: its problems are right and new to its models, and its models are what the scripts and the server expect."""

import ast
import hashlib
import json
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, LlamaForCausalLM

from hindsight.dialects import read
from hindsight.formats import render
from hindsight.prompts import base_prompt, chat_messages
from hindsight.settings import Settings, read_settings
from lab import make_problems, train_models
from lab.corpus import base_documents, instruct_documents
from lab.tokens import END_OF_TEXT, END_OF_TURN, TAGS
from SkyThought.taco import TACOTaskHandler

ROOT = Path(__file__).parent.parent
MODELS = ROOT / "lab" / "models"
BASE_DOCUMENTS_READ, INSTRUCT_DOCUMENTS_READ = 25_000, 4_000  # at least what training reads


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


def constant_program(row):
    """A program that prints or returns the most frequent output of the problem's tests, whatever the input is."""
    tests = json.loads(row["input_output"])
    constant = max(tests["outputs"], key=tests["outputs"].count)
    if is_call(row):
        return f"def {tests['fn_name']}(*arguments):\n    return {constant!r}"
    return f"print({constant.strip()!r})"


def test_every_reference_solution_passes_its_tests(rows):
    with TACOTaskHandler() as judge:
        for row in rows:
            for program in json.loads(row["solutions"]):
                verdict = judge.update_results(row, answer_with(program))
                assert verdict["correctness"], (row["name"], verdict["tests"][-1:])


def test_a_constant_output_passes_no_problem(rows):
    with TACOTaskHandler() as judge:
        for row in rows:
            assert judge.update_results(row, answer_with(constant_program(row)))["correctness"] is False, row["name"]


def test_there_are_enough_problems_of_every_kind(rows):
    test = [row for row in rows if row["split"] == "test"]
    assert len(test) >= 60 and len(rows) - len(test) >= 60
    for split in ("train", "test"):
        kinds = {(row["difficulty"], row["group"]) for row in rows if row["split"] == split}
        assert kinds == {(d, g) for d in ("EASY", "MEDIUM", "HARD") for g in ("finetuned", "base_only")}
    assert sum(map(is_call, rows)) >= 12 and sum(map(is_call, test)) >= 8
    assert len({row["task_id"] for row in rows}) == len(rows)


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


def test_no_corpus_holds_a_test_problem(rows, corpora):
    test = [row for row in rows if row["split"] == "test"]
    specifications = {row["name"] for row in test}
    families = {name.rsplit("|", 1)[0] for name in specifications}
    train = [row for row in rows if row["split"] == "train"]
    assert not specifications & {row["name"] for row in train}
    assert not {row["question"] for row in test} & {row["question"] for row in train}
    trained_on = {pipeline.family for document in corpora for pipeline in (document.asked, document.written)}
    assert trained_on.isdisjoint(families)
    statements = {document.statement for document in corpora}
    assert not [row["name"] for row in test if row["question"].split("\n\n")[0] in statements]


def test_training_reads_no_more_documents_than_were_searched():
    settings = train_models
    assert settings.BASE_STEPS * settings.BATCH_TOKENS / 120 < BASE_DOCUMENTS_READ
    assert settings.INSTRUCT_STEPS * settings.BATCH_TOKENS / 250 < INSTRUCT_DOCUMENTS_READ


def test_the_problems_are_made_the_same_again(tmp_path):
    names = ("TEST_PROBLEMS", "TRAIN_PROBLEMS", "TESTS_PER_PROBLEM", "SEED")
    values = {name.lower(): getattr(make_problems, name) for name in names}
    make_problems.main(Settings({**values, "output_file": str(tmp_path / "again.jsonl")}))
    assert (tmp_path / "again.jsonl").read_bytes() == (ROOT / "lab" / "problems.jsonl").read_bytes()


def test_instruct_answers_are_in_the_uniform_format(corpora):
    for document in corpora[-200:]:
        sections = read(document.answer)
        assert (sections.rule, sections.solution.count("```python")) == ("sections", 1)


def test_a_checkpoint_loads_in_bfloat16_and_is_small(checkpoint):
    model = LlamaForCausalLM.from_pretrained(checkpoint, dtype="auto")
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    assert 1.5e6 < sum(p.numel() for p in model.parameters()) < 5e6
    assert sum(path.stat().st_size for path in checkpoint.iterdir()) <= 12e6
    assert model.config.head_dim % 32 == 0


def test_a_checkpoint_stops_at_its_end_tokens(checkpoint):
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    ends = [END_OF_TURN, END_OF_TEXT] if checkpoint.name == "instruct" else [END_OF_TEXT]
    generation = json.loads((checkpoint / "generation_config.json").read_text())
    assert generation["eos_token_id"] == tokenizer.convert_tokens_to_ids(ends)


def test_both_checkpoints_have_the_same_tokenizer():
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert (MODELS / "base" / name).read_bytes() == (MODELS / "instruct" / name).read_bytes()


def test_text_goes_through_the_tokenizer_and_back(checkpoint):
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    for text in ("def f(x):\n    return x  # Grüße, 数, 🙂\n\n\n", "  two  blanks , and .", render("a\tb", "c\r\nd")):
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_the_prompts_of_the_product_are_short_for_the_models(checkpoint, rows):
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    for row in rows:
        problem = {**row, "fn_name": json.loads(row["input_output"]).get("fn_name")}
        chat = tokenizer.apply_chat_template(chat_messages(problem), tokenize=False, add_generation_prompt=True)
        assert chat.endswith(f"{END_OF_TURN}\n<|im_start|>assistant\n")
        assert max(len(tokenizer.encode(text)) for text in (chat, base_prompt(problem))) < 500
    assert all(len(tokenizer.encode(tag)) == 1 for tag in TAGS)


SMALL = [
    *("--base_steps", "3", "--instruct_steps", "2", "--batch_tokens", "1024", "--tokenizer_documents", "200"),
    *("--vocabulary", "512", "--hidden_size", "64", "--layers", "2"),
]


@pytest.fixture
def same_threads():
    """Training sets how many threads torch has in its process; afterwards there are as many as before."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def digest(checkpoint):
    return hashlib.sha256((checkpoint / "model.safetensors").read_bytes()).hexdigest()


def test_a_small_training_run_is_the_same_again_and_goes_on_where_it_was_stopped(tmp_path, capsys, same_threads):
    """Again in this process, which has loaded what training takes and hashes strings by another seed."""
    one, two = tmp_path / "one", tmp_path / "two"
    subprocess.run([sys.executable, "-m", "lab.train_models", "--output_dir", one, *SMALL], cwd=ROOT, check=True)
    settings = read_settings(vars(train_models), ["--output_dir", str(two), *SMALL])
    train_models.main(settings)
    digests = [digest(one / name) for name in ("base", "instruct")]
    assert digests == [digest(two / name) for name in ("base", "instruct")]
    assert digests[0] != digests[1]
    (two / "instruct" / "config.json").unlink()
    capsys.readouterr()
    train_models.main(settings)
    assert "base is there and kept" in capsys.readouterr().out
    assert digest(two / "instruct") == digests[1]
