# One operation of C code that takes hours and looks at no signal.
# verdict: time limit
# limits: timeout=0.25
# test: "", "1"

n = 10**8
print(10**n % 7)
