"""The blocks of commands in README and docs."""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from scripts import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(?:<!-- (.*?) -->\n)?```bash\n(.*?)```", re.DOTALL)
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Block:
    """One block of commands of a page."""

    page: str
    note: str
    commands: str

    def __str__(self) -> str:
        return f"{self.page}: {self.commands.splitlines()[0][:50]}"

    def with_python_of(self, folder: Path) -> str:
        text = self.commands.replace(".venv/bin/", f"{folder}/")
        return re.sub(r"(?<!/)\bpython (?=[\w-])", f"{folder}/python ", text)


BLOCKS = [
    Block(page.name, note, commands) for page in PAGES for note, commands in BLOCK.findall(page.read_text("utf-8"))
]
