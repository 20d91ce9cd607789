# The last line of the input has no newline.
# verdict: correct
# test: "3\n4", "3 4\n"
# test: "3\n4\n", "3 4\n"

print(int(input()), input())
