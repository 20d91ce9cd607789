"""How much of the fine-tuned model goes into each tensor: one alpha, or other alphas for some parts of the model.

    rule = AlphaRule.parse(0.7, ["layers.0-31.mlp:0.2-0.8", "attention:0.5"])
    rule.alpha_of("model.layers.0.mlp.up_proj.weight")  # 0.2

A part is `WHERE:ALPHA`. WHERE is one of the words of `WORDS`; layers (`layers.3`, `layers.0-7`); both
(`layers.0-7.mlp`); or a piece of a tensor's name between dots (`q_proj`, `mlp.up_proj`), where `*` stands for anything.
ALPHA is a number or, with a range of layers, a gradient `FIRST-...-LAST`: its numbers are spread evenly from the first
layer of the range to the last, and the layers between two of them lie on the line between them.

The first part that matches a tensor decides; `alpha` is for the tensors that no part matches.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from hindsight.errors import UserError, require

# The parts of a model, by the components of its tensors' names; the first line that matches is the tensor's only word.
WORDS = {
    "norms": r"[^.]*norm[^.]*|ln(_[^.]*)?|[^.]*_ln",  # the tensor's own module only: norms in attention count as norms
    "head": r"lm_head|embed_out",
    "embeddings": r"embed_tokens|embed_positions|embed_in|wte|wpe|(tok|word|position|token_type)_embeddings",
    "attention": r"(self_|linear_|cross_)?attn|(self_|cross)?attention",
    "mlp": r"mlp|block_sparse_moe|moe|ffn|feed_forward|fc[12]",  # with a mixture's router and experts
}
LONGEST_NAME = 100  # characters of a folder's name that spell the parts out
_LAYER = re.compile(r"(?:^|\.)(?:layers?|h|blocks?)\.(\d+)\.")
_OWN_MODULE = re.compile(r"([^.]+)(?:\.(?:weight|bias))?$")
_NUMBER = r"-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_WHERE = re.compile(r"(?:layers\.(?P<first>\d+)(?:-(?P<last>\d+))?(?:\.(?P<rest>[\w.*-]+))?|(?P<piece>[\w.*-]+))")


def word_of(tensor: str) -> str | None:
    """The word of WORDS for a tensor, None if it has none.

    >>> word_of("model.layers.0.self_attn.q_norm.weight"), word_of("model.layers.0.self_attn.q_proj.weight")
    ('norms', 'attention')
    """
    for word, pattern in WORDS.items():
        own = _OWN_MODULE.search(tensor) if word == "norms" else None
        components = [own[1]] if own else tensor.split(".")
        if any(re.fullmatch(pattern, component, re.IGNORECASE) for component in components):
            return word
    return None


def layer_of(tensor: str) -> int | None:
    """The number of a tensor's layer, None outside the layers.

    >>> layer_of("model.layers.3.mlp.experts.11.w1.weight")
    3
    """
    found = _LAYER.search(tensor)
    return int(found[1]) if found else None


@dataclass(frozen=True)
class PartAlpha:
    """The alpha of one part of a model: `values` has one number, or several for a gradient over a range of layers.

    Raises UserError if `where` cannot be read, or for a gradient without a range.
    """

    where: str
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        found = _WHERE.fullmatch(self.where)
        if not found or "" in self.where.split("."):
            expected = "a word, layers.N, layers.N-M, or a piece of a tensor's name"
            raise UserError(f"the part {self.where!r} of ALPHA_OF is not {expected} (words: {', '.join(WORDS)})")
        first, last = self.layers or (0, 0)
        require(first <= last, f"the layers of {self.where} in ALPHA_OF run backwards")
        if len(self.values) > 1 and first == last:
            raise UserError(f"{self} is a gradient: it needs a range of layers, such as layers.0-31.{self.where}:...")

    @classmethod
    def parse(cls, text: str) -> "PartAlpha":
        """A part as written. Raises UserError if it cannot be read."""
        where, colon, values = text.rpartition(":")
        if not colon or not re.fullmatch(f"{_NUMBER}(-{_NUMBER})*", values):
            raise UserError(f"{text!r} in ALPHA_OF is not WHERE:ALPHA, such as mlp:0.9 or layers.0-31:0.2-0.8")
        return cls(where, tuple(float(number) for number in _numbers(values)))

    def __str__(self) -> str:
        return f"{self.where}:{'-'.join(map(_shortest, self.values))}"

    @property
    def layers(self) -> tuple[int, int] | None:
        """The first and the last layer; None if the part is not bound to layers."""
        found = _WHERE.fullmatch(self.where)
        if not found or found["first"] is None:
            return None
        return int(found["first"]), int(found["last"] or found["first"])

    def matches(self, tensor: str) -> bool:
        """Whether the part covers a tensor, by its name."""
        layer = layer_of(tensor)
        if self.layers and (layer is None or not self.layers[0] <= layer <= self.layers[1]):
            return False
        piece = _piece(self.where)
        if piece is None:
            return True
        return word_of(tensor) == piece if piece in WORDS else bool(_pattern(piece).search(tensor))

    def alpha_of(self, tensor: str) -> float:
        """The alpha of a tensor that the part covers."""
        layer = layer_of(tensor)
        if len(self.values) == 1 or self.layers is None or layer is None:
            return self.values[0]
        first, last = self.layers
        return interpolate(self.values, (layer - first) / (last - first))


def interpolate(values: Sequence[float], place: float) -> float:
    """The broken line through evenly spread values, at a place from 0 (the first) to 1 (the last).

    >>> interpolate([0, 1, 0.5], 0.75)
    0.75
    """
    scaled = place * (len(values) - 1)
    before = min(int(scaled), len(values) - 1)
    after, share = min(before + 1, len(values) - 1), scaled - before
    return (1 - share) * values[before] + share * values[after]


@dataclass(frozen=True)
class AlphaRule:
    """The weight of the fine-tuned model in each tensor: that of the first part that matches, else `alpha`."""

    alpha: float
    parts: tuple[PartAlpha, ...] = ()

    @classmethod
    def parse(cls, alpha: float, parts: Iterable[str] = (), extrapolate: bool = False) -> "AlphaRule":
        """A rule from the flags. Raises UserError for parts that cannot be read, and for numbers that cannot be an
        alpha.

        Alphas lie in [0, 1], or are any numbers if `extrapolate`.
        """
        rule = cls(float(alpha), tuple(PartAlpha.parse(text) for text in parts))
        for number in rule.alphas:
            require(abs(number) < float("inf"), f"an alpha is a number, not {number}")
            outside = f"alpha lies in [0, 1], not {number!r}; beyond it, give EXTRAPOLATE as well"
            require(extrapolate or 0 <= number <= 1, outside)
        return rule

    @classmethod
    def from_json(cls, value: Any, extrapolate: bool = False) -> "AlphaRule":
        """The rule that `to_json` gave. Raises UserError for anything else."""
        if _is_number(value):
            return cls.parse(value, (), extrapolate)
        keys = isinstance(value, dict) and value.keys() == {"alpha", "parts"} and _is_number(value["alpha"])
        if not keys or not all(isinstance(part, str) for part in value["parts"]):
            raise UserError(f'alpha is a number or {{"alpha": 0.7, "parts": ["mlp:0.9"]}}, not {value!r}')
        return cls.parse(value["alpha"], value["parts"], extrapolate)

    def to_json(self) -> Any:
        """A plain number, or the number and the parts as written."""
        return {"alpha": self.alpha, "parts": [str(part) for part in self.parts]} if self.parts else self.alpha

    def __str__(self) -> str:
        """For people: `0.7`, or `0.7 (mlp:0.9, layers.0-7:0.3)`."""
        return f"{self.alpha:.12g}" + f" ({', '.join(map(str, self.parts))})" * bool(self.parts)

    @property
    def words(self) -> list[str]:
        """As flags take it: `0.7 mlp:0.9`."""
        return [_shortest(self.alpha), *map(str, self.parts)]

    @property
    def alphas(self) -> tuple[float, ...]:
        """Every number of the rule; its tensors' alphas lie between the least and the greatest."""
        return (self.alpha, *(value for part in self.parts for value in part.values))

    @property
    def extrapolates(self) -> bool:
        """Whether an alpha lies beyond [0, 1]."""
        return not all(0 <= number <= 1 for number in self.alphas)

    def require_method(self, method: str) -> None:
        """Raises UserError for SLERP beyond its ends: past pi, the arc runs back to its start."""
        beyond = f"SLERP is the arc between the two models and alpha {self} lies beyond its ends; use METHOD lerp"
        require(not (self.extrapolates and method == "slerp"), beyond)

    @property
    def folder_name(self) -> str:
        """`alpha_0.7`, or `alpha_0.7+mlp=0.9`; a digest of the parts if they are too long or invalid in a file name."""
        name = f"alpha_{self.alpha:.12g}"
        spelled = "".join(f"+{part}" for part in self.parts).replace(":", "=")
        if len(spelled) <= LONGEST_NAME and "*" not in spelled:
            return name + spelled
        return f"{name}+parts={hashlib.sha256(spelled.encode()).hexdigest()[:16]}"

    def alpha_of(self, tensor: str) -> float:
        """The weight of the fine-tuned model in the tensor of this name."""
        return next((part.alpha_of(tensor) for part in self.parts if part.matches(tensor)), self.alpha)

    def require_used(self, tensors: Iterable[str]) -> None:
        """Raises UserError, with the part, if it decides none of a checkpoint's tensors, or names a missing layer."""
        tensors = list(tensors)
        left = set(tensors)
        for part in self.parts:
            covered = {tensor for tensor in tensors if part.matches(tensor)}
            _require_all_layers(part, covered, tensors)
            if not covered:
                raise UserError(f"{part} in ALPHA_OF matches no tensor of the checkpoint{_hint(part, tensors)}")
            require(bool(covered & left), f"{part} in ALPHA_OF decides nothing: earlier parts match all of its tensors")
            left -= covered


