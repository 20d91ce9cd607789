# A NUL byte in the code.
# verdict: syntax error
# program: text.replace("NUL", "\0")
# test: "3\n", "9\n"

# NUL
print(int(input()) ** 2)
