"""Errors that a person reads: each is one clear sentence."""

from pathlib import Path


class UserError(Exception):
    """A user's mistake, in one clear sentence: it is printed and the script ends with exit status 2."""


class BrokenFile(Exception):
    """A file that is incomplete or lacks a key; the message names the file and the fault."""


def require(condition: bool, sentence: str) -> None:
    """Raises UserError with the sentence unless the condition holds."""
    if not condition:
        raise UserError(sentence)


def require_utf8(path: Path) -> None:
    """Raises UserError for a path whose bytes are not UTF-8: a file of text cannot contain its name."""
    is_utf8 = not any("\ud800" <= character <= "\udfff" for character in str(path))
    require(is_utf8, f"the name of {str(path)!a} is not UTF-8: rename it")
