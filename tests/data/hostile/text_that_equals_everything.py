# A string that lies about itself.
# verdict: wrong answer
# function: f
# test: ["a"], "a"

class Liar(str):
    def __eq__(self, other):
        return True

    def __hash__(self):
        return hash("a")

    def __str__(self):
        return "a"

    __repr__ = __str__

    def encode(self, *args):
        return b"a"

    def __iter__(self):
        return iter("a")


def f(x):
    return Liar("something else")
