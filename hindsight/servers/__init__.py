"""Model servers: the client and its requests, the queue, checks before a run, starting vLLM, budgets; the Hub.

May import `problem_sets`, `text` and `files`. Nothing here depends on the step that makes the requests.
"""
