"""The database file: tables, views, opening and locking.

Example:
    >>> with read_transaction(path) as connection:
    ...     connection.execute("SELECT count(*) FROM expression").fetchone()
"""
