"""The lab's problems: pipelines of small pieces, in English and in Python.

May import `hindsight` only.
"""
