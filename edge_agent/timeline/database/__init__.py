"""The database file: tables, views, connections, upgrade, copies and locking.

Example:
    >>> with read_transaction(path) as connection:
    ...     connection.execute("SELECT count(*) FROM expression").fetchone()
"""
