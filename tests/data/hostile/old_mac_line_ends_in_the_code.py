# Code whose lines end in carriage returns only.
# verdict: correct
# program: text.replace("\n", "\r")
# test: "3\n", "9\n"

n = int(input())
if n:
    print(n**2)
