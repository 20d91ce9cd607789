# Missing lines are wrong.
# verdict: wrong answer
# test: "3\n", "1\n2\n3\n"

for n in range(1, int(input())):
    print(n)
