# A list that shows other items than it contains.
# verdict: wrong answer
# function: f
# test: [[1, 2]], [1, 2]

class Liar(list):
    def __iter__(self):
        return iter([1, 2])

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return [1, 2][index]

    def __eq__(self, other):
        return True


def f(x):
    return Liar([3])
