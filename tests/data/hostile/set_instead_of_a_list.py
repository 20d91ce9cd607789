# A set has no order, and JSON has no sets.
# verdict: wrong answer
# function: f
# test: [3], [0, 1, 2]

def f(n):
    return set(range(n))
