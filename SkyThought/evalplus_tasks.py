"""A task of MBPP+ or HumanEval+: its inputs as Python values, and its own solution."""

import marshal
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

MARSHAL_VERSION = 2


@dataclass(frozen=True, eq=False)
class EvalplusTask:
    """What a program is judged by.

    set: "mbpp" or "humaneval"; function: its name; solution: the reference program; inputs: lists of arguments by
    group, "base" and "plus"; atol: the absolute tolerance of floats.
    """

    set: str
    task_id: str
    function: str
    solution: str
    inputs: dict[str, list] = field(repr=False)
    atol: float = 0.0

    @cached_property
    def packed_inputs(self) -> dict[str, bytes]:
        """The inputs of each group by `marshal`, without references: equal inputs have the same bytes."""
        return {group: marshal.dumps(inputs, MARSHAL_VERSION) for group, inputs in self.inputs.items()}


def make_task(tests: dict[str, Any]) -> EvalplusTask:
    """A task from a problem's `input_output`.

    Raises KeyError, TypeError or ValueError when a value or an input lacks the form that its task expects.
    """
    for key, kinds in {"fn_name": str, "canonical_solution": str, "atol": int | float | None}.items():
        if not isinstance(tests.get(key), kinds):
            raise TypeError(f"{key} is {tests.get(key)!r:.80}")
    task_id, family = tests["task_id"], tests["set"]
    convert = _mbpp_arguments(task_id) if family == "mbpp" else list
    inputs = {
        group: [convert(arguments) for arguments in tests[f"{group}_input"]]
        for group in ("base", "plus")
        if tests.get(f"{group}_input") is not None
    }
    return EvalplusTask(
        family, task_id, tests["fn_name"], tests["canonical_solution"], inputs, tests.get("atol") or 0.0
    )


# Arguments that JSON turned into lists or texts in MBPP+ (EvalPlus's `data/mbpp.py`), by task: how to restore them.


def _tuple(value: list) -> tuple:
    return tuple(value)


def _tuples(values: list) -> list:
    return [tuple(value) for value in values]


def _deep_tuple(value: Any) -> Any:
    return tuple(map(_deep_tuple, value)) if isinstance(value, list) else value


def _all(convert: Callable) -> Callable[[list], list]:
    return lambda arguments: [convert(argument) for argument in arguments]


def _first(convert: Callable) -> Callable[[list], list]:
    return lambda arguments: [convert(arguments[0]), *arguments[1:]]


_SHAPES: dict[Callable[[list], Any], tuple[int, ...]] = {
    _all(_tuple): (2, 116, 132, 143, 222, 261, 273, 394, 399, 421, 424, 429, 470, 560, 579, 596, 616, 630,
                   726, 740, 744, 809),
    _all(_tuples): (63, 64, 70, 94, 120, 237, 272, 299, 400, 409, 417, 438, 473, 614, 780),
    _first(_tuples): (75, 413, 444, 753),
    lambda arguments: [arguments[0], tuple(arguments[1])]: (106, 750),
    lambda arguments: [[set(item) if isinstance(item, list) and item else {} for item in arguments[0]]]: (115,),
    lambda arguments: (float(arguments[0]), complex(arguments[1])): (124,),
    _first(_tuple): (250, 405, 446, 617, 720, 763, 808, 307),
    _all(lambda argument: tuple(map(tuple, argument))): (259, 401, 445),
    lambda arguments: [tuple(tuple(item) if isinstance(item, list) else item for item in arguments[0])]: (278,),
    _first(lambda argument: {key: tuple(value) for key, value in argument.items()}): (722,),
    lambda arguments: [complex(arguments[0])]: (252,),
    _deep_tuple: (580, 615, 791),
}  # fmt: skip
_BY_TASK = {number: shape for shape, numbers in _SHAPES.items() for number in numbers}


def _mbpp_arguments(task_id: str) -> Callable[[list], Any]:
    return _BY_TASK.get(int(task_id.rpartition("/")[2]), list)
