"""Constants as flags: what scripts promise about their settings and exit statuses."""

import ast
import pickle
import subprocess
import sys

import pytest
from scripts import ROOT

from hindsight.settings import Settings, constant_comments, read_settings

SCRIPT = '''"""A script for the tests."""

from hindsight.settings import UserError, run_script

# fmt: off
COUNT = 3            # how many
RATE = 0.5           # a share, 100 % at most
NAME = ""            # may hold # signs
ALPHAS = [0.7, 0.9]  # several
FAST = False         # or true
TABLE = {            # not one line
# fmt: on
    "a": 1,
}                    # a dictionary
_HIDDEN = 1          # not a setting
HELPER = COUNT


def main(settings):
    LOCAL = 1  # not a setting either
    print(dict(settings))
    if settings.name == "bad":
        raise UserError("NAME is bad")
    return settings.count - 3


if __name__ == "__main__":
    run_script(main, globals())
'''


ROOMS = ("hindsight", "SkyThought", "analysis", "lab", "studies")
FILES = [*ROOT.glob("*.py"), *(path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")))]
SCRIPTS = [path for path in FILES if "\n    run_script(" in path.read_text(encoding="utf-8")]


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return path


def run(script, *arguments, **environment):
    environment["PYTHONPATH"] = ":".join(sys.path)
    return subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True, env=environment)


def settings_of(script, *arguments) -> Settings:
    constants = {"COUNT": 3, "RATE": 0.5, "NAME": "", "ALPHAS": [0.7], "FAST": False, "TABLE": {}}
    return read_settings({"__file__": str(script), "__doc__": "", **constants}, list(arguments))


def test_only_commented_upper_case_constants_at_the_top_level_are_settings():
    assert list(constant_comments(SCRIPT)) == ["COUNT", "RATE", "NAME", "ALPHAS", "FAST", "TABLE"]
    assert constant_comments(SCRIPT)["NAME"] == "may hold # signs"


@pytest.mark.parametrize("path", SCRIPTS, ids=[str(path.relative_to(ROOT)) for path in SCRIPTS])
def test_every_flag_of_a_script_has_an_effect(path):
    """A constant that the code reads directly would ignore its flag, so it must not look like a setting."""
    source = path.read_text(encoding="utf-8")
    names = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)]
    assert not {name.id for name in names if isinstance(name.ctx, ast.Load)} & set(constant_comments(source))


def test_a_flag_overrides_its_constant_in_the_constants_type(script):
    settings = settings_of(script, "--count", "5", "--alphas", "0.1", "1", "--fast")
    assert (settings.count, settings.rate, settings.alphas, settings.fast) == (5, 0.5, (0.1, 1.0), True)


def test_a_bool_can_be_switched_off(script):
    assert settings_of(script, "--fast", "false").fast is False


def test_settings_cannot_be_changed_and_survive_pickling(script):
    settings = settings_of(script)
    with pytest.raises(AttributeError):
        settings.count = 4
    assert dict(pickle.loads(pickle.dumps(settings))) == dict(settings)
    assert settings.count == 3


@pytest.mark.parametrize("flags", [["--cuont", "5"], ["--count", "many"], ["--coun", "5"], ["--fast", "maybe"], ["5"]])
def test_an_unknown_flag_or_a_wrong_type_ends_with_2(script, flags):
    assert run(script, *flags).returncode == 2


def test_the_help_shows_each_comment_and_default(script):
    text = run(script, "--help").stdout
    assert "a share, 100 % at most (default: 0.5)" in text


def test_a_users_mistake_is_one_sentence_and_exit_2(script):
    result = run(script, "--name", "bad")
    assert (result.returncode, result.stderr) == (2, "script.py: NAME is bad\n")


def test_characters_that_the_output_cannot_show_are_escaped(script):
    result = run(script, "--name", "\u6570", PYTHONIOENCODING="ascii")
    assert (result.returncode, r"\u6570" in result.stdout) == (0, True), result.stderr


def test_mains_return_value_is_the_exit_status(script):
    assert run(script).returncode == 0
    assert run(script, "--count", "4").returncode == 1


def test_importing_a_script_does_nothing(script):
    code = f"import sys; sys.path.insert(0, {str(script.parent)!r}); import script"
    path = {"PYTHONPATH": ":".join(sys.path)}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=path)
    assert (result.returncode, result.stdout) == (0, "")


def test_values_of_one_constant_may_stand_without_its_flag_before_or_after_the_others(script):
    constants = {"COUNT": 3, "RATE": 0.5, "NAME": "", "ALPHAS": ["0.7"], "FAST": False, "TABLE": {}}
    module = {"__file__": str(script), "__doc__": "", **constants}
    for words in (["a", "b", "--fast"], ["--fast", "a", "b"], ["--fast", "--alphas", "a", "b"]):
        settings = read_settings(module, words, words="ALPHAS")
        assert (settings.alphas, settings.fast) == (("a", "b"), True)
    assert read_settings(module, ["--fast"], words="ALPHAS").alphas == ("0.7",)
    with pytest.raises(SystemExit):
        read_settings(module, ["a"])
