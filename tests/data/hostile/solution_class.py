# A class as LeetCode expects it, with helpers, state and a static method.
# verdict: correct
# function: f
# test: [[1, 2, 3]], 14
# test: [[]], 0

class Solution:
    def __init__(self):
        self.power = 2

    def f(self, numbers: List[int]) -> int:
        return sum(self.square(n) for n in numbers)

    @staticmethod
    def square(n):
        return n**2
