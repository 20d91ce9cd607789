# Prints the right answer, then raises an exception.
# verdict: runtime error: ZeroDivisionError
# test: "3\n", "9\n"

print(int(input()) ** 2)
1 / 0
