# A value whose class raises when asked for its name.
# verdict: wrong answer | runtime error: ZeroDivisionError
# function: f
# test: [1], 1

class Meta(type):
    __name__ = property(lambda cls: 1 / 0)


class Nameless(metaclass=Meta):
    pass


def f(x):
    return Nameless()
