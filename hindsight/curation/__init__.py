"""Step 4: which correct answers become rows of a dataset, and the dataset's files.

May import `problem_sets`, `text`, `files` and `servers`.
"""
