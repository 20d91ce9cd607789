# Changes its argument lists and keeps what it has seen.
# verdict: correct
# function: f
# test: [[3, 1, 2]], [1, 2, 3]
# test: [[3, 1, 2]], [1, 1, 2, 2, 3, 3]

seen = []


def f(numbers):
    seen.extend(numbers)
    numbers.clear()
    seen.sort()
    return seen
