# Never ends.
# verdict: time limit
# limits: timeout=0.15
# test: "", "1"

while True:
    pass
