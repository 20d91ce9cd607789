# The last line ends with the file.
# verdict: correct
# test: "3\n4", "3 4\n"
# test: "3\n4\n", "3 4\n"

print(int(input()), input())
