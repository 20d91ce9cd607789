# Ten megabytes as argument and as value.
# verdict: correct
# limits: timeout=4
# function: f
# test: ["ab" * 5_000_000], "ba" * 5_000_000

def f(x):
    return x[::-1]
