"""The quality report of a session: counts, checks, and what to do.

Example:
    >>> [check.found for check in session_quality(Reader(path), 3).checks]
"""
