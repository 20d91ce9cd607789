"""Step 0: merging a fine-tuned model back towards its base, from checkpoint to checkpoint or while a model is loaded.

May import `files` and `servers` (the client side of the dial).
"""
