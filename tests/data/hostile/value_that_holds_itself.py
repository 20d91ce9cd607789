# Returns a list that contains itself.
# verdict: runtime error: RecursionError
# function: f
# test: [3], [3]

def f(n):
    value = []
    value.append(value)
    return value
