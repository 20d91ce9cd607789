# Subclasses of Python's own types, as programs use them, count as the values they hold.
# verdict: correct
# function: f
# test: ["counter"], {"a": 2}
# test: ["named"], [1, 2]
# test: ["enum"], 3
# test: ["default"], {"1": [2]}
# test: ["numpy"], 5
# test: ["text"], "abc"
# test: ["truth"], True

import collections
import enum

import numpy as np


class Color(enum.IntEnum):
    RED = 3


class Text(str):
    pass


Pair = collections.namedtuple("Pair", "x y")


def f(kind):
    return {
        "counter": collections.Counter("aa"),
        "named": Pair(1, 2),
        "enum": Color.RED,
        "default": collections.defaultdict(list, {1: [2]}),
        "numpy": np.int64(5),
        "text": Text("abc"),
        "truth": np.bool_(True),
    }[kind]
