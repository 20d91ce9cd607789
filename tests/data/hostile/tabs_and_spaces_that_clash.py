# A tab where the line above has eight spaces.
# verdict: syntax error
# test: "3\n", "9\n"

if True:
        n = int(input())
	print(n**2)
