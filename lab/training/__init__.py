"""The lab's two models: their corpora, tokenizer, optimizer and training.

May import `lab.world` and `hindsight`.
"""
