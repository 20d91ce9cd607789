# Runs one C operation that takes hours and checks for no signal.
# verdict: time limit
# limits: timeout=0.15
# test: "", "1"

n = 10**8
print(10**n % 7)
