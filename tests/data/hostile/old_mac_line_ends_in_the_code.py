# Code with lines that end in carriage returns alone.
# verdict: correct
# program: text.replace("\n", "\r")
# test: "3\n", "9\n"

n = int(input())
if n:
    print(n**2)
