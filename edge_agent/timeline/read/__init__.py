"""Reading the timeline beside a running agent.

Example:
    >>> Reader(path).trend(start_ms, end_ms, buckets=200).shares
"""
