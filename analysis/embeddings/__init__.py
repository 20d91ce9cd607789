"""Embedding models and the files that hold embeddings.

May import `hindsight`.
"""
