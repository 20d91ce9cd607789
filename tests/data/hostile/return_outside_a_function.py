# Parses, but does not compile.
# verdict: syntax error
# test: "3\n", "9\n"

print(int(input()) ** 2)
return
