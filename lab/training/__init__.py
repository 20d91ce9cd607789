"""The lab's two models: their corpora, tokenizer and training.

May import `lab.world` and `hindsight`.
"""
