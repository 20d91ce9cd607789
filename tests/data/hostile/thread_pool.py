# Uses worker threads.
# verdict: correct
# test: "3\n", "0 1 4 9\n"

from concurrent.futures import ThreadPoolExecutor

with ThreadPoolExecutor(4) as pool:
    print(*pool.map(lambda n: n * n, range(int(input()) + 1)))
