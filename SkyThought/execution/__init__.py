"""The judge's side of the sandbox: starts warm processes, sends them programs and inputs, and explains each ending.

May import `SkyThought.sandbox`, `hindsight.errors` and `hindsight.files.verdicts`. Expected outputs never come here.
"""
