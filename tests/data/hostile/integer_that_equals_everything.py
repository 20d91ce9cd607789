# An integer that lies when it is compared, converted or printed.
# verdict: wrong answer
# function: f
# test: [1], 1

class Liar(int):
    def __eq__(self, other):
        return True

    def __hash__(self):
        return 1

    def __int__(self):
        return 1

    __index__ = __int__

    def __repr__(self):
        return "1"

    __str__ = __repr__


def f(x):
    return Liar(7)
