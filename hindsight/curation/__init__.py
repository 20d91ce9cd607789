"""Step 4: which correct answers become rows of a fine-tuning dataset, and the files of that dataset.

May import `problem_sets`, `text` and `files`.
"""
