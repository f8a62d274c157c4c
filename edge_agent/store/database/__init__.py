"""The database file: tables, views, migrations, opening and locking."""
