"""The files of a program: the only folder it may write to, and its text and code in memory."""

import os
from marshal import dumps, loads
from pathlib import Path
from types import CodeType

from SkyThought.sandbox.messages import memory_file, read_file

FOLDER_BYTES = 64 << 20  # most a program may write, in all its files


class ProgramFolder:
    """The folder of the current program, which holds its text as `program.py`, and two files in memory.

    The text goes from file to file, so the warm process never holds it. A child reads the text, compiles it and keeps
    the code for later children.
    """

    def __init__(self, folder: Path):
        self.folder, self.path = folder, str(folder / "program.py")
        self.source_file, self.code_file = memory_file(), memory_file()

    def take(self, source: int) -> None:
        """Take the next program: a file with its text."""
        os.close(self.source_file)
        os.close(self.code_file)
        self.source_file, self.code_file = source, memory_file()
        self.lay_out()

    def lay_out(self) -> None:
        """Empty the folder and write the program's text into it."""
        empty_folder(self.folder)
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.sendfile(file, self.source_file, 0, os.fstat(self.source_file).st_size)
        os.close(file)
        self._laid_out = os.stat(self.path).st_ctime_ns

    def is_laid_out(self) -> bool:
        """Whether the folder, which is the working directory, is unchanged since `lay_out`."""
        try:
            return os.listdir(".") == ["program.py"] and os.lstat(self.path).st_ctime_ns == self._laid_out
        except OSError:
            return False

    def read_text(self) -> str:
        """The program's text, in a child."""
        return read_file(self.source_file).decode("utf-8", "surrogatepass")

    def load_code(self) -> CodeType | None:
        """The code that an earlier child compiled, unless it was interrupted."""
        data = read_file(self.code_file)
        try:
            return loads(data) if data else None
        except (EOFError, ValueError, TypeError):
            return None

    def keep_code(self, code: CodeType) -> None:
        """Keep the compiled code for later children."""
        os.pwrite(self.code_file, dumps(code), 0)


def empty_folder(folder: Path) -> None:
    """Remove everything in a folder, even if it was made unreadable or is nested deeper than a path can reach.

    A folder in it is emptied by moving its own folders up.
    """
    moved = 0
    while entries := list(os.scandir(folder)):
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.path)
                continue
            os.chmod(entry.path, 0o700)
            for inner in list(os.scandir(entry.path)):
                if inner.is_dir(follow_symlinks=False):
                    os.chmod(inner.path, 0o700)
                    moved += 1
                    os.rename(inner.path, folder / f".moved-{os.getpid()}-{moved}")
                else:
                    os.unlink(inner.path)
            os.rmdir(entry.path)


def folder_bytes(folder: str) -> int:
    """The size of a folder's files; an unreadable folder or file counts as nothing."""
    total = 0
    try:
        for entry in os.scandir(folder):
            if entry.is_dir(follow_symlinks=False):
                total += 4096 + folder_bytes(entry.path)
            else:
                total += 4096 + entry.stat(follow_symlinks=False).st_size
    except OSError:
        return total
    return total
