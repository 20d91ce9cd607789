# A function that takes too much memory.
# verdict: memory limit
# function: f
# test: [1], 1

def f(x):
    return len([0] * 10**11)
