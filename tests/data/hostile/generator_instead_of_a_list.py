# Returns a generator, which has not computed its items yet.
# verdict: wrong answer
# function: f
# test: [3], [0, 1, 2]

def f(n):
    yield from range(n)
