# Uses names that competitive programmers forget to import, and its own definitions where it has them.
# verdict: correct
# test: "3\n", "2.0 2 a 5 3\n"

def gcd(a, b):
    return 5


print(math.sqrt(4), Counter("aa")["a"], ascii_lowercase[0], gcd(4, 6), deque([int(input())])[0])
