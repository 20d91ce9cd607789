# Tabs in one block, spaces in another.
# verdict: correct
# test: "3\n", "9\n"

def f(n):
	return n * n


if True:
    if True:
    	print(f(int(input())))
