"""What steps 1a and 1b share: which samples to make, the loop that makes them, and two models taking turns.

May import `problem_sets`, `text`, `files` and `servers`.
"""
