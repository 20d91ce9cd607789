# Reaches the recursion limit, which is that of a fresh interpreter.
# verdict: runtime error: RecursionError
# test: "3\n", "9\n"

def f(n):
    return f(n + 1)


print(f(0))
