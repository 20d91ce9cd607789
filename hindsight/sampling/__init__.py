"""What steps 1a and 1b share: the samples to make, the loop that makes them, and turns of two models.

May import `problem_sets`, `text`, `files` and `servers`.
"""
