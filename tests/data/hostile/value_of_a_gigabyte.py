# Returns more than a program may print.
# verdict: output limit | memory limit
# limits: timeout=4
# function: f
# test: [1], 1

def f(x):
    return "x" * (80 << 20)