def _require_all_layers(part: PartAlpha, covered: set[str], tensors: Sequence[str]) -> None:
    if part.layers is None:
        return
    deepest = max((layer for layer in map(layer_of, tensors) if layer is not None), default=None)
    if deepest is None or part.layers[1] > deepest:
        has = "no layers" if deepest is None else f"layers 0-{deepest}"
        raise UserError(f"{part} in ALPHA_OF: the checkpoint has {has}")


def _hint(part: PartAlpha, tensors: Sequence[str]) -> str:
    """What the checkpoint has instead."""
    if part.where == "head":
        return ": its head is its embedding (embeddings)"
    names = sorted({word for word in map(word_of, tensors) if word})
    return f", which has {', '.join(names)}, and names such as {tensors[len(tensors) // 2]}" if tensors else ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _numbers(text: str) -> list[str]:
    """The numbers of `0.2-0.8`; a minus after a minus belongs to the number."""
    first = re.match(_NUMBER, text)
    return [first[0], *re.findall(f"-({_NUMBER})", text[first.end() :])] if first else []


def _shortest(number: float) -> str:
    """The shortest text that gives this float again."""
    return repr(float(number)).removesuffix(".0")


@lru_cache(maxsize=1000)
def _piece(where: str) -> str | None:
    found = _WHERE.fullmatch(where)
    return (found["rest"] or found["piece"]) if found else None


@lru_cache(maxsize=1000)
def _pattern(piece: str) -> re.Pattern[str]:
    return re.compile(rf"(?:^|\.){re.escape(piece).replace(re.escape('*'), '.*')}(?:\.|$)")
