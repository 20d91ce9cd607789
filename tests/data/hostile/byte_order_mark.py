# Code that an editor began with a byte order mark.
# verdict: correct
# program: "\ufeff" + text
# test: "3\n", "9\n"

print(int(input()) ** 2)
