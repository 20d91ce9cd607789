# The right answer, and then an exception.
# verdict: runtime error: ZeroDivisionError
# test: "3\n", "9\n"

print(int(input()) ** 2)
1 / 0
