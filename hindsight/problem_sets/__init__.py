"""Where problems and their tests come from.

May import `errors` and `settings`. Nothing here knows of runs, servers or answers.
"""
