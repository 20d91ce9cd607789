"""Reads an answer whose tags are flawed: doubled, nested, unclosed, out of order, several thoughts.

Recursive descent over the structure tags:

    answer   := (text | thought | solution)*
    thought  := BEGIN+ (text | thought | solution)* END+      a missing END is where a solution begins
    solution := BEGIN+ text END+                              a missing END is where a thought begins, or the text ends

An END without a BEGIN makes the text before it a section. Only tags are dropped: text outside the sections joins the
thought if it comes before the thought's end, else the solution.
"""

from dataclasses import replace

from hindsight.conversion.sections import CUT_IN_THOUGHT, Sections, Undecided, structure_tags
from hindsight.conversion.untagged import read_untagged
from hindsight.text.code_blocks import find_code_blocks
from hindsight.text.program_choice import ProgramTarget
from hindsight.text.uniform_format import Tag

Piece = tuple[str, str]  # its kind ("thought", "solution", "text") and its content


def read_nested(text: str, finished: bool, target: ProgramTarget) -> Sections:
    """The sections of an answer with structure tags; a thought that never ends is read as an answer without tags.

    `rule` names every flaw. Raises Undecided if the pieces can be put together in several ways, or in none.
    """
    return _Descent(text, target).sections(finished)


class _Descent:
    def __init__(self, text: str, target: ProgramTarget):
        self.text, self.target, self.tags = text, target, structure_tags(text)
        self.next, self.place = 0, 0  # index of the next tag, offset in the text
        self.flaws: list[str] = []

    def sections(self, finished: bool) -> Sections:
        pieces = [(kind, content) for kind, content in self._pieces() if content or kind != "text"]
        kinds = [kind for kind, _ in pieces]
        if kinds.count("solution") > 1:
            raise Undecided("it has several solutions")
        if "solution" not in kinds:
            return self._without_solution(pieces, finished)
        place = kinds.index("solution")
        before, (_, solution), after = pieces[:place], pieces[place], pieces[place + 1 :]
        if "thought" in kinds[place:]:
            if before or "text" in kinds:
                raise Undecided("it has a thought after its solution")
            self._flaw("the other order")
            return self._found(after, solution)
        ends = [number for number, kind in enumerate(kinds[:place], 1) if kind == "thought"]
        thoughts, between = (before[: ends[-1]], before[ends[-1] :]) if ends else (before, [])
        if not ends:
            self._flaw("thought without tags")
        elif "text" in kinds:
            self._flaw("text outside of the sections")
        if any(find_code_blocks(content) for _, content in between + after):
            raise Undecided("it has code outside of its sections")
        return self._found(thoughts, "\n\n".join(content for _, content in [*between, ("solution", solution), *after]))

    def _without_solution(self, pieces: list[Piece], finished: bool) -> Sections:
        kinds = [kind for kind, _ in pieces]
        if kinds[-1:] == ["text"] and "thought" in kinds and kinds[:-1] == ["thought"] * (len(kinds) - 1):
            return self._found(pieces[:-1], pieces[-1][1], "rest after the thought")
        if not finished:
            raise Undecided(CUT_IN_THOUGHT, lost=True)
        if "no end of thought" in self.flaws and kinds == ["thought"]:
            sections = read_untagged(pieces[0][1], finished, self.target)
            return replace(sections, rule=", ".join([sections.rule, *self.flaws]))
        raise Undecided("it has no solution", lost=set(kinds) == {"thought"})

    def _found(self, thoughts: list[Piece], solution: str, rule: str = "sections") -> Sections:
        if [kind for kind, _ in thoughts].count("thought") > 1:
            self._flaw("several thoughts")
        contents = [content for _, content in thoughts if content]
        repeated = (
            contents[0] if len(contents) > 1 and " ".join(contents[0].split()) == " ".join(contents[1].split()) else ""
        )
        if repeated:  # a server sent it in two fields
            contents = contents[1:]
            self._flaw("thought twice")
        if not solution:
            raise Undecided("its solution is empty", lost=True)
        return Sections("\n\n".join(contents), solution, ", ".join([rule, *self.flaws]), repeated=repeated)

    def _pieces(self) -> list[Piece]:
        pieces: list[Piece] = []
        while True:
            pieces.append(("text", self._text()))
            tag = self._peek()
            if tag is None:
                return pieces
            if tag.edge == "begin":
                pieces.append((tag.what, self._section(tag.what)))
                continue
            self._take()
            self._flaw(f"no beginning of {tag.what}")
            _, content = pieces[-1]
            others = [kind for kind, earlier in pieces[:-1] if earlier or kind != "text"]
            if not content or others != (["thought"] if tag.what == "solution" else []):
                raise Undecided("it has an end of a section that does not begin")
            pieces[-1] = (tag.what, content)

    def _section(self, what: str) -> str:
        """Reads a section up to its end tags; the texts nested in it are joined."""
        self._take_all("begin", what)
        parts = [self._text()]
        while (tag := self._peek()) is not None:
            if tag.what == what and tag.edge == "end":
                self._take_all("end", what)
                return "\n\n".join(part for part in parts if part)
            if tag.edge == "end":
                raise Undecided("its sections overlap")
            if what == "solution" or (tag.what == "solution" and not self._ends_later(what)):
                break
            self._flaw("nested sections")
            parts += [self._section(tag.what), self._text()]
        self._flaw(f"no end of {what}")
        return "\n\n".join(part for part in parts if part)

    def _ends_later(self, what: str) -> bool:
        """Whether the section continues after the one that begins here: its end tag comes before its next begin tag."""
        for tag in self.tags[self.next + 1 :]:
            if tag.what == what:
                return tag.edge == "end"
        return False

    def _take_all(self, edge: str, what: str) -> None:
        """Takes a tag and its doubles: the same tag again after only blank space."""
        self._take()
        while (
            (tag := self._peek())
            and (tag.edge, tag.what) == (edge, what)
            and not self.text[self.place : tag.start].strip()
        ):
            self._take()
            self._flaw("doubled tags")

    def _text(self) -> str:
        tag = self._peek()
        start, self.place = self.place, tag.start if tag else len(self.text)
        return self.text[start : self.place].strip()

    def _take(self) -> None:
        self.place = self.tags[self.next].end
        self.next += 1

    def _peek(self) -> Tag | None:
        return self.tags[self.next] if self.next < len(self.tags) else None

    def _flaw(self, flaw: str) -> None:
        if flaw not in self.flaws:
            self.flaws.append(flaw)
