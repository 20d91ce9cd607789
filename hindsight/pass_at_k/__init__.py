"""Step 5: counts of correct answers, estimators with their intervals, and Pass@k curves.

May import `problem_sets`, `text` and `files`.
"""
