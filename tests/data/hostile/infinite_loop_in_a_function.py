# A function that never returns.
# verdict: time limit
# limits: timeout=0.15
# function: f
# test: [1], 1

def f(x):
    while True:
        pass
