# What has not been computed is no answer.
# verdict: wrong answer
# function: f
# test: [3], [0, 1, 2]

def f(n):
    yield from range(n)
