"""Step 2: splits a raw answer into thought and solution, by rules or by a model, and checks that nothing changed.

May import `problem_sets`, `text`, `files` and `servers`.
"""
