"""Texts with one right form: the uniform format of an answer, code blocks, and what the models are asked.

May import `problem_sets`. Nothing here reads or writes a file of a run.
"""
