"""Step 2: reading a raw answer (which text is the thought, which the program), by rules or by a model, with proof.

May import `problem_sets`, `text`, `files` and `servers`.
"""
