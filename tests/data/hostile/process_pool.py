# Tries to use worker processes, which are refused.
# verdict: runtime error: BlockingIOError | runtime error: PermissionError | runtime error: FileNotFoundError
# test: "3\n", "0 1 4 9\n"

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context


def square(n):
    return n * n


with ProcessPoolExecutor(2, get_context("fork")) as pool:
    print(*pool.map(square, range(int(input()) + 1)))
