"""Prints the lines of a lock whose packages an image does not have, in any version.

python3 missing_packages.py requirements.lock > missing.txt
"""

import re
import sys
from collections.abc import Iterable
from importlib.metadata import distributions
from pathlib import Path


def missing(lock: Iterable[str], installed: Iterable[str]) -> list[str]:
    """The lines `name==version` of a lock for packages that are not among the installed names."""
    known = {_normal(name) for name in installed}
    lines = [match for line in lock if (match := re.fullmatch(r"([\w.-]+)==\S+", line.strip()))]
    return [match[0] for match in lines if _normal(match[1]) not in known]


def _normal(name: str) -> str:
    """A package's name as the packaging standards compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    text = Path(sys.argv[1]).read_text(encoding="utf-8")
    print("\n".join(missing(text.splitlines(), [each.name for each in distributions()])))
