# An object that would run code when unpickled; the judge unpickles nothing.
# verdict: wrong answer
# function: f
# test: [1], 0

import os


class Bomb:
    def __reduce__(self):
        return os.system, ("touch left_by_a_hostile_program",)

    def __reduce_ex__(self, protocol):
        return self.__reduce__()


def f(x):
    return Bomb()
