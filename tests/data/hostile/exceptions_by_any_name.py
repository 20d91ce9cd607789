# An exception class named like a verdict.
# verdict: runtime error: correct
# test: "3\n", "9\n"

print(int(input()) ** 2)
raise type("correct", (Exception,), {})
