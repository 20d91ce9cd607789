# A NUL byte is an ordinary character and not white space.
# verdict: wrong answer
# test: "3\n", "9\n"

print(f"{int(input()) ** 2}\0")
