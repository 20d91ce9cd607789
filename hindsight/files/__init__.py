"""The files between the scripts: answer records and their verdicts, runs, masks, locks, and work on many files.

May import `problem_sets` and `text`. Nothing here speaks to a server.
"""
