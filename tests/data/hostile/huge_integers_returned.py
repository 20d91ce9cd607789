# An argument and a value of 10,000 digits.
# verdict: correct
# function: f
# test: [10 ** 10_000], 10 ** 10_000 + 1
# test: [-(10 ** 10_000)], 1 - 10 ** 10_000

def f(x):
    return x + 1
