"""Where problems and their tests come from.

May import `errors` and `settings`. Nothing here knows about runs, servers or answers.
"""
