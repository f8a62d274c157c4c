"""One session: the participant's baseline, and a summary by condition.

Example:
    >>> Reader(path).session_summary(3, relative=True).conditions
"""
