# A dictionary that shows other items than it contains.
# verdict: wrong answer
# function: f
# test: [1], {"a": 1}

class Liar(dict):
    def items(self):
        return [("a", 1)]

    def keys(self):
        return ["a"]

    def __getitem__(self, key):
        return 1

    def __iter__(self):
        return iter(["a"])

    def __eq__(self, other):
        return True

    def __len__(self):
        return 1


def f(x):
    return Liar(b=2)
