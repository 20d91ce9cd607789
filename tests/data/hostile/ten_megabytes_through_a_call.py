# An argument and a value of ten megabytes.
# verdict: correct
# limits: timeout=4
# function: f
# test: ["ab" * 5_000_000], "ba" * 5_000_000

def f(x):
    return x[::-1]
