# Case matters.
# verdict: wrong answer
# test: "3\n", "Yes\n"

print("YES")
