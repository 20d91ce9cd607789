# A class whose metaclass answers yes to every isinstance and issubclass.
# verdict: wrong answer
# function: f
# test: [1], [1]

class Meta(type):
    def __subclasscheck__(cls, other):
        return True

    def __instancecheck__(cls, other):
        return True

    def __eq__(cls, other):
        return True

    def __hash__(cls):
        return hash(list)

    __name__ = "list"
    __bases__ = (list,)
    __mro__ = (list, object)


class Liar(metaclass=Meta):
    def __iter__(self):
        return iter([1])

    def __len__(self):
        return 1


def f(x):
    return Liar()
