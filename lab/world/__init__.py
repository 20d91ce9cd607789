"""The lab's problems: pipelines of small pieces, in words and in code.

May import `hindsight` only.
"""
