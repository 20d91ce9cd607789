"""A script's constants as its settings: each constant is also a flag, and the code gets one immutable object.

A script's block of constants is plain Python, one trailing comment each:

    MAX_TOKENS = 8192          # longest answer, in tokens
    ALPHAS = [0.7, 0.9]        # shares of the fine-tuned model

and its last line is `run_script(main, globals())`. `MAX_TOKENS` is then the flag `--max_tokens 4096` with its comment
as help, a list is given as words (`--alphas 0.7 0.9`), a bool with or without a value (`--base`, `--base false`).

`main` picks a small typed object of options for each part of the program:

    @dataclass(frozen=True)
    class Limits:
        timeout: float
        memory_mb: int

    limits = settings.pick(Limits)     # Limits(timeout=4.0, memory_mb=4096)
"""

import argparse
import ast
import dataclasses
import errno
import io
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from hindsight.errors import BrokenFile, UserError

# Errors when a script cannot write: the disk is full or fails, the permission or the folder is missing, a folder is in
# the place of a file, the name is too long, or the process has too many open files.
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.ESTALE)
DISK_ERRORS += (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EMFILE, errno.ENFILE)
DISK_ERRORS += (errno.ENAMETOOLONG, errno.ELOOP)


Options = TypeVar("Options")


class Settings(Mapping[str, Any]):
    """The settings of one run: lower-case names, read as attributes; `dict(settings)` is what files record."""

    def __init__(self, values: dict[str, Any]):
        frozen = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        object.__setattr__(self, "_values", frozen)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # copying and unpickling ask for these before the values exist
            raise AttributeError(name)
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(f"there is no setting {name!r}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("settings do not change while a script runs")

    def __reduce__(self):
        return (Settings, (self._values,))

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def pick(self, options: type[Options], **more: Any) -> Options:
        """A dataclass of options: each field comes from `more`, or from the setting of the same name."""
        fields = [field for field in dataclasses.fields(options) if field.init]  # type: ignore[arg-type]
        values = {field.name: self._values[field.name] for field in fields if field.name in self._values}
        return options(**{**values, **more})

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def run_script(
    main: Callable[[Settings], int | None],
    script: dict[str, Any],
    words: str = "",
    earlier_flags: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Reads the settings of a script (its `globals()`) and the flags, calls `main`, ends with its exit status.

    words: a constant, a list, whose values may also be given without its flag; bools then take no value.
    earlier_flags: the flag that a constant had in earlier versions, which still works.

    Exit status 0: all done; 1: `main` reported failed items; 2: bad usage or input, or a full disk, in one
    sentence; 130: stopped by Ctrl-C.
    """
    name = Path(script["__file__"]).name
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for characters that the output's encoding lacks
    try:
        sys.exit(main(read_settings(script, sys.argv[1:], words, earlier_flags)))
    except (UserError, BrokenFile) as error:  # a broken file: one that has changed since the script looked at it
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        where = f" ({error.filename})" if error.filename else ""
        print(
            f"{name}: {error.strerror}{where}; files already written are complete; run again to resume", file=sys.stderr
        )
        sys.exit(2)
    except KeyboardInterrupt:
        print(f"\n{name}: stopped; files already written are kept; run again to resume", file=sys.stderr)
        sys.exit(130)


def read_settings(
    script: dict[str, Any],
    arguments: list[str],
    words: str = "",
    earlier_flags: Mapping[str, str] = MappingProxyType({}),
) -> Settings:
    """Settings of a script from its globals and command line; argparse ends with exit 2 on a wrong flag or type."""
    comments = constant_comments(Path(script["__file__"]).read_text(encoding="utf-8"))
    parser = argparse.ArgumentParser(
        description=script["__doc__"], formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    switch: dict[str, Any] = {"action": "store_true"}  # takes no value: the next word may be one of `words`
    for constant, comment in comments.items():
        default = script[constant]
        text = f"{comment} (default: {default!r})".replace("%", "%%")
        kind = switch if words and default is False else _argument(default)
        flags = [f"--{constant.lower()}", *([earlier_flags[constant]] if constant in earlier_flags else [])]
        parser.add_argument(*flags, default=default, help=text, **kind)
        if constant == words:
            parser.add_argument(constant.lower(), default=argparse.SUPPRESS, help=comment, **_argument(default))
    return Settings(vars(parser.parse_args(arguments)))


def constant_comments(source: str) -> dict[str, str]:
    """The constants of a script's source in order, each with its trailing comment.

    A constant is an assignment to one UPPER_CASE name at the start of a line, with a comment on the line it ends on.
    """
    found: dict[str, str] = {}
    lines = source.split("\n")
    for statement in ast.parse(source).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                last_line = lines[(statement.end_lineno or 0) - 1].encode()
                rest = last_line[statement.end_col_offset :].decode().lstrip()
                if rest.startswith("#") and name.isupper() and not name.startswith("_"):
                    found[name] = rest.lstrip("# ")
    return found


def _argument(default: Any) -> dict[str, Any]:
    """argparse's keywords for a constant, by the type of its value; None stands for missing text."""
    if isinstance(default, bool):
        return {"type": _bool, "nargs": "?", "const": True, "metavar": "true|false"}
    if isinstance(default, list | tuple):
        item = type(default[0]) if default else str
        return {"type": item, "nargs": "*", "metavar": item.__name__.upper()}
    kind = str if default is None else type(default)
    return {"type": kind, "metavar": kind.__name__.upper()}


def _bool(word: str) -> bool:
    if word.lower() in ("true", "yes", "1"):
        return True
    if word.lower() in ("false", "no", "0"):
        return False
    raise argparse.ArgumentTypeError(f"expected true or false, not {word!r}")
