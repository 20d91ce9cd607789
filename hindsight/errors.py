"""Errors that a person reads: each is one clear sentence."""


class UserError(Exception):
    """A user's mistake, in one clear sentence: it is printed and the script ends with exit status 2."""


class BrokenFile(Exception):
    """A file that is incomplete or lacks a key; the message names the file and the fault."""


def require(condition: bool, sentence: str) -> None:
    """Raises UserError with the sentence unless the condition holds."""
    if not condition:
        raise UserError(sentence)
