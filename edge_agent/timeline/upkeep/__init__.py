"""Keeping the database well over years: copies, retention, disk budget, erasure.

Example:
    >>> make_daily_copy(path)
    >>> prune(path, keep_days=90)
    >>> erase_participant(path, "P01", actor="ada")
"""
