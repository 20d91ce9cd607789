"""The form in which a returned value travels to the judge: JSON with the types kept, see `comparison`."""

import sys
from builtins import bool, issubclass, type  # the program may have replaced every builtin
from typing import Any

class_name = type.__dict__["__name__"].__get__  # of a class, regardless of its metaclass
_SCALARS = (bool, int, float, str)


def tag(value: Any) -> Any:
    """A returned value in tagged form.

    Of a subclass (Counter, namedtuple, IntEnum) the content of the built-in type counts, not the class's own methods;
    numpy's scalars become the Python numbers they stand for. Any other object, also a set or an array, is only named:
    no JSON value equals it.
    """
    kind = type(value)
    if value is None or kind is int or kind is str or kind is float or kind is bool:
        return value
    numpy = sys.modules.get("numpy")
    if numpy is not None and issubclass(kind, numpy.generic):
        value = numpy.generic.item(value)
        return value if type(value) in _SCALARS else ["object", class_name(kind)]
    for scalar, convert in ((int, int.__int__), (float, float.__float__), (str, str.__str__)):
        if issubclass(kind, scalar):
            return convert(value)
    if issubclass(kind, dict):
        return ["dict", [[tag(key), tag(item)] for key, item in dict.items(value)]]
    for sequence in (list, tuple):
        if issubclass(kind, sequence):
            return [sequence.__name__, [tag(item) for item in sequence.__iter__(value)]]
    return ["object", class_name(kind)]
