"""Special judges: small programs that decide what is right where a problem accepts several answers.

One file per problem in a folder, named by its question id, with one function:

    # checkers/question_17.py: any divisor except 1 and the number itself
    def check(input: str, expected: str, output: str) -> bool:
        number, words = int(input), output.split()
        return len(words) == 1 and words[0].isdecimal() and 1 < int(words[0]) < number and number % int(words[0]) == 0

For a problem that reads standard input the three arguments are texts; for a call-based one `input` is the list of
arguments, `expected` and `output` are values. `check` is called only for programs that ended normally. It is the user's
own code and runs inside the judge without limits. It must return False for any wrong output: if it raises, or returns
something other than True or False, the answer is not judged.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hindsight.errors import UserError


class SpecialJudge:
    """The special judge of one problem. It is pickled as its source, so another machine needs no file.

    Raises UserError when the source cannot be run or has no function `check`.
    """

    def __init__(self, name: str, source: str):
        self.name, self.source = name, source
        self.digest = f"sha256:{hashlib.sha256(source.encode('utf-8', 'surrogatepass')).hexdigest()}"
        self._check = _load(name, source)

    def __call__(self, input: Any, expected: Any, output: Any) -> bool:
        """Whether the output is right; returns and raises what `check` does."""
        return self._check(input, expected, output)

    def __reduce__(self):
        return (SpecialJudge, (self.name, self.source))


class SpecialJudges:
    """The special judges in a folder, each read when first needed; with "" as folder there are none."""

    def __init__(self, folder: str):
        if folder and not Path(folder).is_dir():
            raise UserError(f"the folder {folder} of special judges does not exist")
        self._folder = Path(folder) if folder else None
        self._judges: dict[int, SpecialJudge | None] = {}

    def of(self, question_id: int) -> SpecialJudge | None:
        """The special judge of a problem, or None. Raises UserError when its file is wrong."""
        path = self._folder / f"question_{question_id}.py" if self._folder else None
        if question_id not in self._judges:
            try:
                source = path.read_text(encoding="utf-8") if path and path.exists() else None
            except UnicodeDecodeError as error:
                raise UserError(f"the special judge {path} is not UTF-8 ({error})") from None
            self._judges[question_id] = None if source is None else SpecialJudge(str(path), source)
        return self._judges[question_id]

    def digest(self, question_id: int) -> str | None:
        """The digest of a problem's special judge, None if it has none: verdicts by any other are outdated."""
        judge = self.of(question_id)
        return judge.digest if judge else None


def _load(name: str, source: str) -> Callable:
    module: dict[str, Any] = {"__name__": Path(name).stem, "__file__": name}
    try:
        exec(compile(source, name, "exec"), module)
    except (Exception, SystemExit) as error:  # the user's own code: any exception is its file's fault
        raise UserError(f"the special judge {name} cannot be loaded: {type(error).__name__}: {error}") from None
    if not callable(module.get("check")):
        raise UserError(f"the special judge {name} has no function check(input, expected, output)")
    return module["check"]
