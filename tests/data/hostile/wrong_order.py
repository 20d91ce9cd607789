# The right lines in another order are a wrong answer.
# verdict: wrong answer
# test: "3\n", "1\n2\n3\n"

for n in range(int(input()), 0, -1):
    print(n)
