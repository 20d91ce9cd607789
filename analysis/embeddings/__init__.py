"""Embedding models, and the files of a run folder that hold embeddings.

May import `hindsight`.
"""
