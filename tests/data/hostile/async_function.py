# Returns a coroutine, which is not a value.
# verdict: wrong answer
# function: f
# test: [3], 9

async def f(n):
    return n * n
