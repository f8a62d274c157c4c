"""The database file: tables, views, migrations, opening and locking.

Example:
    >>> with read_transaction(path) as connection:
    ...     connection.execute("SELECT count(*) FROM expression").fetchone()
"""
