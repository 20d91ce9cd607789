"""Step 0: the arithmetic of merging, whole checkpoints from file to file, and merging while vLLM loads a model.

May import `files`.
"""
